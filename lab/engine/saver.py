"""Saving a run and restoring it."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from lab.engine import boundary
from lab.engine import loop_state as state
from lab.engine.checkpoint import BUFFERS, LAST, NEXT, PREVIOUS, Files
from lab.engine.data_order import DataOrder
from lab.engine.loop_state import State
from lab.engine.progress import counted
from lab.engine.reloaded_data import ReloadedData
from lab.engine.signals import SignalHandler, Stopped
from lab.errors import LabError
from lab.task import hook

MAX_SHARE = 0.02  # of the time that saving may take, whatever the schedule says


@runtime_checkable
class Rewindable(Protocol):
    """A log that a resumed run goes on with from where it was when the checkpoint was written."""

    def position(self) -> int: ...
    def rewind(self, position: int) -> None: ...


class Saver(Checkpoint):
    """Writes `last.ckpt` between two batches, and puts everything back from it.

    Between two batches means after all that belongs to the first one, its validation and its logging included, and
    before the next one is fetched. Lightning has no hook there, see `lab.engine.boundary.extend`. Points that Lightning
    cannot restart from are passed over: the middle of an accumulated gradient, a validation within an epoch, and the
    end of an epoch, whose checkpoint is taken at the start of the next one instead.

    Args:
        seed: the run's; the order of the data follows from it.
        every_seconds: seconds between two checkpoints; None for no such rule. They may become more, so that writing
            takes no more than 2 % of the time.
        every_steps: steps between two checkpoints, counted as the progress display does; None for no such rule.
        signals: whether one has asked for the end.
    """

    def __init__(self, seed: int, every_seconds: float | None, every_steps: int | None, signals: SignalHandler) -> None:
        self.every_seconds, self.every_steps, self.signals = every_seconds, every_steps, signals
        self.order, self.reloaded = DataOrder(seed), ReloadedData()
        self.folder = Path()
        self.tracker: Rewindable | None = None
        self.loaded: State | None = None  # of the loaded checkpoint, until training continues
        self.pending: State | None = None  # of the checkpoint that is being written
        self.buffers: list[list[str]] = [[], []]  # the files that last.ckpt and previous.ckpt need
        self.serial = 0  # number of the newest checkpoint
        self.own: State = {}  # the part of it that differs from process to process
        self.saved_at = (0.0, 0)  # clock and count of steps at the newest checkpoint
        self.cost = 0.0  # seconds that writing it took
        self.spent, self.since = 0.0, time.monotonic()  # seconds of training before now, and when now began

    @property
    def last(self) -> Path:
        return self.folder / LAST

    @property
    def seconds(self) -> float:
        """Seconds of training so far, before and after resuming."""
        return self.spent + (time.monotonic() - self.since if self.since else 0.0)

    def resumed_metrics(self) -> dict[str, float]:
        """The metrics at the end of a training that had ended before this process began."""
        newest = self.loaded["results"]["newest"]["callback_metrics"] if self.loaded else {}
        return {name: float(value) for name, value in newest.items() if name != "step"}

    def clean_up(self) -> None:
        """Removes what only a resume needs: the run is finished."""
        for file in (self.folder / PREVIOUS, *self.folder.glob(".*.draft"), *self.folder.glob("*.broken")):
            file.unlink(missing_ok=True)
        for folder in (self.folder / BUFFERS, *self.folder.glob("process*")):
            shutil.rmtree(folder, ignore_errors=True)

    # -- when ---------------------------------------------------------------------------------------------------------

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002
        if stage != "fit":
            return
        boundary.extend(
            trainer,
            partial(self._begin, trainer),
            partial(self._between, trainer),
            state.generators_preserved,
            partial(self.reloaded.made, trainer),
        )
        self.folder = Path(trainer.strategy.broadcast(str(self.folder)))
        self.since = time.monotonic()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        if self.loaded is not None:
            boundary.set_reloaded_in(trainer, self.loaded.get("reloaded_in", trainer.current_epoch))
        self.signals.reinstall()
        self.signals.deferred = True
        self.saved_at = (time.monotonic(), counted(trainer)[0])

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        if self.loaded is not None:  # this very point was saved
            state.set_generators(self.loaded["generators"])
        else:
            self._save_if_due(trainer, boundary=True)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self.save(trainer, trained=True)
        self.spent, self.since = self.seconds, 0.0
        self.signals.deferred = False
        if self.signals.received is not None:
            raise Stopped(self.signals.received)

    def _begin(self, trainer: Trainer, fetcher: Any, begun: Callable[[Any], None]) -> None:
        """An epoch, or the rest of one, is about to fetch its first batch."""
        loaded = self.loaded
        self.order.begin(trainer, fetcher, begun, loaded["order"] if loaded is not None else None)
        if loaded is not None:
            self._restore(trainer, loaded)
            self.loaded = None
        self.order.fetch_next(fetcher)

    def _restore(self, trainer: Trainer, loaded: State) -> None:
        """Puts back what Lightning does not."""
        if trainer.fit_loop.epoch_loop.batch_progress.current.ready:
            state.set_partial_metrics(trainer.lightning_module, loaded["metrics"])
            state.set_generators(loaded["generators"])
        state.set_partial_results(trainer, loaded["results"])
        boundary.set_validation_batches(trainer, loaded.get("validation_batches", {}))  # older checkpoints have none
        trainer.fit_loop.on_iteration_done()  # a restart would keep plateau schedules from seeing the end of this epoch

    def _between(self, trainer: Trainer, fetcher: Any) -> None:
        self._save_if_due(trainer, boundary=False)
        self.order.fetch_next(fetcher)

    def _save_if_due(self, trainer: Trainer, boundary: bool) -> None:
        now, (clock, count) = time.monotonic(), self.saved_at
        due = self.every_seconds is not None and now - clock >= max(self.every_seconds, self.cost / MAX_SHARE)
        due |= self.every_steps is not None and counted(trainer)[0] - count >= self.every_steps
        stopping, distributed = self.signals.received is not None, trainer.world_size > 1
        if not (due or stopping or distributed) or not (boundary or _restartable(trainer)):
            return
        if distributed:  # all or none
            due = bool(trainer.strategy.reduce_boolean_decision(due, all=False))
            stopping = trainer.strategy.reduce_boolean_decision(stopping, all=False)
        if due or stopping:
            self.save(trainer, boundary=boundary)
        if stopping:  # perhaps by another process
            raise Stopped(self.signals.received or signal.SIGTERM)

    # -- what ---------------------------------------------------------------------------------------------------------

    def save(self, trainer: Trainer, boundary: bool = False, trained: bool = False) -> None:
        """Writes `last.ckpt`; the one before becomes `previous.ckpt`.

        Raises:
            LabError: the disk is full, or a parameter is NaN or infinite; what was there before is intact.
        """
        start = time.monotonic()
        module, data = trainer.lightning_module, _data(trainer)
        if not all(bool(parameter.isfinite().all()) for parameter in module.parameters()):
            raise LabError(f"a parameter became NaN or infinite; the last good checkpoint is {self.last}")
        buffers: list[str] = []
        try:
            write = hook(data, "write_buffers")
            if write is not None and not trained:
                buffers = write(self._of_process(trainer) / BUFFERS)
            position = self.tracker.position() if self.tracker is not None and trainer.is_global_zero else 0
            self.serial += 1
            self.pending = {"serial": self.serial, "boundary": boundary, "trained": trained} | {
                "buffers": buffers,
                "position": position,
            }
            trainer.save_checkpoint(self.folder / NEXT)
            if not trainer.is_global_zero:  # what the first process cannot know
                Files().save_checkpoint(self.own, self._of_process(trainer) / NEXT)
        except OSError as error:
            words = f"cannot write to {self.folder}: {error.strerror or error}"
            raise LabError(
                f"{words}; the previous checkpoint is intact: free some space, then resume the run"
            ) from error
        finally:
            self.pending = None
        folder = self._of_process(trainer)
        if (folder / LAST).exists():
            (folder / LAST).replace(folder / PREVIOUS)
        (folder / NEXT).replace(folder / LAST)
        self.buffers = [buffers, self.buffers[0]]
        for file in (folder / BUFFERS).glob("*"):
            if file.name not in {name for names in self.buffers for name in names}:
                file.unlink()
        self.cost = time.monotonic() - start
        self.saved_at = (time.monotonic(), counted(trainer)[0])

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: State) -> None:
        if self.pending is None:  # best.ckpt, from which nobody resumes
            return
        if self.pending["boundary"]:  # as Lightning itself would have saved at the end of the epoch before
            for scope in ("total", "current"):
                progress = checkpoint["loops"]["fit_loop"]["epoch_progress"][scope]
                progress["ready"] -= 1
                progress["completed"] -= 1
        checkpoint["lab"] = self.pending | {
            "generators": state.generators(),
            "metrics": state.partial_metrics(pl_module),
            "results": state.partial_results(trainer),
            "order": self.order.state_dict(trainer, self.pending["boundary"]),
            "reloaded": {} if self.pending["trained"] else self.reloaded.state_dict(),
            "reloaded_in": boundary.reloaded_in(trainer),
            "validation_batches": boundary.validation_batches(trainer),
            "seconds": self.seconds,
        }
        name = type(_data(trainer)).__qualname__  # where Lightning keeps the state of the data module
        self.own = {key: checkpoint[key] for key in ("lab", name) if key in checkpoint}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: State) -> None:  # noqa: ARG002
        if trainer.state.fn != "fit":  # a test, of best.ckpt
            return
        data, loaded = _data(trainer), checkpoint["lab"]
        if not trainer.is_global_zero:
            own = self._own(trainer, loaded["serial"])
            loaded = own["lab"]
            if type(data).__qualname__ in own:
                data.load_state_dict(own[type(data).__qualname__])
        self.loaded, self.serial = loaded, loaded["serial"]
        self.spent, self.buffers = loaded["seconds"], [loaded["buffers"], []]
        self.reloaded.load_state_dict(loaded.get("reloaded", {}))  # older checkpoints have none
        if self.tracker is not None and trainer.is_global_zero:
            self.tracker.rewind(loaded["position"])
        if loaded["trained"]:
            trainer.should_stop = True
        elif (read := hook(data, "read_buffers")) is not None:
            read(self._of_process(trainer) / BUFFERS, loaded["buffers"])

    def _of_process(self, trainer: Trainer) -> Path:
        """The folder of a process for its own files; the first one in the run's folder itself."""
        return self.folder if trainer.is_global_zero else self.folder / f"process{trainer.global_rank}"

    def _own(self, trainer: Trainer, serial: int) -> State:
        """The part that this process wrote beside the checkpoint with this number."""
        folder = self._of_process(trainer)
        for name in (NEXT, LAST, PREVIOUS):
            if (folder / name).exists():
                own: State = Files().load_checkpoint(folder / name)
                if own["lab"]["serial"] == serial:
                    return own
        raise LabError(f"{folder} lacks the state of this process; resume with the same number of processes")


def _restartable(trainer: Trainer) -> bool:
    """Whether Lightning can go on from between the last batch and the next."""
    progress, steps = trainer.fit_loop.epoch_loop.batch_progress, trainer.max_steps
    done = progress.current.ready
    if trainer.should_stop or progress.is_last_batch or done == trainer.num_training_batches:
        return False
    if steps != -1 and trainer.global_step >= steps:
        return False
    # started again right behind a validation, Lightning would take it for one that is still to be done
    every: Any = trainer.val_check_batch
    seen = progress.total.ready if trainer.check_val_every_n_epoch is None else done
    validated = every not in (None, float("inf")) and seen % every == 0
    return not validated and done % trainer.accumulate_grad_batches == 0


def _data(trainer: Trainer) -> Any:
    return trainer.datamodule  # type: ignore[attr-defined]
