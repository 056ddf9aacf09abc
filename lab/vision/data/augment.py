"""Augmentation of a whole batch at once, with random numbers for every image.

(torchvision's v2 transforms draw once for all that they are given, so on a batch they would flip all images or none.)
Each change has a name and one number, its strength. Those of geometry move masks, points and boxes along.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from lab.data import Batch
from lab.errors import BadSetting, suggestion

GEOMETRY = {
    "flip": "chance of being mirrored, left for right",
    "shift": "farthest move along each side, as a share of it",
    "rotate": "largest turn, in degrees",
    "zoom": "largest change of scale, 0.2 for 0.8 to 1.25 times",
    "shear": "largest slant, as x per y",
}


def check(settings: Mapping[str, float], key: str = "augment", moved: bool = True) -> None:
    """
    Args:
        settings: strengths by name.
        key: the keyword that holds them.
        moved: whether those of geometry may be among them.

    Raises:
        BadSetting: there is no change of that name, or it is a chance above 1.
    """
    known = (*GEOMETRY, *LOOKS) if moved else tuple(LOOKS)
    for name, strength in settings.items():
        if name not in known:
            raise BadSetting(key, f"no augmentation {name!r}{suggestion(name, known)}")
        if strength > 1 and name in ("flip", "salt_and_pepper", "occlude"):
            raise BadSetting(key, f"{name} is a fraction, at most 1; found {strength}")


def augment(batch: Batch, settings: Mapping[str, float], random: torch.Generator, points: Sequence[str] = ()) -> Batch:
    """The changed batch; `image` is (B, C, H, W) float from 0 to 1.

    Args:
        batch: images and targets.
        settings: strengths by name; geometry comes first, the rest in this order.
        random: a generator on the images' device.
        points: names of the key points, of which a mirrored face swaps those with left and right in them.
    """
    if any(name in settings for name in GEOMETRY):
        batch = _moved(batch, settings, random, points)
    return batch | {"image": disturbed(batch["image"], settings, random)}


def disturbed(images: Tensor, settings: Mapping[str, float], random: torch.Generator) -> Tensor:
    """Images (B, C, H, W) with other looks, and nothing moved: what a denoising network is to undo."""
    for name, strength in settings.items():
        if name in LOOKS:
            images = LOOKS[name](images, strength, random)
    return images


def noise(images: Tensor, sigma: float, random: torch.Generator) -> Tensor:
    """Gaussian, of that standard deviation."""
    return (images + sigma * torch.randn(images.shape, generator=random, device=images.device)).clamp(0, 1)


def salt_and_pepper(images: Tensor, density: float, random: torch.Generator) -> Tensor:
    """That share of the pixels turns white or black, one as often as the other."""
    drawn = torch.rand(len(images), 1, *images.shape[2:], generator=random, device=images.device)
    return images.masked_fill(drawn < density / 2, 0).masked_fill(drawn > 1 - density / 2, 1)


def occlude(images: Tensor, side: float, random: torch.Generator) -> Tensor:
    """A black rectangle somewhere, its sides that share of the image's."""
    corner = torch.rand(len(images), 2, 1, 1, generator=random, device=images.device) * (1 - side)
    rows, columns = (
        (torch.arange(n, device=images.device).add(0.5) / n).view(shape)
        for n, shape in zip(images.shape[2:], ((-1, 1), (1, -1)), strict=True)
    )
    hidden = [(line >= low) & (line < low + side) for line, low in ((rows, corner[:, 0:1]), (columns, corner[:, 1:2]))]
    return images.masked_fill(hidden[0] & hidden[1], 0)


def brightness(images: Tensor, most: float, random: torch.Generator) -> Tensor:
    """Up to so much is added to all pixels, or taken away."""
    return (images + _between(images, most, random)).clamp(0, 1)


def contrast(images: Tensor, most: float, random: torch.Generator) -> Tensor:
    """Distances from the image's mean change by up to that share."""
    mean = images.mean((1, 2, 3), keepdim=True)
    return (mean + (images - mean) * (1 + _between(images, most, random))).clamp(0, 1)


def saturation(images: Tensor, most: float, random: torch.Generator) -> Tensor:
    """Distances from grey change by up to that share."""
    grey = images.mean(1, keepdim=True)
    return (grey + (images - grey) * (1 + _between(images, most, random))).clamp(0, 1)


