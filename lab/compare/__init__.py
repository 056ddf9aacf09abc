"""Finished runs side by side: which are meant, which belong together, what they score, and how sure that is.

Reads MLflow and never trains. `select` or `grouped` make groups of runs, `report` their figures, `curves` their
learning curves, and `draw` a picture of both.
"""

from lab.compare.curves import Curve, curves
from lab.compare.groups import Group, Selection, grouped, select
from lab.compare.plots import draw, draw_curves, draw_scores
from lab.compare.report import Report, Row, report
from lab.compare.selection import runs_of

__all__ = [
    "Curve",
    "Group",
    "Report",
    "Row",
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
