"""The callbacks that every run has besides the one that saves: best checkpoint, and progress on stderr."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from rich import progress as rich
from rich.console import Console
from rich.table import Column
from rich.text import Text

from lab.stages import Progress, duration, report, say, values_text
from lab.task import counterpart, distinct_metrics, hook

UPDATE_SECONDS = 0.5  # of the bar and the report
LINE_SECONDS = 1.0  # between two lines
SILENCE_SECONDS = 30.0  # the longest without a line where no bar is seen
METRICS = 4  # of a validation in a line


class BestCheckpoint(ModelCheckpoint):
    """Writes `best.ckpt` after a validation that was better than all before; the run gives it a folder.

    Args:
        monitor: the metric that decides; without one the checkpoint at the end of each epoch replaces the one before.
        mode: `min` or `max`.
        check: called at the end of each epoch, before the metric is looked for.
    """

    def __init__(self, monitor: str | None, mode: str, check: Callable[[Trainer], None]) -> None:
        self.check = check
        every_epoch = True if monitor is None else None
        super().__init__(
            filename="best",
            monitor=monitor,
            mode=mode,
            enable_version_counter=False,
            save_on_train_epoch_end=every_epoch,
        )

    @property
    def state_key(self) -> str:
        """Its name in a checkpoint; Lightning asks for it before every hook of every callback."""
        return "BestCheckpoint"

    def on_train_batch_end(self, *_: object) -> None:
        """Nothing: Lightning's own would look whether a number of steps is reached."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.check(trainer)
        super().on_train_epoch_end(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_end(trainer, pl_module)
        if self.monitor is not None and not self.best_model_path and not trainer.global_step:
            warnings.warn(
                "no best.ckpt: Lightning selects a checkpoint only after an optimizer step, and there was none; "
                "models that learn without gradients can use torch.optim.SGD",
                stacklevel=2,
            )


def progress(settings: Mapping[str, Any], monitor: str | None) -> list[Callback]:
    """The progress display, unless the Trainer's settings ask for Lightning's own or for none."""
    return [] if "enable_progress_bar" in settings else [ProgressBar(monitor)]


class ProgressBar(Callback):
    """Progress of the training: a bar on a terminal, a line for each validation, and a report for whoever listens.

    Lines are at least a second apart; without a terminal there is one every 30 s even where nothing is validated.
    A data module may say how far it is with `progress() -> (done, total, unit)`; otherwise batches are counted.

    Args:
        monitor: the metric that comes first.
    """

    def __init__(self, monitor: str | None) -> None:
        self.monitor = monitor
        self.console = Console(stderr=True)
        self.bar: rich.Progress | None = None
        self.began = self.said = self.next = 0.0
        self.first = 0
        self.silent = True
        self.validated: dict[str, float] = {}  # metrics of the last validation
        self.unsaid = False  # whether that came too soon after the line before

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.silent = not trainer.is_global_zero or trainer.progress_bar_callback is not None
        if self.silent:
            return  # another process says it, or a bar that the module brings
        self.began = self.said = time.monotonic()
        self.next = 0.0
        self.first, total, unit = counted(trainer)
        name, count = type(pl_module).__name__, f": {total:,} {unit}" if total else ""
        going_on = f", from {self.first:,} on" if self.first > 1 else ""
        say(f"training {name}{count}{going_on}")
        if self.console.is_terminal:
            columns = (
                rich.TextColumn("{task.description}"),
                rich.BarColumn(bar_width=12),
                rich.TaskProgressColumn(),
                Elapsed(),
                rich.TextColumn("{task.fields[news]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
            )
            self.bar = rich.Progress(
                *columns, console=self.console, refresh_per_second=1 / UPDATE_SECONDS, transient=True, expand=True
            )
            self.task = self.bar.add_task(name, total=None, news="")
            self.bar.start()

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if self.silent or (now := time.monotonic()) < self.next:
            return
        self.next = now + UPDATE_SECONDS
        self._update(trainer)
        if self.bar is None and now - self.said > SILENCE_SECONDS:
            self._say(trainer, numbers(trainer.progress_bar_metrics))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        if self.silent or trainer.sanity_checking or trainer.state.fn != "fit":
            return
        metrics = trainer.callback_metrics
        names = [self.monitor] if self.monitor in metrics else []
        names += [name for name in distinct_metrics(metrics) if counterpart(name) != name and name != self.monitor]
        self.validated, self.unsaid = {name: float(metrics[name]) for name in names[:METRICS]}, True
        if time.monotonic() - self.said > LINE_SECONDS:
            self._say(trainer, self.validated)
        self._update(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self._stop()
        if not self.silent:
            if self.unsaid:
                self._say(trainer, self.validated)
            say(f"trained in {duration(time.monotonic() - self.began)}")

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:  # noqa: ARG002
        self._stop()

    def _say(self, trainer: Trainer, metrics: Mapping[str, float]) -> None:
        self.said, self.unsaid = time.monotonic(), False
        say(f"  {position_text(trainer)}  {values_text(metrics)}  {duration(self.said - self.began)}")

    def _update(self, trainer: Trainer) -> None:
        """Brings the bar up to date, and reports."""
        done, total, _ = counted(trainer)
        position, spent = position_text(trainer), time.monotonic() - self.began
        report(Progress(done, total, position, spent, self.validated))
        if self.bar is None:
            return
        rate = (done - self.first) / spent if spent else 0.0
        news = [position, f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2g}/s"]
        if total and rate:
            news.append(f"{duration((total - done) / rate)} left")
        news.append(values_text(numbers(trainer.progress_bar_metrics)))
        self.bar.update(self.task, completed=done, total=total, news="  ".join(news))

    def _stop(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


class Elapsed(rich.ProgressColumn):
    """The time since the training began; it goes on in a long validation, too."""

    def render(self, task: rich.Task) -> Text:
        return Text(duration(task.elapsed or 0.0), style="progress.elapsed")


def numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Metrics of the Trainer as plain numbers."""
    return {name: float(value) for name, value in metrics.items()}


def position_text(trainer: Trainer) -> str:
    """The progress of the training in words: `epoch 2/5  200/500 batches`."""
    done, total, unit = counted(trainer)
    own = hook(trainer.datamodule, "progress") is not None  # type: ignore[attr-defined]
    last = trainer.max_epochs
    of_epochs = f"epoch {min(trainer.current_epoch + 1, last)}/{last}  " if not own and last and last > 1 else ""
    return f"{of_epochs}{done:,}/{total:,} {unit}" if total else f"{of_epochs}{done:,} {unit}"


def counted(trainer: Trainer) -> tuple[int, int | None, str]:
    """Progress of training: steps done, steps to do (None if nobody knows), and what is counted."""
    own = hook(trainer.datamodule, "progress")  # type: ignore[attr-defined]
    if own is not None:
        found: tuple[int, int, str] = own()
        return found
    done = trainer.fit_loop.epoch_loop.total_batch_idx + 1
    if trainer.max_steps and trainer.max_steps > 0:
        return trainer.global_step, trainer.max_steps, "steps"
    if trainer.max_epochs and trainer.max_epochs > 0 and trainer.num_training_batches != float("inf"):
        return done, trainer.max_epochs * int(trainer.num_training_batches), "batches"
    return done, None, "batches"
