"""The reference classifier: trained once on the same dataset, it classifies generated images.

Inception's features were learnt from photographs in colour, and its weights have to be downloaded. For letters and
digits a small CNN that can read them finds better ones; but distances by one classifier compare with each other alone.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lab.data import Table, cached
from lab.vision.data.image_data import ImageData
from lab.vision.networks.normalize import Normalize
from lab.vision.networks.registry import make

VERSION = 2  # goes up when other weights come out for the same images
STEPS, EPOCHS, BATCH, RATE = 800, 70, 128, 2e-3  # at most so many steps and epochs


class ReferenceClassifier(nn.Module):
    """Images (B, channels, size, size) from 0 to 1 -> features (B, 128): the network `cnn` without its last layer.

    Args:
        channels: of an image.
        size: height and width of an image.
        class_names: what there is to tell apart.
        mean: of the pixels, for each channel.
        std: standard deviation of the pixels, for each channel.
    """

    def __init__(self, channels: int, size: int, class_names: list[str], mean: list[float], std: list[float]) -> None:
        super().__init__()
        network: Any = make("cnn", channels, size, len(class_names))
        self.body = nn.Sequential(Normalize(channels, size, mean, std), *network[:-1])
        self.last: nn.Linear = network[-1]
        self.num_features = self.last.in_features  # torchmetrics asks for it
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.body(images.to(self.last.weight.dtype))  # its own, whatever the images were made in
        return features

    def read(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """The confidence (B,), from 0 to 1, and the predicted class (B,)."""
        sure, classes = self.last(features).softmax(1).max(1)
        return sure, classes


def reference_classifier(data: ImageData) -> ReferenceClassifier:
    """The classifier of a data module's images, all but those of the test; trained now if it never was.

    What it becomes depends on the images alone. The global generator is left as it was, so that a run which had to
    train its classifier goes on like one that found it.
    """
    facts = data.facts()
    wanted = {name: facts[name] for name in ("channels", "size", "class_names", "mean", "std")}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        classifier = ReferenceClassifier(**wanted)
        images = f"{data.dataset.name}-{data.data_seed}-{data.size}-{data.max_images or 'all'}"
        name = f"reference-classifier-{VERSION}-{images}"
        classifier.load_state_dict(cached(name, lambda: trained(classifier, data, label_loss)))
    return classifier.eval().requires_grad_(False)


def label_loss(classifier: ReferenceClassifier, images: Tensor, rows: Table) -> Tensor:
    """Cross-entropy, (), of what it reads in images (B, C, S, S) with the labels of their rows."""
    return F.cross_entropy(classifier.last(classifier(images)), rows["label"])


def trained(
    classifier: ReferenceClassifier, data: ImageData, loss: Callable[[ReferenceClassifier, Tensor, Table], Tensor]
) -> dict[str, Tensor]:
    """The weights after training on the CPU: AdamW, a rate that falls along half a cosine."""
    print(f"training the reference classifier of {data.dataset.name} (once, at most a minute)", file=sys.stderr)
    images = data.train_val_table()
    optimizer = torch.optim.AdamW(classifier.parameters(), RATE, fused=True)
    steps = min(STEPS, EPOCHS * math.ceil(len(images) / BATCH))
    order = torch.cat([torch.randperm(len(images)) for _ in range(math.ceil(steps * BATCH / len(images)))])
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = RATE * (1 + math.cos(math.pi * step / steps)) / 2
        some = images[order[step * BATCH : (step + 1) * BATCH]]
        found = loss(classifier, some["image"].float().div_(255), some)
        optimizer.zero_grad()
        found.backward()
        optimizer.step()
    return {name: weight.clone() for name, weight in classifier.state_dict().items()}
