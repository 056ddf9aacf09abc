"""Plots of a regression network: its curve with the data, and histograms of its layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from lab.plots import COLORS, INK, figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 40
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
    with figure(2, len(linear), width=3.0, height=2.3) as (drawing, panels):
        for i, (layer, values) in enumerate(zip(linear, activations, strict=True)):
            top, bottom = panels.reshape(2, -1)[:, i]
            last = i + 1 == len(linear)
            weights, biases = (each.detach().flatten().cpu().numpy() for each in (layer.weight, layer.bias))
            edges = np.histogram_bin_edges(np.concatenate([weights, biases]), BINS)
            top.hist(weights, edges, color=COLORS[0], label="weights")
            top.hist(biases, edges, color=COLORS[1], alpha=0.7, label="biases")
            top.set(title=f"{'output' if last else f'layer {i + 1}'}: {layer.in_features} to {layer.out_features}")
            bottom.hist(values.float().flatten().cpu().numpy(), BINS, color=COLORS[2], label="activations")
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
