"""`lab check`: everything that is wrong with recipes, studies and claims, before anything is started."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.terminal import words
from lab.cli.terminal.messages import explain
from lab.cli.terminal.output import emit
from lab.cli.terminal.working import working
from lab.errors import BadInput, Problem, RecipeError
from lab.sentences import note

if TYPE_CHECKING:
    from lab.recipe import Recipe
    from lab.recipe_files import Shelf


def check(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE", help="YAML files or names of recipes, studies and claims.", autocompletion=words.file_names
        ),
    ],
    override: Annotated[
        list[str] | None,
        typer.Option("--override", "-o", metavar="a.b=v", help="A setting for every recipe, or study, among them."),
    ] = None,
    no_import: Annotated[
        bool, typer.Option("--no-import", help="Check only keys and the recipe's own settings, without imports.")
    ] = False,
    as_json: words.Json = False,
) -> None:
    """Build everything that a run needs and report all problems, without training."""
    verdicts = []
    for name in files:
        kind: Shelf | None = None
        problems: tuple[Problem, ...] = ()
        try:
            kind, path = _found(name, override or ())
            (_read if no_import else _checked)(name, kind, path, override or ())
        except RecipeError as error:
            problems = error.problems
        except BadInput as error:  # no such file, or an override that a claim does not take
            problems = (Problem(name, "", str(error)),)
        verdicts.append({"recipe": name, "kind": kind, "ok": not problems, "problems": problems})
        if problems:
            note(explain(RecipeError(problems)))
        elif not as_json:
            print(f"ok {name}", flush=True)
    if no_import:
        note("not checked: values of model, data and trainer, callbacks, and what needs an import")
    if as_json:
        emit(verdicts)
    if not all(verdict["ok"] for verdict in verdicts):
        raise typer.Exit(BadInput.exit_code)


def checked_recipe(name: str, path: Path, overrides: Sequence[str]) -> Recipe:
    """The recipe as a run would record it, after building all that it would use; warns of misspelt hooks."""
    with working(f"reading {name}"):
        from lab.recipe import load
        from lab.runner.assemble import assemble

        found = load(path, overrides)
        assembly = assemble(found)  # imports Lightning only once the recipe can be used
        from lab.data import root
        from lab.runner.weights import chosen
        from lab.task import lookalikes

        kept = chosen(assembly, found.track.uri)[0]
        missing = missing_datasets(assembly.datamodule)
    for sentence in lookalikes(assembly.task):
        note(f"{name}: warning: {sentence}")
    for dataset in missing:
        note(f"{name}: dataset {dataset} is not in {root()}; fetch it before the run: lab data fetch {dataset}")
    return kept


def missing_datasets(data: object) -> list[str]:
    """The datasets among the attributes of a data module that are to be downloaded, by name."""
    from lab.data import DatasetInfo

    found = [each for each in getattr(data, "__dict__", {}).values() if isinstance(each, DatasetInfo)]
    return [each.name for each in found if each.missing]


def _found(name: str, overrides: Sequence[str]) -> tuple[Shelf, Path]:
    """The file, and whether it is a recipe, a study or a claim."""
    from lab.registry import find_file

    try:
        return find_file(name, settings=overrides)
    except BadInput:
        if re.match(r"[\w.]+=", name):
            raise BadInput(f"a setting, which stands behind -o here: -o {name}") from None
        raise


def _checked(name: str, kind: Shelf, path: Path, overrides: Sequence[str]) -> None:
    """Reports everything that is wrong with a file; starts nothing."""
    if kind == "recipe":
        checked_recipe(name, path, overrides)
        return
    with working(f"reading {name}"):
        from lab.study import load_claim, load_study, make_plan
        from lab.study.claim import make_plans

        if kind == "study":
            make_plan(load_study(path, overrides))
        else:
            _refuse(overrides)
            make_plans(load_claim(path))


def _read(name: str, kind: Shelf, path: Path, overrides: Sequence[str]) -> None:  # noqa: ARG001  one way to call both
    """Reports what can be said of a file without importing anything that it names."""
    problems: list[Problem]
    if kind == "recipe":
        from lab.recipe import load
        from lab.study.plan.static import recipe_problems

        problems = recipe_problems(load(path, overrides))
    elif kind == "study":
        from lab.study import load_study
        from lab.study.plan.static import problems_without_import

        problems = problems_without_import(load_study(path, overrides))
    else:
        from lab.study import claim

        _refuse(overrides)
        problems = claim.problems_without_import(claim.load_claim(path))
    if problems:
        raise RecipeError(problems)


def _refuse(overrides: Sequence[str]) -> None:
    if overrides:
        raise BadInput(f"--override {overrides[0]}: a claim takes no settings; write it into its file")
