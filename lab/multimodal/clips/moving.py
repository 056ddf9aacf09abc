"""Generated clips: a coloured shape on a cluttered background that moves, grows, shrinks, appears or disappears.

Every action is another one backwards, and the paths of both are drawn alike: frames without their order cannot tell the
two apart, so that nothing that does not see the order is right more often than in one half of the clips.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lab.data import Table
from lab.vision.data.generated import scenes
from lab.vision.data.generated.sampling import CHUNK, as_bytes, generate, uniform

VERSION = 1  # goes up when other clips come out for the same seed
SIZE, FRAMES = 32, 8
SHAPES = ("circle", "square", "triangle", "star", "cross", "heart")  # that are told apart in so few pixels
KINDS = tuple(scenes.CLASSES.index(shape) for shape in SHAPES)  # their places in `scenes.CLASSES`
ACTIONS = ("moves left", "moves right", "moves up", "moves down", "grows", "shrinks", "appears", "disappears")
VERBS = ("moves", *ACTIONS[4:])
DIRECTIONS = ("left", "right", "up", "down")
COLORS = tuple(scenes.COLORS)
PAIRS = tuple(f"{color} {shape}" for color in COLORS for shape in SHAPES)
UNSEEN = tuple(len(SHAPES) * color + color % len(SHAPES) for color in range(len(COLORS)))  # places in PAIRS
WORDS = ("", "a", "an", *COLORS, *SHAPES, *VERBS, *DIRECTIONS)  # the first one fills up a caption
CAPTION_LENGTH = 5  # words: `a red star moves left`


def load(train: bool, count: int, seed: int) -> Table:
    """`clip` (N, 8, 3, 32, 32), `label` the place of its action, `caption` (N, 5) places in `WORDS`."""
    allowed = torch.tensor([pair for pair in range(len(PAIRS)) if not (train and pair in UNSEEN)])
    return generate(lambda random: _chunk(random, allowed), count, VERSION, seed, int(train), SIZE)


def _chunk(random: torch.Generator, allowed: Tensor) -> Table:
    n = CHUNK
    pairs = allowed[torch.randint(len(allowed), (n,), generator=random)]
    colors, shapes = pairs // len(SHAPES), pairs % len(SHAPES)
    actions = torch.randint(len(ACTIONS), (n,), generator=random)
    backwards = actions % 2 == 0  # left, up, grows, appears: the opposite of the next one
    centre, radius, opacity = _paths(random, actions)
    turn = uniform(random, -scenes.TURN, scenes.TURN, n, 1, 1)
    ground, paint = scenes.background(random, n, SIZE), scenes.paint(random, colors, SIZE)
    kinds = torch.tensor(KINDS)[shapes]
    frames = []
    for time in range(FRAMES):
        covered = scenes.cover(kinds, centre[:, time], radius[:, time], turn, SIZE) * opacity[:, time].view(n, 1, 1)
        frames.append(ground.lerp(paint, covered.unsqueeze(1)))
    clips = torch.stack(frames, 1)
    clips[backwards] = clips[backwards].flip(1)
    clips += 0.03 * torch.randn(clips.shape, generator=random)
    return Table({"clip": as_bytes(clips), "label": actions, "caption": _captions(colors, shapes, actions)})


def _paths(random: torch.Generator, actions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Centres (N, T, 2), radii (N, T) and opacities (N, T) of moving right or down, shrinking and disappearing."""
    n, time = len(actions), torch.linspace(-0.5, 0.5, FRAMES)
    length = uniform(random, 0.6, 1.0, n, 1)
    along, across = uniform(random, -0.15, 0.15, n, 1) + length * time, uniform(random, -0.45, 0.45, n, 1)
    still = uniform(random, -0.4, 0.4, n, 1, 2)
    kind = (actions // 2).view(n, 1)  # sideways, up and down, size, opacity
    across = across.expand_as(along)
    centre = torch.where(
        (kind == 0).unsqueeze(2),
        torch.stack([along, across], 2),
        torch.where((kind == 1).unsqueeze(2), torch.stack([across, along], 2), still.expand(n, FRAMES, 2)),
    )
    radius = uniform(random, 0.38, 0.5, n, 1)
    radius = torch.where(kind == 2, radius * (0.8 - 0.7 * time), radius.expand(n, FRAMES))
    opacity = torch.where(kind == 3, (0.5 - time).expand(n, FRAMES), torch.ones(n, FRAMES))
    return centre, radius, opacity


def _captions(colors: Tensor, shapes: Tensor, actions: Tensor) -> Tensor:
    """Such as `a red star moves left` and `an orange heart grows`, as places in `WORDS`: (N, 5)."""
    place = {word: i for i, word in enumerate(WORDS)}
    article = torch.where(colors == COLORS.index("orange"), place["an"], place["a"])
    verbs = torch.tensor([[*(place[word] for word in action.split()), 0][:2] for action in ACTIONS])[actions]
    named = torch.stack([article, colors + place[COLORS[0]], shapes + place[SHAPES[0]]], 1)
    return torch.cat([named, verbs], 1)
