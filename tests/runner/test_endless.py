"""Loaders without a length: a run says what to set if they never end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from tests.runner.projects import Judged, Rows, Run, loader

pytestmark = pytest.mark.slow  # each trains

TRAIN = "the training loader has no length, so an epoch lasts until it ends; if it does not end"


class Stream(IterableDataset[tuple[Tensor, Tensor]]):
    """Rows without a length, and here without an end."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(0)
        while True:
            x = torch.rand(2, generator=generator)
            yield x, x.sum()[None]


class Endless(Rows):
    def train_dataloader(self) -> DataLoader:
        return DataLoader(Stream(), 8)


class EndlessTest(Rows):
    def test_dataloader(self) -> DataLoader:
        return DataLoader(Stream(), 8)

    def val_dataloader(self) -> DataLoader:
        return [loader(), DataLoader(Stream(), 8)]  # type: ignore[return-value]


class Paired(Judged):
    def validation_step(self, batch: list[Tensor], batch_idx: int, dataloader_idx: int = 0) -> None:  # noqa: ARG002
        self.log("valid_loss", self.loss(batch), add_dataloader_idx=dataloader_idx > 0)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (("trainer.max_time={seconds: 1}",), f"{TRAIN} within trainer.max_time, set trainer.limit_train_batches or"),
        (
            ("trainer.max_epochs=-1", "trainer.max_steps=5"),
            "there is one validation, then: for more set trainer.limit_train_batches or",
        ),
        (("trainer.max_steps=5", "trainer.val_check_interval=2"), ""),
        (("trainer.limit_train_batches=3",), ""),
    ],
)
def test_an_endless_training_loader(
    settings: tuple[str, ...], sentence: str, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "lab"):
        run(Judged, monitor=None, data=Endless, settings=settings)
    said = "\n".join(record.message for record in caplog.records)
    assert sentence in said
    assert ("no length" in said) is bool(sentence)


class Stopping(Judged):
    """Ends its epochs itself."""

    def on_train_batch_start(self, batch: list[Tensor], batch_idx: int) -> int | None:  # noqa: ARG002
        return -1 if batch_idx == 3 else None


def test_without_a_limit(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "lab"):
        run(Stopping, monitor=None, data=Endless)
    assert f"{TRAIN}, set trainer.limit_train_batches or trainer.max_steps" in caplog.text


@pytest.mark.parametrize(
    ("data", "settings"),
    [
        (Endless, ("trainer.max_epochs=-1", "trainer.max_steps=3")),
        (Rows, ("trainer.max_epochs=-1", "trainer.max_steps=3")),
        (Rows, ("trainer.max_steps=6", "trainer.check_val_every_n_epoch=null", "trainer.val_check_interval=100")),
        (Rows, ("trainer.max_epochs=2", "trainer.check_val_every_n_epoch=5")),
    ],
)
def test_a_training_that_ends_before_its_first_validation_is_validated_then(
    data: type, settings: tuple[str, ...], run: Run
) -> None:
    result = run(Judged, data=data, settings=settings)
    assert result.best is not None
    assert result.metrics["valid_loss"] == pytest.approx(result.tested["test_loss"])


def test_endless_evaluation(run: Run, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stream, "__iter__", lambda _: iter([(torch.ones(2), torch.ones(1))] * 16))
    with caplog.at_level("INFO", "lab"):
        run(Paired, data=EndlessTest)
    assert "the validation loader has no length; if it does not end, set trainer.limit_val_batches" in caplog.text
    assert "the test loader has no length; if it does not end, set trainer.limit_test_batches" in caplog.text
    assert "training loader" not in caplog.text
