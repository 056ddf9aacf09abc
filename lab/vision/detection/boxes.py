"""Boxes as detectors take and give them: a dictionary for each image."""

from __future__ import annotations

from torch import Tensor
from torchvision.ops import batched_nms

# of an image: `boxes` (n, 4) as left, top, right, bottom, `labels` (n,), and `scores` (n,) of what is found
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
