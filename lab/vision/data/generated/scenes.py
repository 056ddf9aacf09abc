"""Scenes without a download: one large coloured shape and up to two small ones on a cluttered background.

One generator serves every task: class, mask, boxes, key points and a caption all describe the same picture. Ten pairs
of colour and shape never occur in training, so that a test can ask for what was never seen together.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lab.data import Table
from lab.vision.data.generated.sampling import CHUNK, as_bytes, generate, pixels, smooth, uniform
from lab.vision.data.generated.shapes import SHAPES

VERSION = 1  # goes up when other images come out for the same seed
COLORS = {
    "red": (0.86, 0.13, 0.15),
    "orange": (0.96, 0.52, 0.08),
    "yellow": (0.96, 0.88, 0.16),
    "green": (0.12, 0.62, 0.22),
    "cyan": (0.20, 0.82, 0.86),
    "blue": (0.13, 0.29, 0.87),
    "purple": (0.50, 0.17, 0.66),
    "pink": (0.98, 0.55, 0.76),
    "white": (0.97, 0.97, 0.97),
    "black": (0.06, 0.06, 0.06),
}
CLASSES = tuple(SHAPES)
MASK_CLASSES = ("background", *CLASSES)
POINTS = ("main", "second", "third")  # the middles of the shapes
PAIRS = tuple(f"{color} {shape}" for color in COLORS for shape in CLASSES)
UNSEEN = tuple(10 * color + (color + 3) % 10 for color in range(10))  # places in PAIRS
WORDS = (
    "",
    "a",
    "an",
    *COLORS,
    *CLASSES,
    "above",
    "below",
    "beside",
    "with",
    "and",
)  # the first one fills up a caption
MOST = len(POINTS)  # shapes in a scene
CAPTION_LENGTH = 4 * MOST - 1  # words
TURN = 0.35  # by which a shape is turned at most


def load(train: bool, count: int, seed: int) -> Table:
    """64x64 scenes with every kind of target; `label` is the main shape's, `pair` its place in `PAIRS`."""
    return generate(lambda random: _chunk(random, 64, allowed_pairs(train)), count, VERSION, seed, int(train), 64)


def load_100(train: bool, count: int, seed: int) -> Table:
    """32x32 scenes whose `label` is one of 100 pairs of colour and shape, all of which occur in training."""
    allowed = torch.arange(len(PAIRS))
    images = generate(lambda random: _chunk(random, 32, allowed), count, VERSION, seed, int(train), 32)
    return images.assign({"label": images["pair"]})


def load_16(train: bool, count: int, seed: int) -> Table:
    """16x16 images of a single large shape on a plain ground, which a small network can learn to make."""
    return generate(
        lambda random: _chunk(random, 16, allowed_pairs(train), most=1, large=(0.75, 0.9), cluttered=False),
        count, VERSION, seed, int(train), 16,
    )  # fmt: skip


def load_48(train: bool, count: int, seed: int) -> Table:
    """48x48 scenes of one or two shapes that fill more of the image, so that a caption follows from it."""
    return generate(
        lambda random: _chunk(random, 48, allowed_pairs(train), most=2, large=(0.42, 0.56), small=(0.24, 0.32)),
        count, VERSION, seed, int(train), 48,
    )  # fmt: skip


def allowed_pairs(train: bool) -> Tensor:
    """Places in `PAIRS`: all of them for the test, and those that are not `UNSEEN` for training."""
    return torch.tensor([pair for pair in range(len(PAIRS)) if not (train and pair in UNSEEN)])


