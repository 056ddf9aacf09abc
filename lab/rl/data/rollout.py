"""On-policy data: rollouts of several environments with the current policy, as a LightningDataModule.

A training batch is a rollout: `num_steps` steps of each of `num_envs` environments. The policy answers all
environments at once. `lab.rl.envs.stepping` steps them; torchrl's collector costs 215-250 us a step with one.
"""

from __future__ import annotations

import math
import warnings
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Ge, Gt, Le
from tensordict import TensorDict

from lab.errors import BadSetting
from lab.rl.data.collected import Collected
from lab.rl.data.loaders import CollectionData
from lab.rl.envs.async_stepper import check_vectorization, make_stepper
from lab.rl.envs.stepping import Stepper, Vectorization


class Rollout(Collected):
    """The batch of one `training_step`: `steps` of shape (T, N), time first, with `observation`, `action`, and in
    `next` `observation`, `reward`, `terminated` and `done`.

    The next observation is the true one, also where an episode ends.

    >>> rollout = Rollout(TensorDict({"observation": torch.zeros(5, 2, 3)}, [5, 2]), env_steps=10, returns=[])
    >>> rollout.steps.shape
    torch.Size([5, 2])
    """


class RolloutData(CollectionData):
    """Plays the module's policy in several environments and hands over every rollout once.

    >>> RolloutData("CartPole-v1", total_steps=1_000, num_envs=2, num_steps=50).facts()
    {'env': 'CartPole-v1', 'observation_size': 4, 'action': {'count': 2}, 'num_envs': 2, 'num_steps': 50}

    Args:
        total_steps: environment steps of the run, over all environments, rounded up to whole rollouts.
        num_envs: environments that are stepped together.
        vectorization: `sync` steps the environments in this process, `async` in several processes, at most one per
            core, which is faster for slow environments; results are the same.
        num_steps: steps of each environment in a rollout.
        reset_each_rollout: start every rollout with new episodes instead of continuing the current ones.
    """

    def __init__(
        self,
        env: str,
        total_steps: Annotated[int, Gt(0)],
        env_kwargs: dict[str, Any] | None = None,
        num_envs: Annotated[int, Ge(1), Le(1024)] = 8,
        vectorization: Vectorization = "sync",
        num_steps: Annotated[int, Gt(0)] = 256,
        episode_steps: Annotated[int, Gt(0)] | None = None,
        reset_each_rollout: bool = False,
        eval_every: Annotated[int, Gt(0)] = 10_000,
        eval_episodes: Annotated[int, Gt(0)] = 20,
        test_episodes: Annotated[int, Gt(0)] = 100,
        eval_envs: Annotated[int, Ge(1), Le(1024)] = 1,
    ) -> None:
        super().__init__(
            env, env_kwargs, total_steps, eval_every, eval_episodes, test_episodes, eval_envs, episode_steps
        )
        self.save_hyperparameters()
        self.num_envs, self.num_steps = num_envs, num_steps
        self.reset_each_rollout = reset_each_rollout
        if self._stride > total_steps:
            rollout = f"{num_envs} environments times {num_steps} steps are a rollout of {self._stride}"
            raise BadSetting("num_envs", f"{rollout}, more than total_steps ({total_steps})")
        check_vectorization(vectorization, num_envs)
        self.vectorization = vectorization
        self.stepper: Stepper | None = None
        self._running_returns = np.zeros(num_envs)

    def facts(self) -> dict[str, Any]:
        """`env`, `observation_size` and `action` of the environment; `num_envs` and `num_steps`."""
        return self.env_factory.facts() | {"num_envs": self.num_envs, "num_steps": self.num_steps}

    def progress(self) -> tuple[int, int, str]:
        """Environment steps done and to do."""
        return min(self.env_steps, self.total_steps), self.total_steps, "env steps"

    def setup(self, stage: str) -> None:
        super().setup(stage)
        if stage != "fit":
            return
        assert self.trainer is not None
        if self.trainer.world_size > 1:
            raise BadSetting("trainer.devices", "rollouts are collected by one process; set data.num_envs instead")
        self.stepper = make_stepper(self.vectorization, self.env_factory, self.num_envs)
        self.stepper.reset(np.random.SeedSequence(torch.initial_seed()).generate_state(self.num_envs).tolist())

    def teardown(self, stage: str) -> None:
        if stage == "fit" and self.stepper is not None:
            self.stepper.close()
            self.stepper = None

    def state_dict(self) -> dict[str, Any]:
        """The state of the environments between two rollouts, and the counters."""
        if self.stepper is None:
            return {}
        return {
            **self.counters(),
            "running_returns": self._running_returns.tolist(),
            "observation": torch.tensor(self.stepper.buffers.observation),
            "environments": self.stepper.snapshot(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on where `state_dict` was taken, if this is a training."""
        if self.stepper is None:
            return
        self.load_counters(state)
        self._running_returns[:] = state["running_returns"]
        self.stepper.buffers.observation[:] = state["observation"].numpy()
        reasons = self.stepper.restore(state["environments"], self.env_steps // self.num_envs)
        for number, reason in enumerate(reasons):
            if reason is not None:
                warnings.warn(f"the current episode of {self.env} starts again: {reason}", stacklevel=2)
                self._running_returns[number] = 0.0

    @property
    def _stride(self) -> int:
        return self.num_envs * self.num_steps

    def epoch_length(self) -> int:
        return math.ceil((self._due(self._epoch_began) - self._epoch_began) / self._stride)

    def _due(self, steps: int) -> int:
        return min(self.eval_every * (steps // self.eval_every + 1), self.total_steps)

    def _collect(self) -> Rollout:
        assert self.trainer is not None
        assert self.stepper is not None
        agent: Any = self.trainer.lightning_module
        buffers, shape = self.stepper.buffers, (self.num_steps, self.num_envs)
        observations = np.empty((self.num_steps, *buffers.observation.shape), buffers.observation.dtype)
        next_observations, rewards = np.empty_like(observations), np.empty(shape, np.float32)
        terminated, done, actions, returns = np.empty(shape, bool), np.empty(shape, bool), [], []
        if self.reset_each_rollout:
            self.stepper.reset([None] * self.num_envs)
            self._running_returns[:] = 0.0
        act, observation = agent.actor(), torch.from_numpy(buffers.observation)
        for step, noise in enumerate(agent.noise(*shape).unbind(0)):
            observations[step] = buffers.observation
            with torch.inference_mode():
                action, env_action = act(observation.to(noise), noise)
            actions.append(action.cpu().numpy())
            buffers.action[:] = env_action.cpu().numpy()
            self.stepper.step()
            next_observations[step], rewards[step] = buffers.next_observation, buffers.reward
            terminated[step], done[step] = buffers.terminated, buffers.done
            self._running_returns += buffers.reward
            if buffers.done.any():
                returns += self._running_returns[buffers.done].tolist()
                self._running_returns[buffers.done] = 0.0
        self.count(returns)
        following = {"observation": next_observations, "reward": rewards, "terminated": terminated, "done": done}
        columns: dict[str, Any] = {
            "observation": torch.from_numpy(observations),
            "action": torch.from_numpy(np.stack(actions)),
            "next": {name: torch.from_numpy(column) for name, column in following.items()},
        }
        return Rollout(TensorDict(columns, shape, device="cpu"), self.env_steps, returns)
