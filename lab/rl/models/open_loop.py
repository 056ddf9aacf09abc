"""The error of a learned model beside its environment when it takes the actions that were taken there, step after step.

Such errors grow with the number of steps, and say how long rollouts of the model may be; Chua et al. 2018, "Deep
reinforcement learning in a handful of trials using probabilistic dynamics models", plan with 25 to 100 of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lab import plots
from lab.rl.common.agent import Agent
from lab.rl.data.episodes import Episode, reactive, record
from lab.rl.models.dynamics import DynamicsModel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_STEPS = 50
TESTED_EPISODES = 10  # whose steps the model has to repeat in the test


def greedy_errors(
    agent: Agent,
    model: DynamicsModel,
    starts: Sequence[int],
    numbers: Callable[[Tensor], Tensor] = lambda action: action,
) -> tuple[Tensor, dict[str, float]]:
    """The errors (K, 2) of `open_loop_errors` on the greedy episodes from the first start seeds, and as metrics.

    Args:
        agent: plays the episodes; has a Trainer.
        model: predicts what its actions lead to.
        starts: start seeds, at least one.
        numbers: actions as they are recorded -> the rows of numbers that the model reads.
    """
    data: Any = agent.trainer.datamodule  # type: ignore[attr-defined]
    policy = reactive(agent.evaluation_policy(), agent.device)
    episodes = record(policy, agent.env_factory, starts[:TESTED_EPISODES], num_envs=data.eval_envs)
    rows = [each._replace(actions=numbers(torch.as_tensor(each.actions, device=agent.device))) for each in episodes]
    errors = open_loop_errors(model, rows).cpu()
    return errors, {f"test/model_error_{k}": float(errors[k - 1, 0]) for k in (1, 10) if k <= len(errors)}


@torch.no_grad()
def open_loop_errors(model: DynamicsModel, episodes: Sequence[Episode], most_steps: int = MOST_STEPS) -> Tensor:
    """Root mean squared errors (K, 2) after 1 to K steps from every step of the episodes.

    The first column is the model's, the mean of its members, each of which goes on from its own predictions; the second
    is that of the observation in which the steps began. Both are in units of the standard deviation of each column of
    the observations. K is `most_steps`, or the length of the longest episode if that is shorter.

    Args:
        model: with members E.
        episodes: at least one of them with a step; observations are vectors, actions rows of numbers.
        most_steps: from 1.
    """
    device = model.inputs.mean.device
    observations = [torch.as_tensor(each.observations, dtype=torch.float32, device=device) for each in episodes]
    actions = [torch.as_tensor(each.actions, dtype=torch.float32, device=device) for each in episodes]
    deviation = torch.cat(observations).std(0).clamp_min(1e-6)
    longest = min(most_steps, max(map(len, actions)))
    sums, count = torch.zeros(longest, 2, device=device), torch.zeros(longest, 1, device=device)
    for seen, taken in zip(observations, actions, strict=True):
        predicted = seen[:-1].expand(model.num_members, -1, -1)
        for k in range(min(longest, len(taken))):
            starts = len(taken) - k  # from which so many steps were taken
            chosen = taken[k:].expand(model.num_members, -1, -1)
            predicted, _, _ = model.step(predicted[:, :starts], chosen, None)
            for column, found in enumerate((predicted.mean(0), seen[:starts])):
                sums[k, column] += ((found - seen[k + 1 :]) / deviation).square().mean(-1).sum()
            count[k] += starts
    return (sums / count).sqrt()


def plot(errors: Tensor) -> Figure:
    """The errors (K, 2) of `open_loop_errors` against the number of steps."""
    with plots.figure(width=4.5, height=3.2) as (drawing, axes):
        steps = range(1, len(errors) + 1)
        for name, style, column in zip(("model", "no change"), ("-", "--"), errors.T.tolist(), strict=True):
            axes.plot(steps, column, style, label=name)
        axes.set(
            xlabel="steps of the model", ylabel="RMSE [standard deviations]", yscale="log", title="Open-loop error"
        )
        axes.legend()
    return drawing
