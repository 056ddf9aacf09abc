"""One run: assemble, train, test, record."""

from __future__ import annotations

import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import BadSetting, RecipeError
from lab.recipe import Recipe
from lab.runner.assemble import Assembly, assemble  # imports Lightning only once the recipe can be used

if TYPE_CHECKING:
    from lab.runner.results import RunResult
    from lab.runner.tracking import Tracker


def fit(recipe: Recipe) -> RunResult:
    """Trains what the recipe says, tests the best checkpoint, and records everything in MLflow.

    Under a strategy with several processes only the first returns; the others end here.

    Raises:
        RecipeError: the recipe cannot be used; nothing was started.
        LabError: the tracking server cannot be reached, or training failed.
        KeyboardInterrupt: the user interrupted; the run is marked KILLED.
    """
    assembly = assemble(recipe)
    from lab.runner import record
    from lab.runner.server import tracking_uri
    from lab.runner.tracking import Tracker

    tracker = Tracker(
        tracking_uri(recipe.track.uri),
        recipe.track.experiment or assembly.name,
        recipe.track.name or recipe.name,
        record.tags(assembly),
    )
    status = "FAILED"
    try:
        record.start(tracker, assembly)
        with record.system_metrics(tracker) if recipe.track.system_metrics else nullcontext():
            result = _train(assembly, tracker)
        status = "FINISHED"
    except BadSetting as error:  # one that only a set-up hook could see
        raise RecipeError([recipe.problem(error.key, error.message)]) from None
    except (KeyboardInterrupt, SystemExit):  # Lightning turns the first into the second
        status = "KILLED"
        print(f"interrupted: run {tracker.run_id[:8]} is marked KILLED", file=sys.stderr)
        raise KeyboardInterrupt from None
    finally:
        tracker.finish(status)
    if not assembly.trainer.is_global_zero:
        raise SystemExit(0)
    return result


def _train(assembly: Assembly, tracker: Tracker) -> RunResult:
    from lab.runner import record
    from lab.runner.results import SCORE, RunResult, final_metrics

    trainer, best, last, task = assembly.trainer, assembly.best, assembly.last, assembly.task
    folder = _checkpoint_folder(tracker)
    best.dirpath = last.dirpath = str(folder) if folder else None
    trainer.logger = tracker

    start = time.perf_counter()
    trainer.fit(assembly.module, datamodule=assembly.data)
    seconds = time.perf_counter() - start
    metrics = final_metrics(trainer)
    # read before the test, which loads the best checkpoint and with it the callbacks as they were then
    chosen, newest = (Path(saved.best_model_path) if saved.best_model_path else None for saved in (best, last))
    score = None if best.best_model_score is None else float(best.best_model_score)
    tested = _test(assembly, chosen)
    metrics |= tested
    monitor = _counterpart(task.monitor)
    if monitor in tested:
        score = tested[monitor]
    else:
        monitor = task.monitor
    if trainer.is_global_zero:
        tracker.experiment.set_tag(tracker.run_id, SCORE, monitor)
        tracker.log_metrics({"seconds/fit": seconds}, step=0)
        record.model(tracker, assembly.module)
        _upload(tracker, folder)
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
        seconds=seconds,
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


def _counterpart(monitor: str) -> str:
    """The test's name for a validation metric: `val/return` -> `test/return`, `val_loss` -> `test_loss`."""
    return monitor.replace("val", "test", 1)


def _checkpoint_folder(tracker: Tracker) -> Path | None:
    """Among the run's artifacts where they lie on this machine; else here, and uploaded at the end."""
    if not tracker.run_id:  # not the first process: it hears of the folder from the first
        return None
    artifacts = tracker.folder
    return artifacts / "checkpoints" if artifacts else Path("mlruns") / "checkpoints" / tracker.run_id


def _upload(tracker: Tracker, folder: Path | None) -> None:
    if tracker.folder is None and folder is not None and folder.exists():
        tracker.experiment.log_artifacts(tracker.run_id, str(folder), "checkpoints")
