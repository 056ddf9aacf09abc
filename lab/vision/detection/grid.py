"""A single-shot detector of our own: each cell of a grid says whether an object's middle lies in it, and which object.

Sources: Redmon et al., You only look once, CVPR 2016; Rezatofighi et al., Generalized IoU, CVPR 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import generalized_box_iou_loss

from lab.networks import upcast
from lab.vision.detection.boxes import Boxes, suppressed

STRIDE = 8  # pixels of a cell
PRIOR = -4.0  # logit of an object in a cell at the start, about two in a hundred
LEAST_SCORE = 0.01


class GridDetector(nn.Module):
    """Images (B, channels, size, size) -> boxes of each cell (B, cells, 4) in pixels, and scores (B, cells, classes).

    >>> boxes, scores = GridDetector(3, 64, 10, width=8).eval()(torch.zeros(2, 3, 64, 64))
    >>> boxes.shape, scores.shape
    (torch.Size([2, 64, 4]), torch.Size([2, 64, 10]))

    Args:
        channels: of an image.
        size: height and width of an image.
        classes: how many there are.
        width: channels of the first layer; twice and four times as many follow.
    """

    corners: Tensor

    def __init__(self, channels: int, size: int, classes: int, width: int = 24) -> None:
        super().__init__()
        self.classes, self.size = classes, size
        self.body = backbone(channels, width)
        self.head = nn.Conv2d(4 * width, 5 + classes, 1)
        nn.init.constant_(self.head.bias[4], PRIOR)  # type: ignore[index]
        self.cells = -(-size // STRIDE)
        rows, columns = torch.meshgrid(torch.arange(self.cells), torch.arange(self.cells), indexing="ij")
        self.register_buffer("corners", torch.stack([columns, rows], -1).view(-1, 2).float(), persistent=False)

    def outputs(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes (B, cells, 4) in pixels, logits of an object (B, cells), and of its class (B, cells, K)."""
        found = upcast(self.head(self.body(images))).flatten(2).mT  # (B, cells, 5 + K)
        offset = 2 * found[..., :2].sigmoid() - 0.5  # a little beyond the cell, so that its edges are reached
        middle = (self.corners + offset) * STRIDE
        half = found[..., 2:4].clamp(max=6).exp() * STRIDE / 2
        return torch.cat([middle - half, middle + half], 2), found[..., 4], found[..., 5:]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        boxes, objects, classes = self.outputs(images)
        return boxes, objects.sigmoid().unsqueeze(2) * classes.softmax(2)

    def losses(self, images: Tensor, targets: Sequence[Boxes]) -> Tensor:
        """The loss of each image, (B,): cross-entropy of objects and classes, and the generalised IoU of boxes."""
        boxes, objects, classes = self.outputs(images)
        image = torch.cat([torch.full_like(each["labels"], i) for i, each in enumerate(targets)])
        true, labels = (torch.cat([each[key] for each in targets]) for key in ("boxes", "labels"))
        middle = ((true[:, :2] + true[:, 2:]) / 2 / STRIDE).long().clamp(0, self.cells - 1)
        cell = middle[:, 1] * self.cells + middle[:, 0]
        there = torch.zeros_like(objects).index_put((image, cell), objects.new_ones(()))
        losses = F.binary_cross_entropy_with_logits(objects, there, reduction="none").sum(1)
        own = F.cross_entropy(classes[image, cell], labels, reduction="none")
        own = own + 2 * generalized_box_iou_loss(boxes[image, cell], true)
        return losses.index_add(0, image, own)

    def detect(self, images: Tensor) -> list[Boxes]:
        """The boxes of each image, without repetitions."""
        found = zip(*self(images), strict=True)
        return [suppressed(boxes.clamp(0, self.size), scores, LEAST_SCORE) for boxes, scores in found]


def backbone(channels: int, width: int) -> nn.Sequential:
    """Images (B, channels, size, size) -> maps (B, 4 * width, cells, cells), by eight convolutions."""
    widths = [channels, width, width, 2 * width, 2 * width, 4 * width, 4 * width, 4 * width, 4 * width]
    strides = [2, 1, 2, 1, 2, 1, 1, 1]
    layers = zip(pairwise(widths), strides, strict=True)
    return nn.Sequential(*(_block(n_in, n_out, stride) for (n_in, n_out), stride in layers))


def _block(n_in: int, n_out: int, stride: int) -> nn.Module:
    convolution = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(n_out), nn.SiLU(inplace=True))
