"""Matplotlib figures in one style, and logging them with the run.

Matplotlib is imported only by the functions that need it, and never through pyplot's global state: drawing works in a
training process without a screen and changes nothing in a notebook.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lightning import LightningModule
    from matplotlib.figure import Figure

COLORS = ("#2563eb", "#ea580c", "#059669", "#c026d3", "#ca8a04", "#0891b2", "#dc2626", "#64748b")
INK, RULE = "#334155", "#cbd5e1"  # text and lines, darker and lighter grey


@contextmanager
def figure(rows: int = 1, columns: int = 1, *, width: float = 6.0, height: float = 4.0) -> Iterator[tuple[Figure, Any]]:
    """`with figure() as (drawing, axes):` draw in the common style; other figures keep theirs.

    `axes` is a single Axes for one panel and an array of them for more, as `pyplot.subplots` gives them.

    Args:
        rows: panels from top to bottom.
        columns: panels from left to right.
        width: of one panel, in inches.
        height: of one panel, in inches.
    """
    from cycler import cycler
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {
        "axes.axisbelow": True,
        "axes.edgecolor": RULE,
        "axes.grid": True,
        "axes.labelcolor": INK,
        "axes.prop_cycle": cycler(color=COLORS),
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlecolor": INK,
        "axes.titlelocation": "left",
        "axes.titlesize": "medium",
        "axes.titleweight": "bold",
        "figure.titleweight": "bold",
        "font.size": 9,
        "grid.color": RULE,
        "grid.linewidth": 0.5,
        "legend.frameon": False,
        "text.color": INK,
        "xtick.color": RULE,
        "xtick.labelcolor": INK,
        "ytick.color": RULE,
        "ytick.labelcolor": INK,
    }
    with rc_context(style):
        drawing = Figure(figsize=(width * columns, height * rows), dpi=150, layout="constrained")
        yield drawing, drawing.subplots(rows, columns)


def better(metric: str, mode: str) -> str:
    """The label of an axis: the metric, and whether a larger or a smaller value is better."""
    return f"{metric} ({'less' if mode == 'min' else 'more'} is better)"


def log_figure(module: LightningModule, name: str, figure: Figure) -> None:
    """Log a figure with the run, as the artifact `plots/NAME`, and close it.

    Call it from any hook and on every process: only the first one writes, and only where MLflow keeps the run.

    Args:
        module: the module being trained or tested.
        name: file name such as `boundary.png`; its ending chooses the format.
        figure: any matplotlib figure.
    """
    from matplotlib import pyplot

    for logger in _trackers(module):
        logger.experiment.log_figure(logger.run_id, figure, f"plots/{name}")
    pyplot.close(figure)  # one that was made with pyplot would stay in memory until the process ends


def log_file(module: LightningModule, path: Path | str, folder: str = "plots") -> None:
    """Log a file, such as a video, as an artifact of the run in `folder`.

    Args:
        module: the module being trained or tested.
        path: the file; it is copied.
        folder: where among the run's artifacts.
    """
    for logger in _trackers(module):
        logger.experiment.log_artifact(logger.run_id, str(path), folder)


def _trackers(module: LightningModule) -> Iterator[Any]:
    """The MLflow loggers of this process: none off the first process, without a trainer, or under another logger."""
    if module.global_rank == 0:
        yield from (logger for logger in module.loggers if hasattr(logger, "run_id"))
