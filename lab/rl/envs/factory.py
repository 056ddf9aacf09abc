"""The environments of a run: one to look at and to evaluate in, which is used again and again, and those of training.

Some environments may exist only once or a few times, such as a simulator with a licence or one that takes minutes to
start. So no more are made than a run needs: `num_envs` to train in and, by default, one for all the rest.
"""

from __future__ import annotations

import atexit
import math
import sys
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any

import numpy as np
from gymnasium.wrappers import TimeLimit

from lab.errors import BadSetting, LabError
from lab.rl.envs import environment
from lab.rl.envs.checked import CheckedEnv
from lab.rl.envs.entry_point import find_spec, home
from lab.rl.envs.interface import check_interface
from lab.rl.envs.layers import atari
from lab.rl.envs.layers.seeded_resets import CAREFUL, needs_seeds
from lab.rl.envs.state import snapshot
from lab.rl.envs.state.recording import Recording
from lab.rl.envs.wrappers import Wrappers, check_state

SMALLEST_PICTURE = 80  # pixels of its shorter side
NO_LIMIT = 1_000  # steps of an evaluation episode, where neither the environment nor the recipe has a time limit


class EnvFactory:
    """Makes the environments of one name; a copy of it has none yet.

    >>> EnvFactory("Pendulum-v1", {"g": 9.81}).facts()
    {'env': 'Pendulum-v1', 'observation_size': 3, 'action': {'low': [-2.0], 'high': [2.0]}}

    Args:
        env: name of the environment.
        env_kwargs: keywords of its constructor.
        wrappers: what is put around it, the first one innermost.
        episode_steps: time limit of a training episode in steps, if not the environment's own; in evaluation that of an
            environment that has none.
        action_masks: whether observations have a mask of valid actions in them.
        is_flat: whether every observation becomes one array; if not, choices stay as their space has them.
        frame_stack: observations that are shown at once; None for 1, and for 4 of Atari games.
        is_team: whether it is an environment of several agents.
        seeds_resets: whether each episode of training gets a seed; by default where the environment needs it.
    """

    def __init__(
        self,
        env: str,
        env_kwargs: Mapping[str, Any] | None = None,
        wrappers: Wrappers | None = None,
        episode_steps: int | None = None,
        action_masks: bool = False,
        is_flat: bool = True,
        frame_stack: int | None = None,
        is_team: bool = False,
        seeds_resets: bool | None = None,
    ) -> None:
        self.env, self.env_kwargs, self.wrappers = env, dict(env_kwargs or {}), list(wrappers or ())
        self.episode_steps, self.action_masks, self.is_flat = episode_steps, action_masks, is_flat
        self.frame_stack, self.is_team, self._seeds_resets = frame_stack, is_team, seeds_resets
        self._kept: list[CheckedEnv] = []  # the evaluation's
        self._facts: dict[str, Any] = {}
        self._end = weakref.finalize(self, _close, self._kept)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (
            self.env,
            self.env_kwargs,
            self.wrappers,
            self.episode_steps,
            self.action_masks,
            self.is_flat,
            self.frame_stack,
            self.is_team,
            self._seeds_resets,
        )

    def facts(self) -> dict[str, Any]:
        """`env`, `observation_size` and `action`, as `environment.describe` has them."""
        if not self._facts:
            made = self.for_evaluation(1)[0]
            check_state(made, self.wrappers)
            if self.action_masks:
                check_masks(made)
            self._facts = environment.facts(made)
        return dict(self._facts)

    @property
    def seeds_resets(self) -> bool:
        """Whether each episode of training gets a seed, so that the same training has the same episodes."""
        if self._seeds_resets is None:
            package = home(find_spec(self.env)).partition(".")[0]
            self._seeds_resets = package not in CAREFUL and needs_seeds(self.for_evaluation(1)[0].unwrapped, self.env)
        return self._seeds_resets

    def package(self) -> str:
        """The package that the environment is from, such as `gymnasium 1.4.0`; its name alone if it has no version."""
        spec = self.for_evaluation(1)[0].spec
        name = home(spec).partition(".")[0] if spec is not None else ""
        return f"{name} {getattr(sys.modules.get(name), '__version__', '')}".strip()

    @property
    def is_plain(self) -> bool:
        """Whether it is the registered environment as it is, of which the optimum and a true model may be known."""
        return not self.env_kwargs and not self.wrappers

    def reward_threshold(self) -> float | None:
        """The return that its author regards as solving the environment; None if there is none."""
        spec = self.for_evaluation(1)[0].spec
        return None if spec is None else spec.reward_threshold

    def for_training(self) -> CheckedEnv:
        """A new environment, which is the caller's to close."""
        made = self._make(max_episode_steps=self.episode_steps, seeds_resets=self.seeds_resets)
        made.recording = Recording()
        return made

    def for_evaluation(self, count: int) -> list[CheckedEnv]:
        """The same environments every time; the next ones only after all episodes in these are over."""
        while len(self._kept) < count:
            self._kept.append(self._for_evaluation())
        return self._kept[:count]

    @contextmanager
    def for_video(self) -> Iterator[CheckedEnv]:
        """The first of the evaluation's environments, able to draw; a new one if it prepares for that when it is made.

        Raises:
            LabError: it cannot draw.
        """
        made = self.for_evaluation(1)[0]
        self.time_limit()  # asks the environment that may be closed here
        before = getattr(made.unwrapped, "render_mode", None)
        if "rgb_array" not in (made.metadata.get("render_modes") or ()):
            raise LabError(f"{self.env} cannot render: its metadata['render_modes'] lacks 'rgb_array'")
        try:
            if before is None:  # else its pictures may be what it observes
                _draw_fast(made)
            made.unwrapped.render_mode = "rgb_array"
            made.reset(seed=0)
            draw(made)
        except Exception:
            self._kept.pop(0).close()  # first, since it may be the only one that can exist
            made = self._for_evaluation(render_mode="rgb_array")
            try:
                yield made
            finally:
                made.close()
        else:
            atexit.unregister(self._end)
            atexit.register(self._end)  # last in, first out: before the display that its first picture opened
            try:
                yield made
            finally:
                with suppress(AttributeError):
                    made.unwrapped.render_mode = before

    def time_limit(self) -> int | None:
        """Steps after which evaluation ends an episode, or None where the environment does that itself."""
        return None if self._ends_itself else self.episode_steps or NO_LIMIT

    @cached_property
    def _ends_itself(self) -> bool:
        made = self.for_evaluation(1)[0]
        limited = any(isinstance(layer, TimeLimit) for layer in snapshot.layers(made))
        return limited or atari.is_game(find_spec(self.env).id)

    def _for_evaluation(self, **settings: Any) -> CheckedEnv:
        made = self._make(is_scored=True, **settings)
        check_interface(made, self.wrappers)
        return made

    def _make(self, **settings: Any) -> CheckedEnv:
        how = (self.action_masks, self.is_flat, self.frame_stack, self.is_team)
        return environment.make(self.env, self.env_kwargs, self.wrappers, *how, **settings)

    def close(self) -> None:
        """Closes the evaluation's environments; if they are asked for once more, there are new ones."""
        _close(self._kept)


