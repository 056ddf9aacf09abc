"""PettingZoo's parallel environments, in which several agents act at once, as one Gymnasium environment.

PettingZoo is not needed: whatever has the methods of its `ParallelEnv` will do.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import getattr_static
from types import FunctionType
from typing import Any, TypedDict

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from gymnasium.spaces.utils import flatdim, flatten

from lab.errors import BadSetting
from lab.rl.envs.spaces import ActionSpec, action_spec

METHODS = ("reset", "step", "observation_space", "action_space")
FACTORY = "parallel_env"  # the function that makes an environment in each module of PettingZoo's
EXTRA = 3  # columns of an agent behind its observation
ALIVE, REWARD, TERMINATED = -3, -2, -1


class AgentSpec(TypedDict):
    """One of several agents.

    >>> AgentSpec(observation_size=4, action={"count": 5})
    {'observation_size': 4, 'action': {'count': 5}}

    Args:
        observation_size: length of its observation as a vector.
        action: bounds of a continuous action, or numbers of discrete ones.
    """

    observation_size: int
    action: ActionSpec


def is_parallel(found: Any, name: str) -> bool:
    """Whether what a module calls `name` makes parallel environments; it is not called."""
    if isinstance(found, type):
        methods = [getattr_static(found, method, None) for method in METHODS]  # no code of a metaclass runs
        return not issubclass(found, gym.Env) and all(map(callable, methods))
    return isinstance(found, FunctionType) and name == FACTORY


class Team(gym.Env[np.ndarray, np.ndarray]):
    """All agents of a parallel environment as one: observations and actions side by side, rewards summed.

    Each of A agents has K columns: its observation, zeros up to the longest one, and then whether it acts in the next
    step, its reward in the last one, and whether that was its end for good. What agents that have ended are told to do
    is left out. `info["rewards"]` are the rewards (A,).

    >>> from lab.rl.multi_agent.rendezvous import Rendezvous
    >>> team = Team(Rendezvous)
    >>> seen, _ = team.reset(seed=0)
    >>> seen.shape, team.specs["agent_0"]
    ((14,), {'observation_size': 4, 'action': {'count': 5}})
    >>> team.step(np.array([0, 0]))[4]["rewards"]
    array([-1., -1.])

    Args:
        maker: makes the parallel environment.
        render_mode: handed on to it, if it is to draw.
        keywords: of `maker`.

    Raises:
        BadSetting: what is made is no parallel environment, or an agent's spaces are none for a vector network.
    """

    def __init__(self, maker: Callable[..., Any], render_mode: str | None = None, **keywords: Any) -> None:
        self.parallel = maker(**keywords, **({"render_mode": render_mode} if render_mode else {}))
        self.name = str(getattr(maker, "__qualname__", maker))
        if not is_parallel(type(self.parallel), "") or not getattr(self.parallel, "possible_agents", None):
            kind = type(self.parallel).__name__
            raise BadSetting("env", f"{kind} is no ParallelEnv with possible_agents; name a parallel_env of PettingZoo")
        self.metadata = dict(getattr(self.parallel, "metadata", {}))
        self.members: list[Any] = list(self.parallel.possible_agents)
        self.seen = [self.parallel.observation_space(agent) for agent in self.members]
        self.acts = [self.parallel.action_space(agent) for agent in self.members]
        self.specs: dict[str, AgentSpec] = {
            str(agent): {"observation_size": self._size(agent, seen), "action": action_spec(str(agent), act)}
            for agent, seen, act in zip(self.members, self.seen, self.acts, strict=True)
        }
        self.columns = max(spec["observation_size"] for spec in self.specs.values()) + EXTRA
        self.observation_space = Box(-np.inf, np.inf, (len(self.members) * self.columns,), np.float32)
        self.action_space: Any = self._joint_actions()

    def _size(self, agent: Any, seen: gym.Space[Any]) -> int:
        if not seen.is_np_flattenable or (isinstance(seen, Box) and len(seen.shape) > 2):
            raise BadSetting("env", f"{agent!r} of {self.name} sees {seen}, of which no vector is made here")
        return flatdim(seen)

    def _joint_actions(self) -> gym.Space[Any]:
        if all(isinstance(act, Box) for act in self.acts):
            low, high = (np.concatenate([getattr(act, side).ravel() for act in self.acts]) for side in ("low", "high"))
            self.widths = [act.low.size for act in self.acts]
            return Box(low.astype(np.float32), high.astype(np.float32))
        if all(isinstance(act, Discrete | MultiDiscrete) for act in self.acts):
            counts = [np.ravel(act.n if isinstance(act, Discrete) else act.nvec) for act in self.acts]
            starts = [np.broadcast_to(act.start, len(count)) for act, count in zip(self.acts, counts, strict=True)]
            self.widths = [len(count) for count in counts]
            return MultiDiscrete(np.concatenate(counts), start=np.concatenate(starts))
        found = ", ".join(f"{agent}: {act}" for agent, act in zip(self.members, self.acts, strict=True))
        raise BadSetting("env", f"agents of {self.name} need actions of one kind, Discrete or Box; found {found}")

    @property
    def render_mode(self) -> Any:
        return getattr(self._inside, "render_mode", None)

    @render_mode.setter
    def render_mode(self, mode: Any) -> None:
        self._inside.render_mode = mode

    @property
    def _inside(self) -> Any:
        return getattr(self.parallel, "unwrapped", self.parallel)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        result = self.parallel.reset(seed=seed, options=options)
        rows = np.zeros((len(self.members), self.columns), np.float32)
        self._fill(rows, self._pair(result))
        return rows.ravel(), {}

    def step(self, action: np.ndarray) -> Any:
        pieces = np.split(action, np.cumsum(self.widths)[:-1])
        acting = [number for number, agent in enumerate(self.members) if agent in self.parallel.agents]
        sent = {self.members[number]: self._sent(self.acts[number], pieces[number]) for number in acting}
        result = self.parallel.step(sent)
        if not isinstance(result, tuple) or len(result) != 5:
            raise TypeError("step() has to return (observations, rewards, terminations, truncations, infos)")
        seen, rewards, terminations, truncations, _ = result
        rows, earned = np.zeros((len(self.members), self.columns), np.float32), np.zeros(len(self.members))
        self._fill(rows, seen, acting)
        for number in acting:
            agent = self.members[number]
            earned[number] = rewards[agent]
            if terminations[agent] or truncations[agent]:
                rows[number, ALIVE] = False
            rows[number, REWARD], rows[number, TERMINATED] = earned[number], bool(terminations[agent])
        is_over = not rows[:, ALIVE].any()
        is_cut = is_over and any(truncations[self.members[number]] for number in acting)
        return rows.ravel(), float(earned.sum()), is_over and not is_cut, is_cut, {"rewards": earned}

    def _pair(self, result: Any) -> Any:
        if not isinstance(result, tuple) or len(result) != 2:
            raise TypeError("reset() has to return (observations, infos)")
        return result[0]

    def _fill(self, rows: np.ndarray, seen: dict[Any, Any], acting: list[int] | None = None) -> None:
        """Writes the observations, and who acts next; those that acted have a last observation, too."""
        for number, agent in enumerate(self.members):
            is_alive = agent in self.parallel.agents
            if not is_alive and number not in (acting or ()):
                continue
            space, shown = self.seen[number], seen[agent]
            vector: Any = np.asarray(shown, np.float32).ravel() if isinstance(space, Box) else flatten(space, shown)
            size = self.specs[str(agent)]["observation_size"]
            if len(vector) != size or not np.isfinite(vector).all():
                wrong = (
                    f"{len(vector)} numbers, expected {size}" if len(vector) != size else "a number that is not finite"
                )
                raise ValueError(f"the observation of {agent!r} has {wrong}")
            rows[number, :size], rows[number, ALIVE] = vector, is_alive

    def _sent(self, space: Any, piece: np.ndarray) -> Any:
        """An action as the agent's space has it."""
        return (
            space.dtype.type(piece[0])
            if isinstance(space, Discrete)
            else piece.reshape(space.shape).astype(space.dtype)
        )

    def render(self) -> Any:
        return self.parallel.render()

    def close(self) -> None:
        if hasattr(self.parallel, "close"):
            self.parallel.close()
