"""The contract that every task keeps, and what is particular to this one."""

import pytest
import torch
from lab.data import DatasetInfo, find_dataset
from lab.errors import BadSetting
from lab.testing import check_task
from lightning import Trainer

from two_moons.data import MoonsData
from two_moons.module import MoonsClassifier


def rows(data: MoonsData, part: str) -> set[tuple[float, ...]]:
    return {tuple(point) for point in data.tables[part]["points"].tolist()}


def zip_rows(points: torch.Tensor, labels: torch.Tensor) -> list[tuple[list[float], int]]:
    return list(zip(points.tolist(), labels.tolist(), strict=True))


def test_keeps_the_contract(tmp_path):
    check_task("two_moons", tmp_path=tmp_path)


def test_the_parts_share_no_point_and_lose_none():
    data = MoonsData(n=500)
    data.setup("fit")
    data.setup("test")
    train, val, test = (rows(data, part) for part in ("train", "val", "test"))
    assert (len(train), len(val), len(test)) == (300, 100, 100)
    assert len(train | val | test) == 500


def test_only_the_data_seed_decides_the_points():
    first, second, other = MoonsData(), MoonsData(), MoonsData(data_seed=1)
    for run_seed, data in enumerate((first, second, other)):
        torch.manual_seed(run_seed)
        data.setup("test")
    assert rows(first, "test") == rows(second, "test") != rows(other, "test")


def test_a_split_that_leaves_nothing_to_train_on_is_refused():
    with pytest.raises(BadSetting, match="leave none for train"):
        MoonsData(val_fraction=0.6, test_fraction=0.4)


def test_a_batch_keeps_points_and_labels_together():
    data = MoonsData(n=100, batch_size=32)
    data.setup("fit")
    (batch,) = data.train_dataloader()  # 60 points are one batch of 32; the rest has its turn in another epoch
    assert (batch["points"].shape, batch["label"].shape) == ((32, 2), (32,))
    train = zip_rows(*(data.tables["train"][name] for name in ("points", "label")))
    assert all(pair in train for pair in zip_rows(batch["points"], batch["label"]))


def test_the_catalogue_lists_it():
    info = find_dataset("two_moons", DatasetInfo)
    assert (len(info.load("train")), len(info.load("test"))) == (info.train_rows, info.test_rows)
    assert info.counts(info.load("test")) == {"upper": 212, "lower": 188}


def test_learns_the_moons():
    torch.manual_seed(0)
    data = MoonsData()
    module = MoonsClassifier(**data.facts(), lr=1e-2)
    trainer = Trainer(accelerator="cpu", max_epochs=15, logger=False, enable_checkpointing=False)
    trainer.fit(module, data)
    assert trainer.test(module, data)[0]["test/accuracy"] > 0.94  # a straight line stops at 0.86


def test_a_checkpoint_holds_plain_values_and_tensors(tmp_path):
    data = MoonsData()
    module = MoonsClassifier(**data.facts(), hidden=(8,))
    trainer = Trainer(accelerator="cpu", max_steps=1, limit_val_batches=0, logger=False, enable_checkpointing=False)
    trainer.fit(module, data)
    trainer.save_checkpoint(tmp_path / "moons.ckpt")
    loaded = MoonsClassifier.load_from_checkpoint(tmp_path / "moons.ckpt", weights_only=True)
    assert loaded.hparams.hidden == (8,)
