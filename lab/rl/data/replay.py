"""Off-policy data: environments, a collector and a torchrl replay buffer as one LightningDataModule.

A training batch is a whole block: `train_freq` environment steps are collected, appended at once, and all batches of
the updates that belong to them are sampled at once. So fixed costs are paid once per block and not once per environment
step.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt, Le
from tensordict import TensorDict

from lab.errors import BadSetting
from lab.rl.common.processes import check_processes, explore_apart
from lab.rl.data.buffers.buffer import ReplayBuffer, check_buffer_fits
from lab.rl.data.buffers.hindsight import GoalSelection, Hindsight
from lab.rl.data.collected import Collected
from lab.rl.data.collector import ArrayCollector, seeds
from lab.rl.data.kept_episodes import PREFIX
from lab.rl.data.loaders import CollectionData, FrameStack
from lab.rl.envs.async_stepper import check_around, check_vectorization, make_stepper
from lab.rl.envs.discretize import discretize
from lab.rl.envs.observations import Layout
from lab.rl.envs.stepping import Vectorization
from lab.rl.envs.wrappers import WrapperSpec


class Block(Collected):
    """The batch of one `training_step`: `steps` of shape (updates, batch size), with the keys that
    `ReplayBuffer.sample` names.

    >>> block = Block(TensorDict({"observation": torch.zeros(2, 8, 3)}, [2, 8]), env_steps=50, returns=[-1.5])
    >>> len(block.steps), block.as_type(torch.float64).steps["observation"].dtype
    (2, torch.float64)
    """


class ReplayData(CollectionData):
    """Collects transitions with the module's exploration policy and replays them, uniformly or by priority.

    >>> data = ReplayData("Pendulum-v1", total_steps=1_000, num_action_bins=3)
    >>> data.facts()["action"], data.progress()
    ({'count': 3, 'values': [[-2.0], [0.0], [2.0]]}, (0, 1000, 'env steps'))

    Args:
        total_steps: environment steps of the run, including random ones, over all environments.
        num_envs: environments that are stepped together.
        vectorization: `sync` steps the environments in this process, `async` in several processes, at most one per
            core, which is faster for slow environments; `vector` as one batch, where the environment has a vector entry
            point; there the step that begins an episode is counted and not learned from.
        batch_size: transitions per update.
        learning_starts: environment steps with random actions before learning starts.
        train_freq: environment steps between updates, rounded up to a multiple of `num_envs`; smaller values use a
            newer policy, larger ones are faster.
        updates_per_step: gradient updates per environment step.
        buffer_size: capacity of the replay buffer, in transitions.
        num_action_bins: number of evenly spaced values that replace a continuous action, for algorithms with discrete
            actions.
        n_step: number of steps of n-step returns, discounted with `model.gamma`.
        prioritized: prioritised replay: sample transitions in proportion to their error.
        priority_alpha: exponent of the priorities, from 0 (uniform) to 1 (proportional); if `prioritized`.
        priority_beta: initial exponent of the importance weights, which rises linearly to 1; if `prioritized`.
        hindsight: hindsight experience replay: sample transitions with goals that were reached later in the episode.
        n_sampled_goal: transitions with a new goal for each that keeps its own; if `hindsight`.
        goal_selection_strategy: take the new goal from any later step of the episode (`future`) or from its last one
            (`final`); if `hindsight`.
        storage: storage of the buffer: `memory`, or memory-mapped files (`memmap`) if it is larger than the memory.
    """

    def __init__(
        self,
        env: str,
        total_steps: Annotated[int, Gt(0)],
        env_kwargs: dict[str, Any] | None = None,
        wrappers: list[str | WrapperSpec] | None = None,
        action_masks: bool = False,
        frame_stack: FrameStack | None = None,
        num_envs: Annotated[int, Ge(1), Le(1024)] = 1,
        vectorization: Vectorization = "sync",
        batch_size: Annotated[int, Gt(0)] = 256,
        episode_steps: Annotated[int, Gt(0)] | None = None,
        learning_starts: Annotated[int, Ge(1)] = 100,
        train_freq: Annotated[int, Gt(0)] = 50,
        updates_per_step: Annotated[float, Gt(0)] = 1.0,
        buffer_size: Annotated[int, Gt(0)] = 1_000_000,
        num_action_bins: Annotated[int, Ge(2)] | None = None,
        n_step: Annotated[int, Ge(1)] = 1,
        prioritized: bool = False,
        priority_alpha: Annotated[float, Ge(0), Le(1)] = 0.6,
        priority_beta: Annotated[float, Ge(0), Le(1)] = 0.4,
        hindsight: bool = False,
        n_sampled_goal: Annotated[int, Ge(1)] = 4,
        goal_selection_strategy: GoalSelection = "future",
        storage: Literal["memory", "memmap"] = "memory",
        eval_every: Annotated[int, Gt(0)] = 1_000,
        eval_episodes: Annotated[int, Gt(0)] = 20,
        test_episodes: Annotated[int, Gt(0)] = 100,
        eval_envs: Annotated[int, Ge(1), Le(1024)] = 1,
        reward_threshold: float | None = None,
        keep: str | None = None,
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
        self.batch_size, self.learning_starts = batch_size, learning_starts
        self.num_envs, self.vectorization = num_envs, vectorization
        self.train_freq = math.ceil(train_freq / num_envs) * num_envs
        # whole steps of all environments
        self.buffer_size = max(min(buffer_size, total_steps) // num_envs, 1) * num_envs
        self.storage = storage
        self.num_action_bins, self.n_step = num_action_bins, n_step
        self.priority = (priority_alpha, priority_beta) if prioritized else None
        self.updates_per_step = updates_per_step
        if round(train_freq * updates_per_step, 6) < 1:
            raise BadSetting(
                "updates_per_step", f"{updates_per_step} times a train_freq of {train_freq} is less than one update"
            )
        if learning_starts >= total_steps:
            raise BadSetting(
                "learning_starts", f"expected less than total_steps ({total_steps}), found {learning_starts}"
            )
        check_vectorization(vectorization, num_envs)
        if vectorization == "vector" and n_step > 1:
            raise BadSetting(
                "n_step", f"{n_step} needs consecutive steps, which vector lacks; set vectorization to sync"
            )
        if hindsight and (n_step > 1 or prioritized or vectorization == "vector"):
            other = "n_step" if n_step > 1 else "prioritized" if prioritized else "vectorization"
            raise BadSetting(other, "hindsight needs single steps, sampled uniformly; leave it out")
        self.goals = (goal_selection_strategy, n_sampled_goal, num_envs) if hindsight else None
        self.world_size = 1
        self.collector: ArrayCollector | None = None

    def facts(self) -> dict[str, Any]:
        """`env`, `observation_size` and `action` of the environment, and `num_envs`.

        Raises:
            BadSetting: the buffer does not fit into memory.
        """
        facts = self.env_factory.facts()
        check_buffer_fits(self.buffer_size, self.storage, facts)
        check_around(self.vectorization, self.env_factory)
        if self.goals is not None:
            Hindsight(self.env_factory, *self.goals)  # says what is missing
        if self.num_action_bins:
            facts["action"] = discretize(self.env, facts["action"], self.num_action_bins)
        return facts | {"num_envs": self.num_envs}

    def setup(self, stage: str) -> None:
        super().setup(stage)
        if stage != "fit":
            return
        assert self.trainer is not None
        rank, self.world_size = self.trainer.global_rank, self.trainer.world_size
        agent: Any = self.trainer.lightning_module
        self._check_supported(agent)
        self.observe = getattr(agent, "observe", None)  # for running statistics, random steps included
        device = self.trainer.strategy.root_device
        policy = self.policy = agent.exploration_policy().to(device)  # else torchrl copies it
        if self.world_size > 1:  # every process explores for itself, with noise of its own
            buffers = set(policy.buffers())
            explore_apart(agent, rank, [name for name, buffer in agent.named_buffers() if buffer in buffers])
        stepper = make_stepper(self.vectorization, self.env_factory, self.num_envs, self.facts()["action"])
        stepper.reset(seeds(self.num_envs, torch.initial_seed()))
        self.collector = ArrayCollector(
            stepper,
            policy,
            frames_per_batch=self.train_freq,
            init_random_frames=self.learning_starts // self.world_size,
            layout=Layout(self.facts()["observation_size"]) if self.env_factory.action_masks else None,
            kept_episodes=self.kept_episodes,
        )
        self.buffer = self.make_buffer(getattr(agent, "gamma", 1.0))
        self.replay = self.buffer.replay

    def make_buffer(self, gamma: float) -> ReplayBuffer:
        """An empty buffer, whose n-step returns are discounted by `gamma`."""
        hindsight = None if self.goals is None else Hindsight(self.env_factory, *self.goals)
        return ReplayBuffer(self.buffer_size, self.storage, self.n_step, gamma, self.priority, self.num_envs, hindsight)

    def _check_supported(self, agent: Any) -> None:
        """Refuses what the module would not notice: it would learn something else than it was asked for."""
        name = type(agent).__name__.lower()
        for key, wanted in {"n_step": self.n_step > 1, "prioritized": self.priority is not None}.items():
            if wanted and key not in getattr(agent, "replays", ()):
                raise BadSetting(
                    key, f"{name} supports only uniform sampling of single steps; leave {key} out, or use dqn"
                )

    def teardown(self, stage: str) -> None:
        if stage == "fit" and self.collector is not None:
            self.collector.shutdown()
            self.collector = None

    def state_dict(self) -> dict[str, Any]:
        """The state of a process between two blocks, but for the transitions, which go with `write_buffers`."""
        if self.collector is None:
            return {}
        return {
            "processes": self.world_size,
            **self.counters(),
            "collector": self.collector.state_dict(),
            "noise": {name: buffer.clone() for name, buffer in self.policy.named_buffers()},  # each process has its own
            "buffer": self.buffer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on where `state_dict` was taken, if this is a training; `read_buffers` brings the transitions.

        Raises:
            LabError: as many processes as then are needed.
        """
        if self.collector is None:
            return
        check_processes(state["processes"], self.world_size)
        self.load_counters(state)
        self.buffer.load_state_dict(state["buffer"])
        for name, buffer in state["noise"].items():
            module, _, attribute = name.rpartition(".")
            setattr(self.policy.get_submodule(module), attribute, buffer.clone())
        self.collector.load_state_dict(state["collector"])

    def write_buffers(self, folder: Path) -> list[str]:
        """Writes the transitions that `folder` lacks; returns the names of all files that a resume from here needs."""
        return self.buffer.write(folder) + super().write_buffers(folder)

    def read_buffers(self, folder: Path, files: list[str]) -> None:
        """Reads the transitions of the checkpoint that was loaded."""
        super().read_buffers(folder, files)
        self.buffer.read(folder, [name for name in files if not name.startswith(PREFIX)])

    def _collect(self) -> Block | None:
        assert self.collector is not None
        steps, returns = self.collect_steps(self.collector), self.collector.returns
        if self.observe is not None:
            self.observe(steps)
        self.buffer.extend(
            steps[steps["collector", "mask"]]
        )  # one after the other, all environments of a step together
        self.count(returns)
        if self.env_steps <= self.learning_starts:
            return None
        progress = min(1.0, self.env_steps / self.total_steps)  # the last block may go beyond the budget
        batches = self.buffer.sample(self._updates_due(), self.batch_size, progress)
        return Block(batches, self.env_steps, returns)

    def collect_steps(self, collector: ArrayCollector) -> TensorDict:
        """A block of steps (T, N)."""
        return collector.collect()

    def set_priorities(self, index: torch.Tensor, errors: torch.Tensor) -> None:
        """Errors of the module, at least 0, on the transitions at `index`; both of any one shape."""
        self.buffer.set_priorities(index, errors)

    def _updates_due(self) -> int:
        """Updates of the present block; fractions are carried over, so that the sum over the run is exact."""
        block = self.env_steps // self._stride - self.learning_starts // self._stride  # the first to learn from is 1
        due, before = (int(number * self.train_freq * self.updates_per_step + 1e-6) for number in (block, block - 1))
        return due - before

    def epoch_length(self) -> int:
        first = max(self._epoch_began, self.learning_starts // self._stride * self._stride)
        return math.ceil((self._due(self._epoch_began) - first) / self._stride)

    @property
    def _stride(self) -> int:
        return self.train_freq * self.world_size

    def _due(self, steps: int) -> int:
        """The first validation is not before the first updates."""
        first = (self.learning_starts // self._stride + 1) * self._stride
        return min(max(super()._due(steps), first), self.total_steps)
