"""Groups of runs that differ only in their seed."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from lab.comparison.differences import ENVIRONMENT, labels, members, settings
from lab.comparison.metric import curve_metrics, score_metric, score_mode, validation_metric
from lab.comparison.selection import runs_of
from lab.errors import BadInput
from lab.runner.results import SCORE
from lab.tracking.server import client, has_runs, no_runs, tracking_uri

if TYPE_CHECKING:
    from mlflow.entities import Run

    from lab.stats import Mode

T = TypeVar("T")


@dataclass(frozen=True)
class Group:
    """Runs of one configuration.

    Args:
        label: its name, made of the settings in which it differs from the others.
        settings: the parameters in which the groups differ, as MLflow keeps them: by dotted name, as text.
        scores: by environment, then by seed; runs without an environment are all under "".
        runs: the ids of the runs, in the same way.
    """

    label: str
    settings: dict[str, str]
    scores: dict[str, dict[int, float]]
    runs: dict[str, dict[int, str]]

    @property
    def strata(self) -> list[list[float]]:
        """The scores as `lab.stats` wants them: environments, in alphabetical order, x seeds."""
        return [list(self.scores[environment].values()) for environment in sorted(self.scores)]


@dataclass(frozen=True)
class Selection:
    """The groups of a comparison.

    Args:
        groups: at least one; all of them have runs on the same environments.
        metric: the score.
        mode: whether more (`max`) or less (`min`) of it is better.
        curves: the metrics of the learning curves: by default the score's counterpart in validation, if every run
            logged it.
        axis: what the steps of curves are.
        ranked: whether the groups have no order of their own, so that the best one comes first.
        notes: which runs were left out, and why; one line each.
    """

    groups: list[Group]
    metric: str
    mode: Mode
    curves: list[str]
    axis: str
    ranked: bool
    notes: list[str]


def select(
    words: Sequence[str],
    metric: str | None = None,
    mode: Mode | None = None,
    uri: str | None = None,
    curves: Sequence[str] = (),
) -> Selection:
    """The runs that the names refer to (see `runs_of`), in groups.

    Args:
        words: studies, recipes, experiments, names or ids.
        metric: the score; by default the metric that the runs record as theirs.
        mode: whether a smaller or a larger score is better; by default what the runs recorded.
        uri: the tracking server.
        curves: the metrics of the learning curves, as `lab.comparison.curves` takes them.

    Raises:
        BadInput: a word is unknown or ambiguous, no run is left, or the scores cannot be compared.
        LabError: the server cannot be reached.
    """
    address = tracking_uri(uri)
    if not has_runs(address):
        raise BadInput(no_runs(address))
    return grouped(runs_of(words, client(address)), metric, mode, curves)


def grouped(
    named: Mapping[str, Sequence[Run]],
    metric: str | None = None,
    mode: Mode | None = None,
    curves: Sequence[str] = (),
) -> Selection:
    """These runs in groups: one for each name and each configuration under it.

    Only finished runs count. Of several runs with the same configuration and seed the newest one counts.

    Args:
        named: runs by what they are called in labels, such as a recipe's name; one name is left out of the labels if
            its runs make several groups.
        metric: the score; by default the metric that the runs record as theirs.
        mode: whether a smaller or a larger score is better; by default what the runs recorded.
        curves: the metrics of the learning curves, as `lab.comparison.curves` takes them.

    Raises:
        BadInput: no run is left, or the scores cannot be compared.
    """
    notes: list[str] = []
    finished = {name: [run for run in runs if run.info.status == "FINISHED"] for name, runs in named.items()}
    _left_out(notes, _count(named) - _count(finished), "not finished")
    _refuse_empty(finished, "has no finished runs")
    everything = [run for runs in finished.values() for run in runs]
    if metric is None and not any(SCORE in run.data.tags for run in everything):
        metric = score_metric(everything)
        notes.append(f"no run records a score; compared by {metric}, less is better; --metric names another")
    metric = score_metric(everything, metric)
    tasks = sorted({run.data.tags.get("task", run.data.params.get("task", "")) for run in everything} - {""})
    if len(tasks) > 1:
        notes.append(f"these are runs of different tasks ({', '.join(tasks)}): {metric} may not mean the same in them")
    scored = {name: [run for run in runs if _score(run, metric) is not None] for name, runs in finished.items()}
    _left_out(notes, _count(finished) - _count(scored), f"no finite {metric}")
    _refuse_empty(scored, f"has no finished runs with a finite {metric}")
    everything = [run for runs in scored.values() for run in runs]

    apart = members(scored)
    differing = settings(apart)
    groups = [
        _group(label, own, runs, metric)
        for label, own, runs in zip(labels(apart, differing), differing, apart.values(), strict=True)
    ]
    kept = sum(len(seeds) for group in groups for seeds in group.runs.values())
    _left_out(notes, len(everything) - kept, "a newer one has the same settings and seed")
    _same_environments(groups)
    if len(groups[0].scores) > 1:
        notes.append(
            f"scores of {len(groups[0].scores)} environments are pooled as they are: means favour the ones with large "
            "scores, probabilities do not"
        )
    return Selection(
        groups=groups,
        metric=metric,
        mode=score_mode(everything, metric, mode),
        curves=curve_metrics(everything, curves) or [validation_metric(everything, metric)],
        axis="environment steps" if all("env_steps" in run.data.metrics for run in everything) else "training steps",
        ranked=len(groups) > len(named),
        notes=notes,
    )


def _group(label: str, settings: dict[str, str], runs: Iterable[Run], metric: str) -> Group:
    """The newest run of each seed on each environment."""
    scores: dict[str, dict[int, float]] = defaultdict(dict)
    ids: dict[str, dict[int, str]] = defaultdict(dict)
    for number, run in enumerate(sorted(runs, key=_newest_first)):
        environment, score = run.data.params.get(ENVIRONMENT, ""), _score(run, metric)
        text = run.data.tags.get("seed", run.data.params.get("seed", ""))
        seed = int(text) if text.isdecimal() else -1 - number  # one that somebody else recorded counts for itself
        if seed not in ids[environment] and score is not None:
            scores[environment][seed], ids[environment][seed] = score, run.info.run_id
    return Group(label, settings, _sorted(scores), _sorted(ids))


def _newest_first(run: Run) -> tuple[int, str]:
    return -(run.info.end_time or 0), run.info.run_id


def _sorted(table: Mapping[str, dict[int, T]]) -> dict[str, dict[int, T]]:
    return {environment: dict(sorted(table[environment].items())) for environment in sorted(table)}


def _score(run: Run, metric: str) -> float | None:
    value = run.data.metrics.get(metric, math.nan)
    return value if math.isfinite(value) else None


def _same_environments(groups: Sequence[Group]) -> None:
    everywhere = {environment for group in groups for environment in group.scores}
    for group in groups:
        if missing := sorted(everywhere - set(group.scores)):
            raise BadInput(
                f"{group.label} has no finished run on {', '.join(name or 'no environment' for name in missing)}, "
                "and others have; scores of different environments cannot be compared"
            )


def _refuse_empty(named: Mapping[str, Sequence[Run]], why: str) -> None:
    for name, runs in named.items():
        if not runs:
            raise BadInput(f"{name!r} {why}; lab runs lists all")


def _count(named: Mapping[str, Sequence[Run]]) -> int:
    return sum(map(len, named.values()))


def _left_out(notes: list[str], count: int, why: str) -> None:
    if count:
        notes.append(f"{count} run{'s' if count > 1 else ''} left out: {why}")
