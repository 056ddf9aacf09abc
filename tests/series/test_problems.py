"""Problems with a known answer: each against a slow and plain account of it, at several lengths."""

import dataclasses

import pytest
import torch

from lab.errors import BadInput, BadSetting
from lab.series import problems
from lab.series.sequence_data import SequenceData
from lab.series.sequence_dataset import sequence_datasets

NAMES = [dataset.name for dataset in sequence_datasets()]


@pytest.mark.parametrize("length", [2, 3, 50])
def test_two_marked_numbers_are_added(length):
    table = problems.adding("train", 200, length, seed=0)
    values, marks = table["x"].unbind(2)
    assert marks.sum(1).tolist() == [2] * 200
    assert (marks[:, : length // 2].sum(1) == 1).all(), "one in each half"
    torch.testing.assert_close(table["target"], (values * marks).sum(1))
    assert float(problems.adding("test", 5_000, 10, seed=0)["target"].var()) == pytest.approx(1 / 6, rel=0.1)


@pytest.mark.parametrize("length", [2, 7])
def test_ten_symbols_are_copied_after_the_mark(length):
    table = problems.copying("train", 50, length, seed=0)
    x, labels = table["x"].long(), table["labels"]
    assert x.shape == labels.shape == (50, length + 20)
    assert torch.equal(labels[:, -10:], x[:, :10])
    assert (labels[:, :-10] == problems.UNLABELED).all()
    assert (x[:, 10 : length + 10] == problems.SYMBOLS).all()
    assert (x[:, length + 10] == problems.SYMBOLS + 1).all()


@pytest.mark.parametrize("length", [2, 4, 30])
def test_brackets_are_well_formed_and_labelled_by_what_closes_next(length):
    table = problems.dyck("train", 100, length, seed=0)
    for word, labels in zip(table["x"].tolist(), table["labels"].tolist(), strict=True):
        stack = []
        for symbol, label in zip((problems.BRACKETS[i] for i in word), labels, strict=True):
            if symbol in "([":
                stack.append(symbol)
            else:
                assert stack.pop() + symbol in ("()", "[]")
            assert label == (0 if not stack else 1 + "([".index(stack[-1]))
        assert not stack


@pytest.mark.parametrize("length", [2, 5, 30])
def test_brackets_with_a_partner_are_matched(length):
    table = problems.matched("train", 100, length, seed=0)
    for word, labels in zip(table["x"].tolist(), table["labels"].tolist(), strict=True):
        expected, open_at = [0] * length, []
        for t, closes in enumerate(word):
            if not closes:
                open_at.append(t)
            elif open_at:
                expected[t] = expected[open_at.pop()] = 1
        assert labels == expected


def test_an_oscillation_follows_from_its_first_step():
    table = problems.oscillation("train", 2_000, 20, seed=0)
    frequency, sine, _, one = table["x"][:, 0].unbind(1)
    assert not table["x"][:, 1:].any()
    assert (one == 1).all()
    torch.testing.assert_close(table["targets"][:, 0], sine, atol=1e-5, rtol=1e-4)
    assert 0 <= float(frequency.min()) < float(frequency.max()) <= 1
    (record,) = [dataset for dataset in sequence_datasets() if dataset.name == "oscillation"]
    assert float(table["targets"].mean()) == pytest.approx(record.mean, abs=0.02)
    assert float(table["targets"].std()) == pytest.approx(record.std, rel=0.05)


def test_digits_are_read_from_the_top():
    rows, pixels = (make("test", 0, 0, 0) for make in (problems.digit_rows, problems.digit_pixels))
    assert rows["x"].shape == (359, 8, 8)
    assert torch.equal(pixels["x"].view(359, 8, 8), rows["x"])
    assert len(problems.digit_rows("train", 0, 0, 0)) + len(rows) == 1_797


@pytest.mark.parametrize("name", NAMES)
def test_every_set_is_the_same_for_a_seed_and_another_for_another(name):
    (record,) = [dataset for dataset in sequence_datasets() if dataset.name == name]
    one, same, other = (record.load("train", 20, seed=seed)["x"] for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert torch.equal(one, other) == (record.origin == "real")
    assert not torch.equal(one, record.load("test", 20)["x"][:20])
    data = SequenceData(name, batch_size=8)
    data.setup("test")
    batch = next(iter(data.test_dataloader()))
    facts = data.facts()
    assert batch["x"].shape == (8, facts["length"], facts["features"])
    assert batch["y"].shape == ((8, facts["length"]) if facts["per_step"] else (8,))


def test_parts_share_nothing():
    data = SequenceData("digit_rows", folds=5, fold=1)
    data.setup("fit")
    counts = {name: len(table) for name, table in data.tables.items()}
    assert counts == {"train": 1_150, "val": 288}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "dyk"}, "name: no data set 'dyk'; did you mean 'dyck'?"),
        ({"name": "letters"}, "name: 'letters' is a data set of vision; expected one of adding, copying"),
        ({"name": "dyck", "length": 7}, "length: brackets come in pairs: expected an even number, found 7"),
        ({"name": "digit_rows", "length": 9}, "length: the sequences of digit_rows have 8 steps; leave it out"),
        ({"folds": 5}, "fold: give both folds"),
    ],
)
def test_what_cannot_be_is_one_line(settings, message):
    with pytest.raises(BadSetting) as error:
        SequenceData(**settings)
    assert str(error.value).startswith(message)


def test_a_label_that_is_no_class_is_one_line():
    def planted(split, count, length, seed):
        rows = problems.digit_rows(split, count, length, seed)
        return rows.assign({"label": rows["label"] + 1})

    (digits,) = [dataset for dataset in sequence_datasets() if dataset.name == "digit_rows"]
    with pytest.raises(BadInput, match="digit_rows has the label 10, but its 10 classes are 0 to 9"):
        dataclasses.replace(digits, read_sequences=planted).load("train")
