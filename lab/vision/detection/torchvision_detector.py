"""The detectors of torchvision by name, without weights of others: SSD, RetinaNet, FCOS, Faster and Mask R-CNN."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from inspect import signature
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
    "maskrcnn_resnet50_fpn",
)
MASKS = "maskrcnn"  # how the names begin of those that find a mask of each object as well


CLASSES = {  # of torchvision, which know the arguments
    "ssd": "SSD",
    "retinanet": "RetinaNet",
    "fcos": "FCOS",
    "fasterrcnn": "FasterRCNN",
    "maskrcnn": "MaskRCNN",
}


class TorchvisionDetector(nn.Module):
    """Images (B, 3, size, size), already normalised, for a detector whose class 0 is the background.

    Args:
        name: one of `NAMES`.
        channels: of an image; three.
        size: height and width of an image; those of SSD are made larger inside.
        classes: how many there are, the background not among them.
        settings: further numbers that torchvision's detector takes, by name.

    Raises:
        BadSetting: there is no detector of that name, it has no such argument, or images are not in colour.
    """

    def __init__(
        self, name: str, channels: int, size: int, classes: int, settings: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        from torchvision.models import detection

        if name not in NAMES:
            raise BadSetting("network", f"torchvision has no detector {name!r}{suggestion(name, NAMES)}")
        if channels != 3:
            raise BadSetting("network", f"{name} takes images in colour, and these have {channels} channel")
        sides = {} if name.startswith("ssd") else {"min_size": size, "max_size": size}
        plain: dict[str, Any] = {"image_mean": [0.0] * 3, "image_std": [1.0] * 3}  # normalised before
        plain |= _checked(name, settings or {})
        kind = getattr(detection, name)
        self.model = kind(weights=None, weights_backbone=None, num_classes=classes + 1, **sides | plain)

    def losses(self, images: Tensor, targets: Sequence[Boxes]) -> Tensor:
        """The loss of the whole batch, for each image, (B,); an evaluation keeps its statistics and generators."""
        wanted = [{**each, "labels": each["labels"] + 1} for each in targets]
        with self._learning():
            parts = self.model(list(images), wanted)
        return torch.stack(list(parts.values())).sum().expand(len(images))

    def detect(self, images: Tensor) -> list[Boxes]:
        """The boxes of each image, without repetitions; and the `masks` (n, size, size) of Mask R-CNN."""
        found = [{**each, "labels": each["labels"] - 1} for each in self.model(list(images))]
        return [each | {"masks": each["masks"].squeeze(1) > 0.5} if "masks" in each else each for each in found]

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


def _checked(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """
    Raises:
        BadSetting: the detector has no number of that name, or it is out of its range.
    """
    from torchvision.models import detection

    key = next(key for key in CLASSES if name.startswith(key))
    kind = getattr(detection.ssd if key == "ssd" else detection, CLASSES[key])
    numbers = {
        key: each.default for key, each in signature(kind).parameters.items() if type(each.default) in (int, float)
    }
    for key, value in settings.items():
        if key not in numbers:
            raise BadSetting("network_args", f"{name} has no number {key!r}{suggestion(key, numbers, 'it has')}")
        whole, most = isinstance(numbers[key], int), math.inf if numbers[key] >= 1 else 1
        if type(value) not in ((int,) if whole else (int, float)) or not (1 if whole else 0) <= value <= most:
            expected = "a whole number above 0" if whole else "a number of 0 or more" if most > 1 else "from 0 to 1"
            raise BadSetting("network_args", f"{key}: expected {expected}, found {value!r}")
    return dict(settings)
