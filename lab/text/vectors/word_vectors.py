"""Word vectors: skip-gram and CBOW with negative sampling, the hierarchical or the whole softmax, and GloVe."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt
from torch import Tensor

from lab import plots
from lab.data import Batch
from lab.errors import BadSetting
from lab.learning import Stage
from lab.learning.optimizers import OptimizerName
from lab.task import Task
from lab.text.module import TextModule
from lab.text.tokenizer import SPECIAL, Tokenizer
from lab.text.vectors import plots as draw
from lab.text.vectors.evaluation import analogy_scores, rare_pairs, similarity_correlation
from lab.text.vectors.glove import GloVe
from lab.text.vectors.objectives import Output, WindowEmbeddings, WordEmbeddings
from lab.text.vectors.vector_data import VectorData

Method = Literal["skipgram", "cbow", "glove"]
SPARSE = ("sgd", "adagrad")  # the optimizers that take sparse gradients


class WordVectors(TextModule):
    """Vectors (B, T, vector_size) of token ids (B, T), learnt from the words around each word.

    Args:
        method: skipgram (a word predicts each of its neighbours), cbow (its neighbours together predict it) or glove
            (dot products fit the logarithm of how often two words meet).
        output: negative_sampling, hierarchical_softmax, or softmax over the whole vocabulary, of skipgram and cbow.
        vector_size: numbers of a word's vector.
        window: words on each side that are its neighbours, at most.
        negative: words that are sampled for each pair as no neighbours, for negative_sampling.
        vocab_size: words of the vocabulary, at most: the most frequent ones of the training text.
        sparse: a step changes the vectors of its own words alone, with sgd or adagrad; for large vocabularies.
        lr: learning rate of the optimizer.
        optimizer: sgd, adagrad, adadelta, rmsprop, adam, adamw, adamax, nadam or lbfgs.
        weight_decay: decoupled weight decay for adamw, an L2 penalty for the others.
    """

    def __init__(
        self,
        method: Method = "skipgram",
        output: Output = "negative_sampling",
        vector_size: Annotated[int, Gt(0)] = 100,
        window: Annotated[int, Gt(0)] = 5,
        negative: Annotated[int, Gt(0)] = 5,
        vocab_size: Annotated[int, Ge(16)] = 10_000,
        sparse: bool = False,
        lr: Annotated[float, Gt(0)] = 5e-3,
        optimizer: OptimizerName = "adam",
        weight_decay: Annotated[float, Ge(0)] = 0.0,
        **training: Any,
    ) -> None:
        super().__init__(lr, optimizer=optimizer, weight_decay=weight_decay, **training)
        if sparse and (optimizer not in SPARSE or weight_decay):
            raise BadSetting("sparse", f"needs model.optimizer {' or '.join(SPARSE)} and model.weight_decay 0")
        if method == "glove" and output != "negative_sampling":
            raise BadSetting("output", "glove has no softmax; leave it out")
        self.tokenizer, self.window, self.counts_pairs = Tokenizer("word", vocab_size), window, method == "glove"
        self.network: WordEmbeddings = (
            GloVe(vocab_size, vector_size, sparse)
            if method == "glove"
            else WindowEmbeddings(vocab_size, vector_size, window, method == "cbow", output, negative, sparse)
        )
        self.example_input_array = torch.ones(1, 8, dtype=torch.int64)

    def forward(self, tokens: Tensor) -> Tensor:
        found: Tensor = self.network(tokens)
        return found

    def training_loss(self, batch: Batch, progress: float) -> Tensor:  # noqa: ARG002
        return self._losses(batch).mean()

    def evaluate_batch(self, batch: Batch) -> dict[str, Tensor]:
        return {"loss": self._losses(batch)}

    def compute_metrics(self, stage: Stage) -> Mapping[str, Any]:
        """Similarities and, in the test, analogies; each only where something is known of the words."""
        data: VectorData = self.trainer.datamodule  # type: ignore[attr-defined]
        vectors, index = self.network.word_vectors().cpu(), self.index()
        values: dict[str, Any] = {}
        correlation, pairs = similarity_correlation(vectors, index, data.similarities)
        if not math.isnan(correlation):
            values = {"spearman": correlation}
        if stage == "val" or not data.analogies:
            return values
        if pairs:
            values["spearman/pairs"] = float(pairs)
            correlation, pairs = similarity_correlation(vectors, index, rare_pairs(index, data.similarities))
            if not math.isnan(correlation):
                values["spearman/rare"] = correlation
        everything = [question for several in data.analogies.values() for question in several]
        scores = analogy_scores(vectors, index, everything)
        if scores.asked:
            values |= {f"analogies/{name}": float(value) for name, value in scores._asdict().items()}
        for kind, questions in data.analogies.items():
            if (of_kind := analogy_scores(vectors, index, questions)).asked:
                values[f"analogies/{kind}/accuracy"] = of_kind.accuracy
        return values

    def index(self) -> dict[str, int]:
        """The token id of each word, the most frequent words first."""
        return {self.tokenizer.token(i): i for i in range(len(SPECIAL), self.tokenizer.size)}

    def report(self) -> None:
        data: VectorData = self.trainer.datamodule  # type: ignore[attr-defined]
        index = self.index()
        pairs: dict[str, list[tuple[str, str]]] = {}
        for kind, questions in data.analogies.items():
            known = {frozenset(four[:2]): four[:2] for four in reversed(questions) if set(four[:2]) <= index.keys()}
            pairs[kind] = list(known.values())
        plots.log_figure(self, "words.png", draw.word_map(self.network.word_vectors(), index, pairs))

    def _losses(self, batch: Batch) -> Tensor:
        network = self.network
        if isinstance(network, GloVe):
            return network.loss(batch["pairs"], batch["counts"])
        assert isinstance(network, WindowEmbeddings)
        return network.loss(batch["tokens"])


TASK = Task(
    module=WordVectors, data=VectorData, monitor="val/loss", mode="min", score="test/spearman", score_mode="max"
)
