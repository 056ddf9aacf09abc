"""Texts with labels as a LightningDataModule; the network's own tokenizer reads them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Protocol

from annotated_types import Ge, Gt, Lt
from torch import Tensor

from lab.data import Batch, Split, Table, stratified_permutation
from lab.errors import BadInput
from lab.text.data.columns import to_column, to_texts
from lab.text.data.datasets import find_texts
from lab.text.data.preprocessing import Preprocessor, Step
from lab.text.data.tokenized_data import DividedTextData
from lab.text.tokenizer import Tokenizer


class ReadsTexts(Protocol):
    """The module that texts are prepared for: its tokenizer, and the tokens of a text that it takes at most."""

    tokenizer: Tokenizer
    max_length: int


class TextData(DividedTextData):
    """Batches of texts: `tokens` (B, T), padded with 0, and `label` (B,).

    Which texts there are and how they are divided depends on `data_seed` alone. The network's tokenizer takes its
    vocabulary from the texts for training, unless it has one, of a checkpoint or of the run that it starts from.

    Args:
        name: name of the dataset, as listed by `lab data ls`; texts for a file of your own.
        path: CSV file with the columns text and label, for the dataset texts.
        max_texts: number of texts for training and validation together; by default all, for generated datasets the
            listed number.
        preprocess: steps that leave plain words of the texts: stop_words leaves out the most common English words, stem
            cuts endings off, and lemma puts the form of a dictionary in the place of a word; null changes nothing.
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
        preprocess: list[Step] | None = None,
        truncate: bool = False,
        val_fraction: Annotated[float, Gt(0), Lt(1)] = 0.1,
        folds: Annotated[int, Ge(2)] | None = None,
        fold: Annotated[int, Ge(0)] | None = None,
        batch_size: Annotated[int, Gt(0)] = 64,
        data_seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        super().__init__(find_texts(name, path), max_texts, val_fraction, folds, fold, batch_size, data_seed)
        self.save_hyperparameters()
        self.truncate, self.preprocess = truncate, None if preprocess is None else Preprocessor(preprocess)

    def facts(self) -> dict[str, Any]:
        """The names of the classes."""
        return {"class_names": list(self.dataset.classes)}

    def training_texts(self) -> list[str]:
        return self.texts("train")

    def order(self, whole: Table) -> Tensor:
        """Every stretch of it has about the share of each class that the whole has."""
        return stratified_permutation(whole["label"], self.data_seed)

    def _read(self, split: Literal["train", "test"]) -> Table:
        table = super()._read(split)
        if self.preprocess is None:
            return table
        return table.assign({"text": to_column([self.preprocess(text) for text in to_texts(table["text"])])})

    def texts(self, split: Split) -> list[str]:
        """The texts of a split that is set up."""
        return to_texts(self.tables[split]["text"])

    def train_and_test(self) -> tuple[list[str], list[int], list[str], list[int]]:
        """The texts and labels of training, and those of the test, which is set up."""
        train, test = self.part("train"), self.part("test")
        return to_texts(train["text"]), train["label"].tolist(), to_texts(test["text"]), test["label"].tolist()

    def collate(self, rows: Table) -> Batch:
        return Table({"tokens": rows["tokens"], "label": rows["label"]}).padded()

    def check_lengths(self, split: Split) -> None:
        self._check(self.module.tokenizer.least_tokens(self.texts(split)), split)

    def encode(self, split: Split) -> Table:
        limit, table = self.module.max_length, self.tables[split]
        tokens = self.module.tokenizer.encode(self.texts(split))
        if int(tokens.lengths.min()) == 0:
            row = int(tokens.lengths.argmin())
            raise BadInput(f"{self.dataset.name}: text {row} of the {split} split has no token; leave it out")
        self._check(tokens.lengths, split)
        return table.assign({"tokens": tokens.truncated(limit).to(table.device)})

    def _check(self, lengths: Tensor, split: Split) -> None:
        if not self.truncate:
            what, way = f"a text of the {split} part", ", or data.truncate to true"
            self.check_length(what, int(lengths.max()), self.module.max_length, way=way)
