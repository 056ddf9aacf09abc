"""Running text as a LightningDataModule: windows of tokens for a language model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Protocol

from annotated_types import Ge, Gt, Lt
from torch import Tensor

from lab.data import Split, Table
from lab.errors import BadSetting
from lab.text.data.columns import to_column, to_texts
from lab.text.data.corpora import Corpus, find_corpus
from lab.text.data.tokenized_data import TokenizedData
from lab.text.tokenizer import Tokenizer, pieces


class ReadsWindows(Protocol):
    """The module that the text is prepared for: its tokenizer, and the tokens that it sees at once."""

    tokenizer: Tokenizer
    context: int


class CorpusData(TokenizedData):
    """Batches of windows: `tokens` (B, context + 1), of which each but the first is to be predicted.

    Training, validation and test are stretches of the text, one after the other. In each of them the windows follow on
    one another, so that every token is predicted once; what does not fill a window at the end is left out.

    Args:
        name: name of the dataset, as listed by `lab data ls`; corpus for a file of your own.
        path: text file in UTF-8, for the dataset corpus.
        val_fraction: fraction of the text before the test for validation.
        batch_size: windows of a batch, per process.
        data_seed: seed of generated text.
    """

    dataset: Corpus
    module: ReadsWindows

    def __init__(
        self,
        name: str = "python_help",
        path: str | None = None,
        val_fraction: Annotated[float, Gt(0), Lt(1)] = 0.1,
        batch_size: Annotated[int, Gt(0)] = 32,
        data_seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        super().__init__(batch_size)
        self.save_hyperparameters()
        self.dataset = find_corpus(name, path)
        self.val_fraction = val_fraction
        self.options: dict[str, Any] = {"seed": data_seed} if self.dataset.origin == "generated" else {}
        self.tokens_per_character: dict[Split, float] = {}

    def connect(self, module: ReadsWindows) -> None:  # type: ignore[override]
        super().connect(module)
        if self.dataset.fetch is None and self.dataset.origin == "real":  # a text that is in memory
            needed, _ = self.least_tokens()
            for split, table in {**self.load_tables(test=False), **self.load_tables(test=True)}.items():
                (text,) = to_texts(table["text"])
                if (found := module.tokenizer.most_tokens(text, needed)) < needed:
                    raise self.too_short(split, f"at most {found} tokens")

    def least_tokens(self) -> tuple[int, str]:
        """The tokens that a split needs, and the setting of the model that this depends on."""
        return self.module.context + 1, "context"

    def training_texts(self) -> list[str]:
        return [piece for line in self._text("train").splitlines(keepends=True) for piece in pieces(line)]

    def load_tables(self, test: bool) -> Mapping[Split, Table]:
        (text,) = to_texts(self.dataset.load("test" if test else "train", **self.options)["text"])
        if test:
            return {"test": _table(text)}
        end = round(len(text) * (1 - self.val_fraction))
        return {"train": _table(text[:end]), "val": _table(text[end:])}

    def train_tokens(self) -> Tensor:
        """All tokens to train with, (V,), on the CPU; also after a test alone."""
        (text,) = to_texts(self.load_tables(test=False)["train"]["text"])
        return self.module.tokenizer.encode_running(text)

    def encode(self, split: Split) -> Table:
        """The rows of a split: windows of the text's tokens.

        Raises:
            BadSetting: there is not one.
        """
        text, context = self._text(split), self.module.context
        tokens = self.module.tokenizer.encode_running(text)
        if len(tokens) <= context:
            raise self.too_short(split, f"{len(tokens)} tokens")
        self.tokens_per_character[split] = len(tokens) / len(text)
        return Table({"tokens": windows(tokens, context)})

    def too_short(self, split: Split, found: str) -> BadSetting:
        """The error of a split that has too little for a setting of the model."""
        needed, setting = self.least_tokens()
        words = f"the {split} part has {found}; it needs {needed}, or a smaller model.{setting}"
        return BadSetting("name" if self.dataset.locate is None else "path", words)

    def _text(self, split: Split) -> str:
        (text,) = to_texts(self.tables[split]["text"])
        return text


def windows(tokens: Tensor, context: int) -> Tensor:
    """Tokens (V,) -> windows (N, context + 1), each of which begins with the last token of the one before.

    >>> windows(torch.arange(8), context=3)
    tensor([[0, 1, 2, 3],
            [3, 4, 5, 6]])
    """
    return tokens.unfold(0, context + 1, context).contiguous()


def _table(text: str) -> Table:
    return Table({"text": to_column([text])})
