"""The base of all data of texts: the network's own tokenizer reads them, and takes its vocabulary from the training."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from lab.data import DatasetInfo, Split, Table, TableDataModule, TableLoader, check_fold, train_val_split
from lab.errors import BadSetting
from lab.text.tokenizer import Tokenizer


class HasTokenizer(Protocol):
    """The module that texts are prepared for."""

    tokenizer: Tokenizer


class TokenizedData(TableDataModule):
    """Texts of a data set, which `dataset` is."""

    dataset: DatasetInfo
    module: HasTokenizer

    def __init__(self, batch_size: int) -> None:
        super().__init__(batch_size)
        self._encoded: dict[Split, Table] = {}

    @abstractmethod
    def training_texts(self) -> Sequence[str]:
        """The texts that a tokenizer without a vocabulary takes it from."""

    @abstractmethod
    def encode(self, split: Split) -> Table:
        """The table of a split that is set up, with tokens in the place of texts or beside them."""

    def connect(self, module: HasTokenizer) -> None:
        self.module = module

    def tags(self) -> dict[str, str]:
        """Tags of the run about its data."""
        return {"data.name": self.dataset.name, "data.origin": self.dataset.origin}

    def prepare_data(self) -> None:
        """Download a data set that is not there: one process does, before the others read it."""
        self.dataset.prepare()

    def setup(self, stage: str) -> None:
        super().setup(stage)
        if stage == "fit" and not self.module.tokenizer.trained:
            self.module.tokenizer.train_on(self.training_texts())

    def _loader(self, split: Split, *settings: Any) -> TableLoader:
        """Texts become tokens here and not in `setup`, which a checkpoint's tokenizer is loaded after."""
        if self.tables[split] is not self._encoded.get(split):
            table = self.encode(split).to(self.tables[split].device)
            self.tables[split] = self._encoded[split] = table
        return super()._loader(split, *settings)


class DividedTextData(TokenizedData):
    """Rows of texts, divided at random by fraction or by fold into training and validation; the test is given.

    Args:
        dataset: the data set.
        max_texts: rows for training and validation together; by default all, for generated data sets the listed number.
        val_fraction: fraction of the rows for validation.
        folds: number of folds of cross-validation, instead of `val_fraction`.
        fold: fold used for validation, from 0.
        batch_size: batch size per process.
        data_seed: seed of generated rows and of the splits.
    """

    def __init__(
        self,
        dataset: DatasetInfo,
        max_texts: int | None,
        val_fraction: float,
        folds: int | None,
        fold: int | None,
        batch_size: int,
        data_seed: int,
    ) -> None:
        super().__init__(batch_size)
        check_fold(fold, folds)
        self.dataset, self.max_texts, self.data_seed = dataset, max_texts, data_seed
        self.val_fraction, self.fold, self.folds = val_fraction, fold, folds

    def connect(self, module: HasTokenizer) -> None:
        super().connect(module)
        if self.dataset.locate is None:
            return
        for test in (False, True):  # a file, which is in memory
            self.tables |= self.load_tables(test)
        for split in self.tables:
            self.check_lengths(split)

    @abstractmethod
    def check_lengths(self, split: Split) -> None:
        """Looks at the texts of a split before their tokenizer has a vocabulary.

        Raises:
            BadSetting: one is longer than the network takes, whatever the vocabulary.
        """

    def check_length(self, what: str, tokens: int, limit: int, unit: str = "tokens", way: str = "") -> None:
        """Refuses a text with more tokens than the network takes."""
        if tokens > limit:
            key = "name" if self.dataset.locate is None else "path"
            words = f"{what} has {tokens} {unit}, and the network takes {limit}; set model.max_length to {tokens}{way}"
            raise BadSetting(key, words)

    def load_tables(self, test: bool) -> Mapping[Split, Table]:
        if test:
            return {"test": self._read("test")}
        whole = self._read("train")
        if self.max_texts is not None and len(whole) < self.max_texts:
            found = f"{self.dataset.name} has {len(whole)} texts to learn from, found {self.max_texts}"
            raise BadSetting("max_texts", found)
        train, val = train_val_split(self.order(whole), self.val_fraction, self.fold, self.folds)
        return {"train": whole[train], "val": whole[val]}

    def order(self, whole: Table) -> Tensor:
        """A random order of the rows, (N,), of which validation is a stretch."""
        return torch.randperm(len(whole), generator=torch.Generator().manual_seed(self.data_seed))

    def _read(self, split: Literal["train", "test"]) -> Table:
        options: dict[str, Any] = {"seed": self.data_seed} if self.dataset.origin == "generated" else {}
        return self.dataset.load(split, self.max_texts if split == "train" else None, **options)
