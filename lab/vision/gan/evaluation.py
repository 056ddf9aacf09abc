"""Measures and plots of generated images beside real ones; docs/gan.md has the formulas."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.image.fid import FrechetInceptionDistance

from lab import plots
from lab.errors import BadSetting
from lab.vision.gan import plots as pictures
from lab.vision.gan.metrics import ByClass, Divergence, Diversity
from lab.vision.gan.reference_classifier import ReferenceClassifier

if TYPE_CHECKING:
    from lightning import LightningModule

Extractor = Literal["reference_classifier", "inception"]
INCEPTION = "weights-inception-2015-12-05-6726825d.pth"  # what torch-fidelity downloads, and calls it
BINS = 32  # of the histogram of pixels


def check(extractor: Extractor) -> None:
    """
    Raises:
        BadSetting: Inception's code or its weights are not here.
    """
    if extractor == "reference_classifier":
        return
    from torchmetrics.utilities.imports import _TORCH_FIDELITY_AVAILABLE

    if not _TORCH_FIDELITY_AVAILABLE:
        raise BadSetting(
            "extractor", "inception needs a package: pip install torch-fidelity; or use reference_classifier"
        )
    weights = Path(torch.hub.get_dir(), "checkpoints", INCEPTION)
    if not weights.exists():
        fetched = "python -c 'from torchmetrics.image.fid import *; FrechetInceptionDistance()'"
        raise BadSetting(
            "extractor", f"no {weights}; with an internet connection run: {fetched}; or use reference_classifier"
        )


class Evaluation:
    """Measures over all images of a part, and pictures of some of them.

    It is no part of the module's state: its classifier is found again in the cache, and its sums are of one evaluation
    only.

    Args:
        classifier: the reference, which reads images.
        names: of the classes.
        extractor: what FID compares.
        conditional: whether images are generated for a class that was asked for.
        device: where the images are.
    """

    def __init__(
        self,
        classifier: ReferenceClassifier,
        names: list[str],
        extractor: Extractor,
        conditional: bool,
        device: torch.device,
    ) -> None:
        self.classifier, self.names, self.conditional = classifier.to(device), names, conditional
        classes = len(names)
        self.colours = 1 if extractor == "reference_classifier" else 3  # Inception wants all of them
        self.fid = FrechetInceptionDistance(classifier if extractor == "reference_classifier" else 2048, normalize=True)
        self.kl_classes, self.kl_pixels = Divergence(classes), Divergence(BINS)
        self.diversity = Diversity(classes, classifier.num_features)
        self.right = {real: ByClass(classes) for real in (True, False)}  # how often the classifier reads the label
        self.sure = {real: ByClass(classes) for real in (True, False)}  # how sure it is of what it reads
        self.guessed = ByClass(classes)  # how often the classifier of the triple game is right about real images
        self.metrics: list[Metric] = [
            self.fid, self.kl_classes, self.kl_pixels, self.diversity,
            *self.right.values(), *self.sure.values(), self.guessed,
        ]  # fmt: skip
        for metric in self.metrics:
            metric.to(device)
        self.some: dict[bool, Tensor] = {}  # real images and drawn ones, from the first batch

    def update(self, images: Tensor, labels: Tensor, real: bool) -> None:
        """Takes images (B, C, S, S) from 0 to 1 and their labels (B,); of generated ones, those that were asked for."""
        with torch.autocast(images.device.type, enabled=False):
            features = self.classifier(images)
            sure, read = self.classifier.read(features)
            self.fid.update(images.expand(-1, max(self.colours, images.shape[1]), -1, -1), real=real)
        self.kl_classes.update(read, real)
        self.kl_pixels.update((images * BINS).long().clamp(0, BINS - 1), real)
        self.diversity.update(features, read, real)
        self.right[real].update((read == labels).float(), labels)
        self.sure[real].update(sure, read)
        self.some.setdefault(real, images)

    def log(self, module: LightningModule, stage: str) -> None:
        """Logs all measures."""
        found = self.compute(stage)
        module.log_dict({f"{stage}/{name}": value for name, value in found.items()}, sync_dist=True)

    def compute(self, stage: str) -> dict[str, Tensor]:
        """All measures by name, from the beginning again afterwards; those of each class are kept for `show`."""
        found: dict[str, Any] = {
            "fid": self.fid.compute().clamp(min=0),  # rounding may make it negative
            "kl_classes": self.kl_classes.compute(),
            "kl_pixels": self.kl_pixels.compute(),
            "diversity": self.diversity.compute(),
        }
        if self.conditional:
            found["conditional_accuracy"] = self.right[False].compute()[1]
        if stage == "test":
            found["reference_accuracy"] = self.right[True].compute()[1]
        if self.guessed.update_called:
            found["classifier_accuracy"] = self.guessed.compute()[1]
        by_class = self.right if self.conditional else self.sure
        self.by_class = {real: by_class[real].compute()[0].cpu() for real in (True, False)}
        for metric in self.metrics:
            metric.reset()
        return {name: value.float() for name, value in found.items()}

    def frame(self, module: Any) -> Tensor:
        """Images from the same noise every time (N, C, S, S), as bytes; logged as a picture of the epoch."""
        labels = torch.arange(pictures.FILMED) * len(self.names) // pictures.FILMED
        random = torch.Generator().manual_seed(0)
        images = module.generate(labels.to(module.device), random).float().clamp(0, 1).cpu()
        done = module.current_epoch + 1
        plots.log_figure(module, f"epochs/{done:04}.png", pictures.epoch(images, done))
        frame: Tensor = (images * 255).round().to(torch.uint8)
        return frame

    def show_film(self, module: LightningModule, film: list[Tensor]) -> None:
        """Logs how the same noise came to be images, as a strip and as a moving picture."""
        if not film or not module.trainer.is_global_zero:
            return
        plots.log_figure(module, "film.png", pictures.film(film))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "film.gif")
            pictures.moving(film, path)
            plots.log_file(module, path)

    def show(self, module: Any) -> None:
        """Logs `samples.png`, what was drawn beside what is real, or of each class, and `difficulty.png`."""
        if self.conditional:
            each = pictures.PER_CLASS
            labels = torch.arange(min(len(self.names), pictures.CLASSES)).repeat_interleave(each)
            images = module.generate(labels.to(module.device), torch.Generator().manual_seed(1))
            samples = pictures.by_class(images, self.names[: pictures.CLASSES])
        else:
            samples = pictures.beside(self.some[False], self.some[True])
        plots.log_figure(module, "samples.png", samples)
        hard = pictures.difficulty(self.by_class[False], self.by_class[True], self.names, self.conditional)
        plots.log_figure(module, "difficulty.png", hard)
