"""What is said while a model trains: on a terminal, in a log file, and to a program that listens."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from lightning import LightningModule, Trainer
from rich.console import Console
from torch import Tensor
from torch.utils.data import DataLoader

from lab.engine import progress
from lab.engine.progress import ProgressBar
from lab.stages import Progress, duration

Said = list[str]


class Line(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Linear(1, 1)

    def training_step(self, batch: Tensor) -> Tensor:
        loss = self.net(batch).square().mean()
        self.log("loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: Tensor) -> None:
        self.log_dict({"val/loss": self.net(batch).square().mean(), "val/other": 2.0, "shown": 1.0})
        self.log("val/both", 3.0, on_step=True, on_epoch=True)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.fixture
def said() -> Iterator[Said]:
    texts: Said = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            texts.append(record.getMessage())

    logger, listener = logging.getLogger("lab"), Listener()
    logger.addHandler(listener)
    logger.setLevel(logging.INFO)
    yield texts
    logger.removeHandler(listener)
    logger.setLevel(logging.NOTSET)


def train(bar: ProgressBar, epochs: int = 3) -> None:
    rows: Any = torch.ones(8, 1)
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    trainer = Trainer(accelerator="cpu", max_epochs=epochs, logger=False, callbacks=[bar], **quiet)
    trainer.fit(Line(), DataLoader(rows, 4), DataLoader(rows, 4))


def test_a_line_for_each_validation(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    train(ProgressBar("val/loss"))
    first, *lines, last = said
    assert first == "training Line: 6 batches"
    assert [line.split()[:4] for line in lines] == [["epoch", f"{n}/3", f"{2 * n}/6", "batches"] for n in (1, 2, 3)]
    assert all("  val/loss " in line and line.index("val/loss") < line.index("val/other 2") for line in lines)
    assert "shown" not in "".join(lines)
    assert all(line.count("val/both") == 1 for line in lines)
    assert re.fullmatch(r"trained in \d+ s", last)


def test_validations_within_a_second_are_one_line(said: Said) -> None:
    train(ProgressBar("val/loss"))
    assert [line.split()[1] for line in said[1:-1]] == ["3/3"]  # the last is always said


def test_a_long_epoch_is_not_silent(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SILENCE_SECONDS", 0.0)
    train(ProgressBar(None), epochs=1)
    assert [line.split()[0] for line in said[1:3]] == ["1/2", "2/2"]
    assert "loss" in said[1]


def test_a_bar_on_a_terminal() -> None:
    bar = ProgressBar("val/loss")
    bar.console = Console(file=io.StringIO(), force_terminal=True, width=100, legacy_windows=False)
    train(bar)
    text = re.sub(r"\x1b\[[0-9;]*m", "", bar.console.file.getvalue())  # type: ignore[attr-defined]
    assert re.search(r"Line ━+ 100% 0 s epoch 3/3  6/6 batches  [\d,]+/s  0 s left  loss", text)
    assert bar.bar is None


def test_a_listener_hears_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "UPDATE_SECONDS", 0.0)
    heard: list[Progress] = []
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", lambda record: heard.append(record.progress))
    monkeypatch.setattr(handler, "filter", lambda record: hasattr(record, "progress"))
    logger = logging.getLogger("lab")
    monkeypatch.setattr(logger, "level", logging.DEBUG)
    monkeypatch.setattr(logger, "handlers", [handler])
    logger.manager._clear_cache()  # type: ignore[attr-defined]
    train(ProgressBar("val/loss"), epochs=2)
    logger.manager._clear_cache()  # type: ignore[attr-defined]
    assert [(each.done, each.total) for each in heard][-1] == (4, 4)
    assert not heard[0].validated
    assert next(iter(heard[-1].validated)) == "val/loss"
    assert heard[-1].position == "epoch 2/2  4/4 batches"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s"), (12_000, "3 h 20 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
