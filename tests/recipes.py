"""Recipes for tests that train every task for a few batches."""

from __future__ import annotations

from lab.recipe import Recipe, load
from lab.runner.assemble import assemble
from lab.testing.clauses import needs_nothing, own_recipes
from lab.testing.short import SMALL, overrides


def short_recipe(name: str, *more: str, batches: int = 1) -> Recipe:
    """Of a task's recipes that need no network, the one with the shortest training, and so many batches of it.

    Args:
        name: of the task.
        more: overrides.
        batches: of an epoch.
    """
    size = (*SMALL, f"trainer.limit_train_batches={batches}", "checkpoint.steps=1", *more)
    chosen = (load(file, overrides(file, 0, size)) for file in own_recipes(name))
    return next(recipe for recipe in chosen if needs_nothing(recipe.path, assemble(recipe)))
