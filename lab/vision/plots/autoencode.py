"""Plots of an autoencoder: reconstructions and latent codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lab.plots import figure
from lab.vision.plots.neighbours import neighbours
from lab.vision.plots.tiles import bare, montage, rgb

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Decode = Callable[[Tensor], Tensor]  # codes (N, latent_dim) -> images (N, C, H, W)

SHOWN = 14  # images in a row
PAIRS, STEPS = 6, 11  # from one image to another
SAMPLES = 10  # along each side of a square
MOST_AXES = 16  # numbers of a code for which each has a row
FARTHEST = 2.5  # standard deviations from the mean


def reconstructions(rows: dict[str, Tensor]) -> Figure:
    """The same images (N, C, H, W), from 0 to 1, in several states by name; errors are those against the first."""
    first = next(iter(rows.values()))[:SHOWN]
    with figure(len(rows), 1, width=9.0, height=9.0 / SHOWN + 0.25) as (drawing, places):
        for place, (name, images) in zip(places, rows.items(), strict=True):
            place.imshow(montage(rgb(images[:SHOWN]), SHOWN), interpolation="nearest")
            error = float((images[:SHOWN] - first).square().mean())
            bare(place, name if images is rows[next(iter(rows))] else f"{name}, squared error of a pixel {error:.4f}")
    return drawing


def interpolation(decode: Decode, images: Tensor, codes: Tensor) -> Figure:
    """From one image to another in equal steps of the code; each row begins and ends with the images themselves.

    Args:
        decode: makes images of codes.
        images: (N, C, H, W), of which one follows the other.
        codes: (N, latent_dim), theirs.
    """
    pairs = min(PAIRS, len(images) // 2)
    first, last = codes[: 2 * pairs : 2, None], codes[1 : 2 * pairs : 2, None]  # (pairs, 1, latent_dim)
    share = torch.linspace(0, 1, STEPS, device=codes.device)[:, None]
    made = decode((first + share * (last - first)).flatten(0, 1)).unflatten(0, (pairs, STEPS))
    ends = images[: 2 * pairs].unflatten(0, (pairs, 2)).to(made.device)
    tiles = torch.cat([ends[:, :1], made, ends[:, 1:]], 1).flatten(0, 1)
    with figure(width=8.0, height=0.3 + pairs * 8.0 / (STEPS + 2)) as (drawing, place):
        place.imshow(montage(rgb(tiles), STEPS + 2), interpolation="nearest")
        bare(place, "From one image to another in equal steps of the code, between the images themselves")
    return drawing


def latent_traversal(decode: Decode, codes: Tensor) -> Figure:
    """The mean code, with one of its numbers after the other moved along its spread.

    Args:
        decode: makes images of codes.
        codes: (N, latent_dim), whose mean and spread are meant.
    """
    count = codes.shape[1]
    offsets = torch.linspace(-FARTHEST, FARTHEST, STEPS, device=codes.device)
    moved = torch.diag_embed(codes.std(0, correction=0))[:, None] * offsets[None, :, None]  # (code, STEPS, code)
    tiles = decode((codes.mean(0) + moved).flatten(0, 1))
    with figure(width=7.0, height=0.5 + count * 7.0 / STEPS) as (drawing, place):
        sheet = montage(rgb(tiles), STEPS)
        place.imshow(sheet, interpolation="nearest")
        bare(place, f"One number of the code moved, up to {FARTHEST} standard deviations from its mean")
        height = (sheet.shape[0] + 1) / count
        place.set_yticks([height * (i + 0.5) - 1 for i in range(count)], [str(i + 1) for i in range(count)])
        place.tick_params("y", length=0)
    return drawing


def samples(decode: Decode, length: int) -> Figure:
    """Images that are none of the set's: codes sampled from the standard normal, the same ones for every network.

    Args:
        decode: makes images of codes.
        length: of a code.
    """
    sampled = torch.randn(SAMPLES**2, length, generator=torch.Generator().manual_seed(0))
    with figure(width=6.0, height=6.3) as (drawing, place):
        place.imshow(montage(rgb(decode(sampled)), SAMPLES), interpolation="nearest")
        bare(place, "Images of codes sampled from the standard normal")
    return drawing


def codes(vectors: Tensor, labels: Tensor | None, names: list[str], rate: float | None) -> Figure:
    """A map of the codes by t-SNE, each class with a colour and a marker where there are labels.

    Args:
        vectors: codes (N, latent_dim).
        labels: (N,), places in `names`.
        names: of the classes.
        rate: share of codes whose nearest neighbours are of their class.
    """
    with figure(width=6.4, height=6.0) as (drawing, place):
        known = None if labels is None else labels.long().cpu().numpy()
        neighbours(place, vectors.cpu().numpy(), known, names, "the codes")
        if rate is not None:
            place.set_xlabel(f"{100 * rate:.1f} % of all {len(vectors):,} codes have neighbours of their own class")
    return drawing
