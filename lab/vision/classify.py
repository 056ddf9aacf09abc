"""Image classification with any network of `lab.vision.networks` and a softmax or Gumbel-softmax head.

Sources: Jang, Gu and Poole, Categorical reparameterization with Gumbel-softmax, ICLR 2017; Maddison, Mnih and Teh, The
concrete distribution, ICLR 2017. There the relaxed sample is a hidden variable; here it is the label that is predicted:
the loss is taken on a sample instead of on the probabilities, so noise keeps them from being trusted too early. A label
that is a straight-through sample is one or zero, and has no logarithm: its loss is the squared error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassCalibrationError,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
    MulticlassPrecision,
    MulticlassRecall,
)

from lab import plots
from lab.errors import BadSetting
from lab.learning import LazyMetrics, SupervisedModule
from lab.learning.evaluation import Stage
from lab.learning.plots import confusion
from lab.networks import upcast
from lab.task import Task
from lab.vision.data.image_data import ImageData
from lab.vision.networks.normalize import Normalize
from lab.vision.networks.registry import TIMM, make
from lab.vision.networks.spiking import SpikingMLP
from lab.vision.networks.vit import ViT
from lab.vision.plots import classify as draw


class Classify(SupervisedModule):
    """Classifier of images (B, channels, size, size) in [0, 1]; returns logits (B, classes).

    Args:
        channels: channels of an image; a fact of the data.
        size: height and width of an image; a fact of the data.
        class_names: names of the classes; a fact of the data.
        mean: mean of the pixels of each channel; a fact of the data.
        std: standard deviation of the pixels of each channel; a fact of the data.
        network: mlp, cnn, lenet, plain_cnn, se_cnn, cbam_cnn, cnn_transformer, vit, spiking, encoder, or any of
            timm's: timm:resnet18.
        network_args: further arguments of the network, such as {activation: tanh, dropout: 0.5} of cnn.
        pretrained: load timm's pretrained weights.
        frozen: train the classifier only and freeze the timm network.
        head: softmax (cross-entropy of the logits) or gumbel (loss on a relaxed sample of the label).
        temperature: initial temperature of the sample; lower values are closer to one-hot.
        final_temperature: temperature at the end of the run, reached by exponential decay.
        straight_through: use one-hot samples with the gradient of the relaxed sample (straight-through estimator).
        label_smoothing: label smoothing of the targets.
    """

    num_worst_examples = draw.WORST

    def __init__(
        self,
        channels: int,
        size: int,
        class_names: list[str],
        mean: list[float],
        std: list[float],
        network: str = "cnn",
        network_args: dict[str, Any] | None = None,
        pretrained: bool = False,
        frozen: bool = False,
        head: Literal["softmax", "gumbel"] = "softmax",
        temperature: Annotated[float, Gt(0)] = 1.0,
        final_temperature: Annotated[float, Gt(0)] = 0.5,
        straight_through: bool = False,
        label_smoothing: Annotated[float, Ge(0), Lt(1)] = 0.0,
        **training: Any,
    ) -> None:
        super().__init__(**training)
        self.pretrained_wanted = pretrained
        classes = len(class_names)
        if classes < 2:
            raise BadSetting(
                "class_names", "this dataset has no labels; `lab data show NAME` lists the columns of a dataset"
            )
        if pretrained and not network.startswith(TIMM):
            raise BadSetting("pretrained", f"there are no pretrained weights for {network}; timm's networks have some")
        if straight_through and head != "gumbel":
            raise BadSetting("straight_through", "needs head: gumbel")
        # on a CPU, convolutions and pools of this layout take two thirds of the time
        made = make(network, channels, size, classes, frozen, network_args)
        self.network = made.to(memory_format=torch.channels_last)
        self.normalise, self.names = Normalize(channels, size, mean, std), class_names
        self.head, self.straight_through = head, straight_through
        self.temperature, self.final_temperature = temperature, final_temperature
        self.label_smoothing = label_smoothing
        self.metrics, self.confusion = scores(classes), MulticlassConfusionMatrix(classes)
        self.firing_rate = MeanMetric()  # of a network that spikes
        self.example_input_array = torch.zeros(1, channels, size, size)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(self.normalise(images))
        return logits

    def training_loss(self, batch: dict[str, Tensor], progress: float) -> tuple[Tensor, LazyMetrics]:
        temperature = self.temperature * (self.final_temperature / self.temperature) ** progress
        labels, logits = batch["label"], upcast(self(batch["image"]))
        annealed = {"temperature": temperature} if self.head == "gumbel" else {}
        return self.loss(logits, labels, temperature), lambda: {
            "train/accuracy": (logits.argmax(1) == labels).float().mean(),
            **annealed,
        }

    def loss(self, logits: Tensor, labels: Tensor, temperature: float) -> Tensor:
        """The training loss; logits (B, K), labels (B,)."""
        if self.head == "softmax":
            return F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
        sample = relaxed(logits, temperature)
        if not self.straight_through:
            return F.cross_entropy(sample, labels, label_smoothing=self.label_smoothing)
        k = logits.shape[1]
        target = F.one_hot(labels, k) * (1 - self.label_smoothing) + self.label_smoothing / k
        return (single(sample) - target).square().sum(1).mean()

    def evaluate_batch(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Of both heads alike: no noise is needed to say what the sampling head expects.

        The largest of the logits plus Gumbel noise is class k with the probability that softmax gives k.
        """
        images, labels = batch["image"], batch["label"]
        logits = upcast(self(images))
        losses, probabilities = F.cross_entropy(logits, labels, reduction="none"), logits.softmax(1)
        self.metrics.update(probabilities, labels)
        self.confusion.update(probabilities, labels)
        if isinstance(self.network, SpikingMLP):
            self.firing_rate.update(self.network.spikes(self.normalise(images)).mean(), len(images))
        return {"loss": losses, "image": images, "label": labels, "probabilities": probabilities}

    def compute_metrics(self, stage: Stage) -> Mapping[str, Any]:
        values = super().compute_metrics(stage)
        spiking = isinstance(self.network, SpikingMLP)
        return {**values, "firing_rate": self.firing_rate.compute()} if spiking else values

    def report(self) -> None:
        matrix = self.confusion.compute().cpu()
        plots.log_figure(self, "confusion.png", confusion(matrix, self.names))
        worst = self.examples.worst
        plots.log_figure(self, "most_wrong.png", draw.most_wrong(worst, self.names))
        if isinstance(self.network, ViT):
            images = worst["image"][: draw.ATTENDED]
            maps = self.network.attention(self.normalise(images))
            plots.log_figure(self, "attention.png", draw.attention(images, maps))
        if isinstance(self.network, SpikingMLP):
            images = worst["image"][: draw.SPIKING]
            plots.log_figure(self, "spikes.png", draw.spikes(images, self.network.spikes(self.normalise(images))))


