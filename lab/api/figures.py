"""Figures that a notebook shows, whether pyplot is in use there or not."""

from __future__ import annotations

import io
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 100  # dots per inch in a notebook


def shown(figure: Figure) -> Figure:
    """The figure, which IPython draws as the value of a cell; of one made without pyplot it would print the name."""
    vars(figure)["_repr_png_"] = partial(_png, figure)
    return figure


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI)
    return file.getvalue()
