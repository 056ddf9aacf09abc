"""Matplotlib figures in one style, the curves of a training, and logging figures with the run.

Matplotlib is imported only by the functions that need it, and never through pyplot's global state: drawing works in a
training process without a screen and changes nothing in a notebook.

`LAB_PLOT_STYLE=dark` in the environment draws every figure on a dark ground.
"""

from __future__ import annotations

import math
import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from lightning import LightningModule
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by colour-blind readers too; wine and grey in place of yellow and black, which
# cannot be seen on white or on a dark ground. Color universal design, 2008, and Tol's colour schemes, 2021.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255", "#64748b")
RIGHT, WRONG = COLORS[0], COLORS[1]  # of predictions
SEQUENTIAL, SHARES, DIVERGING = "viridis", "Blues", "RdBu_r"  # colour maps: of values, of shares of one, and around 0
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LOOKS = [(COLORS[i % 8], MARKERS[(i + i // 8) % 8]) for i in range(64)]  # of classes; each eight also by marks alone
STYLE = "LAB_PLOT_STYLE"  # in the environment: `light` or `dark`
DARK = os.environ.get(STYLE, "").strip().lower() == "dark"
# ground, text, lines
PAPER, INK, RULE = ("#0f172a", "#e2e8f0", "#475569") if DARK else ("#ffffff", "#334155", "#cbd5e1")

History = Mapping[str, Sequence[tuple[float, float]]]  # of a run: steps and values of each metric, ascending

PAGE, TALL = 6.8, 1.8  # inches: the width that at 100 dots each fits into MLflow's page of a run; height of a panel
MOST_PANELS, MOST_LINES = 3, 6  # in the picture of a training, and in a panel
DRAWN, SINGLE = 1000, 30  # points of a curve, and up to how many each is marked
WIDE = 100  # of the largest and the smallest loss, from which on their axis is logarithmic
_STAGES = {"train": "training", "training": "training", "val": "validation", "valid": "validation"}
_STAGES |= {"validation": "validation", "eval": "validation", "evaluation": "validation"}
_COLORED = {"training": COLORS[0], "validation": COLORS[1]}  # the same in every panel
_OTHERS = re.compile(r"(test|best/|system/|seconds/)", re.IGNORECASE)  # how the names of no curves begin


@contextmanager
def figure(
    rows: int = 1,
    columns: int = 1,
    *,
    width: float = 6.0,
    height: float = 4.0,
    layout: Literal["constrained"] | None = "constrained",
) -> Iterator[tuple[Figure, Any]]:
    """`with figure() as (drawing, axes):` draw in the common style; other figures keep theirs.

    `axes` is a single Axes for one panel and an array of them for more, as `pyplot.subplots` gives them.

    >>> with figure(1, 2, width=3.0) as (drawing, axes):
    ...     lines = axes[0].plot([0, 1], [0.3, 0.2])
    >>> axes.shape, float(drawing.get_figwidth())
    ((2,), 6.0)

    Args:
        rows: panels from top to bottom.
        columns: panels from left to right.
        width: of one panel, in inches.
        height: of one panel, in inches.
        layout: makes room for labels; None leaves the margins to you, and is drawn twice as fast.
    """
    from cycler import cycler
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    _check_style()
    style: dict[Any, Any] = {
        "axes.axisbelow": True,
        "axes.edgecolor": RULE,
        "axes.facecolor": PAPER,
        "axes.grid": True,
        "axes.labelcolor": INK,
        "axes.prop_cycle": cycler(color=COLORS),
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlecolor": INK,
        "axes.titlelocation": "left",
        "axes.titlesize": "medium",
        "axes.titleweight": "bold",
        "figure.facecolor": PAPER,
        "figure.titleweight": "bold",
        "font.size": 9,
        "grid.color": RULE,
        "grid.linewidth": 0.5,
        "legend.frameon": False,
        "savefig.facecolor": PAPER,
        "text.color": INK,
        "xtick.color": RULE,
        "xtick.labelcolor": INK,
        "ytick.color": RULE,
        "ytick.labelcolor": INK,
    }
    with rc_context(style):
        drawing = Figure(figsize=(width * columns, height * rows), dpi=150, layout=layout)
        yield drawing, drawing.subplots(rows, columns)


@cache
def _check_style() -> None:
    """Says once that the environment asks for a style that there is not."""
    if (asked := os.environ.get(STYLE, "").strip()).lower() not in ("", "light", "dark"):
        print(f"{STYLE}: expected light or dark, found {asked!r}; plots are light", file=sys.stderr)


def better(metric: str, mode: str) -> str:
    """The label of an axis: the metric, and whether a larger or a smaller value is better.

    >>> better("val/loss", "min")
    'val/loss (less is better)'
    """
    return f"{metric} ({'less' if mode == 'min' else 'more'} is better)"


def text_on(color: Any) -> str:
    """Black or white, whichever is read better on a colour of matplotlib's.

    >>> text_on("navy"), text_on("#ffffcc")
    ('white', 'black')
    """
    from matplotlib.colors import to_rgb

    red, green, blue = (part / 12.92 if part <= 0.04 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(color))
    return "white" if 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.18 else "black"


def columns_of(panels: int, most: int) -> int:
    """The number of columns in which so many panels leave the fewest places empty.

    >>> columns_of(6, most=4), columns_of(2, most=4)
    (3, 2)
    """
    fewest = min(panels, math.ceil(most / 2))
    return min(range(fewest, min(panels, most) + 1), key=lambda columns: (-panels % columns, -columns))


def thousands(value: float, _: int = 0) -> str:
    """The number of a tick in a few characters.

    >>> thousands(20_000), thousands(1.5e6), thousands(0.25)
    ('20k', '1.5M', '0.25')
    """
    return f"{value / 1e6:g}M" if abs(value) >= 1e6 else f"{value / 1e3:g}k" if abs(value) >= 1e4 else f"{value:g}"


# ------------------------------------------------------------------------------------------- the curves of one training


def training_curves(
    history: History,
    monitor: str | None = None,
    mode: Literal["min", "max"] = "max",
    axis: str | None = None,
    title: str = "",
) -> Figure | None:
    """A run's losses and its monitored metric over its steps, a panel for each, training and validation together.

    None if nothing of the kind was logged.

    >>> history = {"train/loss": [(0, 1.0), (9, 0.2)], "val/loss": [(9, 0.3)], "val/accuracy": [(9, 0.8)]}
    >>> [axes.get_title(loc="left") for axes in training_curves(history, monitor="val/accuracy").axes]
    ['accuracy (more is better)', 'loss']

    Args:
        history: the steps and values of each metric.
        monitor: the metric that chose the best checkpoint, which is marked.
        mode: whether a larger (`max`) or a smaller (`min`) value of that is better.
        axis: label of the steps; by default environment steps where the run logged them.
        title: above the panels, such as the run's name.
    """
    if not (panels := _panels(history, monitor)):
        return None
    axis = axis or ("environment steps" if "env_steps" in history else "training steps")
    legends = {name: len(lines) + (monitor in lines) for name, lines in panels.items()}  # lines of text
    above, below = 0.55 if title else 0.3, 0.5 + 0.16 * max([0, *(each for each in legends.values() if each > 1)])
    width, height = PAGE / max(len(panels), 2), above + TALL + below
    with figure(1, len(panels), width=width, height=height, layout=None) as (drawing, axes):
        whole = width * len(panels)
        drawing.subplots_adjust(0.6 / whole, below / height, 1 - 0.1 / whole, 1 - above / height, 0.6 / width)
        for panel, (name, lines) in zip([axes] if len(panels) == 1 else axes, panels.items(), strict=True):
            words = {metric: _word(metric) for metric in lines}
            others = [word for word in dict.fromkeys(words.values()) if word not in _COLORED]
            for metric, word in words.items():
                color = _COLORED.get(word) or COLORS[(len(_COLORED) + others.index(word)) % len(COLORS)]
                _curve(panel, history[metric], word, color)
            if monitor in lines:
                _best(panel, history[monitor], mode)
            values = [value for metric in lines for _, value in history[metric] if math.isfinite(value)]
            scale = "log" if "loss" in name and 0 < WIDE * min(values) < max(values) else "linear"
            panel.set(xlabel=axis, yscale=scale, title=better(name, mode) if monitor in lines else name)
            panel.xaxis.set_major_formatter(thousands)
            panel.xaxis.get_major_locator().set_params(nbins=4)
            panel.tick_params(labelsize=8)
            if legends[name] > 1:
                look = {"borderaxespad": 0, "fontsize": 7, "handlelength": 1.2, "labelspacing": 0.3}
                panel.legend(loc="upper left", bbox_to_anchor=(0, -0.43 / TALL), **look)
        if title:
            drawing.suptitle(title, x=0.01, ha="left", fontsize="medium")
    return drawing


def _panels(history: History, monitor: str | None) -> dict[str, list[str]]:
    """The metrics of each panel by what they measure, the monitored one first, and then the losses."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, points in history.items():
        if not _OTHERS.match(name) and any(math.isfinite(value) for _, value in points):
            found[_measure(name)].append(name)
    wanted = [] if monitor is None or monitor not in history else [_measure(monitor)]
    wanted += [measure for measure in found if measure not in wanted and "loss" in measure.lower()]
    chosen = {measure: _once(found[measure]) for measure in wanted if found[measure]}
    return {measure: sorted(names, key=_word)[:MOST_LINES] for measure, names in list(chosen.items())[:MOST_PANELS]}


def _measure(name: str) -> str:
    """A metric's name without its stage and without what Lightning appends: `valid_loss_epoch` -> `loss`."""
    name = re.sub(r"(_step|_epoch)?(/dataloader_idx_\d+)?$", "", name)
    parts = [part for part in re.split(r"([/_.\-])", name) if part.lower() not in _STAGES]
    return "".join(parts).strip("/_.-") or name


def _once(names: Sequence[str]) -> list[str]:
    """Without those of each step where there are those of each epoch, which say the same with less noise."""
    return [name for name in names if re.sub("_step$", "_epoch", name) not in {*names} - {name}]


def _word(name: str) -> str:
    """The name of a curve in its panel: its stage, and its loader where there are several."""
    stage = next((_STAGES[part.lower()] for part in re.split(r"[/_.\-]", name) if part.lower() in _STAGES), None)
    loader = re.search(r"/dataloader_idx_(\d+)$", name)
    return f"{stage or name}{f', loader {loader.group(1)}' if loader else ''}"


def _curve(axes: Any, points: Sequence[tuple[float, float]], label: str, color: str) -> None:
    kept = [(step, value) for step, value in points if math.isfinite(value)]
    kept = [*kept[: -1 : max(1, len(kept) // DRAWN)], *kept[-1:]]
    look = {"marker": "o", "markersize": 3} if len(kept) <= SINGLE else {"linewidth": 1}
    axes.plot(*zip(*kept, strict=True), label=label, color=color, **look)


def _best(axes: Any, points: Sequence[tuple[float, float]], mode: str) -> None:
    kept = [(step, value) for step, value in points if math.isfinite(value)]
    step, value = (min if mode == "min" else max)(kept, key=lambda point: point[1])
    look: dict[str, Any] = {"marker": "o", "markersize": 9, "markerfacecolor": "none", "linestyle": "none"}
    axes.plot([step], [value], color=INK, label=f"best checkpoint, {value:.4g}", **look)


# --------------------------------------------------------------------------------------------------- with a run's files


def log_figure(module: LightningModule, name: str, figure: Figure) -> None:
    """Log a figure with the run, as the artifact `plots/NAME`, and close it.

    Call it from any hook and on every process: only the first one writes, and only where MLflow keeps the run.

    >>> from lightning import LightningModule
    >>> log_figure(LightningModule(), "loss.png", training_curves({"loss": [(0, 1.0)]}))  # without a run: nothing

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

    >>> from lightning import LightningModule
    >>> log_file(LightningModule(), "episode.mp4", "videos")  # without a run: nothing

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