def draw(env: CheckedEnv) -> np.ndarray:
    """The present picture of an environment (H, W, 3), in bytes. One of a few pixels, a grid's, is enlarged.

    Raises:
        LabError: what it returns is none.
    """
    frame: Any = env.render()
    is_picture = isinstance(frame, np.ndarray) and frame.ndim == 3 and frame.shape[2] == 3
    if is_picture and frame.dtype.kind == "f" and 0 <= frame.min() <= frame.max() <= 1:  # as MinAtar has them
        frame = (255 * frame).round().astype(np.uint8)
    if not is_picture or frame.dtype != np.uint8:
        found = f"an array of {frame.dtype} {frame.shape}" if isinstance(frame, np.ndarray) else type(frame).__name__
        raise LabError(f"{env.name} cannot render: render() returned {found}, expected an array of uint8 (H, W, 3)")
    scale = math.ceil(SMALLEST_PICTURE / min(frame.shape[:2]))
    enlarged: np.ndarray = frame.repeat(scale, 0).repeat(scale, 1) if scale > 1 else frame
    return enlarged


def _draw_fast(env: CheckedEnv) -> None:
    """Leaves shadows and smoothed edges out of MuJoCo's pictures; on a CPU they take five sixths of the time."""
    quality: Any = getattr(getattr(getattr(env.unwrapped, "model", None), "vis", None), "quality", None)
    with suppress(AttributeError):  # of a simulator that is not MuJoCo
        quality.shadowsize = quality.offsamples = 0


def check_masks(env: CheckedEnv) -> None:
    """Raises BadSetting: the environment says nowhere which of its actions are valid."""
    try:
        env.reset(seed=0)
    except LabError as error:
        raise BadSetting("action_masks", str(error).removeprefix("env: ")) from error


def _close(envs: list[CheckedEnv]) -> None:
    while envs:
        envs.pop().close()
