"""Plots of an agent with few state variables."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from lab import plots

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

    from lab.rl.common.agent import Agent

# environments whose state is a plane, or has one worth seeing:
# name -> (first axis, second axis, their ranges, state -> observation)
PLANES = {
    "Pendulum-v1": (
        ("angle from upright [rad]", (-np.pi, np.pi)),
        ("angular velocity [rad/s]", (-8.0, 8.0)),
        lambda angle, speed: np.stack([np.cos(angle), np.sin(angle), speed], -1),
    ),
    "MountainCarContinuous-v0": (
        ("position", (-1.2, 0.6)),
        ("velocity", (-0.07, 0.07)),
        lambda position, speed: np.stack([position, speed], -1),
    ),
    "CartPole-v1": (
        ("angle of the pole [rad]", (-0.21, 0.21)),
        ("angular velocity [rad/s]", (-2.0, 2.0)),
        lambda angle, speed: np.stack([0 * angle, 0 * angle, angle, speed], -1),  # the cart rests in the middle
    ),
}
POINTS = 121


@torch.inference_mode()
def draw_policy(agent: Agent) -> None:
    """Logs `policy.png`, the greedy action over the plane of states, where there is such a plane."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    if agent.env not in PLANES:
        return
    with plots.figure(width=6, height=4.5) as (drawing, axes):
        x, y, action = _over_the_plane(agent, agent, axes)
        axes.set(title=f"Greedy action of {type(agent).__name__} on {agent.env}")
        if np.issubdtype(action.dtype, np.integer):
            count = max(2, int(action.max()) + 1)
            several = colormaps[plots.SEQUENTIAL].resampled(count)
            map_of = ListedColormap(plots.COLORS[:count]) if count <= len(plots.COLORS) else several
            colours = {"cmap": map_of, "vmin": -0.5, "vmax": count - 0.5}
            mesh = axes.pcolormesh(x, y, action, shading="nearest", rasterized=True, **colours)
            drawing.colorbar(mesh, ax=axes, label="action", ticks=range(count), shrink=0.6)
        else:
            limit = float(np.abs(action).max())
            colours = {"cmap": plots.DIVERGING, "vmin": -limit, "vmax": limit}
            mesh = _smooth(axes, x, y, action, **colours)
            axes.contour(x, y, action, levels=[0], colors="black", linewidths=0.8)
            drawing.colorbar(mesh, ax=axes, label="action")
    plots.log_figure(agent, "policy.png", drawing)


@torch.inference_mode()
def draw_value(agent: Agent, value: Callable[[Tensor], Tensor]) -> None:
    """Logs `value.png`, the critic's value of the plane's states, where there is such a plane.

    Args:
        agent: whose critic it is.
        value: observations (B, O) -> values, B numbers.
    """
    if agent.env not in PLANES:
        return
    with plots.figure(width=6, height=4.5) as (drawing, axes):
        x, y, found = _over_the_plane(agent, value, axes)
        mesh = _smooth(axes, x, y, found, cmap=plots.SEQUENTIAL)
        axes.set(title=f"Value of {type(agent).__name__} on {agent.env}")
        drawing.colorbar(mesh, ax=axes, label="value")
    plots.log_figure(agent, "value.png", drawing)


def _smooth(axes: Axes, x: np.ndarray, y: np.ndarray, values: np.ndarray, **colours: Any) -> AxesImage:
    """Draws values as an image, the grid's points at the centres of its pixels: half the time of a shaded mesh."""
    half = [(each.max() - each.min()) / (POINTS - 1) / 2 for each in (x, y)]
    extent = (x.min() - half[0], x.max() + half[0], y.min() - half[1], y.max() + half[1])
    return axes.imshow(values.T, origin="lower", extent=extent, aspect="auto", interpolation="bilinear", **colours)


def _over_the_plane(
    agent: Agent, function: Callable[[Tensor], Tensor], axes: Axes
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels the axes; both coordinates and `function` of the observations there, each (POINTS, POINTS)."""
    (x_name, x_range), (y_name, y_range), observe = PLANES[agent.env]
    x, y = np.meshgrid(np.linspace(*x_range, POINTS), np.linspace(*y_range, POINTS), indexing="ij")
    observation = torch.as_tensor(observe(x, y)).to(agent.device, agent.dtype).reshape(POINTS**2, -1)  # type: ignore[arg-type]
    axes.set(xlabel=x_name, ylabel=y_name)
    axes.grid(False)
    found = function(observation)
    found = found.float() if found.is_floating_point() else found  # half precision is none of NumPy's
    return x, y, found.cpu().numpy().reshape(POINTS, POINTS)
