"""A small GPT, which predicts each token of a running text from those before it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric

from lab import plots
from lab.data import Batch
from lab.errors import BadInput, BadSetting, unknown_name
from lab.learning import LazyMetrics, Stage
from lab.networks import upcast
from lab.networks.transformers_model import TRANSFORMERS
from lab.task import Task
from lab.text import plots as draw
from lab.text.data.corpus_data import CorpusData
from lab.text.gpt import GPT
from lab.text.module import TextModule
from lab.text.ngrams import ngram_losses
from lab.text.pretrained.networks import PretrainedGPT
from lab.text.tokenizer import BEGIN, SPECIAL, Tokenizer, TokenizerKind

GPT2 = f"{TRANSFORMERS}gpt2"  # one of many pretrained networks


class LanguageModel(TextModule):
    """Logits (B, T, vocab_size) of the token behind each of the token ids (B, T).

    Perplexity is the exponential of the mean loss of a token; `bits_per_character` is the same loss for each character
    of the text, which does not depend on the tokenizer. Models that count single tokens and pairs stand beside it.

    Args:
        network: gpt, or a model of transformers with its weights, such as transformers:gpt2, or a folder with one. That
            has a tokenizer, a vocabulary and sizes of its own.
        tokenizer: bpe (byte-pair encoding), char or word; the last one leaves rare words out and has no bits per
            character.
        vocab_size: tokens of the vocabulary, at most: the most frequent ones of the training text.
        context: tokens that it sees at once.
        width: size of a token's vector.
        depth: layers of the Transformer.
        heads: heads of the attention, which divide the width.
        dropout: dropout of the embeddings, of attention and of each block's outputs.
        lr: learning rate of the optimizer.
        weight_decay: decoupled weight decay for adamw, an L2 penalty for the others.
        warmup: linear warm-up of the learning rate, as a fraction of the run (below 1) or a number of steps.
    """

    def __init__(
        self,
        network: str = "gpt",
        tokenizer: TokenizerKind = "bpe",
        vocab_size: Annotated[int, Ge(16)] = 1_024,
        context: Annotated[int, Gt(0)] = 64,
        width: Annotated[int, Gt(0)] = 128,
        depth: Annotated[int, Gt(0)] = 4,
        heads: Annotated[int, Gt(0)] = 4,
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.1,
        lr: Annotated[float, Gt(0)] = 2e-3,
        weight_decay: Annotated[float, Ge(0)] = 0.1,
        warmup: Annotated[float, Ge(0)] = 0.05,
        **training: Any,
    ) -> None:
        super().__init__(lr, weight_decay=weight_decay, warmup=warmup, **training)
        if width % heads:
            raise BadSetting("heads", f"{heads} heads do not divide the width {width}")
        self.context = context
        self.network: GPT | PretrainedGPT
        if (pretrained := self.use_pretrained(network)) is not None:
            self.network = PretrainedGPT(*pretrained, context)
        elif network == "gpt":
            self.tokenizer = Tokenizer(tokenizer, vocab_size)
            self.network = GPT(vocab_size, context, width, depth, heads, dropout)
        else:
            raise unknown_name("network", network, ["gpt", GPT2], {"gpt2": GPT2})
        self.loss_by_position = MeanPerPosition(context)
        self.example_input_array = torch.ones(1, context, dtype=torch.int64)

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.network(tokens)
        return logits

    def training_loss(self, batch: Batch, progress: float) -> tuple[Tensor, LazyMetrics]:  # noqa: ARG002
        loss = token_losses(self(batch["tokens"][:, :-1]), batch["tokens"]).mean()
        return loss, lambda: {"train/perplexity": loss.exp()}

    def evaluate_batch(self, batch: Batch) -> dict[str, Tensor]:
        losses = token_losses(self(batch["tokens"][:, :-1]), batch["tokens"])
        self.loss_by_position.update(losses)
        return {"loss": losses.mean(1)}

    def compute_metrics(self, stage: Stage) -> Mapping[str, Any]:
        loss = self.mean_loss.compute()
        values: dict[str, Any] = {"perplexity": loss.exp()}
        if stage == "test":
            data: CorpusData = self.trainer.datamodule  # type: ignore[attr-defined]
            self.baselines = ngram_losses(
                data.train_tokens(), self.tokenizer.vocab_size, data.tables["test"]["tokens"].cpu()
            )
            values |= {f"{name}/perplexity": math.exp(each) for name, each in self.baselines.items()}
            if self.tokenizer.lossless:
                values["bits_per_character"] = loss / math.log(2) * data.tokens_per_character["test"]
        return values

    def report(self) -> None:
        positions = self.loss_by_position.compute().cpu()
        plots.log_figure(self, "loss_by_position.png", draw.loss_by_position(positions, self.baselines))

    @torch.inference_mode()
    def sample(self, prompt: str, max_tokens: int, temperature: float, top_k: int | None, seed: int) -> str:
        """The prompt, and how it goes on.

        Args:
            prompt: a text whose tokens are all in the vocabulary.
            max_tokens: how many are added, at least 1.
            temperature: above 0; small values take the most probable token nearly always.
            top_k: only the so many most probable tokens are sampled from; None for all.
            seed: the same seed gives the same text.

        Raises:
            BadInput: the vocabulary lacks something in the prompt.
        """
        tokens = self.tokenizer.encode([prompt])[0]
        if bool((tokens == self.tokenizer.unknown).any()):
            raise BadInput("prompt: not all of its tokens are in the vocabulary of this run; use other words")
        tokens = tokens.to(self.device) if len(tokens) else torch.tensor([BEGIN], device=self.device)
        random = torch.Generator(self.device).manual_seed(seed)
        for _ in range(max_tokens):
            logits = upcast(self(tokens[None, -self.context :]))[0, -1] / temperature
            logits[: len(SPECIAL)] = logits[self.tokenizer.size :] = -math.inf
            if top_k is not None and top_k < len(logits):
                logits[logits < logits.topk(top_k).values[-1]] = -math.inf
            tokens = torch.cat([tokens, logits.softmax(0).multinomial(1, generator=random)])
        return self.tokenizer.decode(tokens)


class MeanPerPosition(Metric):
    """The mean over all rows (B, T) that it was given, (T,).

    >>> metric = MeanPerPosition(2)
    >>> metric.update(torch.tensor([[1.0, 2.0], [3.0, 2.0]]))
    >>> metric.compute()
    tensor([2., 2.])

    Args:
        length: T.
    """

    total: Tensor
    rows: Tensor

    def __init__(self, length: int) -> None:
        super().__init__()
        self.add_state("total", torch.zeros(length), dist_reduce_fx="sum")
        self.add_state("rows", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, values: Tensor) -> None:
        self.total += values.sum(0)
        self.rows += len(values)

    def compute(self) -> Tensor:
        return self.total / self.rows


def token_losses(logits: Tensor, tokens: Tensor) -> Tensor:
    """The loss of each predicted token, (B, T), of logits (B, T, vocab_size) and windows (B, T + 1)."""
    losses = F.cross_entropy(upcast(logits).flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
    return losses.view(len(tokens), -1)


TASK = Task(module=LanguageModel, data=CorpusData, monitor="val/loss", mode="min", score="test/perplexity")
