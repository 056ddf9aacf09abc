"""The built-in data sets: episodes of agents that this package trained, recorded anew from their greedy policies.

`behavior.pt` holds snapshots of each agent, evenly spaced along its training; `train_behavior.py` made them. `random`
takes uniform actions, `medium` and `expert` are the snapshots that are nearest to half-way between random and best, and
the best one, `replay` is all of them in turn. All but `random` act with noise.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from lab import files
from lab.data import Table
from lab.rl.data.episodes import reactive, record, to_table
from lab.rl.envs.factory import EnvFactory
from lab.rl.envs.spaces import ActionSpec

FILE = Path(__file__).with_name("behavior.pt")
NOISE = 0.1  # as `record` has it
FIRST_SEED = 1_000_000  # of the recorded episodes: none is a start of validation or test

Level = Literal["random", "medium", "expert", "replay"]


class Snapshots(NamedTuple):
    """Policies along the training of an agent.

    Args:
        returns: the mean return of each, S numbers.
        layers: weights (S, out, in) and biases (S, out), with ReLU between them.
    """

    returns: list[float]
    layers: list[tuple[Tensor, Tensor]]

    def policy(self, number: int, action: ActionSpec) -> Callable[[Tensor], Tensor]:
        """One of them as a function: observations (B, O) -> actions (B, A) or indices (B,)."""
        layers = [(weight[number].float(), bias[number].float()) for weight, bias in self.layers]

        def act(observation: Tensor) -> Tensor:
            for weight, bias in layers[:-1]:
                observation = F.relu(F.linear(observation, weight, bias))
            output = F.linear(observation, *layers[-1])
            if "low" not in action:
                return output.argmax(-1)
            low, high = torch.tensor(action["low"]), torch.tensor(action["high"])
            return torch.lerp(low, high, (torch.tanh(output) + 1) / 2)

        return act


def snapshots(env: str) -> Snapshots:
    """Those of one environment."""
    return Snapshots(**files.load(FILE)[env])


def record_level(env: str, level: Level, episodes: int) -> Table:
    """The episodes of a built-in data set, the same ones every time."""
    factory, seeds = EnvFactory(env), range(FIRST_SEED, FIRST_SEED + episodes)
    if level == "random":
        return to_table(record(None, factory, seeds))
    kept = snapshots(env)
    action = factory.facts()["action"]
    found = []
    for number, share in zip(chosen := _chosen(kept.returns, level), _shares(seeds, len(chosen)), strict=True):
        found += record(reactive(kept.policy(number, action)), factory, share, NOISE)
    return to_table(found)


def _chosen(returns: Sequence[float], level: Level) -> list[int]:
    """The snapshots of a level."""
    if level == "replay":
        return list(range(len(returns)))
    goal = max(returns) if level == "expert" else (min(returns) + max(returns)) / 2
    return [min(range(len(returns)), key=lambda number: abs(returns[number] - goal))]


def _shares(seeds: range, parts: int) -> list[range]:
    """The seeds in consecutive parts of nearly the same size."""
    edges = [len(seeds) * part // parts for part in range(parts + 1)]
    return [seeds[first:last] for first, last in itertools.pairwise(edges)]
