"""Texts with labels as a LightningDataModule; the network's own tokenizer reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Protocol

from annotated_types import Ge, Gt, Lt

from lab.data import (
    Batch,
    Split,
    Table,
    TableDataModule,
    TableLoader,
    check_fold,
    stratified_permutation,
    train_val_split,
)
from lab.errors import BadInput, BadSetting
from lab.text.data.columns import to_texts
from lab.text.data.datasets import find_texts
from lab.text.tokenizer import Tokenizer


class ReadsTexts(Protocol):
    """The module that texts are prepared for: its tokenizer, and the tokens of a text that it takes at most."""

    tokenizer: Tokenizer
    max_length: int


class TextData(TableDataModule):
    """Batches of texts: `tokens` (B, T), padded with 0, and `label` (B,).

    Which texts there are and how they are divided depends on `data_seed` alone. The network's tokenizer takes its
    vocabulary from the texts for training, unless it has one, of a checkpoint or of the run that it starts from.

    Args:
        name: name of the dataset, as listed by `lab data ls`; texts for a file of your own.
        path: CSV file with the columns text and label, for the dataset texts.
        max_texts: number of texts for training and validation together; by default all, for generated datasets the
            listed number.
        truncate: cut off texts that are longer than the network's `max_length`; otherwise they are refused.
        val_fraction: fraction of the texts for validation.
        folds: number of folds of cross-validation, instead of `val_fraction`.
        fold: fold used for validation, from 0.
        batch_size: batch size per process.
        data_seed: seed of generated texts and of the splits.
    """

    module: ReadsTexts

    def __init__(
        self,
        name: str = "reviews",
        path: str | None = None,
        max_texts: Annotated[int, Ge(10)] | None = None,
        truncate: bool = False,
        val_fraction: Annotated[float, Gt(0), Lt(1)] = 0.1,
        folds: Annotated[int, Ge(2)] | None = None,
        fold: Annotated[int, Ge(0)] | None = None,
        batch_size: Annotated[int, Gt(0)] = 64,
        data_seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        super().__init__(batch_size)
        self.save_hyperparameters()
        check_fold(fold, folds)
        self.dataset = find_texts(name, path)
        self.max_texts, self.truncate, self.data_seed = max_texts, truncate, data_seed
        self.val_fraction, self.fold, self.folds = val_fraction, fold, folds

    def facts(self) -> dict[str, Any]:
        """The names of the classes."""
        return {"class_names": list(self.dataset.classes)}

    def connect(self, module: ReadsTexts) -> None:
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
            self.module.tokenizer.train_on(self.texts("train"))

    def load_tables(self, test: bool) -> Mapping[Split, Table]:
        if test:
            return {"test": self._read("test")}
        whole = self._read("train")
        if self.max_texts is not None and len(whole) < self.max_texts:
            found = f"{self.dataset.name} has {len(whole)} texts to learn from, found {self.max_texts}"
            raise BadSetting("max_texts", found)
        order = stratified_permutation(whole["label"], self.data_seed)
        train, val = train_val_split(order, self.val_fraction, self.fold, self.folds)
        return {"train": whole[train], "val": whole[val]}

    def texts(self, split: Split) -> list[str]:
        """The texts of a split that is set up."""
        return to_texts(self.tables[split]["text"])

    def train_and_test(self) -> tuple[list[str], list[int], list[str], list[int]]:
        """The texts and labels of training, and those of the test, which is set up."""
        train = self.tables.get("train") or self.load_tables(test=False)["train"]
        test = self.tables["test"]
        return to_texts(train["text"]), train["label"].tolist(), to_texts(test["text"]), test["label"].tolist()

    def collate(self, rows: Table) -> Batch:
        return Table({"tokens": rows["tokens"], "label": rows["label"]}).padded()

    def _loader(self, split: Split, *settings: Any) -> TableLoader:
        """Texts become tokens here and not in `setup`, which a checkpoint's tokenizer is loaded after."""
        if "tokens" not in self.tables[split]:
            self.tables[split] = self.tables[split].assign({"tokens": self._tokens(split)})
        return super()._loader(split, *settings)

    def _tokens(self, split: Split) -> Any:
        limit, table = self.module.max_length, self.tables[split]
        tokens = self.module.tokenizer.encode(self.texts(split))
        if int(tokens.lengths.min()) == 0:
            row = int(tokens.lengths.argmin())
            raise BadInput(f"{self.dataset.name}: text {row} of the {split} split has no token; leave it out")
        longest = int(tokens.lengths.max())
        if longest > limit and not self.truncate:
            raise BadSetting(
                "truncate",
                f"a text has {longest} tokens, and the network takes {limit}; set model.max_length to "
                f"{longest}, or truncate to true",
            )
        return tokens.truncated(limit).to(table.device)

    def _read(self, split: Literal["train", "test"]) -> Table:
        options = {"seed": self.data_seed} if self.dataset.origin == "generated" else {}
        return self.dataset.load(split, self.max_texts if split == "train" else None, **options)
