"""On-policy data: environments that are played side by side with the policy as it is now, as a LightningDataModule.

A training batch is a rollout: `steps` steps of each of `envs` environments. The policy answers all environments at
once. `lab.rl.envs.stepping` steps them; torchrl's collector costs 215-250 us a step with one environment.
"""

from __future__ import annotations

import math
import warnings
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
from annotated_types import Ge, Gt, Le
from tensordict import TensorDict
from torch import Tensor

from lab.errors import BadSetting
from lab.rl.data.loaders import Collecting
from lab.rl.envs import environment
from lab.rl.envs.stepping import Stepping, Way, check_way, stepped


class Rollout(NamedTuple):
    """What one `training_step` works on.

    Args:
        steps: TensorDict (T, N), time first, with `observation`, `action`, and in `next` `observation`, `reward`,
            `terminated` and `done`; the next observation is the true one, also where an episode ends.
        env_steps: environment steps so far, this rollout included.
        returns: undiscounted returns of the training episodes that ended in this rollout.
    """

    steps: TensorDict
    env_steps: int
    returns: list[float]


class RolloutData(Collecting):
    """Plays the module's policy in several environments and hands over every rollout once.

    Args:
        env: name of a registered Gymnasium environment.
        total_steps: environment steps of the whole run, over all environments; the last rollout is a whole one.
        envs: environments that are played side by side.
        stepping: one environment after the other in a `loop`, or all in `processes`, one per core at most, which pays
            where a step is slow; what comes out is the same.
        steps: steps of each environment in a rollout.
        episode_steps: time limit of training episodes; by default the environment's own. A shorter one sees more
            starts and changes nothing else, because truncated episodes bootstrap.
        restart: whether every rollout begins with new episodes, instead of going on with those under way.
        eval_every: environment steps between two validations; also the length of an epoch.
        eval_episodes: episodes of a validation, always from the same start seeds.
        test_episodes: episodes of the test, always from the same start seeds, none of them used in validation.
    """

    def __init__(
        self,
        env: str,
        total_steps: Annotated[int, Gt(0)],
        envs: Annotated[int, Ge(1), Le(1024)] = 8,
        stepping: Way = "loop",
        steps: Annotated[int, Gt(0)] = 128,
        episode_steps: Annotated[int, Gt(0)] | None = None,
        restart: bool = False,
        eval_every: Annotated[int, Gt(0)] = 10_000,
        eval_episodes: Annotated[int, Gt(0)] = 20,
        test_episodes: Annotated[int, Gt(0)] = 100,
    ) -> None:
        super().__init__(total_steps, eval_every, eval_episodes, test_episodes)
        self.save_hyperparameters()
        self.env, self.envs, self.steps = env, envs, steps
        self.episode_steps, self.restart = episode_steps, restart
        if self._stride > total_steps:
            rollout = f"{envs} environments times {steps} steps are a rollout of {self._stride}"
            raise BadSetting("envs", f"{rollout}, more than total_steps ({total_steps})")
        check_way(stepping, envs)
        self.stepping = stepping
        self.world: Stepping | None = None
        self._running_returns = np.zeros(envs)

    def facts(self) -> dict[str, Any]:
        """`env`, `observation_size` and `action` (bounds, or a count) of the environment; `envs` and `steps`."""
        return environment.describe(self.env) | {"envs": self.envs, "steps": self.steps}

    def progress(self) -> tuple[int, int, str]:
        """Environment steps done and to do."""
        return min(self.env_steps, self.total_steps), self.total_steps, "env steps"

    def setup(self, stage: str) -> None:
        if stage != "fit":
            return
        assert self.trainer is not None
        if self.trainer.world_size > 1:
            raise BadSetting("trainer.devices", "rollouts are collected by one process; set data.envs instead")
        self.world = stepped(self.stepping, self.env, self.envs, self.episode_steps)
        self.world.reset(np.random.SeedSequence(torch.initial_seed()).generate_state(self.envs).tolist())

    def teardown(self, stage: str) -> None:
        if stage == "fit" and self.world is not None:
            self.world.close()
            self.world = None

    def state_dict(self) -> dict[str, Any]:
        """Where the environments stand between two rollouts, and the counters."""
        if self.world is None:
            return {}
        return {
            **self.counters(),
            "running_returns": self._running_returns.tolist(),
            "observation": torch.tensor(self.world.board.observation),
            "environments": self.world.snapshot(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on where `state_dict` was taken, if this is a training."""
        if self.world is None:
            return
        self.load_counters(state)
        self._running_returns[:] = state["running_returns"]
        self.world.board.observation[:] = state["observation"].numpy()
        reasons = self.world.restore(state["environments"], self.env_steps // self.envs)
        for number, reason in enumerate(reasons):
            if reason is not None:
                warnings.warn(f"the episode under way in {self.env} starts anew: {reason}", stacklevel=2)
                self._running_returns[number] = 0.0

    @property
    def _stride(self) -> int:
        return self.envs * self.steps

    def epoch_length(self) -> int:
        return math.ceil((self._due(self._epoch_began) - self._epoch_began) / self._stride)

    def _due(self, steps: int) -> int:
        return min(self.eval_every * (steps // self.eval_every + 1), self.total_steps)

    @torch.inference_mode()
    def _play(self, observation: np.ndarray, noise: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """What the policy does on observations (N, O), and what the environments are told of it."""
        assert self.trainer is not None
        agent: Any = self.trainer.lightning_module
        action, command = agent.explore(torch.from_numpy(observation).to(noise.device), noise)
        return action.cpu().numpy(), command.cpu().numpy()

    def _collect(self) -> Rollout:
        assert self.trainer is not None
        assert self.world is not None
        agent: Any = self.trainer.lightning_module
        board, shape = self.world.board, (self.steps, self.envs)
        observations = np.empty((self.steps, *board.observation.shape), board.observation.dtype)
        successors, rewards = np.empty_like(observations), np.empty(shape, np.float32)
        terminated, done, actions, returns = np.empty(shape, bool), np.empty(shape, bool), [], []
        if self.restart:
            self.world.reset([None] * self.envs)
            self._running_returns[:] = 0.0
        for step, noise in enumerate(agent.noise(*shape).unbind(0)):
            observations[step] = board.observation
            action, board.command[:] = self._play(board.observation, noise)
            actions.append(action)
            self.world.step()
            successors[step], rewards[step] = board.successor, board.reward
            terminated[step], done[step] = board.terminated, board.done
            self._running_returns += board.reward
            if board.done.any():
                returns += self._running_returns[board.done].tolist()
                self._running_returns[board.done] = 0.0
        following = {"observation": successors, "reward": rewards, "terminated": terminated, "done": done}
        columns = {"observation": observations, "action": np.stack(actions), "next": following}
        self.count(returns)
        return Rollout(TensorDict(columns, shape), self.env_steps, returns)
