"""Value iteration and policy iteration on the transition table of an environment.

Sources: Bellman 1957; Howard 1960; Sutton & Barto 2018, chapter 4. With `finite_horizon` the values of each number of
remaining steps are computed, and the policy is the best that there is within the time limit.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, Literal

import numpy as np
import torch
from annotated_types import Ge, Gt
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from lab.errors import BadSetting
from lab.rl.envs.factory import EnvFactory
from lab.rl.tabular.agent import TabularAgent
from lab.rl.tabular.data import known_process, table_facts
from lab.task import Task, Unit


class SweepAgent(TabularAgent):
    """A tabular agent that learns in sweeps over the transition table; no step is taken in the environment."""

    def training_step(self, sweep: Any, batch_idx: int) -> Tensor:  # noqa: ARG002 - Lightning's signature
        optimizer: Any = self.optimizers()
        changed = optimizer.step(self.sweep)
        self.env_steps = self.trainer.global_step  # the x-axis is sweeps
        self.log_dict({"loss/change": changed, "step": float(self.env_steps)}, batch_size=1)
        return torch.tensor(changed)

    @abstractmethod
    def sweep(self) -> float:
        """One sweep over all states; returns the largest change of a value."""

    def validation_step(self, *_: Any) -> None:
        self._log("val")

    def test_step(self, *_: Any) -> None:
        self._log("test")

    def _log(self, stage: str) -> None:
        metrics = self.evaluate(stage, []) | {"step": float(self.env_steps)}
        self.log_dict({name: torch.tensor(value) for name, value in metrics.items()}, batch_size=1)


class DynamicProgramming(SweepAgent):
    """Solves an environment whose transition table is known; no step is taken in it.

    Args:
        algorithm: `value_iteration`: a sweep backs up all values; `policy_iteration`: a sweep evaluates the greedy
            policy exactly and takes the greedy policy of that.
        gamma: discount of the return per step.
        finite_horizon: values for each number of remaining steps.
        init_std: standard deviation of the initial values, which decide the first policy.
    """

    def __init__(
        self,
        env: str,
        sizes: list[int],
        starts: list[int],
        actions: int,
        horizon: int,
        algorithm: Literal["value_iteration", "policy_iteration"] = "value_iteration",
        gamma: Unit = 1.0,
        finite_horizon: bool = True,
        init_std: Annotated[float, Ge(0)] = 0.01,
    ) -> None:
        super().__init__(env, sizes, starts, actions, horizon, finite_horizon)
        self.save_hyperparameters()
        if algorithm == "policy_iteration" and gamma == 1 and not finite_horizon:
            raise BadSetting("gamma", "expected less than 1: without a time limit a policy may never end an episode")
        self.algorithm, self.gamma = algorithm, gamma
        torch.nn.init.normal_(self.table, std=init_std)
        if finite_horizon:
            torch.nn.init.zeros_(self.table[0])

    def sweep(self) -> float:
        """One sweep over all states and actions; returns the largest change of a value."""
        process = self.process
        assert process is not None  # the data refuses an environment without
        before, after = self.values
        old = after.copy()
        if self.algorithm == "value_iteration":
            after[:] = process.backup(before.max(-1), self.gamma)
        elif self.finite_horizon:
            value, every = np.zeros(process.states), np.arange(process.states)
            for layer, action in enumerate(self.policy()):
                after[layer] = process.backup(value, self.gamma)
                value = after[layer][every, action]
        else:
            policy = np.eye(process.actions)[self.policy()[0]]
            after[0] = process.backup(process.policy_value(policy, self.gamma), self.gamma)
        return float(np.abs(after - old).max())


class SweepData(LightningDataModule):
    """The number of sweeps, and the environment whose transition table they go over.

    Args:
        env: name of a registered Gymnasium environment with a transition table.
        sweeps: of the run.
        eval_every: sweeps between two validations.
        env_kwargs: keyword arguments of the environment's constructor.
        episode_steps: time limit of an environment that has none.
    """

    def __init__(
        self,
        env: str,
        sweeps: Annotated[int, Gt(0)] = 1_000,
        eval_every: Annotated[int, Gt(0)] = 10,
        env_kwargs: dict[str, Any] | None = None,
        episode_steps: Annotated[int, Gt(0)] | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.sweeps, self.eval_every = sweeps, min(eval_every, sweeps)
        self.env_factory = EnvFactory(env, env_kwargs, episode_steps=episode_steps, is_flat=False)

    def facts(self) -> dict[str, Any]:
        """`env`, the `sizes` and `starts` of its observation, its number of `actions`, and its time limit `horizon`."""
        facts = table_facts(self.env_factory)
        known_process(self.env_factory)
        return facts

    def connect(self, module: Any) -> None:
        """Gives the module the environment with the table."""
        module.env_factory = self.env_factory

    def setup(self, stage: str) -> None:  # noqa: ARG002 - Lightning's signature
        assert self.trainer is not None
        self.connect(self.trainer.lightning_module)

    def trainer_defaults(self) -> dict[str, Any]:
        """All sweeps, in epochs from validation to validation."""
        return {"max_epochs": -(-self.sweeps // self.eval_every), "num_sanity_val_steps": 0, "log_every_n_steps": 1}

    def progress(self) -> tuple[int, int, str]:
        """Sweeps done and to do."""
        assert self.trainer is not None
        return min(self.trainer.global_step, self.sweeps), self.sweeps, "sweeps"

    def train_dataloader(self) -> DataLoader[int]:
        return _numbers(self.eval_every)

    def val_dataloader(self) -> DataLoader[int]:
        return _numbers(1)

    test_dataloader = val_dataloader


def _numbers(count: int) -> DataLoader[int]:
    # with a generator of its own: a loader draws a number from torch's for each pass
    return DataLoader(range(count), batch_size=None, generator=torch.Generator())  # type: ignore[arg-type]


TASK = Task(module=DynamicProgramming, data=SweepData, monitor="val/return", mode="max")
