"""Pictures of an agent with few state variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from lab import plots

if TYPE_CHECKING:
    from lab.rl.agent import Agent

# environments whose state is a plane: name -> (first axis, second axis, their ranges, state -> observation)
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
}
POINTS = 121


@torch.inference_mode()
def draw_policy(agent: Agent) -> None:
    """Logs `policy.png`, the greedy action over the plane of states, where there is such a plane."""
    if agent.env not in PLANES:
        return
    (x_name, x_range), (y_name, y_range), observe = PLANES[agent.env]
    x, y = np.meshgrid(np.linspace(*x_range, POINTS), np.linspace(*y_range, POINTS), indexing="ij")
    observation = torch.as_tensor(observe(x, y), dtype=torch.float32, device=agent.device).reshape(POINTS**2, -1)
    action = agent(observation).float().cpu().numpy().reshape(POINTS, POINTS)
    with plots.figure(width=6, height=4.5) as (drawing, axes):
        limit = float(np.abs(action).max())
        mesh = axes.pcolormesh(x, y, action, cmap="RdBu_r", vmin=-limit, vmax=limit, shading="gouraud", rasterized=True)
        axes.contour(x, y, action, levels=[0], colors="black", linewidths=0.8)
        axes.set(xlabel=x_name, ylabel=y_name, title=f"Greedy action of {type(agent).__name__} on {agent.env}")
        axes.grid(False)
        drawing.colorbar(mesh, ax=axes, label="action")
    plots.log_figure(agent, "policy.png", drawing)
