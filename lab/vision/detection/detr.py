"""A small DETR: a set of queries looks at the image by attention, and each finds one object or none.

Sources: Carion et al., End-to-end object detection with transformers, ECCV 2020 (matching, losses, losses behind each
layer); Meng et al., Conditional DETR, ICCV 2021, for queries that begin at places of their own, and learn sooner.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import box_convert, generalized_box_iou, generalized_box_iou_loss

from lab.networks import MLP, LearnedPositions, TransformerDecoder, TransformerEncoder, upcast
from lab.vision.detection.boxes import Boxes
from lab.vision.detection.grid import STRIDE, backbone

SIDE = 4  # queries begin at this many places along each side
NO_OBJECT = 0.2  # weight of a query that finds nothing, of which there are more
DISTANCE, OVERLAP = 5.0, 2.0  # weights of L1 and generalised IoU, beside the class


class DETR(nn.Module):
    """Images (B, channels, size, size) -> boxes (B, queries, 4) in pixels, and scores (B, queries, classes).

    >>> boxes, scores = DETR(3, 64, 10, width=8).eval()(torch.zeros(2, 3, 64, 64))
    >>> boxes.shape, scores.shape
    (torch.Size([2, 16, 4]), torch.Size([2, 16, 10]))

    Args:
        channels: of an image.
        size: height and width of an image.
        classes: how many there are.
        width: channels of the first layer; tokens have four times as many.
        depth: layers of the encoder, and of the decoder.
    """

    places: Tensor

    def __init__(self, channels: int, size: int, classes: int, width: int = 24, depth: int = 2) -> None:
        super().__init__()
        self.size, tokens = size, 4 * width
        self.body = backbone(channels, width)
        self.positions = LearnedPositions((-(-size // STRIDE)) ** 2, tokens)
        self.encoder = TransformerEncoder(tokens, depth, dropout=0.0)
        self.decoder = TransformerDecoder(tokens, depth, dropout=0.0)
        self.queries = nn.Parameter(torch.randn(SIDE**2, tokens))
        self.label = nn.Linear(tokens, classes + 1)  # the last one is no object
        self.box = MLP(tokens, [tokens], 4)
        line = torch.logit((torch.arange(SIDE) + 0.5) / SIDE)
        y, x = torch.meshgrid(line, line, indexing="ij")
        sides = torch.full_like(x, torch.logit(torch.tensor(1 / SIDE)).item())
        self.register_buffer("places", torch.stack([x, y, sides, sides], -1).view(-1, 4), persistent=False)

    def outputs(self, images: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Behind each layer of the decoder: boxes (B, Q, 4) as middle and sides, shares of the image, and logits."""
        maps = self.body(images)
        memory = self.encoder(self.positions(maps.flatten(2).mT))
        around = F.adaptive_avg_pool2d(memory.mT.reshape(maps.shape), SIDE).flatten(2).mT  # (B, Q, tokens)
        states = self.decoder.each_layer(self.queries + around, memory)
        return [(upcast(self.places + self.box(state)).sigmoid(), upcast(self.label(state))) for state in states]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        boxes, logits = self.outputs(images)[-1]
        return box_convert(boxes * self.size, "cxcywh", "xyxy"), logits.softmax(2)[..., :-1]

    def losses(self, images: Tensor, targets: Sequence[Boxes]) -> Tensor:
        """The loss of each image, (B,): that of the boxes behind each layer of the decoder, each with its matching."""
        layers = [self._losses(boxes, logits, targets) for boxes, logits in self.outputs(images)]
        return torch.stack(layers).sum(0)

    def _losses(self, boxes: Tensor, logits: Tensor, targets: Sequence[Boxes]) -> Tensor:
        true = [box_convert(each["boxes"] / self.size, "xyxy", "cxcywh") for each in targets]
        pairs = [match(*each) for each in zip(boxes.detach(), logits.detach(), true, targets, strict=True)]
        image = torch.cat([torch.full_like(query, i) for i, (query, _) in enumerate(pairs)])
        query = torch.cat([query for query, _ in pairs])
        wanted = torch.cat([each[index] for each, (_, index) in zip(true, pairs, strict=True)])
        labels = torch.cat([each["labels"][index] for each, (_, index) in zip(targets, pairs, strict=True)])
        nothing = logits.shape[2] - 1
        every = torch.full(logits.shape[:2], nothing, device=logits.device).index_put((image, query), labels)
        weights = torch.where(every == nothing, NO_OBJECT, 1.0)
        losses = (F.cross_entropy(logits.mT, every, reduction="none") * weights).sum(1)
        found = boxes[image, query]
        overlaps = generalized_box_iou_loss(corners(found), corners(wanted))
        own = DISTANCE * (found - wanted).abs().sum(1) + OVERLAP * overlaps
        return losses.index_add(0, image, own)

    def detect(self, images: Tensor) -> list[Boxes]:
        """The boxes of each image, one of each query, the best first; repetitions were unlearnt."""
        found = []
        for boxes, scores in zip(*self(images), strict=True):
            best, labels = scores.max(1)
            order = best.argsort(descending=True)
            each = {"boxes": boxes.clamp(0, self.size), "scores": best, "labels": labels}
            found.append({key: value[order] for key, value in each.items()})
        return found


def match(boxes: Tensor, logits: Tensor, true: Tensor, target: Boxes) -> tuple[Tensor, Tensor]:
    """Which query is to find which true box of an image: the pairs of the least sum of losses, (n,) each.

    Args:
        boxes: (Q, 4) middle and sides.
        logits: (Q, classes + 1).
        true: (n, 4), likewise.
        target: the same boxes, with their `labels`.
    """
    cost = DISTANCE * torch.cdist(boxes, true, p=1) - logits.softmax(1)[:, target["labels"]]
    cost -= OVERLAP * generalized_box_iou(corners(boxes), corners(true))
    rows, columns = linear_sum_assignment(cost.cpu().numpy())
    return torch.as_tensor(rows, device=boxes.device), torch.as_tensor(columns, device=boxes.device)


def corners(boxes: Tensor) -> Tensor:
    """Middle and sides -> left, top, right, bottom."""
    sides: Tensor = box_convert(boxes, "cxcywh", "xyxy")
    return sides
