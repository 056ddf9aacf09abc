"""Comparison of finished runs: groups of runs that differ only in their seed, their statistics, and their plots.

Reads MLflow and never trains. `select` or `grouped` make groups of runs, `report` computes their statistics, `curves`
their learning curves, and `draw` plots both.
"""

from lab.comparison.curves import Curve, curves
from lab.comparison.groups import Group, Selection, grouped, select
from lab.comparison.plots import draw, draw_curves, draw_scores
from lab.comparison.report import Comparison, ComparisonRow, report
from lab.comparison.selection import runs_of

__all__ = [
    "Comparison",
    "ComparisonRow",
    "Curve",
    "Group",
    "Selection",
    "curves",
    "draw",
    "draw_curves",
    "draw_scores",
    "grouped",
    "report",
    "runs_of",
    "select",
]
