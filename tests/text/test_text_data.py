"""Texts with labels: generated ones, files, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from lab.data import Table
from lab.errors import BadInput, BadSetting
from lab.text.data.columns import to_column, to_labels, to_texts
from lab.text.data.datasets import TEST_ROWS, TRAIN_ROWS, find_texts
from lab.text.data.generated.reviews import BAD, GOOD
from lab.text.data.labeled_file import read_labeled
from lab.text.data.text_data import TextData
from lab.text.tokenizer import Tokenizer

NEGATIONS = {"not", "never", "hardly"}


def written(folder: Path, content: str | bytes) -> str:
    file = folder / "texts.csv"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(file)


def connected(data: TextData, max_length: int = 64, kind: Any = "word") -> TextData:
    module: Any = SimpleNamespace(tokenizer=Tokenizer(kind, 500), max_length=max_length)
    data.connect(module)
    return data


@pytest.mark.slow
@pytest.mark.parametrize("name", ["reviews", "news"])
def test_generated_texts_follow_from_their_seed_and_none_is_in_two_parts(name: str) -> None:
    dataset = find_texts(name, None)
    train, test = (to_texts(dataset.load(split)["text"]) for split in ("train", "test"))
    assert (len(train), len(test)) == (TRAIN_ROWS, TEST_ROWS)
    assert len({*train, *test}) == TRAIN_ROWS + TEST_ROWS
    assert to_texts(dataset.load("train", 50)["text"]) == train[:50]
    assert to_texts(dataset.load("train", 50, seed=1)["text"]) != train[:50]
    assert dataset.load("train", TRAIN_ROWS + 10)["label"].shape == (TRAIN_ROWS + 10,)
    assert min(dataset.counts(dataset.load("train")).values()) > TRAIN_ROWS / len(dataset.classes) * 0.9


def test_the_sentiment_of_a_review_follows_from_the_order_of_its_words() -> None:
    """The rules of the grammar, read from the text alone."""

    def judged(clause: str) -> bool:
        words = clause.replace(".", "").split()
        assert words[-1] in (*GOOD, *BAD)
        return (words[-1] in GOOD) != bool(NEGATIONS & set(words))

    def main(text: str) -> str:
        if text.startswith("although"):
            return text.split(" , ")[1]
        return text.split(" , ")[0] if " , although " in text else text.split(" , but ")[-1]

    rows = find_texts("reviews", None).load("train", 500)
    assert [int(judged(main(text))) for text in to_texts(rows["text"])] == rows["label"].tolist()


def test_batches_are_tokens_of_the_networks_own_tokenizer() -> None:
    data = connected(TextData(max_texts=100, batch_size=10))
    data.setup("fit")
    batch = next(iter(data.val_dataloader()))
    assert set(batch) == {"tokens", "tokens_mask", "label"}
    assert batch["tokens"].shape == batch["tokens_mask"].shape
    row = int(batch["tokens_mask"].sum(1).argmax())
    assert data.module.tokenizer.decode(batch["tokens"][row]) == data.texts("val")[row]


def test_folds_cover_every_text_once() -> None:
    seen = []
    for fold in range(3):
        data = connected(TextData(max_texts=60, folds=3, fold=fold))
        data.setup("fit")
        assert not set(data.texts("train")) & set(data.texts("val"))
        seen += data.texts("val")
    assert len(set(seen)) == len(seen) == 60


def test_a_file_of_ones_own_is_read(tmp_path: Path) -> None:
    rows = "".join(f'{i},"text {i}, #{i}",{"yes" if i % 2 else "no"}\n' for i in range(40))
    data = connected(TextData(name="texts", path=written(tmp_path, f"\ufeffid,text,label\n{rows}")))
    assert data.facts() == {"class_names": ["no", "yes"]}
    data.setup("fit")
    data.setup("test")
    texts = [text for split in ("train", "val", "test") for text in data.texts(split)]
    assert sorted(texts) == sorted(f"text {i}, #{i}" for i in range(40))
    assert len(data.texts("test")) == 8
    assert torch.bincount(data.tables["test"]["label"]).tolist() == [4, 4]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("text,label\n", "no rows"),
        ("words,label\na,b\n", "no column 'text' in the first row; it has words, label"),
        ("text,label\na,x\nb,\n", "texts.csv:3: column label is empty"),
        ("text,label\n , x\nb,y\n", "texts.csv:2: column text is empty"),
        ("text,label\na,x,z\n", "texts.csv:2: expected 2 cells"),
        ("text,label\na,x\nb,x\nc,x\n", "all texts have the label 'x'"),
        ("text,label\na,x\nb,x\nc,x\nd,y\n", "1 texts with the label 'y'; 3 are needed"),
        ("text,label\na,x\nM\u00fcll,y\n".encode("latin-1"), "texts.csv:3: byte 0xfc is not UTF-8"),
        ("text,label\na,x\n".encode("utf-16"), "is text of UTF-16; save it as UTF-8$"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_line(
    content: str | bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(BadSetting, match=message):
        read_labeled(Path(written(tmp_path, content)))


REFUSED: dict[str, tuple[Callable[[Path], TextData], str]] = {
    "no path": (lambda _: TextData(name="texts"), "name the CSV file"),
    "a path too many": (lambda folder: TextData(path=str(folder)), "fixed location"),
    "no such data set": (lambda _: TextData(name="review"), "reviews"),
    "a data set of images": (lambda _: TextData(name="digits"), "data set of vision"),
    "no such file": (lambda folder: TextData(name="texts", path=str(folder / "nothing.csv")), "No such file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_settings_are_named(case: str, tmp_path: Path) -> None:
    make, message = REFUSED[case]
    with pytest.raises(BadSetting, match=message):
        make(tmp_path)


def test_a_text_that_is_too_long_is_refused_unless_it_may_be_cut_off() -> None:
    data = connected(TextData(max_texts=50), max_length=5)
    data.setup("fit")
    with pytest.raises(BadSetting, match=r"set model.max_length to \d+, or data.truncate to true"):
        data.train_dataloader()
    data = connected(TextData(max_texts=50, truncate=True, batch_size=4), max_length=5)
    data.setup("fit")
    assert next(iter(data.train_dataloader()))["tokens"].shape == (4, 5)


def test_a_text_without_a_token_is_refused() -> None:
    data = connected(TextData(max_texts=20))
    data.setup("fit")
    data.tables["train"] = Table({"text": to_column(["good soup", " "]), "label": to_labels([1, 0])})
    with pytest.raises(BadInput, match="text 1 of the train split has no token"):
        data.train_dataloader()
