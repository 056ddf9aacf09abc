"""One run: assemble, train, test, record; from the beginning, or on from a checkpoint."""

from __future__ import annotations

import signal
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import BadSetting, RecipeError
from lab.recipe import Recipe
from lab.runner.assemble import assemble  # imports Lightning only once the recipe can be used
from lab.runner.assembly import Assembly

if TYPE_CHECKING:
    from lab.engine.pruning import PruningCallback
    from lab.runner.results import RunResult
    from lab.tracking.logger import Tracker


def fit(recipe: Recipe, offline: bool = False, watch: PruningCallback | None = None) -> RunResult:
    """Trains what the recipe says, tests the best checkpoint, and records everything in MLflow.

    Under a strategy with several processes only the first returns; the others end here.

    Args:
        recipe: what to train.
        offline: track in this folder, for `lab sync` to send to the server later.
        watch: hears how the run goes.

    Raises:
        RecipeError: the recipe cannot be used; nothing was started.
        LabError: the tracking server cannot be reached, or training failed.
        KeyboardInterrupt: the user interrupted; the run is marked KILLED and can be resumed.
        SystemExit: with 143, the same after SIGTERM.
        Pruned: `watch` wanted no more of it; the run is marked KILLED, with the tag `pruned`.
    """
    assembly = assemble(recipe)
    from lab.runner import record
    from lab.runner.weights import begin
    from lab.tracking.logger import Tracker
    from lab.tracking.server import DEFAULT_URI, tracking_uri

    uri = tracking_uri(recipe.track.uri)
    there = tracking_uri(DEFAULT_URI) if offline else uri
    assembly = begin(assembly, there)
    tracker = Tracker(
        there,
        recipe.track.experiment or assembly.name,
        recipe.track.name or recipe.name,
        record.tags(assembly),
        offline_for=uri if there != uri else None,
    )
    return execute(assembly, tracker, None, watch)


def execute(
    assembly: Assembly, tracker: Tracker, checkpoint: Path | None, watch: PruningCallback | None = None
) -> RunResult:
    """The run itself, from `checkpoint` on if there is one; what it raises, `fit` says."""
    from lab.engine.pruning import Pruned
    from lab.engine.signals import EXIT_CODES, Stopped
    from lab.runner import failures, record

    recipe, saver, status = assembly.recipe, assembly.saver, "FAILED"
    saver.tracker = tracker
    if watch is not None:
        watch.started(tracker.run_id)
        assembly.trainer.callbacks.insert(0, watch)  # type: ignore[attr-defined]
    with saver.signals.installed(on_second=lambda: tracker.finish("KILLED")):
        try:
            if checkpoint is None:
                record.start(tracker, assembly)
            with record.system_metrics(tracker) if recipe.track.system_metrics else nullcontext():
                result = _train(assembly, tracker, checkpoint)
            status = "FINISHED"
        except BadSetting as error:  # one that only a set-up hook could see
            raise RecipeError([recipe.problem(error.key, error.message)]) from None
        except Stopped as stopped:
            status = "KILLED"
            run = tracker.run_id[:8]
            if run:  # the first process
                print(f"{stopped}: run {run} is marked KILLED; lab resume {run} goes on", file=sys.stderr)
            if stopped.signum == signal.SIGINT:
                raise KeyboardInterrupt from None
            raise SystemExit(EXIT_CODES[signal.Signals(stopped.signum)]) from None
        except Pruned:
            status = "KILLED"
            tracker.set_tag("pruned", "true")
            raise
        except Exception as error:
            raise failures.explained(error, assembly, tracker.run_id) from error
        finally:
            saver.signals.deferred = True  # what is left takes a moment, and must not be torn
            tracker.finish(status)
    if not assembly.trainer.is_global_zero:
        raise SystemExit(0)
    return result


def _train(assembly: Assembly, tracker: Tracker, checkpoint: Path | None) -> RunResult:
    from lab.runner.export import log_model
    from lab.runner.results import BEST, MODE, SCORE, RunResult, final_metrics

    trainer, best, saver, task = assembly.trainer, assembly.best, assembly.saver, assembly.task
    if tracker.run_id:  # the first process; the others hear of the folder from it
        saver.folder = tracker.checkpoints
        best.dirpath = str(tracker.checkpoints)
    trainer.logger = tracker

    safely = True if checkpoint else None
    trainer.fit(assembly.module, datamodule=assembly.data, ckpt_path=checkpoint, weights_only=safely)
    metrics = saver.resumed_metrics() | final_metrics(trainer)
    # read before the test, which loads the best checkpoint and with it the callbacks as they were then
    chosen = Path(best.best_model_path) if best.best_model_path else None
    newest = saver.last if saver.last.exists() else None
    score = None if best.best_model_score is None else float(best.best_model_score)
    at_best = {} if score is None else {f"{BEST}{task.monitor}": score}
    tested = _test(assembly, chosen)
    metrics |= at_best | tested
    monitor = task.monitor
    if monitor is not None and counterpart(monitor) in tested:
        monitor = counterpart(monitor)
        score = tested[monitor]
    if trainer.is_global_zero:
        if monitor is not None:
            tracker.experiment.set_tag(tracker.run_id, SCORE, monitor)
            tracker.experiment.set_tag(tracker.run_id, MODE, task.mode)
        tracker.log_metrics(at_best | {"seconds/fit": saver.seconds}, step=0)
        log_model(tracker, assembly.module)
        saver.clean_up()
        _upload(tracker, saver.folder)
    return RunResult(
        run_id=tracker.run_id,
        name=assembly.recipe.track.name or assembly.recipe.name,
        task=assembly.name,
        status="FINISHED",
        monitor=monitor,
        score=score,
        metrics=metrics,
        best=chosen,
        last=newest,
        uri=tracker.uri,
        seconds=saver.seconds,
    )


def _test(assembly: Assembly, checkpoint: Path | None) -> dict[str, float]:
    """Metrics of the best checkpoint on the test data, if the task has any; the module keeps its weights."""
    from lightning import LightningDataModule, LightningModule
    from lightning.pytorch.utilities.model_helpers import is_overridden

    from lab.runner.results import final_metrics

    has_step = is_overridden("test_step", assembly.module, LightningModule)
    if not has_step or not is_overridden("test_dataloader", assembly.data, LightningDataModule):
        return {}
    assembly.trainer.test(
        assembly.module,
        datamodule=assembly.data,
        ckpt_path=str(checkpoint) if checkpoint else None,
        verbose=False,
        weights_only=True if checkpoint else None,
    )
    return final_metrics(assembly.trainer)


def counterpart(monitor: str) -> str:
    """The test's name for a validation metric: `val/return` -> `test/return`, `val_loss` -> `test_loss`."""
    return monitor.replace("val", "test", 1)


def _upload(tracker: Tracker, folder: Path) -> None:
    """The checkpoints of a run whose artifacts lie on another machine."""
    if tracker.folder is None:
        tracker.experiment.log_artifacts(tracker.run_id, str(folder), "checkpoints")
