"""The columns of a table of images, and batches of them.

`image` (N, C, H, W) uint8, and what is known about each image; masks, points and boxes are in its pixels, x before y:
`label` (N,) int64; `mask` (N, H, W) uint8, `IGNORE_INDEX` for no class; `points` (N, P, 2) float32, NaN where unknown;
`boxes` (N, K, 5) float32 as class, left, top, right, bottom, NaN where there are fewer; `caption` (N, T) int64, places
in the list of words; `pair` (N,) int64, places in the list of pairs.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from lab.data import Batch, Table

IGNORE_INDEX = 255  # a pixel of a mask that belongs to no class


def to_batch(images: Table) -> Batch:
    """`image` as float from 0 to 1, the mask as whole numbers that a loss takes, and everything else as it is."""
    batch = images.padded()
    batch["image"] = batch["image"].float().div_(255)
    if "mask" in batch:
        batch["mask"] = batch["mask"].long()
    return batch


def resize(images: Table, size: int) -> Table:
    """The same images, `size` x `size`; they have no column that knows places in them."""
    made = F.interpolate(images["image"].float(), size=(size, size), mode="bilinear", antialias=True)
    return images.assign({"image": made.round_().to(torch.uint8)})
