"""Tagging: names and their score, files in CoNLL's format, what the network sees, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from lightning import Trainer

from lab.errors import BadSetting
from lab.text.data.columns import to_texts
from lab.text.network import TextNetworkName, WordNetwork
from lab.text.tagging.spans import Span, SpanF1, spans
from lab.text.tagging.tag_text import TagText
from lab.text.tagging.tagged_data import TaggedData
from lab.text.tagging.tagged_dataset import find_tagged

CONLL = """-DOCSTART- -X- -X- O

EU NNP I-NP I-ORG
rejects VBZ I-VP O
German JJ I-NP I-MISC
call NN I-NP O
. . O O

Peter NNP I-NP I-PER
Blackburn NNP I-NP I-PER
"""


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (["O", "I-PER", "I-PER", "B-PER"], [Span("PER", 1, 3), Span("PER", 3, 4)]),  # CoNLL-2003 as it was published
        (["B-ORG", "I-PER", "O", "B-PER", "I-PER"], [Span("ORG", 0, 1), Span("PER", 1, 2), Span("PER", 3, 5)]),
        (["S-LOC", "B-LOC", "E-LOC"], [Span("LOC", 0, 1), Span("LOC", 1, 3)]),
        (["DET", "NOUN", "NOUN"], [Span("DET", 0, 1), Span("NOUN", 1, 2), Span("NOUN", 2, 3)]),
        (["O", "O"], []),
    ],
)
def test_names_are_found_as_conlleval_finds_them(tags: list[str], expected: list[Span]) -> None:
    assert spans(tags) == expected


def test_a_name_counts_as_a_whole_and_padding_not_at_all() -> None:
    names = ["O", "B-PER", "I-PER", "B-LOC"]
    metric = SpanF1(names)
    actual = torch.tensor([[1, 2, 0, 3], [1, 0, 0, 3]])
    predicted = torch.tensor([[1, 0, 0, 3], [1, 3, 0, 0]])  # a name too short, a right one; a right one, one too many
    mask = torch.tensor([[True] * 4, [True, True, True, False]])
    metric.update(predicted[:1], actual[:1], mask[:1])
    metric.update(predicted[1:], actual[1:], mask[1:])
    found = {name: float(value) for name, value in metric.compute().items()}
    assert found == pytest.approx({"precision": 2 / 4, "recall": 2 / 3, "f1": 4 / 7})


@pytest.mark.parametrize("name", get_args(TextNetworkName))
def test_padding_changes_nothing_and_only_a_bag_is_blind_to_neighbours(name: TextNetworkName) -> None:
    network = WordNetwork(name, vocab_size=50, max_length=9).eval()
    tokens = torch.randint(1, 50, (2, 5, 3))
    tokens[1, 3:] = 0
    alone = network(tokens[1:, :3])
    torch.testing.assert_close(network(tokens)[1, :3], alone[0], rtol=1e-4, atol=1e-5)
    tokens[1, 2] = 7
    for place in (0, 1):
        assert torch.allclose(network(tokens)[1, place], alone[0, place], atol=1e-6) == (name == "bag")


def test_a_file_of_conll_is_read_with_the_column_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    path.write_text(CONLL * 10)
    dataset = find_tagged("conll", str(path), None)
    assert dataset.tags == ("I-MISC", "I-ORG", "I-PER", "O")
    assert len(dataset.load("train")) == 16
    assert len(dataset.load("test")) == 4
    assert set(to_texts(dataset.load("train")["text"])) == {"EU rejects German call .", "Peter Blackburn"}
    assert find_tagged("conll", str(path), 2).tags == (".", "JJ", "NN", "NNP", "VBZ")
    (tmp_path / "test.txt").write_text(CONLL)
    assert len(find_tagged("conll", str(tmp_path), None).load("test")) == 2


BAD_FILES = {
    "empty": ("", "has no tagged words"),
    "one column": ("a\nb\n", "conll.txt:1: expected a word and its tags, found 'a'"),
    "another number of columns": ("a DET O\nb NOUN\n", "conll.txt:2: expected 3 columns as above, found 'b NOUN'"),
    "other encoding": ("a O\nM\u00fcller O\n".encode("latin-1"), "conll.txt:2: byte 0xfc is not UTF-8"),
    "too few": ("a O\n\nb B-X\n", "has 2 sentences; 3 are needed to train, validate and test"),
    "one tag": ("a O\n\n" * 9, "conll.txt: every word has the tag 'O'; there is nothing to learn"),
    "no such column": ("a DET O\n", "has 3 columns"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_that_cannot_be_used_is_refused_with_its_line(case: str, tmp_path: Path) -> None:
    content, message = BAD_FILES[case]
    path = tmp_path / "conll.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BadSetting, match=message):
        TaggedData("conll", str(path), column=9 if case == "no such column" else None)


def test_a_tag_that_was_never_learnt_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(CONLL)
    (tmp_path / "test.txt").write_text(CONLL.replace("I-MISC", "I-MISK"))
    with pytest.raises(BadSetting, match=r"test.txt:5: the tag 'I-MISK' is in no sentence to learn from"):
        TaggedData("conll", str(tmp_path))


def test_bad_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="name the file or the folder"):
        TaggedData("conll")
    with pytest.raises(BadSetting, match=r"has no file train.txt or eng.train"):
        TaggedData("conll", str(tmp_path))
    with pytest.raises(BadSetting, match="parts of speech in column 2 and names in column 3"):
        TaggedData(column=4)
    data = TaggedData(max_texts=50)
    module = TagText(**data.facts(), max_length=3)
    data.connect(module)
    data.setup("fit")
    with pytest.raises(BadSetting, match=r"the network takes 3; set model.max_length to \d+"):
        data.train_dataloader()


@pytest.mark.slow
def test_sentences_follow_from_their_seed_and_none_is_in_two_parts() -> None:
    dataset = find_tagged("reports", None, None)
    train, test = (to_texts(dataset.load(split)["text"]) for split in ("train", "test"))
    assert len({*train, *test}) == len(train) + len(test) == dataset.train_rows + dataset.test_rows
    assert to_texts(dataset.load("train", 20)["text"]) == train[:20]
    assert to_texts(dataset.load("train", 20, seed=1)["text"]) != train[:20]


@pytest.mark.slow
def test_names_are_learnt_from_the_words_around_them(drawn: dict[str, Any]) -> None:
    torch.manual_seed(0)
    data = TaggedData(max_texts=1_000, batch_size=16)
    module = TagText(**data.facts(), hidden=32, embed_dim=32, max_length=24)
    data.connect(module)
    trainer = Trainer(
        accelerator="cpu", devices=1, max_epochs=5, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, limit_val_batches=0,
    )  # fmt: skip
    trainer.fit(module, datamodule=data)
    scores = trainer.test(module, datamodule=data, verbose=False)[0]
    assert scores["test/f1"] > 0.9
    assert scores["test/most_frequent_tag/f1"] < 0.7
    assert drawn.keys() == {"confusion.png", "tagged.png"}
