"""Letters without a download: 26 classes of 28x28, upper and lower case, from the fonts that matplotlib ships.

Every glyph is kept as a map of signed distances to its outline. To bend such a map and cut it at another height gives
a letter of another shape, with a thicker or thinner stroke and a soft edge, for a whole batch at once.
"""

from __future__ import annotations

import string
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lab.data import Table
from lab.vision.data.generated.sampling import CHUNK, as_bytes, generate, pixels, smooth, uniform

VERSION = 1  # goes up when other images come out for the same seed
SIZE = 28
CLASSES = tuple(string.ascii_uppercase)
FONTS = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
    *("cmr10", "cmb10", "cmti10", "cmss10", "cmtt10", "cmmi10"),
    "cmsy10",  # only its capitals are letters
)  # fmt: skip
BOX, GLYPH = 64, 44  # a glyph's map, and the longer side of the glyph in it
PIXEL = BOX / SIZE  # of the image, in pixels of the map
LINE = 1.0  # pixels of the image, the width of an outline


def load(train: bool, count: int, seed: int) -> Table:
    """Letters with `label` 0..25."""
    return generate(_chunk, count, VERSION, seed, int(train))


def load_outlined(train: bool, count: int, seed: int) -> Table:
    """The same letters in the same order, of which the outlines alone are drawn."""
    return generate(partial(_chunk, outlined=True), count, VERSION, seed, int(train))


def _chunk(random: torch.Generator, outlined: bool = False) -> Table:
    n, (maps, of_class) = CHUNK, glyphs()
    labels = (torch.arange(n) % len(CLASSES))[torch.randperm(n, generator=random)]
    choices = of_class[labels]  # (N, glyphs of the class)
    glyph = choices.gather(1, torch.randint(choices.shape[1], (n, 1), generator=random)).squeeze(1)

    turn, shear = uniform(random, -0.26, 0.26, n), uniform(random, -0.25, 0.25, n)  # radians, and x per y
    wide, high = uniform(random, 0.82, 1.12, n), uniform(random, 0.82, 1.12, n)
    cos, sin = turn.cos(), turn.sin()
    linear = torch.stack([cos / wide, (sin + shear * cos) / wide, -sin / high, cos / high], -1).view(n, 1, 1, 2, 2)
    shift = uniform(random, -2.0, 2.0, n, 1, 1, 2) * (2 / SIZE)
    at = torch.stack(pixels(SIZE), -1)  # (28, 28, 2)
    bend = smooth(random, n, 2, 5, SIZE).permute(0, 2, 3, 1) * (0.9 * 2 / SIZE)
    place = at + shift + bend
    x, y = place[..., 0], place[..., 1]
    grid = torch.stack(
        [linear[..., 0, 0] * x + linear[..., 0, 1] * y, linear[..., 1, 0] * x + linear[..., 1, 1] * y], -1
    )
    distance = (
        F.grid_sample(maps.index_select(0, glyph).unsqueeze(1), grid, padding_mode="border", align_corners=False)
        / PIXEL
    )
    distance += uniform(random, -0.15, 0.75, n, 1, 1, 1)  # pixels of the image, added on both sides of a stroke
    ink = uniform(random, 0.85, 1.0, n, 1, 1, 1)
    if outlined:
        distance = LINE / 2 - distance.abs()
    return Table({"image": as_bytes((distance + 0.5).clamp(0, 1) * ink), "label": labels})


@lru_cache(maxsize=1)
def glyphs() -> tuple[Tensor, Tensor]:
    """Signed distances to the outline, positive inside (G, 64, 64), and the glyphs of each class (26, G / 26)."""
    from matplotlib import get_data_path
    from PIL import ImageFont

    folder = Path(get_data_path(), "fonts", "ttf")
    maps: list[Tensor] = []
    of_class = torch.empty(len(CLASSES), 2 * len(FONTS) - 1, dtype=torch.int64)
    fonts = [(name, ImageFont.truetype(folder / f"{name}.ttf", 160)) for name in FONTS]
    for label, letter in enumerate(CLASSES):
        kinds = [(font, case) for name, font in fonts for case in (letter, letter.lower())[: 1 + (name != "cmsy10")]]
        of_class[label] = torch.arange(len(kinds)) + len(maps)
        maps += [_distances(font, case) for font, case in kinds]
    return torch.stack(maps), of_class


def _distances(font: object, letter: str) -> Tensor:
    """One glyph, as large as `GLYPH` in the middle of its map."""
    from PIL import Image, ImageDraw, ImageFont
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    assert isinstance(font, ImageFont.FreeTypeFont)
    left, top, right, bottom = font.getbbox(letter)
    scale = GLYPH / max(right - left, bottom - top)
    drawing = Image.new("L", (int(right - left), int(bottom - top)))
    ImageDraw.Draw(drawing).text((-left, -top), letter, fill=255, font=font)
    width, height = round(drawing.width * scale), round(drawing.height * scale)
    box = Image.new("L", (BOX, BOX))
    box.paste(drawing.resize((width, height), Image.Resampling.BOX), ((BOX - width) // 2, (BOX - height) // 2))
    inside = np.asarray(box) > 127
    distance = distance_transform_edt(inside) - distance_transform_edt(~inside)
    return torch.from_numpy(gaussian_filter(distance, 0.8)).float()
