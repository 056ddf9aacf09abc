"""Classification of texts: sentiment, topics, or any labels, by a bag of embeddings or a network over their tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix, MulticlassF1Score

from lab import plots
from lab.data import Batch
from lab.learning import Stage
from lab.learning.plots import confusion
from lab.networks import upcast
from lab.task import Task
from lab.text import plots as draw
from lab.text.baselines import baseline_accuracies
from lab.text.data.text_data import TextData
from lab.text.module import TextModule
from lab.text.network import TextNetwork
from lab.text.pretrained.networks import PretrainedEncoder
from lab.text.retrieval import SIMILARITIES, TextIndex, cluster, directions, precision_at
from lab.text.rules import Rules
from lab.text.tokenizer import PAD, Tokenizer, TokenizerKind

MOST_SEARCHED = 5_000  # texts of the training that a test searches in


class ClassifyText(TextModule):
    """Logits (B, classes) of texts as token ids (B, T), padded with 0.

    Args:
        class_names: names of the classes; a fact of the data.
        network: bag (mean of the tokens' embeddings, blind to their order), rnn, lstm, gru, tcn, transformer, or a
            model of transformers with its weights, such as transformers:bert-base-uncased, or a folder with one. That
            has a tokenizer, a vocabulary and sizes of its own.
        tokenizer: word, bpe (byte-pair encoding) or char.
        vocab_size: tokens of the vocabulary, at most: the most frequent ones of the training texts.
        max_length: tokens of a text, at most.
        embed_dim: size of a token's embedding.
        hidden: size of a recurrent state in each direction, channels of a convolution, width of a Transformer.
        depth: layers, stacked.
        bidirectional: every token sees the whole text; otherwise itself and those before it.
        dropout: dropout of the embeddings and of the outputs of layers.
        rules: a regular expression for each class, tried in this order; the first one that is found in a text decides.
            Their accuracy stands beside that of the network.
        lr: learning rate of the optimizer.
        weight_decay: decoupled weight decay for adamw, an L2 penalty for the others.
    """

    num_worst_examples = draw.WORST

    def __init__(
        self,
        class_names: list[str],
        network: str = "lstm",
        tokenizer: TokenizerKind = "word",
        vocab_size: Annotated[int, Ge(16)] = 5_000,
        max_length: Annotated[int, Gt(0)] = 64,
        embed_dim: Annotated[int, Gt(0)] = 64,
        hidden: Annotated[int, Gt(0)] = 64,
        depth: Annotated[int, Gt(0)] = 1,
        bidirectional: bool = True,
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.1,
        rules: dict[str, str] | None = None,
        lr: Annotated[float, Gt(0)] = 3e-3,
        weight_decay: Annotated[float, Ge(0)] = 0.01,
        **training: Any,
    ) -> None:
        super().__init__(lr, weight_decay=weight_decay, **training)
        self.max_length, self.names = max_length, class_names
        self.rules = None if rules is None else Rules(rules, class_names)
        self.network: TextNetwork | PretrainedEncoder
        if (pretrained := self.use_pretrained(network)) is not None:
            self.network = PretrainedEncoder(*pretrained, max_length)
        else:
            self.tokenizer, sizes = Tokenizer(tokenizer, vocab_size), (embed_dim, hidden, depth)
            self.network = TextNetwork(network, vocab_size, max_length, *sizes, bidirectional, dropout)
        self.head = nn.Linear(self.network.out_features, len(class_names))
        settings: dict[str, Any] = {"num_classes": len(class_names), "validate_args": False}
        self.metrics = MetricCollection(
            {
                "accuracy": MulticlassAccuracy(average="micro", **settings),
                "f1": MulticlassF1Score(average="macro", **settings),
            },
            compute_groups=False,
        )
        self.confusion = MulticlassConfusionMatrix(**settings)
        self.example_input_array = torch.ones(1, max_length, dtype=torch.int64)

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.head(self.network(tokens))
        return logits

    def training_loss(self, batch: Batch, progress: float) -> Tensor:  # noqa: ARG002
        return F.cross_entropy(upcast(self(batch["tokens"])), batch["label"])

    def evaluate_batch(self, batch: Batch) -> dict[str, Tensor]:
        tokens, labels = batch["tokens"], batch["label"]
        logits = upcast(self(tokens))
        self.metrics.update(logits, labels)
        self.confusion.update(logits, labels)
        text = F.pad(tokens, (0, self.max_length - tokens.shape[1]), value=PAD)  # of one length, to be put together
        losses = F.cross_entropy(logits, labels, reduction="none")
        return {"loss": losses, "text": text, "label": labels, "predicted": logits.argmax(1)}

    def compute_metrics(self, stage: Stage) -> Mapping[str, Any]:
        values = dict(self.metrics.compute())
        if stage == "test":
            data: TextData = self.trainer.datamodule  # type: ignore[attr-defined]
            texts = data.train_and_test()
            values |= {f"{name}/accuracy": score for name, score in baseline_accuracies(*texts).items()}
            values |= self._without_labels(*texts)
            if self.rules is not None:
                values["rules/accuracy"] = self.rules.accuracy(*texts[2:])
        return values

    def _without_labels(
        self, texts: list[str], labels: list[int], asked: list[str], asked_labels: list[int]
    ) -> dict[str, float]:
        """Likeness of the texts of one class by their words: in a search, and as groups."""
        from sklearn.metrics import adjusted_rand_score

        index = TextIndex(texts[:MOST_SEARCHED])
        values = {
            f"retrieval/{name}/precision": precision_at(index.similarities(asked, name), labels, asked_labels)
            for name in SIMILARITIES
        }
        tested = TextIndex(asked)
        places = directions(tested, len(self.names))
        found = cluster(places, len(self.names)).tolist()
        score = float(adjusted_rand_score(asked_labels, found))
        self.groups = draw.groups(places, asked_labels, self.names, found, score)
        return values | {"clusters/adjusted_rand": score}

    def report(self) -> None:
        plots.log_figure(self, "groups.png", self.groups)
        plots.log_figure(self, "confusion.png", confusion(self.confusion.compute().cpu(), self.names, "texts"))
        worst = self.examples.worst
        rows = zip(map(self.tokenizer.decode, worst["text"]), worst["label"], worst["predicted"], strict=True)
        shown = [(text, self.names[label], self.names[predicted]) for text, label, predicted in rows]
        plots.log_figure(self, "most_wrong.png", draw.most_wrong(shown))


TASK = Task(module=ClassifyText, data=TextData, monitor="val/accuracy", mode="max")
