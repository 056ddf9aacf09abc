"""Plots of classifiers of any field, and of the layers of any network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from lab.plots import COLORS, SHARES, figure, text_on

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMED = 40  # classes whose names find room beside a matrix
LISTED = 16  # layers whose names find room beside a panel
COUNTED = 16  # classes whose counts find room inside it


def confusion(matrix: Tensor, names: Sequence[str], examples: str = "images") -> Figure:
    """The confusion matrix, true classes in rows, as shares of the row.

    >>> confusion(torch.tensor([[8, 2], [1, 9]]), ["cat", "dog"]).axes[0].get_title(loc="left")
    '85.0 % of 20 test images right'

    Args:
        matrix: (K, K) counts.
        names: of the classes.
        examples: the word for what was classified.
    """
    from matplotlib.colors import PowerNorm

    count, total = len(names), matrix.sum().clamp(min=1)
    shares = matrix / matrix.sum(1, keepdim=True).clamp(min=1)
    side = 4.0 + 0.12 * min(count, NAMED)
    with figure(width=side + 0.7, height=side) as (drawing, axes):
        visible = PowerNorm(0.5, 0, 1)  # also where one in a hundred is
        image = axes.imshow(shares.numpy(), cmap=SHARES, norm=visible, interpolation="nearest")
        if count <= NAMED:
            upright = max(map(len, names)) <= 2
            axes.set_xticks(range(count), names, rotation=0 if upright else 90)
            axes.set_yticks(range(count), names)
            axes.tick_params(labelsize=9 if count <= COUNTED else 7)
        if count <= COUNTED:
            for row, column in matrix.nonzero().tolist():
                color = text_on(image.cmap(visible(float(shares[row, column]))))
                axes.text(column, row, int(matrix[row, column]), ha="center", va="center", color=color, fontsize=8)
        right = 100 * float(matrix.diagonal().sum() / total)
        numbered = "" if count <= NAMED else ", number of the class"
        axes.set(
            title=f"{right:.1f} % of {int(matrix.sum()):,} test {examples} right",
            xlabel=f"predicted class{numbered}",
            ylabel=f"true class{numbered}",
        )
        axes.grid(visible=False)
        drawing.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    return drawing


def layer_statistics(steps: Sequence[int], norms: Mapping[str, Sequence[float]], dead: Mapping[str, float]) -> Figure:
    """The norm of each layer's gradients over a training, and the share of dead units of each activation function.

    Args:
        steps: of the optimizer.
        norms: at these steps, for each layer from the first one on.
        dead: shares from 0 to 1, likewise; may be empty.
    """
    from matplotlib import colormaps

    shades = colormaps["viridis"]
    with figure(1, 2, width=5.5, height=3.8) as (drawing, axes):
        for i, (name, values) in enumerate(norms.items()):
            shade = shades(0.9 * i / max(1, len(norms) - 1))
            axes[0].plot(steps, values, color=shade, linewidth=1.2, label=name or "network")
        axes[0].set(yscale="symlog" if all(min(each) <= 0 for each in norms.values()) else "log")
        axes[0].set(title="Gradient norms, first layer dark, last bright", xlabel="optimizer step")
        if len(norms) <= LISTED:
            axes[0].legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
        places = range(len(dead))
        axes[1].barh(places, [100 * share for share in dead.values()], color=COLORS[0])
        for place, share in zip(places, dead.values(), strict=True):
            axes[1].text(100 * share, place, f" {100 * share:.0f} %", va="center", fontsize=7)
        axes[1].set_yticks(places, list(dead), fontsize=7)
        axes[1].invert_yaxis()
        axes[1].set(title="Dead units on the last validation", xlabel="share of the units, in percent", xlim=(0, 112))
        axes[1].grid(axis="y", visible=False)
    return drawing
