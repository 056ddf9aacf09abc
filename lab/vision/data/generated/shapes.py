"""Flat shapes of radius 1 around the origin, y pointing down: the signed distance to their outline, positive inside."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Shape = Callable[[Tensor, Tensor], Tensor]


def circle(x: Tensor, y: Tensor) -> Tensor:
    return 0.92 - torch.hypot(x, y)


def square(x: Tensor, y: Tensor) -> Tensor:
    return 0.8 - torch.maximum(x.abs(), y.abs())


def triangle(x: Tensor, y: Tensor) -> Tensor:
    return _polygon(x, y, 3)


def pentagon(x: Tensor, y: Tensor) -> Tensor:
    return _polygon(x, y, 5)


def diamond(x: Tensor, y: Tensor) -> Tensor:
    return (0.95 - x.abs() * 1.5 - y.abs()) / math.hypot(1.5, 1)  # slim, or a turned square would look the same


def star(x: Tensor, y: Tensor) -> Tensor:
    part = math.pi / 5
    angle = torch.atan2(x, -y)
    angle = (angle - (angle / (2 * part)).round() * (2 * part)).abs()  # folded onto half of one of the five tips
    radius = torch.hypot(x, y)
    inner_x, inner_y = 0.42 * math.cos(part), 0.42 * math.sin(part)
    along, across = 1 - inner_x, inner_y  # from the inner corner to the tip at (1, 0)
    return (across * (1 - radius * angle.cos()) - along * radius * angle.sin()) / math.hypot(along, across)


def cross(x: Tensor, y: Tensor) -> Tensor:
    x, y = x.abs(), y.abs()
    return torch.minimum(0.95 - torch.maximum(x, y), 0.32 - torch.minimum(x, y))


def ring(x: Tensor, y: Tensor) -> Tensor:
    return 0.25 - (torch.hypot(x, y) - 0.68).abs()


def crescent(x: Tensor, y: Tensor) -> Tensor:
    return torch.minimum(0.95 - torch.hypot(x, y), torch.hypot(x - 0.5, y + 0.1) - 0.72)


def heart(x: Tensor, y: Tensor) -> Tensor:
    x = x.abs()
    lobes = 0.5 - torch.hypot(x - 0.45, y + 0.35)
    wedge = torch.minimum(y + 0.35, (0.95 - y - 1.2 * x) / math.hypot(1, 1.2))
    return torch.maximum(lobes, wedge)


def _polygon(x: Tensor, y: Tensor, sides: int) -> Tensor:
    """A regular one with a corner on top."""
    turns = [math.pi * (2 * i + 1) / sides for i in range(sides)]
    edges = [x * math.sin(turn) - y * math.cos(turn) for turn in turns]
    return math.cos(math.pi / sides) - torch.stack(edges).amax(0)


SHAPES: dict[str, Shape] = {
    shape.__name__: shape for shape in (circle, square, triangle, pentagon, diamond, star, cross, ring, crescent, heart)
}
