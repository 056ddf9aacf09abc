"""The callbacks that every run has besides the one that saves: best checkpoint, and progress on stderr."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from lab.task import hook

REFRESH_SECONDS = 0.2


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
                "no best.ckpt: Lightning chooses a checkpoint only after a step of an optimizer, and there was none; "
                "torch.optim.SGD can move what learns without gradients",
                stacklevel=2,
            )


def progress(settings: Mapping[str, Any]) -> list[Callback]:
    """The progress display, unless the Trainer's settings ask for Lightning's own or for none."""
    return [] if "enable_progress_bar" in settings else [ProgressBar()]


class ProgressBar(Callback):
    """Progress of the run, the newest metrics, and the time left; on stderr, and only where someone looks at it.

    A data module may say how far it is with `progress() -> (done, total, unit)`; otherwise batches are counted.
    """

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self.bar: Progress | None = None
        self.drawn = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero or not self.console.is_terminal or trainer.progress_bar_callback is not None:
            return  # nobody looks at it, or the module brings a bar of its own
        news, share = TextColumn("{task.fields[news]}"), TaskProgressColumn()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            share,
            news,
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self.bar = Progress(*columns, console=self.console, auto_refresh=False, transient=True)
        self.task = self.bar.add_task(type(pl_module).__name__, total=None, news="")
        self.bar.start()

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if self.bar is not None and time.monotonic() - self.drawn > REFRESH_SECONDS:
            self._draw(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        if self.bar is not None:
            self._draw(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self._stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:  # noqa: ARG002
        self._stop()

    def _draw(self, trainer: Trainer) -> None:
        assert self.bar is not None
        self.drawn = time.monotonic()
        done, total, unit = counted(trainer)
        news = "  ".join(f"{name} {float(value):.4g}" for name, value in trainer.progress_bar_metrics.items())
        count = f"{done:,}/{total:,} {unit}" if total else f"{done:,} {unit}"
        self.bar.update(self.task, completed=done, total=total, news=f"{count}  {news}")
        self.bar.refresh()

    def _stop(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


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
