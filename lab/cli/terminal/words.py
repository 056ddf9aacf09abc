"""Arguments and options that several commands share, with their shell completion."""

from __future__ import annotations

from typing import Annotated, Literal

import typer


def recipe_names() -> list[str]:
    """Names of the installed recipes."""
    from lab.registry import recipes

    return sorted(recipes())


def tasks() -> list[str]:
    """Names of the installed tasks."""
    from lab.registry import task_names

    return task_names()


def study_names() -> list[str]:
    """Names of the installed studies."""
    from lab.registry import recipes

    return sorted(recipes("study"))


def claim_names() -> list[str]:
    """Names of the installed claims."""
    from lab.registry import recipes

    return sorted(recipes("claim"))


def file_names() -> list[str]:
    """Names of the installed recipes, studies and claims."""
    return [*recipe_names(), *study_names(), *claim_names()]


def all_names() -> list[str]:
    """Names of the installed tasks, recipes, studies and claims."""
    return [*tasks(), *file_names()]


Recipe = Annotated[
    str,
    typer.Argument(
        metavar="RECIPE",
        help="A YAML file, or the name of an installed recipe; with settings also of a task.",
        autocompletion=recipe_names,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="a.b=v", help="Overrides of the recipe's settings, such as model.lr=1e-4."),
]
Run = Annotated[str, typer.Argument(metavar="RUN", help="A run id, its first digits, a run's name, or `last`.")]
Checkpoint = Annotated[Literal["best", "last"], typer.Option(help="Which of the run's checkpoints.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Number of parallel runs; one per core by default.")]
Uri = Annotated[
    str | None,
    typer.Option(help="The tracking server or database; MLFLOW_TRACKING_URI or sqlite:///mlflow.db by default."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on standard output.")]
