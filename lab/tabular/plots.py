"""Plots of tables: curves, layers, residuals, calibration, importance of columns, regions of classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from lab.plots import COLORS, INK, LOOKS, PAPER, figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 40
MOST_BARS = 20  # columns, the most important ones
BUCKETS = 10  # of probabilities
STILL = 1e-3  # standard deviation below which a unit says the same of everything


def curve(network: Callable[[Tensor], Tensor], pairs: Tensor, truth: Callable[[Tensor], Tensor] | None) -> Figure:
    """The network's function among the data, and a little beyond.

    Args:
        network: maps x (N, 1) to y (N, 1).
        pairs: the data (N, 2).
        truth: the function behind the data, from (N,) to (N,), where it is known.
    """
    low, high = float(pairs[:, 0].min()), float(pairs[:, 0].max())
    margin = (high - low) / 20
    x = torch.linspace(low - margin, high + margin, 400, device=pairs.device, dtype=pairs.dtype)
    with figure(width=7.0, height=4.2) as (drawing, axes):
        axes.scatter(*pairs.cpu().T, s=14, color=COLORS[0], alpha=0.6, linewidth=0, label="test data")
        if truth is not None:
            axes.plot(x.cpu(), truth(x.cpu()), color=INK, linestyle="--", linewidth=1.2, label="true function")
        axes.plot(x.cpu(), network(x[:, None]).float().cpu(), color=COLORS[1], linewidth=2, label="network")
        axes.set(title="Prediction of the network", xlabel="x", ylabel="y")
        drawing.legend(loc="outside lower center", ncols=3)
    return drawing


def layers(network: nn.Sequential, activations: Sequence[Tensor]) -> Figure:
    """Histograms of the weights and biases of each layer, and of its activations.

    Args:
        network: linear layers, with or without something between them.
        activations: what comes out of each hidden layer (N, width), and of the last one.
    """
    linear = [layer for layer in network if isinstance(layer, nn.Linear)]
    shape: dict[str, Any] = {"histtype": "stepfilled"}  # one polygon, drawn much faster than forty bars
    with figure(2, len(linear), width=3.0, height=2.3) as (drawing, panels):
        for i, (layer, values) in enumerate(zip(linear, activations, strict=True)):
            top, bottom = panels.reshape(2, -1)[:, i]
            last = i + 1 == len(linear)
            weights, biases = (each.detach().flatten().cpu().numpy() for each in (layer.weight, layer.bias))
            edges = np.histogram_bin_edges(np.concatenate([weights, biases]), BINS)
            top.hist(weights, edges, color=COLORS[0], label="weights", **shape)
            top.hist(biases, edges, color=COLORS[1], alpha=0.7, label="biases", **shape)
            top.set(title=f"{'output' if last else f'layer {i + 1}'}: {layer.in_features} to {layer.out_features}")
            bottom.hist(values.float().flatten().cpu().numpy(), BINS, color=COLORS[2], label="activations", **shape)
            still = int((values.float().std(0, correction=0) < STILL).sum())
            if not last:
                bottom.set_xlabel(f"activation; {still} of {layer.out_features} units are constant")
            else:
                bottom.set_xlabel("output")
            top.set_xlabel("weight or bias")
            for panel in (top, bottom) if i == 0 else ():
                panel.set_ylabel("count")
        handles = [handle for panel in panels.reshape(2, -1)[:, 0] for handle in panel.get_legend_handles_labels()[0]]
        drawing.legend(handles=handles, loc="outside lower center", ncols=3)
    return drawing


def importance(falls: Mapping[str, Tensor], score: str) -> Figure:
    """The mean fall of the score for each column that is shuffled, with the standard deviation over the shuffles."""
    means = {name: float(values.mean()) for name, values in falls.items()}
    names = sorted(means, key=means.__getitem__)[-MOST_BARS:]
    with figure(width=6.0, height=1.3 + 0.22 * len(names)) as (drawing, axes):
        spreads = [float(falls[name].std(correction=0)) for name in names]
        axes.barh(names, [means[name] for name in names], xerr=spreads, color=COLORS[0], ecolor=INK)
        rest = "" if len(names) == len(means) else f", the {len(names)} largest of {len(means)}"
        axes.set(title=f"Importance of columns{rest}", xlabel=f"fall of test/{score} when the column is shuffled")
        axes.grid(axis="y", visible=False)
    return drawing


def calibration(probabilities: Tensor, labels: Tensor) -> Figure:
    """The accuracy of predictions by the probability (N, K) that they were given, with their number."""
    confidence, predicted = probabilities.max(1)
    right = predicted == labels
    edges = torch.linspace(0, 1, BUCKETS + 1)
    place = (torch.bucketize(confidence, edges) - 1).clamp(0, BUCKETS - 1)
    counts = place.bincount(minlength=BUCKETS)
    shares, means = ((place.bincount(each.double(), BUCKETS) / counts).numpy() for each in (right, confidence))
    bars, known = counts.numpy(), (counts > 0).numpy()
    with figure(2, 1, width=4.6, height=2.2) as (drawing, (top, bottom)):
        drawing.set_size_inches(4.6, 5.0)
        top.plot([0, 1], [0, 1], color=INK, linestyle="--", linewidth=1, label="calibrated")
        top.plot(means[known], shares[known], marker="o", color=COLORS[0], label="network")
        top.set(title="Calibration", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1.03))
        top.legend(loc="upper left")
        bottom.bar((edges[:-1] + 0.5 / BUCKETS).numpy(), bars, 0.9 / BUCKETS, color=COLORS[0])
        bottom.set(xlabel="probability of the predicted class", ylabel="test rows", xlim=(0, 1))
    return drawing


def residuals(predicted: Tensor, target: Tensor) -> Figure:
    """Predictions against targets, and what is left over against predictions; (N,) each."""
    with figure(1, 2, width=3.6, height=3.4) as (drawing, (left, right)):
        said, true = predicted.numpy(), target.numpy()
        ends = [min(said.min(), true.min()), max(said.max(), true.max())]
        left.scatter(true, said, s=12, color=COLORS[0], alpha=0.6, linewidth=0)
        left.plot(ends, ends, color=INK, linestyle="--", linewidth=1)
        left.set(title="Test rows", xlabel="target", ylabel="prediction")
        right.scatter(said, true - said, s=12, color=COLORS[0], alpha=0.6, linewidth=0)
        right.axhline(0, color=INK, linestyle="--", linewidth=1)
        right.set(title="Residuals", xlabel="prediction", ylabel="target - prediction")
    return drawing


def regions(classify: Callable[[Tensor], Tensor], x: Tensor, labels: Tensor, names: Sequence[str]) -> Figure:
    """The class that is predicted at each place of the plane, with the rows x (N, 2) of the test.

    Args:
        classify: rows (N, 2) -> predicted classes (N,).
        x: the rows.
        labels: their classes, (N,).
        names: of the classes.
    """
    low, high = x.amin(0), x.amax(0)
    low, high = low - 0.1 * (high - low), high + 0.1 * (high - low)
    across, up = (torch.linspace(float(a), float(b), 200) for a, b in zip(low, high, strict=True))
    grid = torch.cartesian_prod(up, across).flip(1).to(x.device)
    looks = [LOOKS[i % len(LOOKS)] for i in range(len(names))]
    with figure(width=4.8, height=4.4) as (drawing, axes):
        from matplotlib.colors import ListedColormap
        from scipy.ndimage import distance_transform_edt

        said = classify(grid).cpu().view(200, 200).numpy()
        extent = (float(low[0]), float(high[0]), float(low[1]), float(high[1]))
        look = {
            "cmap": ListedColormap([color for color, _ in looks]),
            "vmin": -0.5,
            "vmax": len(names) - 0.5,
            "alpha": 0.25,
        }
        axes.imshow(said, origin="lower", extent=extent, aspect="auto", interpolation="nearest", **look)
        for i, (name, (color, marker)) in enumerate(zip(names, looks, strict=True)):
            points = x[labels == i].cpu().numpy()
            axes.scatter(points[:, 0], points[:, 1], s=18, color=color, marker=marker, linewidth=0, label=name)
            if (here := np.pad(said == i, 1)).any():  # the name, where the region is widest
                row, column = np.unravel_index(distance_transform_edt(here).argmax(), here.shape)
                place = (float(across[column - 1]), float(up[row - 1]))
                box = {"color": PAPER, "alpha": 0.6, "pad": 1.5}
                axes.annotate(name, place, ha="center", va="center", bbox=box, zorder=0.5)  # below the rows
        axes.set(title="Predicted class (ground) and true class (marks)", xlabel="first column", ylabel="second column")
        axes.grid(visible=False)
        drawing.legend(loc="outside lower center", ncols=min(len(names), 4))
    return drawing
