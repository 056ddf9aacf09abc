"""Every observation as one array, and how its parts lie in it.

A vector is what it is, and an image in bytes is [channels, height, width]. All else is one row: first numbers, which
are vectors, indices of choices, a mask of actions and images in floats, then the bytes of images. A row is in single
precision; where it has images in bytes it is in bytes, so that a replay buffer holds no more than was seen, and its
numbers lie in it as the four bytes of each. Buffers, processes and checkpoints see one array; networks take it apart
(`lab.rl.networks.encoder`).
"""

from __future__ import annotations

import math
from typing import Any, TypedDict

import numpy as np


class Vector(TypedDict):
    """Numbers, of a Box of any shape or a MultiBinary."""

    size: int


class Choices(TypedDict):
    """Indices, each from 0 to its count - 1, of a Discrete or a MultiDiscrete."""

    counts: list[int]


class Mask(TypedDict):
    """The mask of valid actions, 1 or 0 each."""

    mask: int


class Image(TypedDict):
    """An image in floats [channels, height, width], and its bounds where it has any."""

    image: list[int]
    bounds: list[float]


class ByteImage(TypedDict):
    """An image in bytes [channels, height, width]."""

    bytes: list[int]


Part = Vector | Choices | Mask | Image | ByteImage
ObservationSize = int | list[int] | dict[str, Part]
ORDER = ("size", "counts", "mask", "image", "bytes")  # of the parts in a row


class Layout:
    """The places of the parts of an observation in its array.

    >>> layout = Layout({"speed": {"size": 2}, "gear": {"counts": [5]}, "camera": {"bytes": [3, 8, 8]}})
    >>> layout.places, layout.shape, layout.type
    ({'speed': slice(0, 2, None), 'gear': slice(2, 3, None), 'camera': slice(0, 192, None)}, (204,), 'u1')

    Args:
        observation_size: the length of a vector, the shape of an image in bytes, or the parts of a row in their order.
    """

    def __init__(self, observation_size: ObservationSize) -> None:
        self.parts: dict[str, Part]
        if isinstance(observation_size, int):
            self.parts = {"observation": {"size": observation_size}}
        elif isinstance(observation_size, dict):
            self.parts = observation_size
        else:
            self.parts = {"observation": {"bytes": list(observation_size)}}
        self.numbers = self.pixels = self.vectors = 0
        self.places: dict[str, slice] = {}  # among the numbers, or among the pixels
        self.mask: slice | None = None
        for name, part in self.parts.items():
            length = numbers_of(part)
            if "bytes" in part:
                self.places[name] = slice(self.pixels, self.pixels + length)
                self.pixels += length
                continue
            self.places[name] = slice(self.numbers, self.numbers + length)
            self.numbers += length
            self.vectors += length if "size" in part else 0
            self.mask = self.places[name] if "mask" in part else self.mask
        self.type = "u1" if self.pixels else "f4"
        row = 4 * self.numbers + self.pixels if self.pixels else self.numbers
        self.shape = tuple(observation_size) if isinstance(observation_size, list) else (row,)

    @property
    def size(self) -> int:
        """Bytes of an observation."""
        return math.prod(self.shape) * np.dtype(self.type).itemsize


def numbers_of(part: Any) -> int:
    """The number of values, or of bytes of an image, in a part.

    >>> numbers_of({"counts": [3, 4]}), numbers_of({"bytes": [3, 8, 8]})
    (2, 192)
    """
    (value,) = (part[kind] for kind in ORDER if kind in part)
    return value if isinstance(value, int) else len(value) if "counts" in part else math.prod(value)


def valid_actions(layout: Layout, observations: np.ndarray) -> np.ndarray:
    """The masks (N, A) of observations (N, O) with one."""
    assert layout.mask is not None
    numbers = observations
    if layout.pixels:
        numbers = np.ascontiguousarray(observations[:, : 4 * layout.numbers]).view(np.float32)
    valid: np.ndarray = numbers[:, layout.mask] > 0
    return valid
