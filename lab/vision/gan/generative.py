"""The base of the tasks that generate images: their evaluation, samples on request, and the film of the training."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from lightning import LightningModule
from torch import Tensor

from lab.data import seed_from
from lab.errors import BadInput, BadSetting, suggestion
from lab.networks import upcast
from lab.vision.data.image_data import ImageData
from lab.vision.gan.evaluation import Evaluation, Extractor, check
from lab.vision.gan.reference_classifier import reference_classifier

VAL, TEST, SAMPLE = range(3)  # streams of noise that have nothing to do with the run's seed


class GenerativeModule(LightningModule):
    """Generates images, and compares them with real ones.

    A subclass calls `check_images` in its constructor, says by `conditional` whether images are generated of a class,
    and has `generate`.
    """

    conditional: bool
    names: list[str]
    extractor: Extractor

    def check_images(self, names: list[str], extractor: Extractor) -> None:
        """
        Raises:
            BadSetting: images have no labels, or FID's network is not here.
        """
        if len(names) < 2:
            raise BadSetting("class_names", "this dataset has no labels, which the reference classifier needs")
        check(extractor)
        self.names, self.extractor = names, extractor
        self.film: list[Tensor] = []  # what the same noise gave after each epoch

    @abstractmethod
    def generate(self, labels: Tensor, random: torch.Generator) -> Tensor:
        """Images (B, C, S, S) from 0 to 1, of the classes `labels` (B,) if it is conditional, by a CPU generator."""

    @torch.inference_mode()
    def sample(self, count: int, label: str | None = None, seed: int = 0) -> Tensor:
        """New images (count, channels, size, size) from 0 to 1.

        Args:
            count: how many.
            label: name of the class to draw; without one, every class in turn.
            seed: other images for another one.

        Raises:
            BadInput: there is no such class, or this model does not know of classes.
        """
        if label is not None and not self.conditional:
            raise BadInput(f"{self.kind_name()} is unconditional; train one that is conditional")
        if label is not None and label not in self.names:
            raise BadInput(f"no class {label!r}{suggestion(label, self.names)}")
        labels = torch.arange(count) % len(self.names)
        if label is not None:
            labels = torch.full((count,), self.names.index(label))
        random = torch.Generator().manual_seed(seed_from(SAMPLE, seed))
        was = self.training
        images = self.eval().generate(labels.to(self.device), random).float().cpu()
        self.train(was)
        return images

    def kind_name(self) -> str:
        """The words for this model in a message."""
        return f"this {type(self).__name__}"

    def prepare_data(self) -> None:
        reference_classifier(self.trainer.datamodule)  # type: ignore[attr-defined]

    def setup(self, stage: str) -> None:
        super().setup(stage)
        data: ImageData = self.trainer.datamodule  # type: ignore[attr-defined]
        if min(len(part) for part in data.tables.values()) < 2:
            raise BadSetting("data.max_images", "FID needs at least two images in each split; use more")
        device = self.trainer.strategy.root_device
        self.evaluation = Evaluation(reference_classifier(data), self.names, self.extractor, self.conditional, device)

    def compare(self, batch: dict[str, Tensor], batch_idx: int, stream: int) -> None:
        """Takes a batch into the measures, beside as many generated images of its labels, always of the same noise."""
        random = torch.Generator().manual_seed(seed_from(stream, self.global_rank, batch_idx))
        self.evaluation.update(batch["image"], batch["label"], real=True)
        self.evaluation.update(upcast(self.generate(batch["label"], random)), batch["label"], real=False)

    def add_to_film(self) -> None:
        """Generates the images of the epoch, in a training."""
        if not self.trainer.sanity_checking and self.trainer.state.fn == "fit":
            self.film.append(self.evaluation.frame(self))

    def on_train_end(self) -> None:
        self.evaluation.show_film(self, self.film)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        checkpoint["film"] = self.film

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        self.film = checkpoint["film"]
