"""Hindsight experience replay (HER): transitions with the goal that was reached later in place of the one in mind.

Source: Andrychowicz et al. 2017, "Hindsight experience replay". A failed episode shows how to reach where it led. The
goals are replaced when transitions are sampled, so that the buffer holds what happened, and rewards come from the
environment's own `compute_reward`. Deviation: goals are taken from the unfinished episode too, as far as it went.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from tensordict import TensorDictBase
from torch import Tensor

from lab.errors import BadSetting, one_line
from lab.rl.envs.checked import failure
from lab.rl.envs.factory import EnvFactory
from lab.rl.envs.observations import Layout

GoalSelection = Literal["future", "final"]


class Hindsight:
    """Replaces goals of sampled transitions.

    Args:
        factory: of an environment whose observations are dictionaries with `achieved_goal` and `desired_goal`.
        strategy: the new goal is one that was reached in this or a later step of the episode (`future`), or in its
            last one (`final`).
        n_sampled_goal: replaced goals for each that is left as it was.
        num_envs: environments whose steps take turns in the buffer.

    Raises:
        BadSetting: there are no goals, or no `compute_reward` that takes a batch of them.
    """

    def __init__(self, factory: EnvFactory, strategy: GoalSelection, n_sampled_goal: int, num_envs: int) -> None:
        self.factory, self.strategy, self.num_envs = factory, strategy, num_envs
        self.share = n_sampled_goal / (n_sampled_goal + 1)
        self.lengths = torch.zeros(0, dtype=torch.int64)  # steps of each episode so far
        layout = Layout(factory.facts()["observation_size"])
        missing = {"achieved_goal", "desired_goal"} - layout.places.keys()
        if missing or layout.pixels or (factory.frame_stack or 1) > 1:
            lack = f"no {' and no '.join(sorted(missing))}" if missing else "goals beside images or stacked frames"
            needed = "hindsight needs a Dict of observation, achieved_goal and desired_goal, all vectors"
            raise BadSetting("hindsight", f"{factory.env!r} observes {lack}; {needed}; leave it out")
        self.achieved, self.desired = layout.places["achieved_goal"], layout.places["desired_goal"]
        space: Any = factory.for_evaluation(1)[0].unwrapped.observation_space
        self.shape, self.dtype = space["desired_goal"].shape, space["desired_goal"].dtype
        self._check()

    def number(self, episode: Tensor) -> Tensor:
        """The place of each of the next steps (M,) in its episode, from 0; `episode` (M,) tells whose they are."""
        known = max(len(self.lengths), int(episode.max()) + 1)
        self.lengths = torch.cat([self.lengths, self.lengths.new_zeros(known - len(self.lengths))])
        order = episode.argsort(stable=True)
        _, counts = episode[order].unique_consecutive(return_counts=True)
        place = torch.empty_like(episode)
        place[order] = torch.arange(len(episode)) - (counts.cumsum(0) - counts).repeat_interleave(counts)
        place += self.lengths[episode]
        self.lengths.index_add_(0, episode, torch.ones_like(episode))
        return place

    def restore(self, rows: TensorDictBase) -> None:
        """Counts the episodes of a buffer that was read."""
        episode, place = rows["episode"][:, 0], rows["place"][:, 0]
        self.lengths = place.new_zeros(int(episode.max()) + 1).scatter_reduce_(0, episode, place + 1, "amax")

    def relabel(self, batches: TensorDictBase, rows: TensorDictBase) -> None:
        """Replaces goals of the transitions `batches` (M,), which were sampled from the ring `rows`."""
        index, following = batches["index"], batches["next"]
        chosen = (torch.rand(len(index)) < self.share).nonzero().squeeze(-1)
        index = index[chosen]
        left = self.lengths[rows["episode"][index, 0]] - 1 - rows["place"][index, 0]
        ahead = left if self.strategy == "final" else (torch.rand(len(left)) * (left + 1)).long()
        later = (index + ahead * self.num_envs) % len(rows)
        goal = rows["next", "observation"][later][:, self.achieved]
        for column in (batches["observation"], following["observation"]):
            column[chosen, self.desired] = goal
        reached = following["observation"][chosen][:, self.achieved]
        following["reward"][chosen, 0] = torch.from_numpy(self._ask("compute_reward", reached, goal))
        if self.factory.for_evaluation(1)[0].has_wrapper_attr("compute_terminated"):
            following["terminated"][chosen, 0] = torch.from_numpy(self._ask("compute_terminated", reached, goal) > 0)

    def _ask(self, method: str, achieved: Tensor, desired: Tensor) -> np.ndarray:
        """The result of a method of the environment for a batch of goals, one number for each."""
        goals = [each.numpy().reshape(-1, *self.shape).astype(self.dtype) for each in (achieved, desired)]
        infos = np.array([{} for _ in achieved])
        try:
            found = self.factory.for_evaluation(1)[0].get_wrapper_attr(method)(*goals, infos)
            return np.array(np.broadcast_to(np.asarray(found, np.float32), len(achieved)))
        except Exception as error:
            raise failure(self.factory.env, f"in {method}()", error) from error

    def _check(self) -> None:
        """Asks for the rewards of three goals."""
        goal = torch.zeros(3, self.achieved.stop - self.achieved.start)
        env = self.factory.for_evaluation(1)[0]
        if not env.has_wrapper_attr("compute_reward"):
            raise BadSetting("hindsight", f"{self.factory.env!r} has no method compute_reward(); leave it out")
        try:
            self._ask("compute_reward", goal, goal)
        except Exception as error:
            needed = "it has to take a batch of achieved and of desired goals, and a list of infos"
            raise BadSetting("hindsight", f"{one_line(error)}; {needed}") from error
