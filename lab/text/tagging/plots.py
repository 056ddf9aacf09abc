"""Plots of tagged sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lab.plots import COLORS, INK, WRONG, figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SENTENCES = 10
CHARACTER = 0.078  # inches of one in the plot


def tagged(rows: Sequence[tuple[Sequence[str], Sequence[str], Sequence[str]]]) -> Figure:
    """Sentences: below each word its predicted tag, and below that the true one where it is another."""
    widest = max(sum(max(map(len, column)) + 2 for column in zip(*row, strict=True)) for row in rows)
    kinds = sorted({tag.partition("-")[2] or tag for row in rows for tags in row[1:] for tag in tags} - {"O"})
    color = dict(zip(kinds, COLORS * len(kinds), strict=False))
    with figure(width=max(4.0, CHARACTER * widest), height=0.3 + 0.55 * len(rows)) as (drawing, axes):
        axes.set(title="Test sentences with the largest loss", xlim=(0, widest), ylim=(len(rows), 0))
        axes.set_axis_off()
        for line, row in enumerate(rows):
            at = 0
            for word, true, predicted in zip(*row, strict=True):
                shown = color.get(predicted.partition("-")[2] or predicted, INK)
                axes.text(at, line + 0.3, word, fontsize=8, family="monospace", color=INK)
                if predicted != "O" or true != "O":
                    axes.text(at, line + 0.55, predicted, fontsize=7, family="monospace", color=shown)
                if true != predicted:
                    axes.text(at, line + 0.8, f"not {true}", fontsize=7, family="monospace", color=WRONG)
                at += max(len(word), len(true), len(predicted)) + 2
    return drawing
