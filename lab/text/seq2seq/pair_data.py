"""Pairs of texts as a LightningDataModule; the network's own tokenizer reads both."""

from __future__ import annotations

from typing import Annotated, Protocol

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor

from lab.data import Batch, Ragged, Split, Table
from lab.text.data.columns import to_texts
from lab.text.data.tokenized_data import DividedTextData
from lab.text.seq2seq.pair_dataset import find_pairs
from lab.text.tokenizer import BEGIN, END, Tokenizer

SIDES = ("source", "target")


class ReadsPairs(Protocol):
    """The module that pairs are prepared for: its tokenizer, and the tokens of a text that it takes at most."""

    tokenizer: Tokenizer
    max_length: int


class PairData(DividedTextData):
    """Batches of pairs: `source` (B, S) and `target` (B, T), token ids from a beginning to an end, padded with 0.

    Args:
        name: name of the dataset, as listed by `lab data ls`; pairs or parallel for files of your own.
        path: CSV file with the columns source and target, for pairs; folder of files such as train.en, train.de,
            test.en and test.de, for parallel.
        source: ending of the files to translate from, for parallel and multi30k; en by default.
        target: ending of the files to translate into, likewise; de by default.
        max_texts: number of pairs for training and validation together; by default all, for generated datasets the
            listed number.
        val_fraction: fraction of the pairs for validation.
        folds: number of folds of cross-validation, instead of `val_fraction`.
        fold: fold used for validation, from 0.
        batch_size: batch size per process.
        data_seed: seed of generated pairs and of the splits.
    """

    module: ReadsPairs

    def __init__(
        self,
        name: str = "phrases",
        path: str | None = None,
        source: str | None = None,
        target: str | None = None,
        max_texts: Annotated[int, Ge(10)] | None = None,
        val_fraction: Annotated[float, Gt(0), Lt(1)] = 0.05,
        folds: Annotated[int, Ge(2)] | None = None,
        fold: Annotated[int, Ge(0)] | None = None,
        batch_size: Annotated[int, Gt(0)] = 64,
        data_seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        dataset = find_pairs(name, path, source, target)
        super().__init__(dataset, max_texts, val_fraction, folds, fold, batch_size, data_seed)
        self.save_hyperparameters()

    def training_texts(self) -> list[str]:
        sources, targets = self.texts("train")
        return [*sources, *targets]

    def texts(self, split: Split) -> tuple[list[str], list[str]]:
        """The sources of a split and their targets; of the training also after a test alone."""
        table = self.part(split)
        return to_texts(table["source"]), to_texts(table["target"])

    def collate(self, rows: Table) -> Batch:
        return Table({"source": rows["source_tokens"], "target": rows["target_tokens"], "row": rows["row"]}).padded()

    def check_lengths(self, split: Split) -> None:
        for side, texts in zip(SIDES, self.texts(split), strict=True):
            self._check(self.module.tokenizer.least_tokens(texts) + 2, f"a {side} of the {split} part")

    def encode(self, split: Split) -> Table:
        table = self.tables[split]
        columns: dict[str, Ragged | Tensor] = {"row": torch.arange(len(table), device=table.device)}
        for side, texts in zip(SIDES, self.texts(split), strict=True):
            columns[f"{side}_tokens"] = self.tokens(texts, f"a {side} of the {split} part").to(table.device)
        return table.assign(columns)

    def tokens(self, texts: list[str], what: str) -> Ragged:
        """The token ids of texts, between a beginning and an end.

        Raises:
            BadSetting: one has more than the network takes.
        """
        encoded = self.module.tokenizer.encode(texts)
        ends = [torch.tensor([token]) for token in (BEGIN, END)]
        found = Ragged.from_rows([torch.cat([ends[0], encoded[row], ends[1]]) for row in range(len(encoded))])
        self._check(found.lengths, what)
        return found

    def _check(self, lengths: Tensor, what: str) -> None:
        self.check_length(what, int(lengths.max()), self.module.max_length, "tokens with its beginning and end")
