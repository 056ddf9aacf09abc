"""A PyTorch Lightning experiment suite: `from lab import run; result = run("ddpg_pendulum", "model.gamma=0.95")`."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.runner.results import RunResult

__version__ = version("torch-lab")


def run(recipe: str, *overrides: str) -> RunResult:
    """Train, evaluate and track one recipe; the same as `lab run RECIPE [a.b=value ...]`.

    Args:
        recipe: a path to a YAML file, or the name of an installed recipe (`lab ls`).
        overrides: `a.b=value` settings that win over the file.

    Raises:
        lab.errors.LabError: with a message that names file, key and next step.
    """
    from lab.recipe import load
    from lab.registry import find_recipe
    from lab.runner.fit import fit

    return fit(load(find_recipe(recipe), overrides))
