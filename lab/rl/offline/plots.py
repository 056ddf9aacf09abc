"""Plots of offline agents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lab import plots

if TYPE_CHECKING:
    from lab.rl.common.agent import Agent


def draw_returns(agent: Agent, asked: np.ndarray, obtained: np.ndarray) -> None:
    """Logs `returns.png`: the returns of single episodes and their means over the returns that were asked for.

    Args:
        agent: whose episodes they are.
        asked: (N,)
        obtained: (N, episodes)
    """
    with plots.figure(width=5, height=4) as (drawing, axes):
        axes.plot(asked, asked, "--", color="black", linewidth=0.8, label="as asked")
        axes.plot(np.repeat(asked, obtained.shape[1]), obtained.flatten(), ".", alpha=0.3, label="an episode")
        axes.plot(asked, obtained.mean(1), "o-", label="mean")
        axes.set(xlabel="asked return", ylabel="obtained return", title=f"{type(agent).__name__} on {agent.env}")
        axes.legend()
    plots.log_figure(agent, "returns.png", drawing)
