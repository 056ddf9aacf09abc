"""The plan of a study: its recipe, space, metrics and trials, with all problems reported before the first trial."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lab.errors import Problem, RecipeError, nearest
from lab.recipe import Recipe
from lab.recipe.levels import UNKNOWN
from lab.recipe.schema import MAX_RUN_NAME, name_problem
from lab.stages import say
from lab.study.plan import checks, sampling, static
from lab.study.plan.schema import StudyFile
from lab.study.plan.space import Choice, Dimension, combinations, identity, label

if TYPE_CHECKING:
    from lab.runner.assembly import Assembly

MOST = 10_000  # trials of a grid
MAX_NAME = MAX_RUN_NAME - 30  # of a study: its runs are named after it, their trial and their seed
SETTLED = ("recipe", "set", "space", "sampler", "sampler_args", "metric", "mode", "statistic", "pruner", "pruner_args")

INDIFFERENT = ("seed", "track", "threads", "checkpoint")  # keys of a recipe that change no trial


@dataclass(frozen=True)
class TableEntry:
    """One line of a one-at-a-time table.

    Args:
        key: the key that differs from the default.
        value: its value.
        entry: which trial of the plan that is; lines that mean the same configuration share it.
    """

    key: str
    value: Any
    entry: int


@dataclass(frozen=True)
class Plan:
    """The trials of a study and how they are evaluated.

    Args:
        name: the study's.
        file: what it says.
        recipe: the recipe with what holds for every trial.
        task: the task's name.
        dimensions: what varies.
        metrics: the final metrics to be optimised.
        modes: `min` or `max` for each metric.
        seeds: every trial is trained with each.
        entries: the fixed parameters of each trial by Optuna's names; empty if the sampler chooses.
        rows: the table's lines, if the sampler is `one_at_a_time`.
        monitor: the metric that a training reports at every validation; None for a task without a monitor.
        length: steps of a whole training, in the unit of these reports.
    """

    name: str
    file: StudyFile
    recipe: Recipe
    task: str
    dimensions: tuple[Dimension, ...]
    metrics: tuple[str, ...]
    modes: tuple[str, ...]
    seeds: tuple[int, ...]
    entries: tuple[dict[str, Any], ...]
    rows: tuple[TableEntry, ...]
    monitor: str | None
    length: int

    @property
    def curves(self) -> bool:
        """Whether the pruner looks at validations in the course of a training."""
        return self.file.pruner in sampling.CURVES

    def definition(self) -> dict[str, Any]:
        """Everything that the trials depend on; a study can only be continued with the same definition."""
        said = self.file.resolved()
        recipe = {key: value for key, value in self.recipe.resolved().items() if key not in INDIFFERENT}
        kept = {key: said[key] for key in SETTLED if key != "recipe"}
        found = {**kept, "seeds": list(self.seeds), "seed": self.file.seed, "recipe": recipe}
        plain: dict[str, Any] = json.loads(json.dumps(found))
        return plain


def make_plan(file: StudyFile, name: str | None = None, settings: Sequence[str] = (), uri: str | None = None) -> Plan:
    """Checks a study and lists its trials.

    Args:
        file: the study.
        name: its name; by default the file's.
        settings: overrides of the recipe, which win over the study's `set`.
        uri: the tracking server, where runs that others begin with are; the recipe's own by default.

    Raises:
        RecipeError: with all problems of the study and of its recipe.
    """
    dimensions, problems, recipe = static.read_without_import(file, settings)
    if wrong := name_problem(file.name if name is None else name, MAX_NAME):
        problems.append(Problem(str(file.path) if name is None else "--name", "", f"the name of the study: {wrong}"))
    mistyped = any(problem.message.startswith(UNKNOWN) for problem in file.problems)
    if recipe is None:
        raise RecipeError(problems)
    early = static.of_recipe(file, recipe, dimensions)
    if mistyped or static.all_mistyped(file, early):  # which needs no import to be said
        raise RecipeError(problems + early)
    there = uri or recipe.track.uri
    assembly = _assembled(file, recipe, there, problems)
    if assembly is not None:
        problems += checks.curveless(file, assembly)
        problems += checks.refused(file, recipe, assembly, dimensions, there)
    if problems or assembly is None:
        raise RecipeError(problems)
    from lab.engine.pruning import length
    from lab.runner.record import parameters

    metrics, modes = _metrics(file, assembly, problems)
    rows: list[TableEntry] = []
    entries: Sequence[dict[str, Any]] = [{}] * (file.trials or 1)
    if file.sampler == "one_at_a_time":
        dimensions, entries, rows = _table(dimensions, dict(parameters(assembly)))
    elif file.sampler == "grid":
        entries = list(_grid(file, dimensions, problems))
    if problems:
        raise RecipeError(problems)
    return Plan(
        name=file.name if name is None else name,
        file=file,
        recipe=recipe,
        task=assembly.name,
        dimensions=dimensions,
        metrics=metrics,
        modes=modes,
        seeds=file.seeds or (recipe.seed,),
        entries=tuple(entries),
        rows=tuple(rows),
        monitor=assembly.task.monitor,
        length=length(assembly.trainer, assembly.data),
    )


def _assembled(file: StudyFile, recipe: Recipe, uri: str | None, problems: list[Problem]) -> Assembly | None:
    """The objects of the base recipe; building them checks it."""
    from lab.runner.assemble import assemble
    from lab.runner.weights import chosen

    try:
        assembly = assemble(recipe)
        if "start_from.run" not in file.space:  # else no trial begins with the recipe's own
            chosen(assembly, uri)
    except RecipeError as error:
        problems += checks.relocated(file, "set", file.set, error.problems)
        return None
    if assembly.trainer.world_size > 1:
        problems.append(recipe.problem("trainer.devices", "a study trains each trial in one process; set devices: 1"))
    if getattr(assembly.data, "kept_episodes", None) is not None:
        words = "each training would write the same dataset; leave it out, and keep the episodes of a single run"
        problems.append(recipe.problem("data.keep", words))
    return assembly


def _metrics(file: StudyFile, assembly: Assembly, problems: list[Problem]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The metrics and the direction of each."""
    from lab.runner.results import BEST
    from lab.task import counterpart

    task = assembly.task
    own = [] if task.monitor is None else [f"{BEST}{task.monitor}", task.monitor, counterpart(task.monitor)]
    metrics = (file.metric,) if isinstance(file.metric, str) else file.metric or tuple(own[:1])
    if not metrics:
        problems.append(file.problem("metric", f"missing; task {assembly.name!r} has no monitor to use instead"))
    known = dict.fromkeys(own, task.mode)
    if task.score is not None:
        known[task.score] = task.mode_of_score
    if file.mode is None:
        unknown = [metric for metric in metrics if metric not in known]
        if unknown:
            message = f"missing; give min or max for {', '.join(unknown)}"
            problems.append(file.problem("mode", message))
        return metrics, tuple(known.get(metric, "min") for metric in metrics)
    for metric in metrics:  # the module may log others, so this is no reason to refuse it
        is_longer = metric.startswith(tuple(f"{name}_" for name in known))  # as `val/return_std` is
        if metric not in known and not is_longer and (meant := nearest(metric, known, cutoff=0.8)):
            say(str(file.problem("metric", f"{metric!r} is no metric that the task names{meant}")))
    modes = (file.mode,) * len(metrics) if isinstance(file.mode, str) else file.mode
    if len(modes) != len(metrics):
        problems.append(file.problem("mode", f"{len(modes)} modes for {len(metrics)} metrics"))
    return metrics, modes


