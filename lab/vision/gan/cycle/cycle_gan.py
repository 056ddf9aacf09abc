"""CycleGAN: images of one style become images of another, and back, without a pair to learn from.

Source: Zhu, Park, Isola and Efros, Unpaired image-to-image translation using cycle-consistent adversarial networks,
ICCV 2017: two generators, two discriminators with the least-squares game (Mao et al., ICCV 2017), the cycle and
identity losses, a pool of generated images, Adam with a rate that stays and then falls along a line, in the second half
of the run. Here a batch has several images instead of one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Lt
from lightning import Trainer
from torch import Tensor, nn
from torch.nn import functional as F

from lab import plots
from lab.errors import BadSetting
from lab.learning import EvaluatedModule, Stage, check_precision
from lab.networks import upcast
from lab.task import Task
from lab.vision.gan.cycle.image_pool import ImagePool
from lab.vision.gan.cycle.networks import Translator, patch_discriminator
from lab.vision.gan.cycle.plots import SHOWN, translations
from lab.vision.gan.cycle.similarity import Similarity
from lab.vision.gan.cycle.style_data import StyleData
from lab.vision.gan.players import optimizer_step
from lab.vision.gan.reference_classifier import reference_classifier

WAYS = ("to_target", "to_source")  # the names of the generators, which end metrics
MIN_SIZE = 12  # of an image: SSIM's window has 11 pixels a side
OTHER = dict(zip(WAYS, reversed(WAYS), strict=True))
PLAYERS = 2  # optimizers, each of which takes a step per batch


class CycleGAN(EvaluatedModule):
    """Images (B, channels, size, size) from 0 to 1 in the style `source` -> the same in the style `target`.

    Args:
        channels: channels of an image; a fact of the data.
        size: height and width of an image; a fact of the data.
        width: maps of the generators and discriminators at the full size; four times as many at a quarter of it.
        depth: residual blocks of each generator.
        cycle_weight: weight of the cycle loss, the mean absolute error of an image that was translated and back.
        identity_weight: weight of the identity loss, the mean absolute error of an image of the style that is wanted.
        pool_size: generated images that are kept for each discriminator; 0 for none.
        lr: learning rate of Adam for both players, which falls to 0 in the second half of the run.
        beta1: beta1 of Adam.
    """

    num_first_examples = SHOWN

    def __init__(
        self,
        channels: int,
        size: int,
        width: Annotated[int, Gt(0)] = 16,
        depth: Annotated[int, Gt(0)] = 3,
        cycle_weight: Annotated[float, Ge(0)] = 10.0,
        identity_weight: Annotated[float, Ge(0)] = 5.0,
        pool_size: Annotated[int, Ge(0)] = 50,
        lr: Annotated[float, Gt(0)] = 1e-3,
        beta1: Annotated[float, Ge(0), Lt(1)] = 0.5,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.automatic_optimization = False
        if size % 4 or size < MIN_SIZE:
            needed = f"at least {MIN_SIZE} and divisible by 4, because the generators halve the size twice"
            raise BadSetting("size", f"images have to be {needed}; found {size}")
        self.cycle_weight, self.identity_weight = cycle_weight, identity_weight
        self.lr, self.beta1 = lr, beta1
        shape = (channels, size, size)
        self.generators = nn.ModuleDict({way: Translator(channels, width, depth) for way in WAYS})
        self.discriminators = nn.ModuleDict({way: patch_discriminator(channels, width) for way in WAYS})
        self.pools = nn.ModuleDict({way: ImagePool(pool_size, shape) for way in WAYS})
        self.translated = nn.ModuleDict({way: Similarity() for way in WAYS})
        self.untranslated = nn.ModuleDict({way: Similarity() for way in WAYS})
        # a constant image would have no variance to be normalised by, and come out as rounding errors made large
        self.example_input_array = torch.linspace(0, 1, math.prod(shape)).view(1, *shape)

    # ---- translating -------------------------------------------------------------------------------------------------

    def forward(self, images: Tensor) -> Tensor:
        return self.translate(images, "to_target")

    def translate(self, images: Tensor, way: str) -> Tensor:
        """Images (B, C, S, S) from 0 to 1 in the other style; `way` is to_target or to_source."""
        found: Tensor = self.generators[way](2 * images - 1)
        return (found + 1) / 2

    # ---- training ----------------------------------------------------------------------------------------------------

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            torch.optim.Adam(player.parameters(), self.lr, betas=(self.beta1, 0.999), fused=True)
            for player in (self.generators, self.discriminators)
        ]

    def on_train_start(self) -> None:
        batches = int(self.trainer.estimated_stepping_batches)
        self.total_steps = batches if batches == self.trainer.max_steps else PLAYERS * batches

    def training_step(self, batch: dict[str, Tensor]) -> Tensor:
        real = {"to_target": 2 * batch["target"] - 1, "to_source": 2 * batch["source"] - 1}  # by who has to make such
        optimizers: Any = self.optimizers()
        rate = self.lr * min(1.0, 2 * (1 - self.trainer.global_step / self.total_steps))
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate

        losses, fakes = {}, {}
        for way, generator in self.generators.items():
            fakes[way], same = generator(torch.cat([real[OTHER[way]], real[way]])).chunk(2)
            losses[f"identity_{way}"] = self.identity_weight * F.l1_loss(same, real[way])
            losses[f"generator_{way}"] = self.judged(way, fakes[way], 1.0)
        for way, generator in self.generators.items():
            back = generator(fakes[OTHER[way]])
            losses[f"cycle_{way}"] = self.cycle_weight * F.l1_loss(back, real[way])
        total = torch.stack(list(losses.values())).sum()
        optimizer_step(self.trainer, optimizers[0], total)

        for way, pool in self.pools.items():
            wrong = self.judged(way, pool(fakes[way]), 0.0)
            losses[f"discriminator_{way}"] = (self.judged(way, real[way], 1.0) + wrong) / 2
        both = torch.stack([losses[f"discriminator_{way}"] for way in WAYS]).sum()
        optimizer_step(self.trainer, optimizers[1], both)

        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if every and (self.trainer.global_step // PLAYERS) % every == 0:
            self.log_dict({f"train/{name}": loss.detach() for name, loss in losses.items()} | {"lr": rate})
        return (total + both).detach()  # is looked at, whether it is a number

    def judged(self, way: str, images: Tensor, target: float) -> Tensor:
        """The mean squared distance, (), of a discriminator's answers to images (B, C, S, S) from the right one."""
        return (upcast(self.discriminators[way](images)) - target).square().mean()

    # ---- measuring and showing ---------------------------------------------------------------------------------------

    def check_trainer(self, trainer: Trainer) -> None:
        check_precision(trainer, "cycle_gan", scales=False)
        if trainer.max_epochs == -1 and trainer.max_steps == -1:
            raise BadSetting("trainer", "the learning-rate schedule needs max_epochs or max_steps")

    def prepare_data(self) -> None:
        for images in (self.data.target, self.data.source):
            reference_classifier(images)

    def setup(self, stage: str) -> None:
        if stage == "fit":
            self.check_trainer(self.trainer)  # whoever trains it: a recipe was asked before
        device = self.trainer.strategy.root_device
        images = (self.data.target, self.data.source)
        # in a plain dictionary, so that they are no part of this module
        self.readers = {way: reference_classifier(each).to(device) for way, each in zip(WAYS, images, strict=True)}

    @property
    def data(self) -> StyleData:
        data: StyleData = self.trainer.datamodule  # type: ignore[attr-defined]
        return data

    def evaluate_batch(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The loss is the error of what was translated and back, which needs no pairs."""
        truth = {"to_target": batch["target"], "to_source": batch["source"]}
        rows: dict[str, Tensor] = {}
        errors = []
        for way in WAYS:
            given = truth[OTHER[way]]
            found = self.translate(given, way)
            back = self.translate(found, OTHER[way])
            errors.append(difference(back, given))
            for similarities, images in ((self.translated, found), (self.untranslated, given)):
                right = self.read(images, way) == batch["label"]
                similarities[way].update(images, truth[way], right)  # type: ignore[operator]
            rows |= {f"given_{way}": given, f"found_{way}": found, f"back_{way}": back, f"truth_{way}": truth[way]}
        return {"loss": torch.stack(errors).mean(0), **rows}

    def read(self, images: Tensor, way: str) -> Tensor:
        """The classes (B,) that the reference classifier of the style that is wanted reads in images (B, C, S, S)."""
        reader = self.readers[way]
        with torch.autocast(images.device.type, enabled=False):
            return reader.read(reader(images))[1]

    def compute_metrics(self, stage: Stage) -> Mapping[str, Any]:  # noqa: ARG002
        values: dict[str, Tensor] = {}
        for prefix, similarities in (("", self.translated), ("identity_", self.untranslated)):
            found = {way: similarities[way].compute() for way in WAYS}  # type: ignore[operator]
            for name in found["to_target"]:
                each = {way: found[way][name] for way in WAYS}
                values |= {f"{prefix}{name}_{way}": value for way, value in each.items()}
                values[f"{prefix}{name}"] = torch.stack(list(each.values())).mean()
        return values

    def report(self) -> None:
        plots.log_figure(self, "translations.png", translations(self.examples.first))


def difference(images: Tensor, others: Tensor) -> Tensor:
    """The mean absolute error of the pixels of each of the images (B, C, H, W), (B,).

    >>> difference(torch.ones(2, 1, 4, 4), torch.zeros(2, 1, 4, 4))
    tensor([1., 1.])
    """
    return (images - others).abs().flatten(1).mean(1)


TASK = Task(
    module=CycleGAN, data=StyleData, monitor="val/loss", mode="min", score="test/ssim", score_mode="max"
)  # the loss needs no pairs
