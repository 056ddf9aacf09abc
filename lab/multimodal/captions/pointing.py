"""The pointing game: whether attention is largest inside the box of what a word names.

Source: Zhang et al., Top-down neural attention by excitation backprop, ECCV 2016.
"""

from __future__ import annotations

import torch
from torch import Tensor


def pointing_hits(attention: Tensor, captions: Tensor, boxes: Tensor, nouns: Tensor, size: int) -> Tensor:
    """One for every word whose attention is largest inside the box of its shape, 0 for every other one: (words,).

    >>> attention = torch.tensor([[[0.1, 0.7, 0.1, 0.1], [0.1, 0.1, 0.1, 0.7]]])  # of a grid of 2 x 2
    >>> boxes = torch.tensor([[[0.0, 9.0, 0.0, 15.0, 8.0]]])  # top right
    >>> pointing_hits(attention, torch.tensor([[7, 0]]), boxes, nouns=torch.tensor([7]), size=16)
    tensor([1.])

    Args:
        attention: of each word to each place, row by row, (B, L, S).
        captions: (B, L) places of words; the k-th noun names the k-th box.
        boxes: (B, K, 5) as class, left, top, right, bottom in pixels, NaN where there is none.
        nouns: words that name shapes, (N,).
        size: height and width of the images.
    """
    noun = torch.isin(captions, nouns.to(captions.device))
    number = (noun.cumsum(1) - 1).clamp(0, boxes.shape[1] - 1)
    _, left, top, right, bottom = boxes.gather(1, number.unsqueeze(2).expand(-1, -1, 5)).unbind(2)  # each (B, L)
    side = round(attention.shape[2] ** 0.5)
    peak = attention.argmax(2)
    x, y = ((place + 0.5) * (size / side) for place in (peak % side, peak // side))
    inside = (left <= x) & (x < right) & (top <= y) & (y < bottom)
    hits: Tensor = inside[noun & ~left.isnan()]
    return hits.float()
