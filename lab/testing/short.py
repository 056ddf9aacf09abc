"""Short versions of a recipe: a few batches on the CPU, shorter evaluations, less data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from lab.keywords import keywords
from lab.recipe import Recipe, load
from lab.registry import find_task
from lab.task import Task

# Two epochs, on the one device every machine has. (Were an epoch of unknown length cut off after two batches, Lightning
# would leave out the validation wherever the epoch had only one.)
SMALL = (
    "trainer.max_epochs=2",
    "trainer.limit_val_batches=1",
    "trainer.limit_test_batches=1",
    "trainer.accelerator=cpu",
    "trainer.devices=1",
    "compile=false",
    "track.system_metrics=false",
)
SHRUNK = (*SMALL, "trainer.limit_train_batches=1")
# Long enough to be stopped in the middle of an epoch, and saved after every batch, so that every point is a new one.
BATCHES = 4
RESUMED = (*SMALL, f"trainer.limit_train_batches={BATCHES}", "checkpoint.steps=1")
# Shorter evaluations, rollouts, updates and less data, wherever a constructor has the keyword and a recipe wants more.
AT_MOST = {
    "model": {"update_epochs": 2, "critic_updates": 2},
    "data": {
        "batch_size": 8,
        "episode_steps": 50,
        "eval_episodes": 1,
        "learning_starts": 100,
        "max_clips": 260,
        "max_images": 260,
        "max_texts": 300,
        "num_steps": 64,
        "test_episodes": 1,
        "train_freq": 10,
    },
}


def small(file: Path, seed: int = 0, size: Sequence[str] = SHRUNK, folder: Path | None = None) -> Recipe:
    """The recipe for a run of a few batches.

    Args:
        file: the recipe.
        seed: of the run.
        size: overrides that say how few.
        folder: where it is tracked, in a database of its own.
    """
    return load(file, overrides(file, seed, size, folder))


def overrides(file: Path, seed: int, size: Sequence[str], folder: Path | None = None) -> list[str]:
    """The overrides for a short run: `size`, and less of what `AT_MOST` names."""
    uri = [] if folder is None else [f"track.uri=sqlite:///{folder.resolve()}/mlflow.db"]
    return [*_less(load(file)), *size, f"seed={seed}", *uri]


def _less(recipe: Recipe) -> Iterator[str]:
    """An override for each keyword of an installed task that is larger than a short run needs, or without a limit."""
    if not isinstance(recipe.task, str):
        return
    task = find_task(recipe.task)
    for section, target, values in (("model", task.module, recipe.model), ("data", task.data, recipe.data)):
        for name, keyword in keywords(target)[0].items():
            most, value = AT_MOST[section].get(name), values.get(name, keyword.default)
            if name == "num_steps" and most is not None:
                most = _whole_batches(most, recipe, task)
            if most is not None and (value is None or (isinstance(value, int) and value > most)):
                yield f"{section}.{name}={most}"


def _whole_batches(most: int, recipe: Recipe, task: Task) -> int:
    """The longest rollout of at most so many steps that batches divide, as they have to."""
    batch = recipe.model.get("batch_size") or 1  # none: the whole rollout
    known = keywords(task.data)[0]
    envs = recipe.data.get("num_envs", known["num_envs"].default if "num_envs" in known else 1)
    return next((steps for steps in range(most, 0, -1) if steps * envs % batch == 0), most)
