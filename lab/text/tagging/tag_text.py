"""Tagging: a part of speech, or the part of a name, for each word of a sentence."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix

from lab import plots
from lab.data import Batch
from lab.learning import Stage, mean_of_known
from lab.learning.plots import confusion
from lab.networks import upcast
from lab.task import Task
from lab.text.module import TextModule
from lab.text.network import WordNetwork
from lab.text.pretrained.networks import PretrainedWordEncoder
from lab.text.tagging import plots as draw
from lab.text.tagging.spans import SpanF1
from lab.text.tagging.tagged_data import PIECES, TaggedData
from lab.text.tokenizer import Tokenizer, TokenizerKind

NO_TAG = -100  # torch's mark for what has no loss


class TagText(TextModule):
    """Logits (B, T, tags) of sentences whose words are token ids (B, T, pieces), padded with 0.

    The F1 score is over names: one is right if its kind, its first and its last word are. Tags that are no parts of
    names, as parts of speech, count word by word.

    Args:
        tag_names: names of the tags; a fact of the data.
        network: bag (each word by itself), rnn, lstm, gru, tcn, transformer, or a model of transformers with its
            weights, such as transformers:bert-base-cased, or a folder with one. That has a tokenizer, a vocabulary and
            sizes of its own, and max_length counts its tokens.
        tokenizer: word, bpe (byte-pair encoding) or char; the vector of a word is the mean over its tokens.
        vocab_size: tokens of the vocabulary, at most: the most frequent ones of the training sentences.
        max_length: words of a sentence, at most.
        embed_dim: size of a token's embedding.
        hidden: size of a recurrent state in each direction, channels of a convolution, width of a Transformer.
        depth: layers, stacked.
        bidirectional: every word sees the whole sentence; otherwise itself and those before it.
        dropout: dropout of the embeddings and of the outputs of layers.
        lr: learning rate of the optimizer.
        weight_decay: decoupled weight decay for adamw, an L2 penalty for the others.
    """

    num_worst_examples = draw.SENTENCES
    max_tokens: int | None = None  # of a sentence, where tokens are counted besides words

    def __init__(
        self,
        tag_names: list[str],
        network: str = "lstm",
        tokenizer: TokenizerKind = "word",
        vocab_size: Annotated[int, Ge(16)] = 5_000,
        max_length: Annotated[int, Gt(0)] = 128,
        embed_dim: Annotated[int, Gt(0)] = 64,
        hidden: Annotated[int, Gt(0)] = 64,
        depth: Annotated[int, Gt(0)] = 1,
        bidirectional: bool = True,
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.1,
        lr: Annotated[float, Gt(0)] = 5e-3,
        weight_decay: Annotated[float, Ge(0)] = 0.01,
        **training: Any,
    ) -> None:
        super().__init__(lr, weight_decay=weight_decay, **training)
        self.max_length, self.names = max_length, tag_names
        self.network: WordNetwork | PretrainedWordEncoder
        if (pretrained := self.use_pretrained(network, single_words=True)) is not None:
            self.network, self.max_tokens = PretrainedWordEncoder(*pretrained, max_length), max_length
        else:
            self.tokenizer, sizes = Tokenizer(tokenizer, vocab_size), (embed_dim, hidden, depth)
            self.network = WordNetwork(network, vocab_size, max_length, *sizes, bidirectional, dropout)
        self.head = nn.Linear(self.network.out_features, len(tag_names))
        settings: dict[str, Any] = {"num_classes": len(tag_names), "validate_args": False, "ignore_index": NO_TAG}
        self.metrics = MetricCollection({"accuracy": MulticlassAccuracy(average="micro", **settings)})
        self.spans = SpanF1(tag_names)
        self.confusion = MulticlassConfusionMatrix(**settings)
        self.example_input_array = torch.ones(1, max_length, PIECES, dtype=torch.int64)

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.head(self.network(tokens))
        return logits

    def training_loss(self, batch: Batch, progress: float) -> Tensor:  # noqa: ARG002
        tags = batch["tag"].masked_fill(~batch["tag_mask"], NO_TAG)
        losses = F.cross_entropy(upcast(self(batch["tokens"])).mT, tags, reduction="none")
        return mean_of_known(losses, batch["tag_mask"])

    def evaluate_batch(self, batch: Batch) -> dict[str, Tensor]:
        mask = batch["tag_mask"]
        tags = batch["tag"].masked_fill(~mask, NO_TAG)
        logits = upcast(self(batch["tokens"]))
        predicted = logits.argmax(2)
        self.metrics.update(logits.mT, tags)
        self.confusion.update(logits.mT, tags)
        self.spans.update(predicted, batch["tag"], mask)
        losses = F.cross_entropy(logits.mT, tags, reduction="none").sum(1) / mask.sum(1)
        missing = self.max_length - mask.shape[1]  # of one length, to be put together
        shown = F.pad(predicted.masked_fill(~mask, NO_TAG), (0, missing), value=NO_TAG)
        return {"loss": losses, "predicted": shown, "row": batch["row"]}

    def compute_metrics(self, stage: Stage) -> Mapping[str, Any]:
        values = dict(self.metrics.compute()) | self.spans.compute()
        if stage == "test":
            values["most_frequent_tag/f1"] = self.most_frequent_tag_f1()
        return values

    def most_frequent_tag_f1(self) -> Tensor:
        """The score of the tag that a word has most often in the training, whatever stands beside it."""
        data: TaggedData = self.trainer.datamodule  # type: ignore[attr-defined]
        seen: dict[str, Counter[int]] = defaultdict(Counter)
        for words, tags in zip(*data.sentences("train"), strict=True):
            for word, tag in zip(words, tags, strict=True):
                seen[word][tag] += 1
                seen[""][tag] += 1  # of any word, for those that are new
        metric = SpanF1(self.names)
        for words, tags in zip(*data.sentences("test"), strict=True):
            found = torch.tensor([[(seen.get(word) or seen[""]).most_common(1)[0][0] for word in words]])
            metric.update(found, torch.tensor([tags]), torch.ones_like(found, dtype=torch.bool))
        return metric.compute()["f1"]

    def report(self) -> None:
        plots.log_figure(self, "confusion.png", confusion(self.confusion.compute().cpu(), self.names, "words"))
        data: TaggedData = self.trainer.datamodule  # type: ignore[attr-defined]
        words, tags = data.sentences("test")
        worst = zip(self.examples.worst["row"].tolist(), self.examples.worst["predicted"].tolist(), strict=True)
        rows = [
            (words[row], [self.names[tag] for tag in tags[row]], [self.names[tag] for tag in found if tag != NO_TAG])
            for row, found in worst
        ]
        plots.log_figure(self, "tagged.png", draw.tagged(rows))


TASK = Task(module=TagText, data=TaggedData, monitor="val/f1", mode="max")