LOOKS: dict[str, Callable[[Tensor, float, torch.Generator], Tensor]] = {
    change.__name__: change for change in (noise, salt_and_pepper, occlude, brightness, contrast, saturation)
}


def _moved(batch: Batch, settings: Mapping[str, float], random: torch.Generator, points: Sequence[str]) -> Batch:
    images = batch["image"]
    b, height, width = len(images), *images.shape[2:]

    def draw(name: str) -> Tensor:
        return (torch.rand(b, generator=random, device=images.device) * 2 - 1) * settings.get(name, 0.0)

    flipped = torch.rand(b, generator=random, device=images.device) < settings.get("flip", 0.0)
    mirror = torch.where(flipped, -1.0, 1.0)
    if set(settings) & set(GEOMETRY) == {"flip"}:  # no pixel has to be computed
        at = flipped.view(b, 1, 1)
        moved = {"image": torch.where(at.unsqueeze(1), images.flip(-1), images)}
        if "mask" in batch:
            moved["mask"] = torch.where(at, batch["mask"].flip(-1), batch["mask"])
        linear, shift = torch.diag_embed(torch.stack([mirror, torch.ones_like(mirror)], 1)), images.new_zeros(b, 2)
    else:
        turn, shear, zoom = draw("rotate") * (math.pi / 180), draw("shear"), draw("zoom")
        scale = torch.where(zoom < 0, 1 + zoom, 1 / (1 - zoom).clamp(min=0.1))
        shift = torch.stack([draw("shift"), draw("shift")], 1) * 2
        turned = torch.stack([turn.cos(), -turn.sin(), turn.sin(), turn.cos()], 1).view(b, 2, 2)
        slanted = torch.stack([mirror, shear, torch.zeros_like(shear), torch.ones_like(shear)], 1).view(b, 2, 2)
        linear = (
            turned @ slanted * scale.view(b, 1, 1)
        )  # where a place of the old image lies in the new one, from -1 to 1
        back = torch.linalg.inv(linear)
        theta = torch.cat([back, -back @ shift.unsqueeze(2)], 2)  # (B, 2, 3)
        grid = F.affine_grid(theta, [b, 1, height, width], align_corners=False)
        moved = {"image": F.grid_sample(images, grid, padding_mode="border", align_corners=False)}
        if "mask" in batch:
            masks = batch["mask"].unsqueeze(1).float()
            nearest_ = F.grid_sample(masks, grid, mode="nearest", padding_mode="border", align_corners=False)
            moved["mask"] = nearest_.squeeze(1).to(batch["mask"].dtype)
    sides = images.new_tensor([width, height])

    def placed(old: Tensor) -> Tensor:
        """Places (B, K, 2) in pixels."""
        unit = old * (2 / sides) - 1
        return (unit @ linear.mT + shift.unsqueeze(1) + 1) * (sides / 2)

    if "points" in batch:
        new = placed(batch["points"])
        moved["points"] = torch.where(flipped.view(b, 1, 1), new[:, _mirrored(points, new.shape[1])], new)
    if "boxes" in batch:
        kind, left, top, right, bottom = batch["boxes"].unbind(-1)
        corners = [
            placed(torch.stack(corner, -1)) for corner in ((left, top), (right, top), (left, bottom), (right, bottom))
        ]
        around = torch.stack(corners)  # (4, B, K, 2)
        low, high = around.amin(0).clamp(min=0), torch.minimum(around.amax(0).clamp(min=0), sides)
        low = torch.minimum(low, sides)
        left_image = (high <= low).any(-1, keepdim=True)
        moved["boxes"] = torch.cat([kind.unsqueeze(-1), low, high], -1).masked_fill(left_image, torch.nan)
    return batch | moved


def _mirrored(points: Sequence[str], count: int) -> list[int]:
    """The point that takes the place of each in a mirrored image."""
    places = {name: i for i, name in enumerate(points)}
    swapped = [name.replace("left", "\0").replace("right", "left").replace("\0", "right") for name in points]
    return [places[name] for name in swapped] or list(range(count))


def _between(images: Tensor, most: float, random: torch.Generator) -> Tensor:
    return (torch.rand(len(images), 1, 1, 1, generator=random, device=images.device) * 2 - 1) * most