def _table(
    dimensions: tuple[Dimension, ...], defaults: Mapping[str, Any]
) -> tuple[tuple[Dimension, ...], list[dict[str, Any]], list[TableEntry]]:
    """Changes one key at a time from the default; rows with the same configuration share a trial."""
    choices = [dimension for dimension in dimensions if isinstance(dimension, Choice)]
    base = {choice.key: _default(choice.key, defaults) for choice in choices}
    entries: dict[str, dict[str, Any]] = {}
    rows = []
    for choice in choices:
        for value in choice.values:
            settings = base | {choice.key: value}
            entries.setdefault(identity(settings), {key: label(setting) for key, setting in settings.items()})
            rows.append(TableEntry(choice.key, value, list(entries).index(identity(settings))))
    return tuple(_with(choice, base[choice.key]) for choice in choices), list(entries.values()), rows


def _default(key: str, defaults: Mapping[str, Any]) -> Any:
    """The base recipe's value, in plain data."""
    value = defaults.get(key)
    return json.loads(json.dumps(value, default=str))


def _with(choice: Choice, value: Any) -> Choice:
    """The choice with a further value, if it is one."""
    if identity({"": value}) in {identity({"": known}) for known in choice.values}:
        return choice
    return replace(choice, values=(*choice.values, value), inner=(*choice.inner, ()))


def _grid(file: StudyFile, dimensions: tuple[Dimension, ...], problems: list[Problem]) -> Iterator[dict[str, Any]]:
    for count, entry in enumerate(combinations(dimensions)):
        if count == MOST:
            problems.append(file.problem("space", f"a grid of more than {MOST:,} trials; use random with `trials:`"))
            return
        yield entry