def relaxed(logits: Tensor, temperature: float) -> Tensor:
    """Logits (B, K) whose softmax is a sample of the relaxed label."""
    noise = -torch.empty_like(logits).exponential_().log()  # Gumbel's, from the generator that a checkpoint keeps
    return (logits + noise) / temperature


def single(sample: Tensor) -> Tensor:
    """One-hot labels (B, K) of a sample, with the gradient of its softmax."""
    soft = sample.softmax(1)
    hard = F.one_hot(soft.argmax(1), soft.shape[1]).to(soft.dtype)
    return hard - soft.detach() + soft


def scores(classes: int) -> MetricCollection:
    """Metrics of probabilities (B, K) and labels (B,)."""
    macro: dict[str, Any] = {"num_classes": classes, "average": "macro", "validate_args": False}
    micro = macro | {"average": "micro"}
    metrics: dict[str, Any] = {
        "accuracy": MulticlassAccuracy(**micro),
        "precision": MulticlassPrecision(**macro),
        "recall": MulticlassRecall(**macro),
        "f1": MulticlassF1Score(**macro),
        "calibration_error": MulticlassCalibrationError(classes, n_bins=15, norm="l1", validate_args=False),
    }
    if classes > 5:
        metrics["top5_accuracy"] = MulticlassAccuracy(top_k=5, **micro)
    # By default what counts the same in a first batch is taken for one metric from then on, such as both accuracies.
    return MetricCollection(metrics, compute_groups=[["precision", "recall", "f1"]])


TASK = Task(module=Classify, data=ImageData, monitor="val/accuracy", mode="max")
