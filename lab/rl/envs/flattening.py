"""From an observation as its space has it to one array, as `observations.py` describes it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete

from lab.errors import BadSetting
from lab.rl.envs.observations import ORDER, Layout, ObservationSize

SMALLEST_SIDE = 5  # of an image; what is smaller is a vector
SMALLEST_PICTURE = 36  # of one without channels, which else is a matrix of numbers


class Unfit(Exception):
    """A part of an observation is not what its space says."""


class Leaf(NamedTuple):
    """A part as the environment shows it: keys that lead to it, shape, type, first index and number of choices."""

    path: tuple[Any, ...]
    kind: str
    shape: tuple[int, ...]
    type: str
    start: list[int]
    counts: list[int]


class Flattening:
    """Makes one array of an observation.

    >>> space = gym.spaces.Dict(place=Box(-1, 1, (2, 1)), phase=Discrete(3))
    >>> flattening = Flattening("mine", space)
    >>> flattening.observation_size
    {'place': {'size': 2}, 'phase': {'counts': [3]}}
    >>> flattening({"place": np.array([[0.5], [1.0]]), "phase": 2})
    array([0.5, 1. , 2. ], dtype=float32)

    Args:
        env: name of the environment.
        space: of its observations.
        num_actions: length of the mask that is part of an observation, or None without one.

    Raises:
        BadSetting: a part is of a kind that no network here takes.
    """

    def __init__(self, env: str, space: gym.Space[Any], num_actions: int | None = None) -> None:
        found = [(".".join(map(str, path)) or "observation", path, part) for path, part in _leaves(space)]
        described = [(name, _part(env, name, part), _leaf(path, part)) for name, path, part in found]
        if num_actions is not None:
            described.append(("action_mask", {"mask": num_actions}, Leaf((), "mask", (num_actions,), "", [], [])))
        described.sort(key=lambda each: next(i for i, kind in enumerate(ORDER) if kind in each[1]))
        parts = {name: part for name, part, _ in described}
        self.leaves = {name: leaf._replace(kind=next(iter(part))) for name, part, leaf in described}
        self.observation_size = _simplest(parts)
        layout = Layout(self.observation_size)
        self.numbers, self.pixels, self.shape = layout.numbers, layout.pixels, layout.shape
        places = layout.places.values()  # in the order of the parts; a lone one has another name there
        self.places = {name: (place.start, place.stop) for name, place in zip(parts, places, strict=True)}

    def space(self) -> Box:
        """The space of the arrays."""
        if self.pixels:
            return Box(0, 255, self.shape, np.uint8)
        return Box(-np.inf, np.inf, self.shape, np.float32)

    def __call__(self, observation: Any, mask: Any = None) -> np.ndarray:
        """The array of an observation and, where there is one, its action mask.

        Raises:
            Unfit: a part is not what its space says.
        """
        numbers, pixels = np.empty(self.numbers, np.float32), np.empty(self.pixels, np.uint8)
        for name, leaf in self.leaves.items():
            start, stop = self.places[name]
            shown = mask if leaf.kind == "mask" else _shown(observation, name, leaf)
            (pixels if leaf.kind == "bytes" else numbers)[start:stop] = _values(name, leaf, shown)
        if not self.pixels:
            return numbers
        return np.concatenate([numbers.view(np.uint8), pixels]).reshape(self.shape)


def _leaves(space: gym.Space[Any], path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], gym.Space[Any]]]:
    if isinstance(space, gym.spaces.Dict | gym.spaces.Tuple):
        inner = space.items() if isinstance(space, gym.spaces.Dict) else enumerate(space)
        for key, part in inner:
            yield from _leaves(part, (*path, key))
    else:
        yield path, space


def _part(env: str, name: str, space: gym.Space[Any]) -> Any:
    if isinstance(space, Discrete | MultiDiscrete):
        return {"counts": [int(space.n)] if isinstance(space, Discrete) else space.nvec.flatten().tolist()}
    if isinstance(space, MultiBinary):
        return {"size": math.prod(space.shape)}
    if not isinstance(space, Box) or not math.prod(space.shape):
        what = "nothing (a Box without numbers)" if isinstance(space, Box) else type(space).__name__
        needed = "a Box, Discrete, MultiDiscrete or MultiBinary, or a Dict or Tuple of these, is needed"
        wayout = "leave it out by a wrapper, such as FilterObservation in data.wrappers"
        raise BadSetting("env", f"{env!r} observes {what} as {name!r}; {needed}; {wayout}")
    if (shape := _image_shape(space)) is None:
        return {"size": math.prod(space.shape)}
    if space.dtype == np.uint8:
        return {"bytes": shape}
    low, high = float(space.low.min()), float(space.high.max())
    return {"image": shape, "bounds": [low, high] if math.isfinite(high - low) else []}


def _image_shape(space: Box) -> list[int] | None:
    """[channels, height, width], those of stacked images one after the other; None if it is none."""
    shape = list(space.shape)
    if len(shape) == 2 and space.dtype == np.uint8 and min(shape) >= SMALLEST_PICTURE:
        return [1, *shape]
    if len(shape) not in (3, 4):
        return None
    stacked, inner = shape[:-3], shape[-3:]
    channels, height, width = inner if not _is_last(inner) else (inner[2], *inner[:2])
    return [math.prod(stacked) * channels, height, width] if min(height, width) >= SMALLEST_SIDE else None


def _is_last(shape: list[int]) -> bool:
    """Whether channels are the last of three sizes; they are fewer than the rows."""
    return shape[2] < shape[0]


def _leaf(path: tuple[Any, ...], space: gym.Space[Any]) -> Leaf:
    start, counts = [], []
    if isinstance(space, Discrete):
        start, counts = [int(space.start)], [int(space.n)]
    elif isinstance(space, MultiDiscrete):
        start, counts = space.start.flatten().tolist(), space.nvec.flatten().tolist()
    return Leaf(path, "", tuple(space.shape or ()), np.dtype(space.dtype).kind, start, counts)


def _simplest(parts: dict[str, Any]) -> ObservationSize:
    """A lone vector is its length and a lone image its shape."""
    (first, *others) = parts.values()
    return parts if others or not {"size", "bytes"} & first.keys() else next(iter(first.values()))


def _shown(observation: Any, name: str, leaf: Leaf) -> Any:
    for key in leaf.path:
        try:
            observation = observation[key]
        except (KeyError, IndexError, TypeError) as error:
            raise Unfit(f"the observation has no {name!r}") from error
    return observation


def _values(name: str, leaf: Leaf, shown: Any) -> Any:
    """The flat numbers of a part."""
    try:
        array = np.asarray(shown)
    except ValueError as error:
        raise Unfit(f"{name!r} of the observation is a {type(shown).__name__}, expected an array") from error
    if array.dtype.kind not in "fiub":
        raise Unfit(f"{name!r} of the observation holds {array.dtype}, expected real numbers")
    if array.shape != leaf.shape:
        raise Unfit(f"{name!r} of the observation: expected shape: {leaf.shape}, actual shape: {array.shape}")
    if leaf.counts:
        index = array.reshape(-1) - leaf.start
        if not ((index >= 0) & (index < leaf.counts)).all():
            raise Unfit(f"{name!r} of the observation is {array.tolist()}, which is not in its space")
        return index
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        column = int(np.flatnonzero(~np.isfinite(array))[0])
        raise Unfit(f"column {column} of {name!r} of the observation is {array.reshape(-1)[column]}")
    if leaf.kind == "bytes" and array.dtype != np.uint8:
        raise Unfit(f"{name!r} of the observation holds {array.dtype}, expected uint8")
    if leaf.kind in ("bytes", "image"):
        array = _channels_first(array)
    return array.reshape(-1)


def _channels_first(image: np.ndarray) -> np.ndarray:
    return np.moveaxis(image, -1, -3) if image.ndim > 2 and _is_last(list(image.shape[-3:])) else image
