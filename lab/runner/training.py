"""Training and testing: the part of a run that any logger and any folder will do for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning import LightningDataModule, LightningModule
from lightning.pytorch.utilities.model_helpers import is_overridden

from lab.engine.data_changes import DataChanges
from lab.engine.process import frozen_heap
from lab.engine.project.endless import EndlessLoaders
from lab.engine.project.unsaved_state import UnsavedState
from lab.engine.saver import Rewindable
from lab.fingerprint import WORDS, texts
from lab.keywords import keywords
from lab.runner.results import final_metrics
from lab.stages import say, stage
from lab.task import hook

NAMES = ("name", "dataset", "dataset_name", "env", "env_id")  # settings that name the data, an environment included

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger

    from lab.runner.assembly import Assembly


@dataclass(frozen=True)
class Trained:
    """The result of a training.

    Args:
        metrics: the newest value of every metric that was logged.
        best: the checkpoint with the best monitored metric; None where there is none.
        best_score: the monitored metric of that checkpoint.
        last: the checkpoint at the end of training.
        seconds: wall time of training alone, in all the lives of the run.
    """

    metrics: dict[str, float]
    best: Path | None
    best_score: float | None
    last: Path | None
    seconds: float


def train(assembly: Assembly, logger: Logger, folder: Path | None, checkpoint: Path | None = None) -> Trained:
    """Fits the module.

    Args:
        assembly: the run's objects.
        logger: gets every metric, figure and file; one that is `Rewindable` goes on with a resumed run.
        folder: where the checkpoints go; None in all processes but the first, which hear of it from that one.
        checkpoint: where to go on from; None at the beginning of a run.

    Raises:
        Stopped: a signal asked for it; `last.ckpt` has all that is needed to go on.
    """
    trainer, best, saver = assembly.trainer, assembly.best, assembly.saver
    saver.tracker = logger if isinstance(logger, Rewindable) else None
    if folder is not None:
        saver.folder = folder
        best.dirpath = str(folder)
    section, settings = _settings_of_data(assembly)
    changes = DataChanges(saver, dataset_name(assembly, settings), section, settings, resumed=checkpoint is not None)
    trainer.callbacks += [changes, UnsavedState(saver), EndlessLoaders()]  # type: ignore[attr-defined]
    trainer.logger = logger
    safely = True if checkpoint else None
    if assembly.compiled and assembly.recipe.compile == "auto":
        say("compile: auto compiles the updates, because the run is long; that takes up to 20 s")
    stage("preparing the data")
    with frozen_heap():
        trainer.fit(assembly.module, datamodule=assembly.datamodule, ckpt_path=checkpoint, weights_only=safely)
    # read before the test, which loads the best checkpoint and with it the callbacks as they were then
    return Trained(
        metrics=saver.resumed_metrics() | final_metrics(trainer),
        best=Path(best.best_model_path) if best.best_model_path else None,
        best_score=None if best.best_model_score is None else float(best.best_model_score),
        last=saver.last if saver.last.exists() else None,
        seconds=saver.seconds,
    )


def test(assembly: Assembly, checkpoint: Path | None) -> dict[str, float]:
    """Metrics on the test data, none if the task has no test.

    Args:
        assembly: the run's objects; their logger gets the metrics too.
        checkpoint: the one to test; None tests the module as it is.
    """
    module, data = assembly.module, assembly.datamodule
    has_loader = (
        is_overridden("test_dataloader", module, LightningModule)
        if data is None
        else is_overridden("test_dataloader", data, LightningDataModule)
    )
    if not has_loader or not is_overridden("test_step", module, LightningModule):
        return {}
    stage(f"testing the {checkpoint.stem} checkpoint" if checkpoint else "testing")
    assembly.trainer.test(
        module,
        datamodule=data,
        ckpt_path=str(checkpoint) if checkpoint else None,
        verbose=False,
        weights_only=True if checkpoint else None,
    )
    return final_metrics(assembly.trainer)


def dataset_name(assembly: Assembly, settings: Mapping[str, Any]) -> str:
    """The name of a run's data: what a hook or a setting says, the last part of a path, or the class of the data.

    Args:
        assembly: the run's objects.
        settings: of its data.
    """
    data = assembly.module if assembly.datamodule is None else assembly.data
    tags: dict[str, str] = (hook(assembly.data, "tags") or dict)()
    said = [settings[key] for key in NAMES if isinstance(settings.get(key), str) and settings[key]]
    paths = [Path(text).name for _, word, text in texts(settings, "") if not WORDS.isdisjoint(word.split("_"))]
    return next((str(name) for name in (tags.get("data.name"), *said, *paths) if name), type(data).__name__)


def _settings_of_data(assembly: Assembly) -> tuple[str, dict[str, Any]]:
    """The settings of a recipe that are paths of its data, with their values, defaults included."""
    recipe, task = assembly.recipe, assembly.task
    own = task.data is not LightningDataModule  # else the module brings its loaders
    section, target, values = ("data", task.data, recipe.data) if own else ("model", task.module, recipe.model)
    defaults = {name: keyword.default for name, keyword in keywords(target)[0].items()}
    return section, defaults | values
