"""Semantic segmentation with any network of `lab.vision.networks.segmentation`, trained completely or in part.

Two ways to begin with what others have learnt: an existing segmentation network whose last layer is replaced
(`trainable: head`, or `all` to train everything from there), and the fixed features of an encoder with a decoder of our
own (`network: generic`, `trainable: decoder`).

Sources: Ronneberger, Fischer and Brox, U-Net, MICCAI 2015; Milletari, Navab and Ahmadi, V-Net, 3DV 2016, for the Dice
loss, whose sums go over all images of a batch here; Lin, Goyal, Girshick, He and Dollar, Focal loss for dense object
detection, ICCV 2017, without its weight alpha. As there, it asks of every class by itself whether a pixel has it.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics.classification import MulticlassConfusionMatrix

from lab import plots
from lab.errors import BadSetting
from lab.learning import LazyMetrics, Stage, SupervisedModule, mean_of_known
from lab.networks import upcast
from lab.task import Task
from lab.vision.data.image_data import ImageData
from lab.vision.data.images import IGNORE_INDEX
from lab.vision.networks.normalize import Normalize
from lab.vision.networks.segmentation import Segmenter, Trainable
from lab.vision.plots import segment as draw

Loss = Literal["cross_entropy", "dice", "focal"]


class Segment(SupervisedModule):
    """Segmentation of images (B, channels, size, size) in [0, 1]; returns logits (B, K, size, size); K = 1 for two.

    Args:
        channels: channels of an image; a fact of the data.
        size: height and width of an image; a fact of the data.
        mask_names: names of the classes of pixels; a fact of the data.
        mean: mean of the pixels of each channel; a fact of the data.
        std: standard deviation of the pixels of each channel; a fact of the data.
        network: unet or another network of segmentation-models-pytorch; plain_unet, that of the paper, without an
            encoder of a library; generic, an encoder with a decoder without skip connections; or a network of
            torchvision, such as torchvision:deeplabv3_resnet50.
        encoder: encoder of segmentation-models-pytorch by name; a network of timm, such as timm:resnet10t; or, for the
            network generic, clip, the image encoder of the task clip.
        depth: downsampling stages of the encoder, from 3 but for plain_unet; by default those of the library, usually
            5, and 4 of plain_unet.
        decoder_attention: scse, blocks that weigh channels and positions in the decoder of unet and unetplusplus.
        pretrained: load the library's pretrained weights of the network, or else of its encoder.
        trainable: trained parts: all; decoder (with a frozen encoder); or head (the last layer only).
        loss: cross_entropy, dice or focal, or several of them, which are added.
    """

    num_first_examples = num_worst_examples = draw.COLUMNS

    def __init__(
        self,
        channels: int,
        size: int,
        mask_names: list[str],
        mean: list[float],
        std: list[float],
        network: str = "unet",
        encoder: str = "resnet18",
        depth: Annotated[int, Ge(1), Le(5)] | None = None,
        decoder_attention: Literal["scse"] | None = None,
        pretrained: bool = False,
        trainable: Trainable = "all",
        loss: tuple[Loss, ...] = ("cross_entropy", "dice"),
        **training: Any,
    ) -> None:
        super().__init__(**training)
        self.pretrained_wanted = pretrained
        classes = len(mask_names)
        if classes < 2:
            raise BadSetting(
                "mask_names", "this dataset has no masks; `lab data show NAME` lists the columns of a dataset"
            )
        if not loss:
            raise BadSetting("loss", "name at least one of cross_entropy, dice and focal")
        logits = 1 if classes == 2 else classes
        made = Segmenter(network, encoder, channels, size, logits, depth, trainable, decoder_attention)
        # on a CPU, convolutions and pools of this layout take two thirds of the time
        self.network = made.to(memory_format=torch.channels_last)
        self.normalise, self.names = Normalize(channels, size, mean, std), mask_names
        self.losses = nn.ModuleList(criterion(name, logits == 1) for name in loss)
        self.confusion = MulticlassConfusionMatrix(classes, ignore_index=IGNORE_INDEX, validate_args=False)
        self.example_input_array = torch.zeros(1, channels, size, size)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(self.normalise(images))
        return logits

    def training_loss(self, batch: dict[str, Tensor], progress: float) -> tuple[Tensor, LazyMetrics]:  # noqa: ARG002
        logits, masks = upcast(self(batch["image"])), batch["mask"]
        return self.loss(logits, masks), lambda: {"train/accuracy": 1 - wrong(classes(logits), masks).nanmean()}

    def loss(self, logits: Tensor, masks: Tensor) -> Tensor:
        """The loss over the labelled pixels of a batch, (); logits (B, K or 1, H, W), masks (B, H, W)."""
        if (masks == IGNORE_INDEX).all():
            return logits.sum() * 0  # the mean over no pixel is no number
        return torch.stack([loss(logits, masks) for loss in self.losses]).sum()

    def evaluate_batch(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        images, masks = batch["image"], batch["mask"]
        logits = upcast(self(images))
        predicted = classes(logits)
        self.confusion.update(predicted, masks)
        loss = self.loss(logits, masks).expand(len(masks))
        return {"loss": loss, "error": wrong(predicted, masks), "image": images, "mask": masks, "predicted": predicted}

    def compute_metrics(self, stage: Stage) -> dict[str, Tensor]:
        scores = overlaps(self.confusion.compute())
        values = {"accuracy": scores["accuracy"], "iou": scores["iou"].nanmean(), "dice": scores["dice"].nanmean()}
        if stage == "test":
            for name in ("iou", "dice"):
                each = zip(self.names, scores[name], strict=True)
                values |= {f"{name}_{tidy(of)}": value for of, value in each if not value.isnan()}
        return values

    def report(self) -> None:
        scores = overlaps(self.confusion.compute().cpu())
        for name, part, which in (
            ("overlays.png", self.examples.first, "The first test images"),
            ("worst.png", self.examples.worst, "Test images with the largest shares of wrong pixels"),
        ):
            plots.log_figure(self, name, draw.overlays(part, self.names, which))
        plots.log_figure(self, "classes.png", draw.bars(scores["iou"], scores["dice"], self.names))


class CrossEntropy(nn.Module):
    """The mean over the labelled pixels, of one logit or of one for each class."""

    def forward(self, logits: Tensor, masks: Tensor) -> Tensor:
        if logits.shape[1] > 1:
            losses = F.cross_entropy(logits, masks, ignore_index=IGNORE_INDEX, reduction="none")
            return mean_of_known(losses, masks != IGNORE_INDEX)
        known = masks != IGNORE_INDEX
        return F.binary_cross_entropy_with_logits(logits.squeeze(1)[known], masks[known].to(logits.dtype))


def criterion(name: Loss, binary: bool) -> nn.Module:
    """A loss of logits (B, K or 1, H, W) and masks (B, H, W) in which pixels without a class do not count."""
    from segmentation_models_pytorch.losses import DiceLoss, FocalLoss

    if name == "cross_entropy":
        return CrossEntropy()
    kind: type[nn.Module] = DiceLoss if name == "dice" else FocalLoss
    return kind("binary" if binary else "multiclass", ignore_index=IGNORE_INDEX)


def classes(logits: Tensor) -> Tensor:
    """Logits (B, K or 1, H, W) -> the likeliest class of each pixel, (B, H, W)."""
    return logits.argmax(1) if logits.shape[1] > 1 else (logits.squeeze(1) > 0).long()


def wrong(predicted: Tensor, masks: Tensor) -> Tensor:
    """The share of each image's labelled pixels that were taken for another class, (B,); NaN where none is labelled."""
    known = masks != IGNORE_INDEX
    return ((predicted != masks) & known).flatten(1).sum(1) / known.flatten(1).sum(1)


def overlaps(counts: Tensor) -> dict[str, Tensor]:
    """Scores over all pixels that were counted, whichever image they are from; NaN for a class that nobody saw or said.

    Args:
        counts: (K, K) pixels, true classes in rows, found ones in columns.

    Returns:
        `iou` (K,), `dice` (K,), and `accuracy` ().
    """
    both, either = counts.diagonal(), counts.sum(0) + counts.sum(1)
    return {"iou": both / (either - both), "dice": 2 * both / either, "accuracy": both.sum() / counts.sum()}


def tidy(name: str) -> str:
    """A class as part of a metric's name: MLflow takes no other signs."""
    return re.sub(r"[^\w.\- ]", "_", name)


TASK = Task(module=Segment, data=ImageData, monitor="val/iou", mode="max")
