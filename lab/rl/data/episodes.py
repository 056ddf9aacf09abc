"""Whole episodes as a table: one row for each, recorded with a policy and noise, or put together from arrays.

The columns are `observation`, with one entry more than there are steps, `action`, `reward`, whether the last step
`terminated` the episode (else it was truncated), its undiscounted `return` and its `length`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lab.data import Ragged, Table
from lab.rl.envs.checked import CheckedEnv
from lab.rl.envs.factory import EnvFactory
from lab.rl.envs.spaces import ActionSpec


class Episode(NamedTuple):
    """One episode of T steps.

    Args:
        observations: (T + 1, ...), the last one being where the last step led.
        actions: (T, A), or indices (T,).
        rewards: (T,)
        terminated: whether the last step terminated it; if not, it was truncated.
    """

    observations: Any
    actions: Any
    rewards: Any
    terminated: bool


def to_table(episodes: Sequence[Episode]) -> Table:
    """One row for each episode, at least one.

    >>> table = to_table([Episode(np.zeros((3, 4)), np.zeros((2, 1)), np.ones(2), True)])
    >>> table["return"].item(), table["length"].item(), table["observation"].lengths.item()
    (2.0, 2, 3)
    """
    rewards = [torch.as_tensor(np.asarray(each.rewards, np.float32)) for each in episodes]
    return Table(
        {
            "observation": Ragged.from_rows([_plain(each.observations) for each in episodes]),
            "action": Ragged.from_rows([_plain(each.actions) for each in episodes]),
            "reward": Ragged.from_rows(rewards),
            "terminated": torch.tensor([bool(each.terminated) for each in episodes]),
            "return": torch.stack([each.double().sum().float() for each in rewards]),
            "length": torch.tensor([len(each) for each in rewards]),
        }
    )


class RunningEpisode:
    """An episode so far, and the environment that it is played in.

    Args:
        env: the environment; None where somebody else steps it.
    """

    def __init__(self, env: CheckedEnv | None = None) -> None:
        self.env, self.number = env, 0  # of the episode, among the start seeds
        self.observations: list[Any] = []
        self.actions: list[Any] = []
        self.rewards: list[float] = []

    def start(self, waiting: Iterator[int], seeds: Sequence[int]) -> bool:
        """Begins the next episode that waits; false if none does."""
        assert self.env is not None
        self.number = next(waiting, -1)
        if self.number < 0:
            return False
        self.random = np.random.default_rng(seeds[self.number])
        self.observations, self.actions, self.rewards = [self.env.reset(seed=int(seeds[self.number]))[0]], [], []
        return True

    def step(self, action: Any, limit: int | None) -> bool:
        """Whether the episode is over."""
        assert self.env is not None
        observation, reward, self.terminated, truncated, _ = self.env.step(action)
        self.observations.append(observation)
        self.actions.append(action)
        self.rewards.append(reward)
        return self.terminated or truncated or self.env.episode_steps == limit

    @property
    def episode(self) -> Episode:
        return Episode(np.stack(self.observations), np.stack(self.actions), self.rewards, self.terminated)


EpisodePolicy = Callable[[Sequence[RunningEpisode]], np.ndarray]  # episodes so far -> actions (B, A) or indices (B,)


def reactive(policy: Callable[[Tensor], Tensor], device: torch.device | None = None) -> EpisodePolicy:
    """A policy of the present observations: (B, O) -> (B, A) or (B,), with `follow` if it has a memory.

    Args:
        policy: the function.
        device: where it lives; by default on the CPU.
    """

    follow = getattr(policy, "follow", None)

    @torch.inference_mode()
    def act(episodes: Sequence[RunningEpisode]) -> np.ndarray:
        if follow is not None:
            follow([each.number for each in episodes])
        seen = torch.from_numpy(np.stack([each.observations[-1] for each in episodes]))
        actions: np.ndarray = policy(seen.to(device)).cpu().numpy()
        return actions

    return act


def record(
    policy: EpisodePolicy | None, factory: EnvFactory, seeds: Sequence[int], noise: float = 0.0, num_envs: int = 16
) -> list[Episode]:
    """One episode from each start seed. Episodes go in lock-step, so that the policy sees several at once.

    >>> [len(episode.rewards) for episode in record(None, EnvFactory("CartPole-v1"), seeds=[0, 1])]
    [18, 29]

    Args:
        policy: episodes so far -> actions; None takes uniform ones.
        factory: makes the environments.
        seeds: start seeds, whole numbers from 0; each also seeds the noise of its episode.
        noise: standard deviation of Gaussian noise on continuous actions, as a fraction of half their range; for
            discrete ones the probability of a uniform action. From 0.
        num_envs: episodes that are played side by side at most, from 1.

    Raises:
        LabError: the environment itself failed; the message names the start seed.
    """
    lanes, limit = factory.for_evaluation(min(num_envs, len(seeds))), factory.time_limit()
    spec: ActionSpec = factory.facts()["action"]
    found: dict[int, Episode] = {}
    waiting = iter(range(len(seeds)))
    playing = [each for each in map(RunningEpisode, lanes) if each.start(waiting, seeds)]
    while playing:
        chosen = [None] * len(playing) if policy is None else policy(playing)
        for each, action in zip(list(playing), chosen, strict=True):
            if each.step(explore(action, spec, noise, each.random), limit):
                found[each.number] = each.episode
                if not each.start(waiting, seeds):
                    playing.remove(each)
    return [found[number] for number in range(len(seeds))]


def explore(action: Any, spec: ActionSpec, noise: float, random: np.random.Generator) -> Any:
    """An action with noise, as `record` explains it; a uniform one in the place of None.

    >>> explore(np.array([0.5]), {"low": [-2.0], "high": [2.0]}, noise=0.0, random=np.random.default_rng(0))
    array([0.5])
    """
    if "low" in spec:
        low, high = np.array(spec["low"], np.float32), np.array(spec["high"], np.float32)
        bounded = np.isfinite(high - low)
        if action is None:
            normal = random.standard_normal(len(low)).astype(np.float32)
            uniform = random.uniform(np.where(bounded, low, 0), np.where(bounded, high, 0))
            return np.where(bounded, uniform, normal).astype(np.float32)
        if noise:
            half = np.where(bounded, (high - low) / 2, 1.0)
            noisy = action + noise * half * random.standard_normal(len(low))
            return np.clip(noisy, low, high).astype(np.float32)
        return action
    if action is None or (noise and random.random() < noise):
        return random.integers(spec["count"]) if "count" in spec else random.integers(spec["counts"])
    return action


def _plain(values: Any) -> Tensor:
    """Bytes of images as they are, whole numbers as int64, all else in single precision."""
    array = np.asarray(values)
    kind = np.uint8 if array.dtype == np.uint8 else np.int64 if array.dtype.kind in "iub" else np.float32
    return torch.from_numpy(np.ascontiguousarray(array, kind))