def _chunk(
    random: torch.Generator,
    size: int,
    allowed: Tensor,
    most: int = MOST,
    large: tuple[float, float] = (0.36, 0.56),
    small: tuple[float, float] = (0.2, 0.28),
    cluttered: bool = True,
) -> Table:
    n = CHUNK
    pairs = allowed[torch.randint(len(allowed), (n, MOST), generator=random)]
    colors, kinds = pairs // len(CLASSES), pairs % len(CLASSES)  # each (N, 3)
    there = torch.arange(MOST) < torch.randint(1, most + 1, (n, 1), generator=random)
    radius = torch.cat([uniform(random, *large, n, 1), uniform(random, *small, n, MOST - 1)], 1)
    centre = _places(random, radius)  # (N, 3, 2)
    canvas = background(random, n, size) if cluttered else plain(random, n, size)
    owner = torch.full((n, size, size), -1)  # which shape a pixel shows
    for slot in reversed(range(MOST)):  # the main shape is painted last, so that nothing hides it
        turn = uniform(random, -TURN, TURN, n, 1, 1)
        covered = cover(kinds[:, slot], centre[:, slot], radius[:, slot], turn, size) * there[:, slot].view(n, 1, 1)
        canvas.lerp_(paint(random, colors[:, slot], size), covered.unsqueeze(1))
        owner[covered > 0.5] = slot
    if cluttered:
        canvas += 0.03 * torch.randn(canvas.shape, generator=random)
    columns = {
        "image": as_bytes(canvas),
        "label": kinds[:, 0],
        "pair": pairs[:, 0],
        "mask": _mask(owner, kinds),
        "boxes": _boxes(owner, kinds),
        "points": torch.where(there.unsqueeze(-1), (centre + 1) * (size / 2), torch.nan),
        "caption": _captions(colors, kinds, there.sum(1), centre),
    }
    return Table(columns)


def _places(random: torch.Generator, radius: Tensor) -> Tensor:
    """Middles (N, 3, 2), each the loneliest of a dozen that lie within the image."""
    n = len(radius)
    room = (1 - 0.9 * radius).view(n, MOST, 1, 1)
    tries = uniform(random, -1, 1, n, MOST, 12, 2) * room
    chosen = [tries[:, 0, 0]]
    for slot in range(1, MOST):
        gaps = [
            (tries[:, slot] - other.unsqueeze(1)).norm(dim=-1) - radius[:, [i]] - radius[:, [slot]]
            for i, other in enumerate(chosen)
        ]  # each (N, 12)
        best = torch.stack(gaps).amin(0).argmax(1)
        chosen.append(tries[torch.arange(n), slot, best])
    return torch.stack(chosen, 1)


def cover(kinds: Tensor, centre: Tensor, radius: Tensor, turn: Tensor, size: int) -> Tensor:
    """The share of every pixel that each image's shape covers: (N, size, size).

    Args:
        kinds: places in `CLASSES`, (N,).
        centre: x and y from -1 to 1, (N, 2).
        radius: in the same unit, (N,).
        turn: angle, (N, 1, 1).
        size: of the images.
    """
    n = len(kinds)
    x, y = pixels(size)
    x = (x - centre[:, 0].view(n, 1, 1)) / radius.view(n, 1, 1)
    y = (y - centre[:, 1].view(n, 1, 1)) / radius.view(n, 1, 1)
    x, y = x * turn.cos() + y * turn.sin(), y * turn.cos() - x * turn.sin()
    distance = torch.empty(n, size, size)
    for kind, shape in enumerate(SHAPES.values()):
        rows = (kinds == kind).nonzero().squeeze(1)
        distance[rows] = shape(x[rows], y[rows])
    return (distance * radius.view(n, 1, 1) * (size / 2) + 0.5).clamp(0, 1)


def paint(random: torch.Generator, colors: Tensor, size: int) -> Tensor:
    """The shapes' colours, none quite like another, lit from one side: (N, 3, size, size)."""
    n = len(colors)
    base = torch.tensor(tuple(COLORS.values()))[colors] + 0.035 * torch.randn(n, 3, generator=random)
    x, y = pixels(size)
    slope = uniform(random, -0.09, 0.09, n, 2, 1, 1)
    return base.view(n, 3, 1, 1) + (slope[:, 0] * x + slope[:, 1] * y).unsqueeze(1)


