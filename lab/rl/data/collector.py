"""One collector for every agent: a torchrl collector to others, a loop over arrays inside.

torchrl's own collector passes a TensorDict through environment, transforms and policy in every step, which takes some
220 us; here environments are stepped in arrays (`lab.rl.envs.stepping`), the policy is a plain function for a block of
steps, and only the block becomes a TensorDict.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import torch
from tensordict import TensorDict, TensorDictBase
from torch import Tensor, nn
from torchrl.collectors import BaseCollector

from lab.rl.data.kept_episodes import KeptEpisodes
from lab.rl.envs.async_stepper import make_stepper
from lab.rl.envs.factory import EnvFactory
from lab.rl.envs.observations import Layout, valid_actions
from lab.rl.envs.stepping import Stepper, Vectorization
from lab.rl.networks.exploration import Act


class Actor(Protocol):
    """A policy as the collector calls it: `ExplorationPolicy`, or an agent itself."""

    def noise(self, *shape: int) -> Tensor:
        """The random numbers for so many actions."""

    def actor(self) -> Act:
        """The present policy as a function, for one block of steps."""


class ArrayCollector(BaseCollector):
    """Plays a policy in N environments, and yields what happened, `frames_per_batch` environment steps at a time.

    As torchrl's collectors it yields TensorDicts of shape (N, T), time last, with `observation`, `action`, and in
    `next` `observation`, `reward`, `terminated`, `truncated` and `done`; next observations are the true ones, also
    where an episode ends. `("collector", "traj_ids")` numbers the episodes. Where environments compute as one batch
    (`vectorization="vector"`), `("collector", "mask")` is false for steps in which an episode only begins.

    >>> for batch in ArrayCollector("CartPole-v1", None, frames_per_batch=8, total_frames=16, num_envs=2):
    ...     print(batch.shape, batch["next", "reward"].shape)
    torch.Size([2, 4]) torch.Size([2, 4, 1])
    torch.Size([2, 4]) torch.Size([2, 4, 1])

    Args:
        env: name of a registered Gymnasium environment, or environments that were made by `make_stepper`.
        policy: an `Actor`, or any torchrl policy that reads `observation` and `is_init` and writes `action`; None takes
            random actions.
        frames_per_batch: environment steps of a batch, over all environments; rounded up to whole steps of all.
        total_frames: environment steps until the iteration ends; -1 for no end.
        init_random_frames: environment steps with random actions before the policy is asked.
        num_envs: how many environments, if they are made here.
        vectorization: how they are stepped, if they are made here.
        layout: of the observations, if they have a mask of valid actions in them.
        kept_episodes: takes the steps that are played.
    """

    def __init__(
        self,
        env: str | Stepper,
        policy: Actor | Callable[[TensorDictBase], TensorDictBase] | None,
        *,
        frames_per_batch: int,
        total_frames: int = -1,
        init_random_frames: int = 0,
        num_envs: int = 1,
        vectorization: Vectorization = "sync",
        layout: Layout | None = None,
        kept_episodes: KeptEpisodes | None = None,
    ) -> None:
        super().__init__()
        if isinstance(env, str):
            factory = EnvFactory(env)
            env = make_stepper(vectorization, factory, num_envs, factory.facts()["action"])
            env.reset(seeds(num_envs, torch.initial_seed()))
        self.stepper, self.closed, self.layout, self.kept_episodes = env, False, layout, kept_episodes
        self.num_envs = len(env.buffers.reward)
        self.policy: Any = policy if policy is None or hasattr(policy, "noise") else TensorDictActor(policy)
        self.num_steps = -(-frames_per_batch // self.num_envs)
        self.frames_per_batch = self.requested_frames_per_batch = self.num_steps * self.num_envs
        self.total_frames = total_frames if total_frames >= 0 else float("inf")
        self.init_random_frames = init_random_frames
        self.frames = 0
        self.returns: list[float] = []  # undiscounted, of the episodes that ended in the last batch
        self._running_returns = np.zeros(self.num_envs)
        self._is_init = np.ones(self.num_envs, bool)  # whether the next step begins an episode
        self._ended = np.zeros(self.num_envs, bool)  # whether the last one ended one
        self._episodes = np.zeros(self.num_envs, int)

    def iterator(self) -> Iterator[TensorDictBase]:
        while self.frames < self.total_frames:
            yield _torchrl(self.collect())

    def collect(self) -> TensorDict:
        """The next batch with time first, (T, N), and one number for each reward, `terminated` and `done`."""
        buffers, shape = self.stepper.buffers, (self.num_steps, self.num_envs)
        observations = np.empty((self.num_steps, *buffers.observation.shape), buffers.observation.dtype)
        next_observations, rewards = np.empty_like(observations), np.empty(shape, np.float32)
        terminated, done, valid = np.empty(shape, bool), np.empty(shape, bool), np.ones(shape, bool)
        first, random = self._random_actions()
        actions: list[np.ndarray] = list(random)
        sent: list[np.ndarray] = []  # to the environments, for those who keep it
        if self.policy is not None and first < self.num_steps:
            act, noises = self.policy.actor(), self.policy.noise(self.num_steps - first, self.num_envs).unbind(0)
            device = noises[0].device
        is_init, observation = torch.from_numpy(self._is_init), torch.from_numpy(buffers.observation)
        self.returns = []
        for step in range(self.num_steps):
            observations[step] = buffers.observation
            if step < first:
                if self.layout is not None:
                    possible = valid_actions(self.layout, buffers.observation)
                    actions[step] = random[step] = (possible * torch.rand(possible.shape).numpy()).argmax(-1)
                buffers.action[:] = random[step]
            else:
                with torch.inference_mode():
                    action, env_action = act(observation.to(device), noises[step - first], is_init.to(device))
                actions.append(action.cpu().numpy())
                buffers.action[:] = env_action.cpu().numpy()
            if self.kept_episodes is not None:
                sent.append(buffers.action.copy())
            self.stepper.step()
            next_observations[step], rewards[step] = buffers.next_observation, buffers.reward
            terminated[step], done[step] = buffers.terminated, buffers.done
            if self.stepper.skips:  # where an episode ended before, this step only began the next one
                valid[step], self._is_init[:], self._ended = ~self._ended, self._ended, buffers.done.copy()
            else:
                self._is_init[:] = buffers.done
            self._running_returns += buffers.reward
            if buffers.done.any():
                self.returns += self._running_returns[buffers.done].tolist()
                self._running_returns[buffers.done] = 0.0
        self.frames += self.frames_per_batch
        ends = done.cumsum(0)
        episodes = (self._episodes + ends - done) * self.num_envs + np.arange(self.num_envs)
        self._episodes += ends[-1]
        following = {"observation": next_observations, "reward": rewards, "terminated": terminated, "done": done}
        if self.kept_episodes is not None:
            self.kept_episodes.add(observations, np.stack(sent), following, valid)
        columns: dict[str, Any] = {
            "observation": torch.from_numpy(observations),
            "action": torch.from_numpy(np.stack(actions)),
            "next": {name: torch.from_numpy(column) for name, column in following.items()},
            "collector": {"traj_ids": torch.from_numpy(episodes), "mask": torch.from_numpy(valid)},
        }
        return TensorDict(columns, shape, device="cpu")

    def cut(self) -> None:
        """Ends the kept episodes that are under way, because nothing more is played in them."""
        self._cut(slice(None), self.stepper.buffers.observation)

    def _cut(self, chosen: slice, observation: np.ndarray) -> None:
        if self.kept_episodes is not None:
            running = np.zeros(self.num_envs, bool)
            running[chosen] = ~(self._is_init | self._ended)[chosen]
            self.kept_episodes.cut(observation, self.stepper.buffers.action, running)

    def reset(self) -> None:
        """Starts new episodes everywhere."""
        self.cut()
        self.stepper.reset([None] * self.num_envs)
        self._restart(slice(None))

    def shutdown(self, timeout: float | None = None, close_env: bool = True, raise_on_error: bool = True) -> None:  # noqa: ARG002
        """Closes the environments."""
        if not self.closed and close_env:
            self.stepper.close()
        self.closed = True

    def set_seed(self, seed: int, static_seed: bool = False) -> int:  # noqa: ARG002 - torchrl's signature
        """Starts new episodes from this seed; returns one for a next collector."""
        self.cut()
        self.stepper.reset(seeds(self.num_envs, seed))
        self._restart(slice(None))
        return seed + 1

    def state_dict(self) -> dict[str, Any]:
        """All that decides how the collection goes on, but for the policy, as plain values and tensors."""
        return {
            "frames": self.frames,
            "observation": torch.tensor(self.stepper.buffers.observation),
            "is_init": self._is_init.tolist(),
            "ended": self._ended.tolist(),
            "episodes": self._episodes.tolist(),
            "running_returns": self._running_returns.tolist(),
            "environments": self.stepper.snapshot(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on where `state_dict` was taken; where an environment cannot, it says so and starts a new episode."""
        self.frames = state_dict["frames"]
        observation = state_dict["observation"].numpy()
        self.stepper.buffers.observation[:] = observation
        self._is_init[:], self._ended = state_dict["is_init"], np.array(state_dict["ended"])
        self._episodes, self._running_returns[:] = np.array(state_dict["episodes"]), state_dict["running_returns"]
        reasons = self.stepper.restore(state_dict["environments"], self.frames // self.num_envs)
        for number, reason in enumerate(reasons):
            if reason is not None:
                warnings.warn(f"the current episode of {self.stepper.env} starts again: {reason}", stacklevel=2)
                self._cut(slice(number, number + 1), observation)
                self._restart(slice(number, number + 1))

    def _restart(self, chosen: slice) -> None:
        self._is_init[chosen], self._ended[chosen] = True, False
        self._running_returns[chosen] = 0.0
        self._episodes[chosen] += 1

    def _random_actions(self) -> tuple[int, np.ndarray]:
        """The number of random steps in the next batch, and their actions (T, N, A), or (T, N) of discrete ones."""
        left = math.ceil((self.init_random_frames - self.frames) / self.num_envs)
        steps = self.num_steps if self.policy is None else min(max(left, 0), self.num_steps)
        shape, spec = (steps, self.num_envs), self.stepper.action
        if "count" in spec:
            return steps, torch.randint(spec["count"], shape).numpy()
        if "counts" in spec:
            return steps, torch.stack([torch.randint(count, shape) for count in spec["counts"]], -1).numpy()
        low, high = torch.tensor(spec["low"]), torch.tensor(spec["high"])
        return steps, torch.lerp(low, high, torch.rand(*shape, len(low))).numpy()


class TensorDictActor:
    """Any torchrl policy as an `Actor`: it reads `observation` and `is_init`, and writes `action`."""

    def __init__(self, policy: Callable[[TensorDictBase], TensorDictBase]) -> None:
        self.policy = policy

    def noise(self, *shape: int) -> Tensor:
        """None: it draws its own."""
        weights = self.policy.parameters() if isinstance(self.policy, nn.Module) else iter(())
        return torch.empty(*shape, 0, device=next(weights, torch.empty(0)).device)

    def actor(self) -> Act:
        def act(observation: Tensor, noise: Tensor, is_init: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG001
            read = TensorDict({"observation": observation, "is_init": is_init.unsqueeze(-1)}, [len(observation)])
            action = self.policy(read).get("action")
            return action, action

        return act


def seeds(num_envs: int, seed: int) -> list[int]:
    """Start seeds of environments, one each."""
    made: list[int] = np.random.SeedSequence(seed).generate_state(num_envs).tolist()
    return made


def _torchrl(steps: TensorDict) -> TensorDict:
    """(T, N) as torchrl has it: (N, T), a last dimension of 1 for single numbers, and a `truncated`."""
    following = steps["next"]
    for name in ("reward", "terminated", "done"):
        following[name] = following[name].unsqueeze(-1)
    following["truncated"] = following["done"] & ~following["terminated"]
    return steps.transpose(0, 1).contiguous()
