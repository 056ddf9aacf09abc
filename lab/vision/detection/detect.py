"""Object detection by networks of our own, or any of torchvision's detectors, measured as COCO does.

Source: Lin et al., Microsoft COCO, ECCV 2014 (mean average precision over overlaps from 0.5 to 0.95).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from annotated_types import Gt
from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision

from lab import plots
from lab.data import Batch
from lab.errors import BadInput, BadSetting, suggestion
from lab.learning import Stage, SupervisedModule
from lab.task import Task
from lab.vision.data.image_data import ImageData
from lab.vision.detection.boxes import Boxes, instance_masks, targets
from lab.vision.detection.detr import DETR
from lab.vision.detection.grid import GridDetector
from lab.vision.detection.torchvision_detector import MASKS, PREFIX, TorchvisionDetector
from lab.vision.networks.normalize import Normalize
from lab.vision.plots import detect as draw

OWN: dict[str, type[GridDetector | DETR]] = {"grid": GridDetector, "detr": DETR}
KEPT = 12  # boxes of an image that may be drawn
LOGGED = {"map": "map", "map_50": "map50", "map_75": "map75", "mar_100": "recall"}  # by the names of torchmetrics


class Detect(SupervisedModule):
    """Boxes and classes of objects in images (B, channels, size, size) in [0, 1].

    Args:
        channels: channels of an image; a fact of the data.
        size: height and width of an image; a fact of the data.
        box_names: names of the classes of boxes; a fact of the data.
        mean: mean of the pixels of each channel; a fact of the data.
        std: standard deviation of the pixels of each channel; a fact of the data.
        mask_names: names of the classes of pixels; a fact of the data.
        network: grid, a small single-shot detector; detr, a small one by attention; or one of torchvision, without
            pretrained weights, such as torchvision:fasterrcnn_mobilenet_v3_large_fpn. Mask R-CNN finds masks as well.
        width: channels of the first layer of grid and detr.
        network_args: further numbers that torchvision's detector takes, such as {rpn_post_nms_top_n_train: 100}.
        lr: learning rate of the optimizer.
    """

    num_first_examples = draw.COLUMNS * draw.ROWS

    def __init__(
        self,
        channels: int,
        size: int,
        box_names: list[str],
        mean: list[float],
        std: list[float],
        mask_names: list[str] = [],  # noqa: B006 - never changed
        network: str = "grid",
        width: Annotated[int, Gt(0)] = 24,
        network_args: dict[str, Any] | None = None,
        lr: Annotated[float, Gt(0)] = 3e-3,
        **training: Any,
    ) -> None:
        super().__init__(lr, **training)
        if not box_names:
            found = "this dataset has no boxes; `lab data show NAME` lists the columns of a dataset"
            raise BadSetting("box_names", found)
        self.normalise, self.names, self.size = Normalize(channels, size, mean, std), box_names, size
        self.network: GridDetector | DETR | TorchvisionDetector
        if network in OWN:
            self.network = OWN[network](channels, size, len(box_names), width)
            self.example_input_array = torch.zeros(1, channels, size, size)
        elif network.startswith(PREFIX):
            self.network = TorchvisionDetector(
                network.removeprefix(PREFIX), channels, size, len(box_names), network_args
            )
        else:
            known = suggestion(network, OWN)
            raise BadSetting("network", f"no detector {network!r}{known}; or {PREFIX}NAME")
        if network_args and network in OWN:
            raise BadSetting("network_args", f"{network} takes none; they are for networks of torchvision")
        self.masks = network.startswith(PREFIX + MASKS)
        if self.masks and mask_names[1:] != box_names:
            raise BadSetting("network", f"{network} learns from masks of objects, which this dataset does not have")
        self.average_precision = MeanAveragePrecision(iou_type=("bbox", "segm") if self.masks else "bbox")
        self.average_precision.warn_on_many_detections = False

    def forward(self, images: Tensor) -> Any:
        """The outputs of grid: boxes (B, cells, 4) in pixels and scores (B, cells, classes); see `detect`."""
        return self.network(self.normalise(images))

    def detect(self, images: Tensor) -> list[Boxes]:
        """`boxes` (n, 4) as left, top, right, bottom in pixels, `labels` and `scores` (n,), the best first."""
        return self.network.detect(self.normalise(images))

    def training_loss(self, batch: Batch, progress: float) -> Tensor:  # noqa: ARG002
        return self.network.losses(self.normalise(batch["image"]), self.targets(batch)).mean()

    def evaluate_batch(self, batch: Batch) -> dict[str, Tensor]:
        images, true = batch["image"], self.targets(batch)
        found = self.detect(images)
        self.average_precision.update(found, true)
        drawn = torch.stack([_padded(each) for each in found])
        losses = self.network.losses(self.normalise(images), true)
        rows = {"loss": losses, "image": images, "boxes": batch["boxes"], "found": drawn}
        return rows | ({"mask": torch.stack([_painted(each) for each in found])} if self.masks else {})

    def targets(self, batch: Batch) -> list[Boxes]:
        """
        Raises:
            BadInput: a box has no area or lies outside its image, or its class does not exist.
        """
        rows = batch["boxes"]
        labels, left, top, right, bottom = rows.unbind(2)
        outside = (left < 0) | (top < 0) | (right > self.size) | (bottom > self.size)
        empty = (right <= left) | (bottom <= top)
        unknown = (labels < 0) | (labels >= len(self.names))
        problems = (
            (outside, "lies outside its image"),
            (empty, "has no area"),
            (unknown, "has no such class"),
        )
        for wrong, words in problems:
            if wrong.any():  # NaN, which is no box, compares as false
                label, *sides = rows[wrong][0].tolist()
                raise BadInput(f"a box of class {label:g} at {', '.join(f'{side:g}' for side in sides)} {words}")
        found = targets(rows)
        if self.masks:
            for boxes, mask in zip(found, batch["mask"], strict=True):
                boxes["masks"] = instance_masks(boxes, mask)
        return found

    def compute_metrics(self, stage: Stage) -> Mapping[str, Any]:  # noqa: ARG002
        found = self.average_precision.compute()
        if not self.masks:
            return {name: found[key] for key, name in LOGGED.items()}
        kinds = {"bbox_": "", "segm_": "mask_"}
        return {f"{to}{name}": found[of + key] for of, to in kinds.items() for key, name in LOGGED.items()}

    def report(self) -> None:
        first = self.examples.first
        drawn = draw.boxes(first["image"], first["boxes"], first["found"], self.names, first.get("mask"))
        plots.log_figure(self, "boxes.png", drawn)


def _padded(found: Boxes) -> Tensor:
    """The best boxes of an image as rows (KEPT, 6) of class, sides and score, NaN where there are fewer."""
    rows = torch.cat([found["labels"].unsqueeze(1), found["boxes"], found["scores"].unsqueeze(1)], 1)[:KEPT]
    return torch.cat([rows, rows.new_full((KEPT - len(rows), 6), torch.nan)])


def _painted(found: Boxes) -> Tensor:
    """The masks of an image that are drawn (H, W): the classes of the pixels, counted from 1; the best on top."""
    painted = torch.zeros_like(found["masks"].any(0), dtype=torch.long)
    for label, score, mask in reversed(list(zip(found["labels"], found["scores"], found["masks"], strict=True))):
        if score >= draw.LEAST_SCORE:
            painted[mask] = label + 1
    return painted


TASK = Task(module=Detect, data=ImageData, monitor="val/map50", mode="max")
