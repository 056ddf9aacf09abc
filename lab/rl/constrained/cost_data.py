"""Rollouts with the cost of each step, as a LightningDataModule."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le

from lab.errors import BadSetting
from lab.rl.data.rollout import RolloutData
from lab.rl.envs.factory import EnvFactory
from lab.rl.envs.wrappers import WrapperSpec

COST_COLUMN = "lab.rl.envs.layers.cost_column:CostColumn"


class CostRolloutData(RolloutData):
    """Rollouts of an environment with `info["cost"]`, which is the last column of its observations here.

    >>> CostRolloutData("lab.rl.constrained.cooling:Cooling-v0", total_steps=2_048).facts()["observation_size"]
    10

    Args:
        env: its steps say their cost as `info["cost"]`, as those of Safety-Gymnasium do; its observation is a vector.
    """

    def __init__(
        self,
        env: str,
        total_steps: Annotated[int, Gt(0)],
        env_kwargs: dict[str, Any] | None = None,
        wrappers: list[str | WrapperSpec] | None = None,
        num_envs: Annotated[int, Ge(1), Le(1024)] = 8,
        vectorization: Literal["sync", "async"] = "sync",
        num_steps: Annotated[int, Gt(0)] = 256,
        episode_steps: Annotated[int, Gt(0)] | None = None,
        eval_every: Annotated[int, Gt(0)] = 10_000,
        eval_episodes: Annotated[int, Gt(0)] = 20,
        test_episodes: Annotated[int, Gt(0)] = 100,
        eval_envs: Annotated[int, Ge(1), Le(1024)] = 1,
        reward_threshold: float | None = None,
    ) -> None:
        super().__init__(
            env, total_steps, env_kwargs, wrappers, num_envs=num_envs, vectorization=vectorization, num_steps=num_steps,
            episode_steps=episode_steps, eval_every=eval_every, eval_episodes=eval_episodes,
            test_episodes=test_episodes, eval_envs=eval_envs, reward_threshold=reward_threshold,
        )  # fmt: skip
        self.plain_factory = self.env_factory  # without the column
        self.env_factory = EnvFactory(env, env_kwargs, [*(wrappers or ()), COST_COLUMN], episode_steps)

    def facts(self) -> dict[str, Any]:
        """Those of `RolloutData`, with the cost in the observation.

        Raises:
            BadSetting: the first step has no `info["cost"]`.
        """
        self._check_cost()
        return super().facts()

    def _check_cost(self) -> None:
        made = self.plain_factory.for_evaluation(1)[0]
        made.reset(seed=0)
        made.action_space.seed(0)
        info = made.step(made.action_space.sample())[4]
        self.plain_factory.close()  # some simulators may exist only once
        if "cost" not in info:
            says = f'constrained_ppo keeps info["cost"] within a limit, and {self.env!r} has none: use task=ppo'
            raise BadSetting("env", f"{says}, or a wrapper that adds it")
