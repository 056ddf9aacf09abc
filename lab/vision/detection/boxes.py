"""Boxes as detectors take and give them: a dictionary for each image."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import batched_nms

# of an image: `boxes` (n, 4) as left, top, right, bottom, `labels` (n,), `scores` (n,) of what is found, and where a
# network finds them `masks` (n, H, W)
Boxes = dict[str, Tensor]
MOST = 100  # boxes that are found in an image, as COCO counts
OVERLAP = 0.5  # of two boxes of a class, from which only the likelier one stays


def targets(boxes: Tensor) -> list[Boxes]:
    """The true boxes of each image, from rows (B, K, 5) of class, left, top, right, bottom; NaN is no box.

    >>> targets(torch.tensor([[[2.0, 1, 1, 5, 6], [torch.nan] * 5]]))[0]["labels"]
    tensor([2])
    """
    known = [rows[~rows.isnan().any(1)] for rows in boxes]
    return [{"boxes": rows[:, 1:], "labels": rows[:, 0].long()} for rows in known]


def instance_masks(boxes: Boxes, mask: Tensor) -> Tensor:
    """The pixels of each object (n, H, W) uint8: those of its class in its box.

    Where boxes of a class overlap, a pixel belongs to the one whose middle is nearer.

    >>> boxes = {"boxes": torch.tensor([[0.0, 0, 2, 1], [2, 0, 4, 1]]), "labels": torch.tensor([1, 1])}
    >>> instance_masks(boxes, torch.tensor([[2, 2, 2, 0]])).tolist()
    [[[1, 1, 0, 0]], [[0, 0, 1, 0]]]

    Args:
        boxes: of the image.
        mask: (H, W) classes of the pixels, counted from 1; 0 is no object.
    """
    y, x = (torch.arange(side, device=mask.device) + 0.5 for side in mask.shape)
    left, top, right, bottom = boxes["boxes"].view(-1, 4, 1, 1).unbind(1)
    x, y = x.view(1, 1, -1), y.view(1, -1, 1)
    inside = (x > left) & (x < right) & (y > top) & (y < bottom) & (mask == boxes["labels"].view(-1, 1, 1) + 1)
    distance = ((x - (left + right) / 2).square() + (y - (top + bottom) / 2).square()).masked_fill(~inside, torch.inf)
    nearest = distance == distance.amin(0, keepdim=True) if len(distance) else inside
    return (inside & nearest).to(torch.uint8)


def suppressed(boxes: Tensor, scores: Tensor, threshold: float) -> Boxes:
    """The boxes of an image without those that say the same of the same object.

    Args:
        boxes: (n, 4).
        scores: of each class in each box, (n, K).
        threshold: least score.
    """
    rows, labels = (scores > threshold).nonzero(as_tuple=True)
    kept = batched_nms(boxes[rows], scores[rows, labels], labels, OVERLAP)[:MOST]
    return {"boxes": boxes[rows[kept]], "scores": scores[rows[kept], labels[kept]], "labels": labels[kept]}
