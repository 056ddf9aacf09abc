"""The detectors of torchvision by name, without weights of others: SSD, RetinaNet, FCOS, Faster R-CNN."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from lab.errors import BadSetting, suggestion
from lab.vision.detection.boxes import Boxes

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "torchvision:"
NAMES = (
    "ssd300_vgg16",
    "ssdlite320_mobilenet_v3_large",
    "retinanet_resnet50_fpn",
    "fcos_resnet50_fpn",
    "fasterrcnn_resnet50_fpn",
    "fasterrcnn_mobilenet_v3_large_fpn",
)


class TorchvisionDetector(nn.Module):
    """Images (B, 3, size, size), already normalised, for a detector whose class 0 is the background.

    Args:
        name: one of `NAMES`.
        channels: of an image; three.
        size: height and width of an image; those of SSD are made larger inside.
        classes: how many there are, the background not among them.

    Raises:
        BadSetting: there is no detector of that name, or images are not in colour.
    """

    def __init__(self, name: str, channels: int, size: int, classes: int) -> None:
        super().__init__()
        from torchvision.models import detection

        if name not in NAMES:
            raise BadSetting("network", f"torchvision has no detector {name!r}{suggestion(name, NAMES)}")
        if channels != 3:
            raise BadSetting("network", f"{name} takes images in colour, and these have {channels} channel")
        sides = {} if name.startswith("ssd") else {"min_size": size, "max_size": size}
        plain: dict[str, Any] = {"image_mean": [0.0] * 3, "image_std": [1.0] * 3}  # normalised before
        kind = getattr(detection, name)
        self.model = kind(weights=None, weights_backbone=None, num_classes=classes + 1, **sides, **plain)

    def losses(self, images: Tensor, targets: Sequence[Boxes]) -> Tensor:
        """The loss of the whole batch, for each image, (B,); an evaluation keeps its statistics and generators."""
        wanted = [{"boxes": each["boxes"], "labels": each["labels"] + 1} for each in targets]
        with self._learning():
            parts = self.model(list(images), wanted)
        return torch.stack(list(parts.values())).sum().expand(len(images))

    def detect(self, images: Tensor) -> list[Boxes]:
        """The boxes of each image, without repetitions."""
        return [{**found, "labels": found["labels"] - 1} for found in self.model(list(images))]

    @contextmanager
    def _learning(self) -> Iterator[None]:
        """Losses come in training alone; normalisation and dropout stay as they are, and so do random generators."""
        if self.training:
            yield
            return
        parts = [self.model, *(getattr(self.model, name) for name in ("rpn", "roi_heads") if hasattr(self.model, name))]
        with torch.random.fork_rng():
            for part in parts:
                part.training = True
            try:
                yield
            finally:
                for part in parts:
                    part.training = False
