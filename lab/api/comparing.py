"""`lab.compare`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from lab.api import html
from lab.api.repeated import RepeatedRuns
from lab.api.session import reading
from lab.api.settings import refuses_other_keywords
from lab.api.studies import TunedStudy
from lab.api.wording import in_python
from lab.errors import BadInput
from lab.runner.results import RunResult
from lab.sentences import note

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

    from lab.comparison import Comparison, Selection

Compared = str | RunResult | RepeatedRuns | TunedStudy


@dataclass(frozen=True, repr=False)
class ComparedRuns:
    """Groups of finished runs that differ only in their seeds, and how their scores compare.

    Args:
        selection: the groups, and the metric that is their score.
        comparison: the statistics, a row for each group; the first is the reference.
        uri: the tracking server.
    """

    selection: Selection
    comparison: Comparison
    uri: str

    @property
    def metric(self) -> str:
        """The score."""
        return self.selection.metric

    @property
    def notes(self) -> list[str]:
        """The runs that were left out, each with the reason."""
        return list(map(in_python, self.selection.notes))

    def to_frame(self) -> DataFrame:
        """A row for each group, by its label.

        Columns are `runs`, `mean`, `iqm` (interquartile mean), `low` and `high` (its 95 % bootstrap interval), `min`,
        `max`, and `better`: the probability that one of its runs is better than one of the first group's, with its own
        interval `better_low` and `better_high`.
        """
        import pandas as pd

        rows: dict[str, dict[str, Any]] = {}
        for row in self.comparison.rows:
            chance = row.better.interval if row.better else None
            rows[row.label] = {
                "runs": row.runs,
                "mean": row.mean,
                "iqm": row.iqm,
                "low": row.interval.low if row.interval else None,
                "high": row.interval.high if row.interval else None,
                "min": row.min,
                "max": row.max,
                "better": row.better.probability if row.better else None,
                "better_low": chance.low if chance else None,
                "better_high": chance.high if chance else None,
            }
        return pd.DataFrame.from_dict(rows, orient="index")

    def plot(self, *curve: str) -> Figure:
        """A figure: the learning curves of all groups, and their scores with intervals.

        Args:
            curve: the metrics to draw over time, by default the score in validation; `a,b` means a, or b where there is
                none.
        """
        from lab.api.figures import shown
        from lab.comparison import curves
        from lab.comparison.curves import missing
        from lab.comparison.plots import draw_all
        from lab.tracking.server import client

        with reading():
            server = client(self.uri)
            chosen = replace(self.selection, curves=list(curve) or self.selection.curves)
            lines = [line for metric in chosen.curves for line in curves(chosen.groups, metric, server)]
            for line in missing(chosen.groups, chosen.curves, lines):
                note(line)
            return shown(draw_all(chosen, self.comparison, lines))

    def __repr__(self) -> str:
        groups = ", ".join(f"{row.label} ({row.runs})" for row in self.comparison.rows)
        return f"ComparedRuns({self.metric}: {groups})"

    def _repr_html_(self) -> str:
        from lab.plots import better
        from lab.stages import number

        titles = ["group", "runs", "mean", "IQM", "95 % of IQM", "min", "max"]
        rows = [
            [
                row.label,
                str(row.runs),
                *map(number, (row.mean, row.iqm)),
                html.span(row.interval),
                *map(number, (row.min, row.max)),
            ]
            for row in self.comparison.rows
        ]
        if len(rows) > 1:
            titles.append(f"better than {self.comparison.reference}")
            for row, cells in zip(self.comparison.rows, rows, strict=True):
                chance = row.better
                cells.append("-" if chance is None else f"{chance.probability:.2f} {html.span(chance.interval)}")
        notes = [html.note(line) for line in self.notes]
        return html.page(better(self.metric, self.comparison.mode), html.table(rows, titles), *notes)


@refuses_other_keywords
def compare(
    *what: Compared,
    metric: str | None = None,
    mode: Literal["min", "max"] | None = None,
    uri: str | None = None,
) -> ComparedRuns:
    """Compare finished runs over their seeds, with intervals, as `lab compare` does.

    >>> compare("ddpg_pendulum").metric
    'test/return'

    Args:
        what: recipes, experiments, studies, or runs by name or id; `recipe:NAME` selects the kind. Also results of
            `lab.run` and `lab.tune`.
        metric: the score; by default the one that the runs record.
        mode: whether a smaller or a larger score is better; by default as recorded.
        uri: the tracking server or database; MLFLOW_TRACKING_URI or sqlite:///mlflow.db by default.

    Raises:
        BadInput: a name is unknown or means several things, no run has finished, or scores cannot be compared.
        LabError: the server cannot be reached.
    """
    from lab import comparison
    from lab.tracking.server import tracking_uri

    if not what:
        raise BadInput("nothing to compare; give recipes, experiments, studies or runs")
    for each in what:
        _check(each)
    with reading():
        address = tracking_uri(uri or next(filter(None, map(_address, what)), None))
        chosen = comparison.select([_word(each) for each in what], metric, mode, address)
        return ComparedRuns(chosen, comparison.report(chosen.groups, chosen.mode, chosen.ranked), address)


def _check(what: object) -> None:
    """Callers have no type checker."""
    if not isinstance(what, Compared):
        kind = type(what).__name__
        raise BadInput(f'expected names, ids or results, such as compare("a", "b"); found a {kind}')


def _word(what: Compared) -> str:
    if isinstance(what, str):
        return what
    return what.run_id if isinstance(what, RunResult) else f"study:{what.name}"


def _address(what: Compared) -> str | None:
    """The address at which a result is recorded."""
    if isinstance(what, RunResult):
        return what.uri
    if isinstance(what, RepeatedRuns):
        return what.repetition.study.uri
    return what.tuned.uri if isinstance(what, TunedStudy) else None
