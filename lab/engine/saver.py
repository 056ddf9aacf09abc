"""When a run is saved, what of it, and how it goes on from there."""

from __future__ import annotations

import shutil
import signal
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from lab import files
from lab.engine import loop_state as state
from lab.engine.checkpoint import BUFFERS, LAST, NEXT, PREVIOUS
from lab.engine.loop_state import State
from lab.engine.progress import counted
from lab.engine.signals import Stop, Stopped
from lab.errors import LabError
from lab.task import hook

if TYPE_CHECKING:
    from lab.recipe import Recipe
    from lab.tracking.logger import Tracker

SHARE = 0.02  # of the time that saving may take, whatever the schedule says


class Saver(Checkpoint):
    """Writes `last.ckpt` between two batches, and puts everything back from it.

    Between two batches means after all that belongs to the first one, its validation and its logging included, and
    before the next one is fetched. Lightning has no hook there; the suite's epoch loop has, and its `on_run_start` is
    extended. Points that Lightning cannot restart from are passed over: the middle of an accumulated gradient and
    the end of an epoch, whose checkpoint is taken at the start of the next one instead.

    Args:
        recipe: gives the seed, and the schedule in `checkpoint:`.
        stop: what the signals want.
    """

    def __init__(self, recipe: Recipe, stop: Stop) -> None:
        self.recipe, self.stop = recipe, stop
        self.order = state.DataOrder(recipe.seed)
        self.folder = Path()
        self.tracker: Tracker | None = None
        self.loaded: State | None = None  # of the checkpoint that was loaded, until training goes on
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
        """Seconds of training so far, in all the lives of the run."""
        return self.spent + (time.monotonic() - self.since if self.since else 0.0)

    def resumed_metrics(self) -> dict[str, float]:
        """The metrics at the end of a training that had ended before this process began."""
        newest = self.loaded["results"]["newest"]["_callback_metrics"] if self.loaded else {}
        return {name: float(value) for name, value in newest.items() if name != "step"}

    def retire(self) -> None:
        """Removes what only a resume needs: the run is finished."""
        for file in (self.folder / PREVIOUS, *self.folder.glob(".*.draft"), *self.folder.glob("*.broken")):
            file.unlink(missing_ok=True)
        for folder in (self.folder / BUFFERS, *self.folder.glob("process*")):
            shutil.rmtree(folder, ignore_errors=True)

    # -- when ---------------------------------------------------------------------------------------------------------

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002
        if stage != "fit":
            return
        loop: Any = trainer.fit_loop.epoch_loop
        loop.between = partial(self._save_if_due, trainer, boundary=False)
        loop.on_run_start = partial(self._begin, trainer, begun=loop.on_run_start)
        self.folder = Path(trainer.strategy.broadcast(str(self.folder)))
        self.since = time.monotonic()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self.stop.take()
        self.stop.patient = True
        self.saved_at = (time.monotonic(), counted(trainer)[0])
        if self.loaded is not None:
            trainer.fit_loop.epoch_loop.max_steps = self.loaded["max_steps"]

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        if self.loaded is not None:  # this very point was saved
            state.set_generators(self.loaded["generators"])
        else:
            self._save_if_due(trainer, boundary=True)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        self.save(trainer, trained=True)
        self.spent, self.since = self.seconds, 0.0
        self.stop.patient = False
        if self.stop.wanted is not None:
            raise Stopped(self.stop.wanted)

    def _begin(self, trainer: Trainer, fetcher: Any, begun: Any) -> None:
        """An epoch, or the rest of one, is about to fetch its first batch."""
        self.order.begin(trainer)
        before = fetcher.combined_loader._iterator
        begun(fetcher)
        loop, loaded = trainer.fit_loop.epoch_loop, self.loaded
        done = loop.batch_progress.current.ready
        if fetcher.combined_loader._iterator is before:  # the first epoch here: its iterator is older than its order
            if loaded is not None:
                self.order.rewind(trainer, loaded["order"])
            iter(fetcher)
            state.skip(trainer, done)
            fetcher.fetched += done
        if loaded is not None and done:
            state.set_partial_metrics(trainer.lightning_module, loaded["metrics"])
            state.set_generators(loaded["generators"])
        if loaded is not None:
            state.set_partial_results(trainer, loaded["results"])
            trainer.fit_loop._restarting = False  # it would keep plateau schedules from seeing the end of this epoch
        self.loaded = None

    def _save_if_due(self, trainer: Trainer, boundary: bool) -> None:
        now, (clock, count) = time.monotonic(), self.saved_at
        schedule = self.recipe.checkpoint
        due = schedule.seconds is not None and now - clock >= max(schedule.seconds, self.cost / SHARE)
        due |= schedule.steps is not None and counted(trainer)[0] - count >= schedule.steps
        wanted, several = self.stop.wanted is not None, trainer.world_size > 1
        if not (due or wanted or several) or not (boundary or _restartable(trainer)):
            return
        if several:  # all or none
            due = bool(trainer.strategy.reduce_boolean_decision(due, all=False))
            wanted = trainer.strategy.reduce_boolean_decision(wanted, all=False)
        if due or wanted:
            self.save(trainer, boundary=boundary)
        if wanted:  # perhaps by another process
            raise Stopped(self.stop.wanted or signal.SIGTERM)

    # -- what ---------------------------------------------------------------------------------------------------------

    def save(self, trainer: Trainer, boundary: bool = False, trained: bool = False) -> None:
        """Writes `last.ckpt`; the one before becomes `previous.ckpt`.

        Raises:
            LabError: the disk is full, or a weight is not a number; what was there before is intact.
        """
        start = time.monotonic()
        module, data = trainer.lightning_module, _data(trainer)
        if not all(bool(parameter.isfinite().all()) for parameter in module.parameters()):
            raise LabError(f"a weight is not a number any more; the last good checkpoint is {self.last}")
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
                files.save(self.own, self._of_process(trainer) / NEXT)
        except OSError as error:
            words = f"cannot write to {self.folder}: {error.strerror or error}"
            raise LabError(f"{words}; the checkpoint before it is intact: make room, then resume the run") from error
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
        if self.tracker is not None and trainer.is_global_zero:
            self.tracker.rewind(loaded["position"])
        loop = trainer.fit_loop.epoch_loop
        loaded["max_steps"] = loop.max_steps
        if loaded["trained"]:
            trainer.should_stop = True
            return
        loop.max_steps = -1  # until training starts: Lightning takes every restart with a limit for a mid-epoch one
        if (read := hook(data, "read_buffers")) is not None:
            read(self._of_process(trainer) / BUFFERS, loaded["buffers"])

    def _of_process(self, trainer: Trainer) -> Path:
        """Where a process keeps what is its own; the first one in the run's folder itself."""
        return self.folder if trainer.is_global_zero else self.folder / f"process{trainer.global_rank}"

    def _own(self, trainer: Trainer, serial: int) -> State:
        """What this process wrote beside the checkpoint with this number."""
        folder = self._of_process(trainer)
        for name in (NEXT, LAST, PREVIOUS):
            if (folder / name).exists():
                own: State = files.load(folder / name)
                if own["lab"]["serial"] == serial:
                    return own
        raise LabError(f"{folder} has nothing to go with the checkpoint; resume with the same number of processes")


def _restartable(trainer: Trainer) -> bool:
    """Whether Lightning can go on from between the last batch and the next."""
    loop = trainer.fit_loop.epoch_loop
    ends = loop._is_training_done or trainer.should_stop
    every: Any = trainer.val_check_batch
    # started again right behind a validation, Lightning would take it for one that is still to be done
    validated = every not in (None, float("inf")) and loop.batch_progress.current.ready % every == 0
    return not (ends or validated or loop._should_accumulate())


def _data(trainer: Trainer) -> Any:
    return trainer.datamodule  # type: ignore[attr-defined]
