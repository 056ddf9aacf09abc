"""Rollouts of environments with several agents, as a LightningDataModule."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le
from gymnasium.wrappers import TimeLimit

from lab.errors import BadSetting
from lab.rl.data.rollout import RolloutData
from lab.rl.envs import wrappers as layers
from lab.rl.envs.factory import EnvFactory
from lab.rl.envs.layers.team import Team
from lab.rl.envs.wrappers import WrapperSpec


class TeamRolloutData(RolloutData):
    """Rollouts of all agents of a PettingZoo environment; a step of the environment is one of every agent.

    >>> TeamRolloutData("lab.rl.multi_agent.rendezvous:Rendezvous", total_steps=2_048).facts()["agents"]["agent_1"]
    {'observation_size': 4, 'action': {'count': 5}}

    Args:
        env: `module:parallel_env`, PettingZoo's function that makes a parallel environment, such as
            `mpe2.simple_spread_v3:parallel_env`, or `module:Class` of one.
        wrappers: `TimeLimit` alone, since others would see all agents as one.
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
        self.env_factory = EnvFactory(env, env_kwargs, wrappers, episode_steps, is_team=True)

    def facts(self) -> dict[str, Any]:
        """`env`, `agents` with what each sees and does, `num_envs` and `num_steps`."""
        for layer in layers.find(self.env_factory.wrappers):
            if layer.kind is not TimeLimit:
                says = f"{layer.name} would see all agents as one; put a wrapper of PettingZoo's into a module of yours"
                raise BadSetting(f"wrappers.{layer.place}", says)
        team: Any = self.env_factory.for_evaluation(1)[0].unwrapped
        assert isinstance(team, Team)
        return {"env": self.env, "agents": team.specs, "num_envs": self.num_envs, "num_steps": self.num_steps}
