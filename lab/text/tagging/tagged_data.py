"""Tagged sentences as a LightningDataModule; the network's own tokenizer reads their words."""

from __future__ import annotations

from typing import Annotated, Any, Protocol

import torch
from annotated_types import Ge, Gt, Lt

from lab.data import Batch, Ragged, Split, Table
from lab.text.data.columns import to_texts
from lab.text.data.tokenized_data import DividedTextData
from lab.text.tagging.tagged_dataset import TaggedDataset, find_tagged
from lab.text.tokenizer import PAD, UNKNOWN, Tokenizer

PIECES = 8  # tokens of a word, at most; what comes after them is not seen


class ReadsWords(Protocol):
    """The module that sentences are prepared for: its tokenizer, and the words and tokens that it takes at most."""

    tokenizer: Tokenizer
    max_length: int
    max_tokens: int | None


class TaggedData(DividedTextData):
    """Batches of sentences: `tokens` (B, T, pieces) of T words, padded with 0, `tag` (B, T), and `row` (B,).

    Args:
        name: name of the dataset, as listed by `lab data ls`; conll for files of your own.
        path: file of tagged sentences, or a folder with train.txt and test.txt, for the dataset conll.
        column: column of the tags, from 2; the last one by default. Of the dataset reports 2 has the parts of speech
            and 3 the names.
        max_texts: number of sentences for training and validation together; by default all, for generated datasets
            the listed number.
        val_fraction: fraction of the sentences for validation.
        folds: number of folds of cross-validation, instead of `val_fraction`.
        fold: fold used for validation, from 0.
        batch_size: batch size per process.
        data_seed: seed of generated sentences and of the splits.
    """

    dataset: TaggedDataset
    module: ReadsWords

    def __init__(
        self,
        name: str = "reports",
        path: str | None = None,
        column: Annotated[int, Ge(2)] | None = None,
        max_texts: Annotated[int, Ge(10)] | None = None,
        val_fraction: Annotated[float, Gt(0), Lt(1)] = 0.1,
        folds: Annotated[int, Ge(2)] | None = None,
        fold: Annotated[int, Ge(0)] | None = None,
        batch_size: Annotated[int, Gt(0)] = 64,
        data_seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        super().__init__(find_tagged(name, path, column), max_texts, val_fraction, folds, fold, batch_size, data_seed)
        self.save_hyperparameters()

    def facts(self) -> dict[str, Any]:
        """The names of the tags."""
        return {"tag_names": list(self.dataset.tags)}

    def training_texts(self) -> list[str]:
        return to_texts(self.tables["train"]["text"])

    def sentences(self, split: Split) -> tuple[list[list[str]], list[list[int]]]:
        """The words of each sentence and their tags; of the training also after a test alone."""
        table = self.part(split)
        words = [text.split(" ") for text in to_texts(table["text"])]
        return words, [table["tag"][row].tolist() for row in range(len(table))]

    def collate(self, rows: Table) -> Batch:
        return Table({name: rows[name] for name in ("row", "tokens", "tag")}).padded()

    def check_lengths(self, split: Split) -> None:
        words, _ = self.sentences(split)
        self._check_words(words, split)

    def encode(self, split: Split) -> Table:
        table, (words, _) = self.tables[split], self.sentences(split)
        self._check_words(words, split)
        pieces, _ = self.module.tokenizer.encode([word for row in words for word in row]).padded(length=PIECES)
        pieces[pieces.sum(1) == 0, 0] = UNKNOWN  # a word in which the tokenizer finds nothing
        offsets = table["tag"].offsets.cpu()
        if self.module.max_tokens is not None:
            counts = torch.cat([offsets.new_zeros(1), (pieces != PAD).sum(1).cumsum(0)])[offsets].diff()
            self.check_length(f"a sentence of the {split} part", int(counts.max()), self.module.max_tokens)
        tokens = Ragged(pieces, offsets).to(table.device)
        return table.assign({"tokens": tokens, "row": torch.arange(len(table), device=table.device)})

    def _check_words(self, words: list[list[str]], split: Split) -> None:
        longest = max(map(len, words))
        self.check_length(f"a sentence of the {split} part", longest, self.module.max_length, "words")
