"""The keys of a study file: recipe, space, sampler, seeds, metric and pruner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Interval, MinLen

from lab.recipe.levels import UNKNOWN, did_you_mean, meant
from lab.recipe.load import read
from lab.recipe.schema import Document, Envelope

Sampler = Literal["none", "one_at_a_time", "grid", "random", "tpe", "cmaes", "gp", "qmc", "nsga2"]
Pruner = Literal["none", "median", "hyperband", "wilcoxon", "patient"]
Statistic = Literal["mean", "iqm", "median"]
Seed = Annotated[int, Interval(ge=0, le=2**32 - 1)]


@dataclass(frozen=True, kw_only=True)
class StudyKeys:
    """The keys of a study file.

    Args:
        recipe: the recipe's file, relative to the study's, or the name of an installed recipe or of a task.
        set: settings of the recipe that hold for every trial, by dotted key.
        space: what varies, by dotted key: a list of values, `{float: [low, high]}` or `{int: [low, high]}` with `log`
            or `step`, or a mapping from each value to the space that it opens.
        sampler: how the values of a trial are chosen; `none` trains the recipe as it is, once with each seed.
        sampler_args: keywords of Optuna's sampler.
        trials: how many trials; `one_at_a_time` and `grid` count their own.
        seeds: every trial is trained once with each; by default the recipe's own.
        metric: a final metric of a run, or several for `nsga2`; by default the task's monitor at its best checkpoint.
        mode: `max` or `min`, whether a larger or a smaller value is better; known for the task's own metric.
        statistic: how the values of the seeds become one.
        pruner: what ends a trial early.
        pruner_args: keywords of Optuna's pruner.
        columns: further final metrics for the table.
        published: values from elsewhere for comparison: for each key a list as long as that of the space.
        retries: how often a trial is retried after its process crashed.
        seed: the seed of the sampler.
    """

    recipe: str
    set: dict[str, Any] = field(default_factory=dict)
    space: dict[str, Any] = field(default_factory=dict)
    sampler: Sampler = "tpe"
    sampler_args: dict[str, Any] = field(default_factory=dict)
    trials: Annotated[int, Gt(0)] | None = None
    seeds: Annotated[tuple[Seed, ...], MinLen(1)] | None = None
    metric: str | Annotated[tuple[str, ...], MinLen(1)] | None = None
    mode: Literal["min", "max"] | tuple[Literal["min", "max"], ...] | None = None
    statistic: Statistic = "mean"
    pruner: Pruner = "none"
    pruner_args: dict[str, Any] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    published: dict[str, list[float | None]] = field(default_factory=dict)
    retries: Annotated[int, Ge(0)] = 2
    seed: Seed = 0


@dataclass(frozen=True, kw_only=True)
class StudyFile(Document, StudyKeys):
    """A study as it was read."""

    def resolved(self) -> dict[str, Any]:
        """The values of all keys as plain data."""
        plain = asdict(self)
        return {key.name: plain[key.name] for key in fields(StudyKeys)}


def load_study(path: Path | str, overrides: Sequence[str] = ()) -> StudyFile:
    """Read a study.

    Args:
        path: the YAML file.
        overrides: `a=value` settings that win over the file.

    Raises:
        RecipeError: the file or an override cannot be read; for what else is wrong see `StudyFile.problems`.
    """
    data, about = read(path, overrides)
    return build(data, **about)


def build(data: dict[Any, Any], **about: Any) -> StudyFile:
    """A study from the plain data of its file, and what a `Document` knows."""
    from lab.recipe.signature import check

    values, complaints = check(StudyKeys, {key: value for key, value in data.items() if value is not None})
    study = StudyFile(**{"recipe": "", **values, **about})
    wrong = [study.problem(key, _advised(key, message, data.get(key))) for key, message in complaints]
    if study.seeds is not None and len(set(study.seeds)) < len(study.seeds):
        wrong.append(study.problem("seeds", "the same seed twice"))
    return replace(study, problems=(*study.problems, *wrong))


def _advised(key: str, message: str, value: Any) -> str:
    """The message, with what is meant by a key that no study has."""
    if not message.startswith(UNKNOWN):
        return message
    said = message.partition(";")[0]
    if key in {each.name for each in fields(Envelope)}:
        inner = next(iter(value.items())) if isinstance(value, dict) and value else None
        setting = f"{key}: {value}" if inner is None else f"{key}.{inner[0]}: {inner[1]}"
        return f"{said}; for every trial, `set: {{{setting}}}`"
    found = meant(key, {"": [each.name for each in fields(StudyKeys)]})
    return f"{said}{did_you_mean(found)}" if found else message
