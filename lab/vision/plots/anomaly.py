"""Plots of anomaly detection: the errors of known and unknown images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from lab.plots import RIGHT, WRONG, figure
from lab.vision.anomaly import Anomalies

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 40


def errors(found: Mapping[str, Anomalies]) -> Figure:
    """Histograms of the errors of both kinds of images, for each method by its name."""
    with figure(1, len(found), width=3.6, height=3.0) as (drawing, axes):
        places = np.atleast_1d(axes)
        for place, (name, each) in zip(places, found.items(), strict=True):
            edges = np.histogram_bin_edges(each.errors.numpy(), BINS)
            for kind, color, label in ((~each.unknown, RIGHT, "known classes"), (each.unknown, WRONG, "left out")):
                place.hist(each.errors[kind].numpy(), edges, density=True, alpha=0.6, color=color, label=label)
            place.set(title=f"{name}: ROC area {each.auroc:.3f}", xlabel="squared error of a pixel", ylabel="density")
        drawing.legend(*places[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return drawing
