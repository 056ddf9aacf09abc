"""Action recognition: the class of a clip, by convolutions for every frame and a network over the frames."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics.classification import MulticlassConfusionMatrix

from lab import plots
from lab.errors import BadSetting
from lab.learning import LazyMetrics, SupervisedModule
from lab.learning.plots import confusion
from lab.multimodal.clips import plots as draw
from lab.multimodal.clips.clip_data import ClipData
from lab.multimodal.clips.network import ClipEncoder, NormalizeClips, TemporalName
from lab.networks import upcast
from lab.task import Task
from lab.vision.classify import scores


class ClassifyClips(SupervisedModule):
    """Classifier of clips (B, frames, channels, size, size) in [0, 1]; returns logits (B, classes).

    Args:
        channels: channels of a frame; a fact of the data.
        size: height and width of a frame; a fact of the data.
        frames: frames of a clip; a fact of the data.
        class_names: names of the classes; a fact of the data.
        mean: mean of the pixels of each channel; a fact of the data.
        std: standard deviation of the pixels of each channel; a fact of the data.
        temporal: how frames are put together: mean, which does not see their order; lstm; or attention.
        hidden: size of the vectors of frames; a multiple of 4.
        width: channels of the first convolution; the maps of a frame have four times as many.
        dropout: dropout of the vector of the clip, and inside the attention.
        label_smoothing: label smoothing of the targets.
    """

    num_worst_examples = draw.WORST

    def __init__(
        self,
        channels: int,
        size: int,
        frames: int,
        class_names: list[str],
        mean: list[float],
        std: list[float],
        temporal: TemporalName = "attention",
        hidden: Annotated[int, Gt(0)] = 128,
        width: Annotated[int, Gt(0)] = 16,
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.1,
        label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0,
        **training: Any,
    ) -> None:
        super().__init__(**training)
        if len(class_names) < 2:
            raise BadSetting("class_names", "this dataset has no classes; use moving, or a folder for each class")
        if hidden % 4:
            raise BadSetting("hidden", f"expected a multiple of 4, found {hidden}")
        self.network = ClipClassifier(
            ClipEncoder(channels, size, frames, hidden, temporal, width, dropout), hidden, len(class_names), dropout
        )
        self.normalise, self.names = NormalizeClips(channels, size, mean, std), class_names
        self.label_smoothing = label_smoothing
        self.metrics, self.confusion = scores(len(class_names)), MulticlassConfusionMatrix(len(class_names))
        self.example_input_array = torch.zeros(1, frames, channels, size, size)

    def forward(self, clips: Tensor) -> Tensor:
        logits: Tensor = self.network(self.normalise(clips))
        return logits

    def training_loss(self, batch: dict[str, Tensor], progress: float) -> tuple[Tensor, LazyMetrics]:  # noqa: ARG002
        labels, logits = batch["label"], upcast(self(batch["clip"]))
        return F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing), lambda: {
            "train/accuracy": (logits.argmax(1) == labels).float().mean()
        }

    def evaluate_batch(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        clips, labels = batch["clip"], batch["label"]
        logits = upcast(self(clips))
        probabilities = logits.softmax(1)
        self.metrics.update(probabilities, labels)
        self.confusion.update(probabilities, labels)
        losses = F.cross_entropy(logits, labels, reduction="none")
        return {"loss": losses, "clip": clips, "label": labels, "probabilities": probabilities}

    def report(self) -> None:
        plots.log_figure(self, "confusion.png", confusion(self.confusion.compute().cpu(), self.names, "clips"))
        plots.log_figure(self, "most_wrong.png", draw.most_wrong(self.examples.worst, self.names))


class ClipClassifier(nn.Module):
    """Normalised clips (B, T, C, H, W) -> logits (B, classes).

    Args:
        encoder: from clips to vectors.
        hidden: size of the vectors.
        classes: logits.
        dropout: share of the vector of a clip that is dropped in training.
    """

    def __init__(self, encoder: ClipEncoder, hidden: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.encoder, self.head = encoder, nn.Sequential(nn.Dropout(dropout), nn.Linear(hidden, classes))

    def forward(self, clips: Tensor) -> Tensor:
        logits: Tensor = self.head(self.encoder.pool(self.encoder(clips))[0])
        return logits


TASK = Task(module=ClassifyClips, data=ClipData, monitor="val/accuracy", mode="max")
