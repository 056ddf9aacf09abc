"""An order of images of which every stretch is like the whole: what is cut off for validation, or for few labels."""

from __future__ import annotations

import torch
from torch import Tensor

from lab.vision.data.images import Images


def balanced(images: Images, seed: int) -> Tensor:
    """A random order of all rows in which every stretch has about the same share of each class as the whole."""
    shuffled = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    if "label" not in images.targets:
        return shuffled
    labels = images.targets["label"][shuffled]
    counts = labels.bincount()
    by_class = labels.argsort(stable=True)
    first = (counts.cumsum(0) - counts)[labels[by_class]]
    place = torch.empty(len(labels), dtype=torch.float64)  # of a row among those of its class, from 0 to 1
    place[by_class] = (torch.arange(len(labels)) - first + 0.5).double() / counts[labels[by_class]]
    return shuffled[place.argsort(stable=True)]
