"""Splits: nothing is in two parts, nothing is lost, and each kind keeps its promise."""

import pytest
import torch

from lab.data import check_fold, group_train_val_split, stratified_permutation, time_series_split, train_val_split
from lab.errors import BadSetting


def test_a_fraction_validates_and_the_rest_trains():
    order = torch.randperm(50)
    train, val = train_val_split(order, 0.2)
    assert torch.equal(torch.cat([val, train]), order)
    assert len(val) == 10
    assert len(train_val_split(order, 0.001)[1]) == 1


@pytest.mark.parametrize(
    ("rows", "settings", "words"),
    [
        (1, {}, "val_fraction: 1 of 1 row leave none to train on"),
        (10, {"val_fraction": 0.96}, "val_fraction: 10 of 10 rows leave none"),
        (3, {"fold": 0, "folds": 4}, "folds: 4 parts are more than 3 rows"),
    ],
)
def test_a_part_without_rows_is_refused(rows, settings, words):
    with pytest.raises(BadSetting, match=words):
        train_val_split(torch.arange(rows), **({"val_fraction": 0.1} | settings))


@pytest.mark.parametrize("count", [24, 25, 27])
def test_folds_are_each_validated_once(count):
    order = torch.randperm(count)
    found = [train_val_split(order, 0.1, fold, 4) for fold in range(4)]
    assert sorted(torch.cat([val for _, val in found]).tolist()) == list(range(count))
    for train, val in found:
        assert sorted([*train.tolist(), *val.tolist()]) == list(range(count))
        assert count // 4 <= len(val) <= count // 4 + 1


@pytest.mark.parametrize(
    ("fold", "folds", "message"),
    [(0, None, "or neither"), (None, 3, "or neither"), (3, 3, "expected 0 to 2, found 3")],
)
def test_a_fold_that_does_not_exist_is_refused(fold, folds, message):
    with pytest.raises(BadSetting, match=message):
        check_fold(fold, folds)


def test_every_stretch_has_its_share_of_every_class():
    labels = torch.tensor([0] * 60 + [1] * 30 + [2] * 10)[torch.randperm(100)]
    order = stratified_permutation(labels, seed=3)
    assert sorted(order.tolist()) == list(range(100))
    for begin in range(0, 100, 10):
        counts = labels[order[begin : begin + 10]].bincount(minlength=3)
        assert (counts - torch.tensor([6, 3, 1])).abs().max() <= 1
    assert torch.equal(order, stratified_permutation(labels, seed=3))
    assert not torch.equal(order, stratified_permutation(labels, seed=4))


def test_no_group_is_in_both_parts():
    groups = torch.randint(0, 12, (200,)) * 5
    everyone = []
    for fold in range(4):
        train, val = group_train_val_split(groups, 0.1, seed=1, fold=fold, folds=4)
        assert not set(groups[train].tolist()) & set(groups[val].tolist())
        assert sorted([*train.tolist(), *val.tolist()]) == list(range(200))
        everyone += val.tolist()
    assert sorted(everyone) == list(range(200))
    train, val = group_train_val_split(groups, 0.25, seed=1)
    assert len(groups[val].unique()) == 3
    assert not torch.equal(val, group_train_val_split(groups, 0.25, seed=2)[1])


@pytest.mark.parametrize("gap", [0, 4])
@pytest.mark.parametrize(("val_fraction", "test_fraction"), [(0.2, 0.1), (0.2, 0.0), (0.0, 0.3)])
def test_time_goes_from_training_to_validation_to_test(val_fraction, test_fraction, gap):
    parts = time_series_split(100, val_fraction, test_fraction, gap)
    assert [len(part) for part in parts[1:]] == [round(100 * val_fraction), round(100 * test_fraction)]
    rows = torch.cat(parts).tolist()
    assert rows == sorted(set(rows))
    assert rows[-1] == 99
    begins = [int(part[0]) for part in parts[1:] if len(part)]
    ends = [int(part[-1]) for part in parts if len(part)][:-1]
    assert [begin - end - 1 for begin, end in zip(begins, ends, strict=True)] == [gap] * len(begins)


def test_a_series_too_short_for_its_parts_is_refused():
    with pytest.raises(BadSetting, match="10 rows in time order leave none for training"):
        time_series_split(10, 0.5, 0.4, gap=1)
