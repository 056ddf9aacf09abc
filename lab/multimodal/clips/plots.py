"""Plots of clips: those of which a classifier is least sure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from lab.plots import INK, WRONG, figure
from lab.vision.plots.tiles import heading, montage, rgb

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WORST = 8  # clips on a page, below each other


def most_wrong(worst: dict[str, Tensor], names: list[str]) -> Figure:
    """The clips whose true class was given the least probability, frame by frame; above each the predicted class too.

    Args:
        worst: `clip` (N, T, C, H, W) from 0 to 1, `label` (N,), `probabilities` (N, K).
        names: of the classes.
    """
    clips, probabilities = worst["clip"], worst["probabilities"].float().cpu()
    frames = clips.shape[1]
    with figure(len(clips), 1, width=7.0, height=0.3 + 7.0 / frames) as (drawing, axes):
        heading(drawing, "Test clips with the least probability for their true class")
        for i, axis in enumerate([axes] if len(clips) == 1 else axes):
            axis.set_axis_off()
            axis.imshow(montage(rgb(clips[i]), frames), interpolation="nearest")
            true, found = int(worst["label"][i]), int(probabilities[i].argmax())
            words = f"true: {names[true]} {probabilities[i, true]:.2f}"
            if found != true:
                words += f", predicted: {names[found]} {probabilities[i, found]:.2f}"
            axis.set_title(words, fontsize=8, color=WRONG if found != true else INK, weight="normal", pad=2)
    return drawing
