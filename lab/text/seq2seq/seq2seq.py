"""Sequence to sequence: translations and summaries by an encoder and a decoder with attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from torchmetrics import MeanMetric
from torchmetrics.text import BLEUScore, ROUGEScore

from lab import plots
from lab.data import Batch
from lab.errors import BadInput, BadSetting
from lab.learning import Stage, mean_of_known
from lab.task import Task
from lab.text import plots as draw_texts
from lab.text.baselines import nearest_answers
from lab.text.module import TextModule
from lab.text.seq2seq import plots as draw
from lab.text.seq2seq.decoder import DecoderName
from lab.text.seq2seq.network import EncoderDecoder
from lab.text.seq2seq.pair_data import PairData
from lab.text.tokenizer import BEGIN, END, PAD, UNKNOWN, Tokenizer, TokenizerKind


class Seq2Seq(TextModule):
    """log p (B, T, vocab_size) of the token behind each token of targets (B, T), for sources (B, S).

    Texts are written token by token, each time the most probable one. An exact match is a text that is right as a
    whole.

    Args:
        network: rnn, lstm, gru or transformer, for both sides; the encoder reads in both directions.
        tokenizer: word, bpe (byte-pair encoding) or char, of both sides together.
        vocab_size: tokens of the vocabulary, at most: the most frequent ones of the training texts.
        max_length: tokens of a text with its beginning and end, at most.
        hidden: size of embeddings and states; even, of a transformer a multiple of 4.
        depth: layers of the encoder and of the decoder.
        copy: tokens may be copied from the text that is read, for names that are new.
        dropout: dropout of the embeddings and of the outputs of layers.
        lr: learning rate of the optimizer.
        weight_decay: decoupled weight decay for adamw, an L2 penalty for the others.
        warmup: linear warm-up of the learning rate, as a fraction of the run (below 1) or a number of steps.
    """

    num_first_examples = draw.EXAMPLES
    num_worst_examples = draw_texts.WORST

    def __init__(
        self,
        network: DecoderName = "transformer",
        tokenizer: TokenizerKind = "word",
        vocab_size: Annotated[int, Ge(16)] = 2_000,
        max_length: Annotated[int, Gt(2)] = 64,
        hidden: Annotated[int, Gt(0)] = 128,
        depth: Annotated[int, Gt(0)] = 2,
        copy: bool = False,
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.1,
        lr: Annotated[float, Gt(0)] = 2e-3,
        weight_decay: Annotated[float, Ge(0)] = 0.01,
        warmup: Annotated[float, Ge(0)] = 0.05,
        **training: Any,
    ) -> None:
        super().__init__(lr, weight_decay=weight_decay, warmup=warmup, **training)
        step = 4 if network == "transformer" else 2
        if hidden % step:
            raise BadSetting("hidden", f"expected a multiple of {step} for a {network}, found {hidden}")
        self.tokenizer, self.max_length = Tokenizer(tokenizer, vocab_size), max_length
        self.network = EncoderDecoder(network, vocab_size, max_length, hidden, depth, dropout, copy)
        self.exact_match, self.bleu = MeanMetric(), BLEUScore()
        self.rouge = ROUGEScore(rouge_keys="rougeL")
        example = torch.full((1, max_length), BEGIN)
        self.example_input_array = (example, example.clone())

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        log_probabilities: Tensor = self.network(source, target)
        return log_probabilities

    def training_loss(self, batch: Batch, progress: float) -> Tensor:  # noqa: ARG002
        target = batch["target"]
        scores = self(batch["source"], target[:, :-1])
        losses = F.nll_loss(scores.mT, target[:, 1:], ignore_index=PAD, reduction="none")
        return mean_of_known(losses, target[:, 1:] != PAD)

    def evaluate_batch(self, batch: Batch) -> dict[str, Tensor]:
        source, target = batch["source"], batch["target"]
        losses = F.nll_loss(self(source, target[:, :-1]).mT, target[:, 1:], ignore_index=PAD, reduction="none")
        written, weights = self.network.write(source)
        found, wanted = (list(map(self.tokenizer.decode, rows)) for rows in (written, target))
        right = torch.tensor([a == b for a, b in zip(found, wanted, strict=True)], device=self.device)
        self.exact_match.update((right & (target != UNKNOWN).all(1)).float())  # what is unknown cannot be right
        self.bleu.update(found, [[each] for each in wanted])
        self.rouge.update(found, wanted)
        size = self.max_length  # of one length, to be put together
        return {
            "loss": losses.sum(1) / (target[:, 1:] != PAD).sum(1),
            "source": F.pad(source, (0, size - source.shape[1])),
            "target": F.pad(target, (0, size - target.shape[1])),
            "written": F.pad(written, (0, size - written.shape[1])),
            "attention": F.pad(weights, (0, size - weights.shape[2], 0, size - weights.shape[1])),
        }

    def compute_metrics(self, stage: Stage) -> Mapping[str, Any]:
        values: dict[str, Any] = {"exact_match": self.exact_match.compute(), "bleu": self.bleu.compute()}
        values["rouge_l"] = self.rouge.compute()["rougeL_fmeasure"]
        if stage == "test":
            data: PairData = self.trainer.datamodule  # type: ignore[attr-defined]
            (sources, targets), (asked, wanted) = data.texts("train"), data.texts("test")
            answers = nearest_answers(sources, targets, asked)
            values["nearest/exact_match"] = sum(a == b for a, b in zip(answers, wanted, strict=True)) / len(wanted)
            values["nearest/bleu"] = BLEUScore()(answers, [[each] for each in wanted])
        return values

    @torch.inference_mode()
    def generate(self, texts: Sequence[str]) -> list[str]:
        """The text that the network writes for each text: its translation or its summary.

        Raises:
            BadInput: a text is longer than the network takes, or has something that the vocabulary lacks.
        """
        rows = []
        for number, ids in enumerate(self.tokenizer.encode([text])[0] for text in texts):
            if len(ids) + 2 > self.max_length:
                raise BadInput(f"text {number} has {len(ids)} tokens, and the network takes {self.max_length - 2}")
            if bool((ids == UNKNOWN).any()):
                raise BadInput(f"text {number} has a token that is not in the vocabulary of this network")
            rows.append(torch.cat([torch.tensor([BEGIN]), ids, torch.tensor([END])]))
        if not rows:
            return []
        written, _ = self.network.write(pad_sequence(rows, batch_first=True).to(self.device))
        return list(map(self.tokenizer.decode, written))

    def report(self) -> None:
        first, worst, text = self.examples.first, self.examples.worst, self.tokenizer.decode
        examples = []
        for i in range(len(first["source"])):
            source, target = (self._tokens(first[name][i]) for name in ("source", "written"))
            examples.append((source, target[1:], first["attention"][i, : len(target) - 1, : len(source)]))
        plots.log_figure(self, "attention.png", draw.attention(examples))
        rows = zip(*(map(text, worst[name]) for name in ("source", "target", "written")), strict=True)
        plots.log_figure(self, "most_wrong.png", draw_texts.most_wrong(list(rows)))

    def _tokens(self, ids: Tensor) -> list[str]:
        """As they are read: pairs of bytes as their characters, and what has none, such as [EOS], by its name."""
        known = ids[ids != PAD]
        return [self.tokenizer.decode(each).strip() or self.tokenizer.token(int(each)) for each in known.split(1)]


TASK = Task(module=Seq2Seq, data=PairData, monitor="val/exact_match", mode="max")
