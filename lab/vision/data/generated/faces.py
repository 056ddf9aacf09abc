"""Faces without a download: generated, grey, 96x96, with the 15 key points of the facial key-points set.

Every face is a handful of points in space, moved a little to make a person, turned, scaled and projected; what is drawn
hangs on the projected points, so that picture and key points agree under any pose.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lab.data import Table
from lab.vision.data.generated.sampling import CHUNK, as_bytes, generate, pixels, smooth, uniform

VERSION = 1  # goes up when other images come out for the same seed
SIZE = 96
POINTS = (
    "left_eye_center", "right_eye_center", "left_eye_inner_corner", "left_eye_outer_corner", "right_eye_inner_corner",
    "right_eye_outer_corner", "left_eyebrow_inner_end", "left_eyebrow_outer_end", "right_eyebrow_inner_end",
    "right_eyebrow_outer_end", "nose_tip", "mouth_left_corner", "mouth_right_corner", "mouth_center_top_lip",
    "mouth_center_bottom_lip",
)  # fmt: skip
# x to the right, y down, z towards the viewer; half the width of the head is 1. Left is the person's own.
HALF = {
    "eye_center": (0.42, -0.12, 0.78),
    "eye_inner_corner": (0.23, -0.10, 0.78),
    "eye_outer_corner": (0.61, -0.13, 0.66),
    "eyebrow_inner_end": (0.18, -0.38, 0.88),
    "eyebrow_outer_end": (0.72, -0.40, 0.58),
}
MIDDLE = {
    "nose_tip": (0.0, 0.27, 1.12),
    "mouth_left_corner": (0.36, 0.62, 0.72),
    "mouth_right_corner": (-0.36, 0.62, 0.72),
    "mouth_center_top_lip": (0.0, 0.52, 0.92),
    "mouth_center_bottom_lip": (0.0, 0.76, 0.88),
}
EXTRA = {"bridge": (0.0, -0.15, 0.88), "head": (0.0, 0.06, 0.0), "crown": (0.0, -0.55, -0.15), "neck": (0.0, 1.9, -0.3)}


def load(train: bool, count: int, seed: int) -> Table:
    """Faces with `points` in the order of `POINTS`."""
    return generate(_chunk, count, VERSION, seed, int(train))


def _chunk(random: torch.Generator) -> Table:
    at, scale, turn = _pose(random, _person(random))
    points = torch.stack([at[name] for name in POINTS], 1)
    return Table({"image": as_bytes(_draw(random, at, scale, turn)), "points": points})


def _person(random: torch.Generator) -> dict[str, Tensor]:
    """Points in space by name, each (N, 3)."""
    n = CHUNK
    space = {f"{side}_{name}": _at(n, place) for side in ("left", "right") for name, place in HALF.items()}
    for name in HALF:
        space[f"right_{name}"][:, 0] *= -1
    space |= {name: _at(n, place) for name, place in (MIDDLE | EXTRA).items()}
    apart, eye, slope, brow = (uniform(random, -0.07, 0.07, n) for _ in range(4))
    for side, sign in (("left", 1), ("right", -1)):
        for name in HALF:
            space[f"{side}_{name}"][:, 0] += sign * apart
            space[f"{side}_{name}"][:, 1] += eye + (brow if "brow" in name else 0)
        space[f"{side}_eyebrow_inner_end"][:, 1] += slope
    nose, wide, smile, low = (uniform(random, -0.08, 0.08, n) for _ in range(4))
    space["nose_tip"][:, 1] += nose
    for name in MIDDLE:
        if "mouth" in name:
            space[name][:, 1] += low + nose / 2
    for side, sign in (("left", 1), ("right", -1)):
        space[f"mouth_{side}_corner"][:, 0] += sign * wide
        space[f"mouth_{side}_corner"][:, 1] -= smile
    space["mouth_center_bottom_lip"][:, 1] += uniform(random, -0.04, 0.14, n)  # an open mouth
    return space


def _pose(random: torch.Generator, space: dict[str, Tensor]) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """The points in the image, each (N, 2) in pixels; pixels per unit (N,); and yaw, pitch and roll (3, N)."""
    n = CHUNK
    turn = torch.stack([uniform(random, -most, most, n) for most in (0.45, 0.2, 0.28)])
    (yaw, pitch, roll), scale = turn, uniform(random, 25, 33, n)
    shift = uniform(random, -5, 5, n, 2) + torch.tensor([SIZE / 2, SIZE / 2 + 1])
    flat = {}
    for name, place in space.items():
        x, y, z = place.unbind(1)
        x, z = x * yaw.cos() + z * yaw.sin(), z * yaw.cos() - x * yaw.sin()
        y = y * pitch.cos() + z * pitch.sin()
        x, y = x * roll.cos() - y * roll.sin(), x * roll.sin() + y * roll.cos()
        flat[name] = torch.stack([x, y], 1) * scale.unsqueeze(1) + shift
    return flat, scale, turn


def _draw(random: torch.Generator, at: dict[str, Tensor], scale: Tensor, turn: Tensor) -> Tensor:
    """From the back to the front: background, shoulders, hair, head, features, light (N, 1, 96, 96)."""
    n = CHUNK
    x, y = (line * (SIZE / 2) + SIZE / 2 for line in pixels(SIZE))
    s, roll = scale.view(n, 1, 1), turn[2]
    right = torch.stack([roll.cos(), roll.sin()], 1)  # along the eyes, in the image

    def tone(low: float, high: float) -> Tensor:
        return uniform(random, low, high, n, 1, 1)

    def ellipse(centre: Tensor, wide: Tensor | float, high: Tensor | float, axis: Tensor = right) -> Tensor:
        """The share of every pixel that lies inside."""
        u, v = _frame(x, y, centre, axis)
        radius = torch.hypot(u / (wide * s), v / (high * s))
        return ((1 - radius) * (s * torch.as_tensor(wide).minimum(torch.as_tensor(high))) + 0.5).clamp(0, 1)

    def stroke(start: Tensor, end: Tensor, thick: Tensor | float) -> Tensor:
        return ((thick * s) - _to_segment(x, y, start, end) + 0.5).clamp(0, 1)

    canvas = tone(0.15, 0.85) + 0.1 * smooth(random, n, 1, 4, SIZE).squeeze(1)
    skin, hair, cloth = tone(0.5, 0.85), tone(0.05, 0.5), tone(0.1, 0.9)
    dark = skin * 0.35
    canvas = canvas.lerp(cloth, ellipse(at["neck"], 1.6, 0.75))
    canvas = canvas.lerp(skin * 0.75, stroke(at["head"], at["neck"], 0.42))
    wide, high = tone(0.88, 1.0), tone(1.22, 1.36)
    canvas = canvas.lerp(hair, ellipse(at["crown"], wide * 1.16, tone(0.95, 1.3)))
    head = ellipse(at["head"], wide, high)
    u, v = (line / s for line in _frame(x, y, at["head"], right))
    round_ = (1 - (u / wide) ** 2 - (v / high) ** 2).clamp(min=0).sqrt()
    light = skin * (0.62 + 0.38 * round_ + tone(-0.28, 0.28) * u + tone(-0.12, 0.12) * v)  # from one side
    fringe = (tone(-1.1, -0.72) + tone(-0.25, 0.25) * u + 0.15 * u * u - v) * s  # where the hair begins
    canvas = canvas.lerp(light.lerp(hair, (fringe + 0.5).clamp(0, 1)), head)

    opened, iris = tone(0.34, 0.62), tone(0.05, 0.35)
    thick, bent = tone(0.035, 0.085), tone(0.02, 0.13)
    for side in ("left", "right"):
        inner, outer = at[f"{side}_eye_inner_corner"], at[f"{side}_eye_outer_corner"]
        axis = torch.nn.functional.normalize(outer - inner, dim=1)
        half = (outer - inner).norm(dim=1).view(n, 1, 1) / (2 * s)
        centre = at[f"{side}_eye_center"]
        canvas = canvas.lerp(dark, ellipse(centre, half * 1.12, half * opened + 0.035, axis))
        eye = ellipse(centre, half, half * opened, axis)
        canvas = canvas.lerp(tone(0.85, 1.0), eye)
        canvas = canvas.lerp(iris, eye * ellipse(centre, half * 0.5, half * 0.5))
        inner, outer = at[f"{side}_eyebrow_inner_end"], at[f"{side}_eyebrow_outer_end"]
        up = torch.stack([right[:, 1], -right[:, 0]], 1) * (bent * s).view(n, 1)
        top = (inner * 0.4 + outer * 0.6) + up
        brow = torch.maximum(stroke(inner, top, thick), stroke(top, outer, thick * 0.8))
        canvas = canvas.lerp(hair * 0.8, brow * 0.9)

    tip, bridge = at["nose_tip"], at["bridge"]
    ridge = (1 - _to_segment(x, y, bridge, tip) / (0.2 * s)).clamp(0, 1)
    canvas = canvas + ridge * tone(-0.02, 0.12)
    for sign in (-1, 1):
        nostril = tip + (right * (0.12 * sign) + torch.stack([-right[:, 1], right[:, 0]], 1) * 0.1) * scale.view(n, 1)
        canvas = canvas.lerp(dark, 0.8 * ellipse(nostril, 0.065, 0.045))

    corners = at["mouth_left_corner"], at["mouth_right_corner"]
    axis = torch.nn.functional.normalize(corners[0] - corners[1], dim=1)
    u, v = _frame(x, y, (corners[0] + corners[1]) / 2, axis)
    half = (corners[0] - corners[1]).norm(dim=1).view(n, 1, 1) / 2
    arch = 1 - (u / half) ** 2  # 1 in the middle, 0 at the corners
    upper, lower = (
        _frame(at[f"mouth_center_{lip}_lip"], None, (corners[0] + corners[1]) / 2, axis)[1].view(n, 1, 1) * arch
        for lip in ("top", "bottom")
    )
    inside = torch.minimum(v - upper, lower - v)
    canvas = canvas.lerp(skin * tone(0.45, 0.8), (inside + 0.7).clamp(0, 1) * (arch > -0.1))
    gap = tone(0.3, 1.0) - (v - (upper * 0.45 + lower * 0.55)).abs()
    canvas = canvas.lerp(dark * 0.6, (gap + 0.5).clamp(0, 1) * (inside > 0))

    canvas = (canvas - 0.5) * tone(0.7, 1.1) + 0.5 + tone(-0.1, 0.1)
    canvas = canvas + 0.025 * torch.randn(canvas.shape, generator=random)
    return canvas.unsqueeze(1)


def _at(n: int, place: tuple[float, float, float]) -> Tensor:
    return torch.tensor(place).repeat(n, 1)


def _frame(x: Tensor, y: Tensor | None, centre: Tensor, axis: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates along `axis` and across it, seen from `centre`: of all pixels, or of one point (N, 2) per image."""
    if y is None:
        x, y = x[:, 0].view(-1, 1, 1), x[:, 1].view(-1, 1, 1)
    n = len(centre)
    x, y = x - centre[:, 0].view(n, 1, 1), y - centre[:, 1].view(n, 1, 1)
    cos, sin = axis[:, 0].view(n, 1, 1), axis[:, 1].view(n, 1, 1)
    return x * cos + y * sin, y * cos - x * sin


def _to_segment(x: Tensor, y: Tensor, start: Tensor, end: Tensor) -> Tensor:
    """The distance of every pixel to a straight line between two points."""
    n = len(start)
    along = (end - start).view(n, 2, 1, 1)
    dx, dy = x - start[:, 0].view(n, 1, 1), y - start[:, 1].view(n, 1, 1)
    share = ((dx * along[:, 0] + dy * along[:, 1]) / along.square().sum(1).clamp(min=1e-6)).clamp(0, 1)
    return torch.hypot(dx - share * along[:, 0], dy - share * along[:, 1])
