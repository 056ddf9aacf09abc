"""Public data sets: small files in the real formats, and what is said where they are missing or damaged."""

from __future__ import annotations

import urllib.request
from pathlib import Path
from typing import Any, NoReturn

import pytest

from lab.data import DatasetInfo
from lab.errors import BadSetting, LabError
from lab.text.data.columns import to_texts
from lab.text.data.corpora import corpora
from lab.text.data.datasets import AG_CLASSES, text_datasets
from lab.text.data.public_files import FILES, fetch_files, read_ag_news, read_sst2
from lab.text.seq2seq.pair_dataset import find_pairs, pair_datasets
from lab.text.tagging.tagged_dataset import CONLL2003, NAMES, find_tagged, tagged_datasets
from lab.text.vectors.vector_data import VectorData

AG = '"3","Wall St. Bears","Short-sellers are back\\."\n"4","Rockets","A ""second"" team of #36;10 million"\n'
SST = 'a stirring , funny and finally transporting re imagining\t1\napparently reassembled "from the floor\t0\n'
CONLL = """-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O

Peter NNP B-NP B-PER
Blackburn NNP I-NP I-PER
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LAB_DATA", str(tmp_path))
    return tmp_path


def written(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def named(name: str) -> Any:
    records: list[DatasetInfo] = [*text_datasets(), *corpora(), *tagged_datasets(), *pair_datasets()]
    (found,) = (each for each in records if each.name == name)
    return found


def test_news_of_ag_are_read(folder: Path) -> None:
    written(folder, {"ag_news/train.csv": AG, "ag_news/test.csv": AG})
    table = named("ag_news").load("train")
    assert to_texts(table["text"])[1] == 'Rockets A "second" team of #36;10 million'
    assert table["label"].tolist() == [2, 3]
    assert len(named("ag_news").load("test", max_rows=1)) == 1


def test_sentences_of_sst2_are_read(folder: Path) -> None:
    written(folder, {"sst2/train.tsv": SST, "sst2/test.tsv": SST})
    table = named("sst2").load("train")
    assert to_texts(table["text"])[1] == 'apparently reassembled "from the floor'
    assert table["label"].tolist() == [1, 0]


def test_sentences_of_conll2003_are_read(folder: Path) -> None:
    written(folder, {"conll2003/train.txt": CONLL, "conll2003/test.txt": CONLL})
    found = find_tagged(CONLL2003, None, None)
    assert to_texts(found.load("train")["text"]) == ["EU rejects", "Peter Blackburn"]
    assert {*found.tags} < {*NAMES}
    assert named(CONLL2003).tags == NAMES
    assert find_tagged(CONLL2003, None, 2).tags == ("NNP", "VBZ")


def test_articles_of_wikitext2_are_read(folder: Path) -> None:
    written(folder, {f"wikitext2/wikitext-2/wiki.{part}.tokens": f" \n = {part} = \n" for part in ("train", "test")})
    assert to_texts(named("wikitext2").load("test")["text"]) == [" \n = test = \n"]


def test_text8_comes_with_what_is_known_of_its_words(folder: Path) -> None:
    missing = VectorData("text8")
    written(folder, {
        "text8/text8": " anarchism originated as a term of abuse" * 10,
        "text8/wordsim353.txt": "love\tsex\t6.77\r\ntiger\tcat\t7.35\r\n",
        "text8/questions-words.txt": ": family\nboy girl king queen\n",
    })  # fmt: skip
    assert missing.similarities == [("love", "sex", 6.77), ("tiger", "cat", 7.35)]
    assert missing.analogies == {"family": [("boy", "girl", "king", "queen")]}
    assert len(to_texts(named("text8").load("train")["text"])[0]) == 360


def test_descriptions_of_multi30k_are_read(folder: Path) -> None:
    lines = {"train.en": "Two dogs run.\n", "train.fr": "Deux chiens courent.\n", "train.de": "Zwei Hunde rennen.\n"}
    more = {"test2016.en": "A dog.\n", "test2016.de": "Ein Hund.\n", "val.en": "A cat.\n", "val.de": "Eine Katze.\n"}
    written(folder, {f"multi30k/{name}": text for name, text in (lines | more).items()})
    assert to_texts(named("multi30k").load("train")["source"]) == ["Two dogs run."]
    assert to_texts(named("multi30k").load("test")["target"]) == ["Ein Hund."]
    assert to_texts(find_pairs("multi30k", None, "de", "fr").load("train")["target"]) == ["Deux chiens courent."]


BAD = {
    "a fifth topic": (read_ag_news, "train.csv", '"5","a","b"\n', "train.csv:1: expected a number from 1 to 4"),
    "two cells": (read_ag_news, "train.csv", '"1","a"\n', "train.csv:1: expected a number from 1 to 4, a title"),
    "no tab": (read_sst2, "train.tsv", "good 1\n", "train.tsv:1: expected a sentence, a tab and 0 or 1"),
    "another label": (read_sst2, "train.tsv", "a\t1\ngood\t2\n", "train.tsv:2: expected a sentence, a tab and 0 or 1"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_damaged_file_is_refused_with_its_line(case: str, folder: Path) -> None:
    read, name, content, message = BAD[case]
    written(folder, {name: content})
    further: tuple[Any, ...] = (AG_CLASSES,) if read is read_ag_news else ()
    with pytest.raises(BadSetting, match=message):
        read(folder, "train", *further)  # type: ignore[operator]


@pytest.mark.parametrize("name", FILES)
def test_without_a_network_one_line_says_what_to_do(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> NoReturn:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    assert named(name).missing
    with pytest.raises(LabError, match=rf"with an internet connection run: lab data fetch {name}"):
        named(name).load("train")
    assert not (folder / name).exists()
    with pytest.raises(LabError):
        fetch_files(name, FILES[name])