def background(random: torch.Generator, n: int, size: int) -> Tensor:
    """Stripes and blots in muted colours: (N, 3, size, size)."""
    base = uniform(random, 0.3, 0.7, n, 1, 1, 1) + uniform(random, -0.15, 0.15, n, 3, 1, 1)
    canvas = base + 0.05 * smooth(random, n, 3, 4, size)
    x, y = pixels(size)
    turn, waves = uniform(random, 0, torch.pi, n, 1, 1), uniform(random, 6, 30, n, 1, 1)
    stripes = (waves * (turn.cos() * x + turn.sin() * y) + turn * 9).sin().unsqueeze(1)
    canvas += stripes * uniform(random, -0.12, 0.12, n, 3, 1, 1)
    for knots in (6, 10):
        blots = (smooth(random, n, 1, knots, size) * 4 - 2.5).clamp(0, 1)
        canvas.lerp_(uniform(random, 0.2, 0.8, n, 3, 1, 1).expand_as(canvas), blots)
    return canvas


def plain(random: torch.Generator, n: int, size: int) -> Tensor:
    """One muted colour for each image: (N, 3, size, size)."""
    base = uniform(random, 0.35, 0.65, n, 1, 1, 1) + uniform(random, -0.1, 0.1, n, 3, 1, 1)
    return base.expand(n, 3, size, size).contiguous()


def _mask(owner: Tensor, kinds: Tensor) -> Tensor:
    """(N, H, W), places in `MASK_CLASSES`."""
    shown = kinds.gather(1, owner.flatten(1).clamp(min=0)).view_as(owner) + 1
    return torch.where(owner >= 0, shown, 0).to(torch.uint8)


def _boxes(owner: Tensor, kinds: Tensor) -> Tensor:
    """Class, left, top, right, bottom of what is to be seen of each shape: (N, 3, 5), NaN where nothing is."""
    line = torch.arange(owner.shape[-1])
    boxes = []
    for slot in range(MOST):
        shown = owner == slot
        edges = []
        for across in (shown.any(1), shown.any(2)):  # columns (N, W), then rows (N, H)
            first = torch.where(across, line, owner.shape[-1]).amin(1)
            edges.append((first, torch.where(across, line, -1).amax(1) + 1))
        (left, right), (top, bottom) = edges
        box = torch.stack([kinds[:, slot], left, top, right, bottom], 1).float()
        boxes.append(torch.where(shown.flatten(1).any(1, keepdim=True), box, torch.nan))
    return torch.stack(boxes, 1)


def _captions(colors: Tensor, kinds: Tensor, shapes: Tensor, centre: Tensor) -> Tensor:
    """Such as `a red ring above a blue star`, as places in `WORDS`: (N, 11). None of them speaks of left or right."""
    place = {word: i for i, word in enumerate(WORDS)}
    article = torch.where(colors == tuple(COLORS).index("orange"), place["an"], place["a"])
    named = torch.stack([article, colors + place["red"], kinds + place[CLASSES[0]]], -1)  # (N, 3, 3)
    caption = torch.zeros(len(colors), CAPTION_LENGTH, dtype=torch.int64)
    caption[:, :3] = named[:, 0]
    lower = centre[:, 1, 1] - centre[:, 0, 1]  # of the second shape, under the main one
    relation = torch.where(lower > 0.4, place["above"], torch.where(lower < -0.4, place["below"], place["beside"]))
    relation = torch.where(shapes == 2, relation, place["with"])
    for slot, link in enumerate((relation, torch.full_like(relation, place["and"])), 1):
        more = shapes > slot
        words = torch.cat([link.unsqueeze(1), named[:, slot]], 1)
        caption[more, 4 * slot - 1 : 4 * slot + 3] = words[more]
    return caption
