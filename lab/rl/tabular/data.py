"""Data of tabular agents: an environment that is stepped one action at a time, and the sizes of its tables."""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

import gymnasium as gym
import numpy as np
import torch
from annotated_types import Ge, Gt, Le
from gymnasium import spaces

from lab.errors import BadSetting
from lab.rl.data.loaders import CollectionData
from lab.rl.envs.checked import CheckedEnv
from lab.rl.envs.factory import NO_LIMIT, EnvFactory
from lab.rl.envs.state import episode, snapshot
from lab.rl.envs.state.plain import Mismatch
from lab.rl.envs.wrappers import WrapperSpec
from lab.rl.tabular.mdp import MDP, process_of

MOST_STATES = 1_000_000


class Transition(NamedTuple):
    """One step of the environment; states are numbers from 0.

    >>> Transition(state=3, action=0, reward=1.0, following=4, terminated=False, over=False).following
    4

    Args:
        state: where the action was taken.
        action: from 0.
        reward: for it.
        following: the next state.
        terminated: the episode ended there.
        over: it ended, or its time limit was reached.
    """

    state: int
    action: int
    reward: float
    following: int
    terminated: bool
    over: bool


class TabularData(CollectionData):
    """Steps one environment with the module's `act`; every transition can be learnt from before the next is taken.

    >>> TabularData("FrozenLake-v1", total_steps=1_000).facts()
    {'env': 'FrozenLake-v1', 'sizes': [16], 'starts': [0], 'actions': 4, 'horizon': 100}

    Args:
        total_steps: environment steps of the run.
        train_freq: environment steps of one training batch; it only decides how often is logged and saved.
        exploring_starts: training episodes begin in a random state, where the environment keeps it in an attribute `s`
            as Gymnasium's do, and with a random action.
        episode_steps: time limit of training episodes, and of evaluation where the environment has none.
        eval_every: environment steps between two validations.
        eval_episodes: episodes of a validation, if the environment has no transition table.
        test_episodes: episodes of the test, if the environment has no transition table.
    """

    def __init__(
        self,
        env: str,
        total_steps: Annotated[int, Gt(0)],
        env_kwargs: dict[str, Any] | None = None,
        wrappers: list[str | WrapperSpec] | None = None,
        train_freq: Annotated[int, Gt(0)] = 1_000,
        exploring_starts: bool = False,
        episode_steps: Annotated[int, Gt(0)] | None = None,
        eval_every: Annotated[int, Gt(0)] = 10_000,
        eval_episodes: Annotated[int, Gt(0)] = 1_000,
        test_episodes: Annotated[int, Gt(0)] = 10_000,
        eval_envs: Annotated[int, Ge(1), Le(1024)] = 1,
        reward_threshold: float | None = None,
    ) -> None:
        super().__init__(
            env,
            env_kwargs,
            wrappers,
            False,
            total_steps,
            eval_every,
            eval_episodes,
            test_episodes,
            eval_envs,
            episode_steps,
            is_flat=False,
            reward_threshold=reward_threshold,
        )
        self.save_hyperparameters()
        self.train_freq, self.exploring_starts = train_freq, exploring_starts
        self.training_env: CheckedEnv | None = None
        self.state: int | None = None  # of the present episode; None between two
        self.ended: list[float] = []  # returns of the training episodes that ended in the latest batch
        self._running_return = 0.0

    def facts(self) -> dict[str, Any]:
        """`env`, the `sizes` and `starts` of its observation, its number of `actions`, and its time limit `horizon`."""
        return table_facts(self.env_factory)

    def setup(self, stage: str) -> None:
        super().setup(stage)
        if stage == "fit":
            facts = self.facts()
            self.sizes, self.starts, self.actions = facts["sizes"], np.array(facts["starts"]), facts["actions"]
            self.training_env = self.env_factory.for_training()
            self._seed: int | None = torch.initial_seed() % 2**31

    def teardown(self, stage: str) -> None:
        if stage == "fit" and self.training_env is not None:
            self.training_env.close()
            self.training_env = None

    def state_dict(self) -> dict[str, Any]:
        if self.training_env is None:
            return {}
        return {
            **self.counters(),
            "state": self.state,
            "seed": self._seed,
            "running_return": self._running_return,
            "env": episode.take(self.training_env),
            "generator": snapshot.generator(self.training_env),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self.training_env is None:
            return
        self.load_counters(state)
        self.state, self._seed, self._running_return = state["state"], state["seed"], state["running_return"]
        if episode.starts_new(state["env"]):
            self.training_env.close()
            self.training_env = self.env_factory.for_training()
        try:
            episode.restore(self.training_env, state["env"])
        except Mismatch as reason:
            warnings.warn(f"the current episode of {self.env} starts again: {reason}", stacklevel=2)
            snapshot.set_generator(self.training_env, state["generator"])
            self.state, self._running_return = None, 0.0

    @property
    def _stride(self) -> int:
        return self.train_freq

    def _collect(self) -> Iterator[Transition]:
        """The transitions of one batch, each taken when it is asked for."""
        assert self.trainer is not None
        assert self.training_env is not None
        agent: Any = self.trainer.lightning_module
        env, returns = self.training_env, []
        for _ in range(self.train_freq):
            explores = self.state is None and self.exploring_starts
            state = self._start(env) if self.state is None else self.state
            action = random.randrange(self.actions) if explores else agent.act(state)
            observation, reward, terminated, truncated, _ = env.step(action)
            following, over = self._index(observation), terminated or truncated
            self._running_return += reward
            self.state = None if over else following
            if over:
                returns.append(self._running_return)
                self._running_return = 0.0
            yield Transition(state, action, reward, following, terminated, over)
        self.ended = returns
        self.count(returns)

    def _start(self, env: CheckedEnv) -> int:
        """Begins an episode; the first one with the run's seed."""
        state = self._index(env.reset(seed=self._seed)[0])
        self._seed = None
        inner: Any = env.unwrapped
        if self.exploring_starts and isinstance(getattr(inner, "s", None), int | np.integer):
            while True:  # until it is a state in which something can be done
                state = inner.s = random.randrange(len(inner.P))
                if not all(outcome[3] for action in range(self.actions) for outcome in inner.P[state][action]):
                    break
        return state

    def _index(self, observation: Any) -> int:
        if len(self.sizes) == 1:
            return int(observation) - int(self.starts[0])
        return int(np.ravel_multi_index(tuple(np.asarray(observation) - self.starts), self.sizes))


class ModelData(TabularData):
    """The same, of an environment with a transition table, against which what is learnt is held."""

    def facts(self) -> dict[str, Any]:
        """Refuses an environment without a transition table."""
        facts = super().facts()
        known_process(self.env_factory)
        return facts


def known_process(factory: EnvFactory) -> MDP:
    """The process of an environment.

    Raises:
        BadSetting: it has no transition table; names agents that need none.
    """
    process = process_of(factory)
    if process is None:
        need = "has no transition table (`env.unwrapped.P`)" + (", with wrappers" if factory.wrappers else "")
        raise BadSetting("env", f"{factory.env!r} {need}: use task=td_control or monte_carlo, which learn without")
    return process


def table_facts(factory: EnvFactory) -> dict[str, Any]:
    """The facts of an environment that a table can be made for.

    Raises:
        BadSetting: its observations or actions cannot be counted; names agents that can use them.
    """
    made = factory.for_evaluation(1)[0]
    name, seen, acted = factory.env, made.observation_space, made.action_space
    if not isinstance(acted, spaces.Discrete):
        raise BadSetting("env", f"{name!r} has no Discrete actions, which a table needs: use task=sac, td3 or ppo")
    parts = list(_parts(seen))
    if not parts:
        kind = f"a Box of shape {seen.shape}" if isinstance(seen, spaces.Box) else type(seen).__name__
        raise BadSetting("env", f"{name!r} observes {kind}; a table needs Discrete observations: use task=dqn or ppo")
    sizes, starts = [size for size, _ in parts], [start for _, start in parts]
    if math.prod(sizes) > MOST_STATES:
        raise BadSetting("env", f"{name!r} has {math.prod(sizes):,} states, too many for a table: use task=dqn or ppo")
    limit = made.spec.max_episode_steps if made.spec is not None else None
    horizon = limit or factory.episode_steps or NO_LIMIT
    return {"env": name, "sizes": sizes, "starts": starts, "actions": int(acted.n), "horizon": horizon}


def _parts(space: gym.Space[Any]) -> Iterator[tuple[int, int]]:
    """Size and smallest value of each part; none where one of them cannot be counted."""
    if isinstance(space, spaces.Discrete):
        yield int(space.n), int(space.start)
    elif isinstance(space, spaces.MultiDiscrete) and len(space.shape) == 1:
        yield from zip(space.nvec.tolist(), space.start.tolist(), strict=True)
    elif isinstance(space, spaces.MultiBinary) and len(space.shape) == 1:
        yield from [(2, 0)] * space.shape[0]
    elif isinstance(space, spaces.Tuple) and all(isinstance(part, spaces.Discrete) for part in space):
        for part in space:
            yield from _parts(part)
