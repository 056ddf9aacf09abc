"""On-policy data: rollouts of several environments with the current policy, as a LightningDataModule.

A training batch is a rollout: `num_steps` steps of each of `num_envs` environments. (A2C's are so short that a batch
has several, since the Trainer's own work on a batch takes as long as what is learnt from one.) The policy answers all
environments at once. Of several processes each has that many environments, and they share the steps of the run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt, Le

from lab.errors import BadSetting, LabError
from lab.rl.common.processes import check_processes, explore_apart
from lab.rl.data.collected import Collected
from lab.rl.data.collector import ArrayCollector, seeds
from lab.rl.data.loaders import CollectionData, FrameStack
from lab.rl.envs.async_stepper import check_around, check_vectorization, make_stepper
from lab.rl.envs.wrappers import WrapperSpec


class Rollout(Collected):
    """The batch of one `training_step`: `steps` of shape (T, N), time first, with `observation`, `action`, and in
    `next` `observation`, `reward`, `terminated` and `done`.

    The next observation is the true one, also where an episode ends.

    >>> rollout = Rollout(TensorDict({"observation": torch.zeros(5, 2, 3)}, [5, 2]), env_steps=10, returns=[])
    >>> rollout.steps.shape
    torch.Size([5, 2])
    """


class Rollouts:
    """The batch of one `training_step` that has several short rollouts; each is collected when it is asked for, by the
    policy as it is then.

    Args:
        collect: collects the next rollout.
        count: how many there are.
    """

    def __init__(self, collect: Callable[[], Rollout], count: int) -> None:
        self.collect, self.count = collect, count
        self.device = torch.device("cpu")

    def parts(self) -> Iterator[Rollout]:
        """The rollouts, played in full precision whatever they are learnt in."""
        for _ in range(self.count):
            with torch.autocast(self.device.type, enabled=False):
                rollout = self.collect()
            yield rollout.to(self.device)

    def to(self, device: torch.device) -> Rollouts:
        """The same with rollouts on a device; Lightning calls it."""
        self.device = device
        return self


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
        eval_deterministic: play the likeliest actions in validation, test and video; else they are drawn.
    """

    batch_steps = 0  # environment steps, up to which a training batch has several rollouts

    def __init__(
        self,
        env: str,
        total_steps: Annotated[int, Gt(0)],
        env_kwargs: dict[str, Any] | None = None,
        wrappers: list[str | WrapperSpec] | None = None,
        action_masks: bool = False,
        frame_stack: FrameStack | None = None,
        num_envs: Annotated[int, Ge(1), Le(1024)] = 8,
        vectorization: Literal["sync", "async"] = "sync",
        num_steps: Annotated[int, Gt(0)] = 256,
        episode_steps: Annotated[int, Gt(0)] | None = None,
        reset_each_rollout: bool = False,
        eval_every: Annotated[int, Gt(0)] = 10_000,
        eval_episodes: Annotated[int, Gt(0)] = 20,
        test_episodes: Annotated[int, Gt(0)] = 100,
        eval_envs: Annotated[int, Ge(1), Le(1024)] = 1,
        reward_threshold: float | None = None,
        keep: str | None = None,
        eval_deterministic: bool = True,
    ) -> None:
        super().__init__(
            env,
            env_kwargs,
            wrappers,
            action_masks,
            total_steps,
            eval_every,
            eval_episodes,
            test_episodes,
            eval_envs,
            episode_steps,
            frame_stack,
            reward_threshold=reward_threshold,
            keep=keep,
        )
        self.save_hyperparameters()
        self.num_envs, self.num_steps = num_envs, num_steps
        self.reset_each_rollout, self.eval_deterministic = reset_each_rollout, eval_deterministic
        self.world_size = 1
        self.own_buffers: Callable[[], dict[str, torch.Tensor]] = dict  # of the agent, for each of several processes
        if self._stride > total_steps:
            rollout = f"{num_envs} environments times {num_steps} steps are a rollout of {self._stride}"
            raise BadSetting("num_envs", f"{rollout}, more than total_steps ({total_steps})")
        check_vectorization(vectorization, num_envs)
        self.vectorization = vectorization
        self.collector: ArrayCollector | None = None

    def facts(self) -> dict[str, Any]:
        """`env`, `observation_size` and `action` of the environment; `num_envs` and `num_steps`."""
        check_around(self.vectorization, self.env_factory)
        return self.env_factory.facts() | {"num_envs": self.num_envs, "num_steps": self.num_steps}

    def connect(self, module: Any) -> None:
        super().connect(module)
        module.eval_deterministic = self.eval_deterministic

    def setup(self, stage: str) -> None:
        super().setup(stage)
        if stage != "fit":
            return
        assert self.trainer is not None
        agent: Any = self.trainer.lightning_module
        self.world_size = self.trainer.world_size
        if self.world_size > 1:
            self.own_buffers = agent.own_buffers
            explore_apart(agent, self.trainer.global_rank, self.own_buffers().keys())
        stepper = make_stepper(self.vectorization, self.env_factory, self.num_envs)
        stepper.reset(seeds(self.num_envs, torch.initial_seed()))
        frames = self.num_envs * self.num_steps
        self.collector = ArrayCollector(stepper, agent, frames_per_batch=frames, kept_episodes=self.kept_episodes)

    def teardown(self, stage: str) -> None:
        if stage == "fit" and self.collector is not None:
            self.collector.shutdown()
            self.collector = None

    def state_dict(self) -> dict[str, Any]:
        """The state of a process between two rollouts: its environments, the counters, and its own buffers."""
        if self.collector is None:
            return {}
        own = {name: buffer.clone() for name, buffer in self.own_buffers().items()}
        return {
            "processes": self.world_size,
            "batch_steps": self.batch_steps,
            **self.counters(),
            "collector": self.collector.state_dict(),
            "own_buffers": own,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on where `state_dict` was taken, if this is a training.

        Raises:
            LabError: as many processes as then are needed, or batches were of another length.
        """
        if self.collector is not None:
            check_processes(state["processes"], self.world_size)
            if state.get("batch_steps", 0) != self.batch_steps:  # then the Trainer's count of batches is another one
                raise LabError("the run is of an earlier version, whose batches were shorter; start it again")
            for name, buffer in self.own_buffers().items():
                buffer.copy_(state["own_buffers"][name])
            self.load_counters(state)
            self.collector.load_state_dict(state["collector"])

    @property
    def _stride(self) -> int:
        return self.num_envs * self.num_steps * self.world_size

    @property
    def _rollouts_per_batch(self) -> int:
        return max(1, self.batch_steps // (self.num_envs * self.num_steps))

    def _num_batches(self, steps: int) -> int:
        return math.ceil(super()._num_batches(steps) / self._rollouts_per_batch)

    def _collect(self) -> Rollout | Rollouts:
        left = math.ceil((self._due(self._epoch_began) - self.env_steps) / self._stride)
        count = min(self._rollouts_per_batch, left)
        return Rollouts(self._collect_one, count) if count > 1 else self._collect_one()

    def _collect_one(self) -> Rollout:
        assert self.collector is not None
        if self.reset_each_rollout:
            self.collector.reset()
        steps = self.collector.collect()
        self.count(self.collector.returns)
        return Rollout(steps.exclude("collector"), self.env_steps, self.collector.returns)
