"""The callbacks that every run has besides the one that saves: best checkpoint, and progress on stderr."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Column

from lab.stages import say
from lab.task import counterpart, distinct_metrics, hook

REFRESH_SECONDS = 0.2  # of the bar
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
    """Progress of the training: a bar on a terminal, and a line for each validation.

    Lines are at least a second apart; without a terminal there is one every 30 s even where nothing is validated.
    A data module may say how far it is with `progress() -> (done, total, unit)`; otherwise batches are counted.

    Args:
        monitor: the metric that comes first.
    """

    def __init__(self, monitor: str | None) -> None:
        self.monitor = monitor
        self.console = Console(stderr=True)
        self.bar: Progress | None = None
        self.drawn = self.began = self.said = 0.0
        self.first = 0
        self.silent = True
        self.unsaid: dict[str, float] = {}  # metrics of a validation that came too soon after the line before

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.silent = not trainer.is_global_zero or trainer.progress_bar_callback is not None
        if self.silent:
            return  # another process says it, or a bar that the module brings
        self.drawn = self.began = self.said = time.monotonic()
        self.first, total, unit = counted(trainer)
        name, count = type(pl_module).__name__, f": {total:,} {unit}" if total else ""
        going_on = f", from {self.first:,} on" if self.first > 1 else ""
        say(f"training {name}{count}{going_on}")
        if self.console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(bar_width=12),
                TaskProgressColumn(),
                TextColumn("{task.fields[news]}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
            )
            self.bar = Progress(*columns, console=self.console, auto_refresh=False, transient=True, expand=True)
            self.task = self.bar.add_task(name, total=None, news="")
            self.bar.start()

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if self.silent:
            return
        now = time.monotonic()
        if self.bar is not None:
            if now - self.drawn > REFRESH_SECONDS:
                self._draw(trainer)
        elif now - self.said > SILENCE_SECONDS:
            self._say(trainer, trainer.progress_bar_metrics)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        if self.silent or trainer.sanity_checking or trainer.state.fn != "fit":
            return
        metrics = trainer.callback_metrics
        names = [self.monitor] if self.monitor in metrics else []
        names += [name for name in distinct_metrics(metrics) if counterpart(name) != name and name != self.monitor]
        self.unsaid = {name: float(metrics[name]) for name in names[:METRICS]}
        if time.monotonic() - self.said > LINE_SECONDS:
            self._say(trainer, self.unsaid)
        if self.bar is not None:
            self._draw(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self._stop()
        if not self.silent:
            if self.unsaid:
                self._say(trainer, self.unsaid)
            say(f"trained in {duration(time.monotonic() - self.began)}")

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:  # noqa: ARG002
        self._stop()

    def _say(self, trainer: Trainer, metrics: Mapping[str, Any]) -> None:
        self.said, self.unsaid = time.monotonic(), {}
        say(f"  {self._position(trainer)}  {_values(metrics)}  {duration(self.said - self.began)}")

    def _draw(self, trainer: Trainer) -> None:
        assert self.bar is not None
        self.drawn = time.monotonic()
        done, total, _ = counted(trainer)
        spent = self.drawn - self.began
        rate = (done - self.first) / spent if spent else 0.0
        left = f", {duration((total - done) / rate)} left" if total and rate else ""
        speed = f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2g}/s"
        news = [self._position(trainer), speed, f"{duration(spent)} spent{left}", _values(trainer.progress_bar_metrics)]
        self.bar.update(self.task, completed=done, total=total, news="  ".join(news))
        self.bar.refresh()

    def _position(self, trainer: Trainer) -> str:
        done, total, unit = counted(trainer)
        own = hook(trainer.datamodule, "progress") is not None  # type: ignore[attr-defined]
        last = trainer.max_epochs
        of_epochs = f"epoch {min(trainer.current_epoch + 1, last)}/{last}  " if not own and last and last > 1 else ""
        return f"{of_epochs}{done:,}/{total:,} {unit}" if total else f"{of_epochs}{done:,} {unit}"

    def _stop(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


def _values(metrics: Mapping[str, Any]) -> str:
    return "  ".join(f"{name} {float(value):.4g}" for name, value in metrics.items())


def duration(seconds: float) -> str:
    """`9 s`, `2 min 5 s`, `3 h 20 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


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
