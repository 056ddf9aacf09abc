"""Running text as rows for word vectors: stretches with their margins, or pairs of words with their counts."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, Protocol

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor

from lab.data import Split, Table
from lab.errors import BadSetting
from lab.text.data.corpus_data import CorpusData
from lab.text.data.word_tests import Analogies, Similarities, read_analogies, read_similarities
from lab.text.tokenizer import PAD, SPECIAL, Tokenizer
from lab.text.vectors.cooccurrences import rows_of_pairs
from lab.text.vectors.objectives import WordEmbeddings


class LearnsVectors(Protocol):
    """The module that the text is prepared for."""

    tokenizer: Tokenizer
    network: WordEmbeddings
    window: int
    counts_pairs: bool


class VectorData(CorpusData):
    """Batches of `tokens` (B, window + length + window), or of `pairs` (B, length, 2) and their `counts` (B, length).

    Words that are not in the vocabulary are left out, and so is, in training, a share of the frequent ones: one whose
    frequency is f stays with probability sqrt(sample / f) + sample / f.

    Args:
        name: name of the dataset, as listed by `lab data ls`; corpus for a file of your own.
        path: text file in UTF-8, for the dataset corpus.
        max_texts: number of generated stories or news; by default the listed number.
        similarity: file of two words and a number in each row, as WordSim-353; by default what is known of the dataset.
        analogies: file of four words in each line, as questions-words; by default what is known of the dataset.
        length: words in a row of a batch.
        sample: frequency from which on words are left out more and more often; null keeps all.
        val_fraction: fraction of the text before the test for validation.
        batch_size: rows of a batch, per process.
        data_seed: seed of generated text, and of which words are left out.
    """

    module: LearnsVectors  # type: ignore[assignment]

    def __init__(
        self,
        name: str = "stories",
        path: str | None = None,
        max_texts: Annotated[int, Ge(10)] | None = None,
        similarity: str | None = None,
        analogies: str | None = None,
        length: Annotated[int, Gt(0)] = 16,
        sample: Annotated[float, Gt(0)] | None = 1e-3,
        val_fraction: Annotated[float, Gt(0), Lt(1)] = 0.1,
        batch_size: Annotated[int, Gt(0)] = 64,
        data_seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        super().__init__(name, path, val_fraction, batch_size, data_seed)
        if max_texts is not None:
            if self.dataset.origin != "generated":
                raise BadSetting("max_texts", f"{name} is not generated; leave it out")
            self.options["max_texts"] = max_texts
        self.length, self.sample, self.data_seed = length, sample, data_seed
        self.own_similarities = None if similarity is None else read_similarities(Path(similarity))
        self.own_analogies = None if analogies is None else read_analogies(Path(analogies))

    @cached_property
    def similarities(self) -> Similarities:
        """Pairs of words, and how similar they are; of a data set that is downloaded not before it is there."""
        if self.own_similarities is not None or self.dataset.similarities is None:
            return self.own_similarities or []
        return self.dataset.similarities()

    @cached_property
    def analogies(self) -> Analogies:
        """Questions by their kind, likewise."""
        if self.own_analogies is not None or self.dataset.analogies is None:
            return self.own_analogies or {}
        return self.dataset.analogies()

    def least_tokens(self) -> tuple[int, str]:
        return self.module.window + 1, "window"

    def encode(self, split: Split) -> Table:
        tokens = self._known(self._text(split))
        if len(tokens) <= self.module.window:
            raise self.too_short(split, f"{len(tokens)} known words")
        known, words = self.module.network.counts, len(tokens)
        if split == "train" or not known.any():  # a first validation comes before the training
            counted = tokens if split == "train" else self._known(self._text("train"))
            known.copy_(counted.bincount(minlength=self.module.tokenizer.vocab_size))
        if self.sample is not None and (split == "train" or self.module.counts_pairs):
            tokens = self._subsampled(tokens, known.cpu() / known.sum().cpu(), self.sample)
        if self.module.counts_pairs:  # a shorter text has fewer pairs, of which as many are expected as of the longer
            scale = float(known.sum()) / words
            return rows_of_pairs(tokens, self.module.tokenizer.vocab_size, self.module.window, self.length, scale)
        return Table({"tokens": stretches(tokens, self.module.window, self.length)})

    def _known(self, text: str) -> Tensor:
        """The tokens of a text, (V,), without those that stand for words outside the vocabulary."""
        tokens = self.module.tokenizer.encode_running(text)
        return tokens[tokens >= len(SPECIAL)]

    def _subsampled(self, tokens: Tensor, frequency: Tensor, sample: float) -> Tensor:
        stays = (sample / frequency).sqrt() + sample / frequency
        drawn = torch.rand(len(tokens), generator=torch.Generator().manual_seed(self.data_seed))
        return tokens[drawn < stays[tokens]]


def stretches(tokens: Tensor, window: int, length: int) -> Tensor:
    """Tokens (V,) -> rows (N, window + length + window) whose middles are the text; padding is where it ends.

    >>> stretches(torch.tensor([5, 6, 7]), window=1, length=2)
    tensor([[0, 5, 6, 7],
            [6, 7, 0, 0]])
    """
    missing = -len(tokens) % length
    padded = torch.nn.functional.pad(tokens, (window, window + missing), value=PAD)
    return padded.unfold(0, length + 2 * window, length).contiguous()
