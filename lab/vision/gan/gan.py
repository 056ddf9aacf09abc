"""Generative adversarial networks: DCGAN, improved DCGAN, conditional GAN, TripleGAN.

Sources: Goodfellow et al., Generative adversarial nets, NeurIPS 2014, whose generator makes log D larger instead of
log(1 - D) smaller (section 3 there); Radford, Metz and Chintala (DCGAN), ICLR 2016; Mirza and Osindero (conditional),
2014; Li, Xu, Zhu and Zhang, Triple generative adversarial nets, NeurIPS 2017. Options: one-sided label smoothing and
feature matching of Salimans et al., NeurIPS 2016; rates of their own for the players, Heusel et al., NeurIPS 2017; real
images with wrong labels among what the discriminator is shown, Reed et al., ICML 2016 (where they are half of what is
not real; here they come on top).

In the triple game a classifier guesses labels of real images, and the discriminator tells real pairs of image and label
both from drawn ones and from guessed ones. Differences from its paper: every training image has a label here, so the
images whose labels are guessed are the labelled ones; and the classifier hears what the discriminator said before its
step, which saves a pass.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt, Le, Lt
from lightning import Trainer
from torch import Tensor, nn
from torch.nn import functional as F

from lab.data import seed_from
from lab.errors import BadSetting
from lab.learning import check_precision
from lab.networks import upcast
from lab.task import Task
from lab.vision.data.image_data import ImageData
from lab.vision.gan import networks
from lab.vision.gan.evaluation import Extractor
from lab.vision.gan.generative import TEST, VAL, GenerativeModule
from lab.vision.gan.losses import against, averaged, classifier_loss
from lab.vision.gan.players import optimizer_step
from lab.vision.networks.normalize import Normalize
from lab.vision.networks.registry import make

Share = Annotated[float, Ge(0), Lt(1)]
Rate = Annotated[float, Gt(0)]


class GAN(GenerativeModule):
    """GAN: noise (B, latent_dim), for conditional kinds with a one-hot label (B, latent_dim + classes) -> images.

    Args:
        channels: channels of an image; a fact of the data.
        size: height and width of an image; a fact of the data.
        class_names: names of the classes; a fact of the data.
        mean: mean of the pixels of each channel; a fact of the data.
        std: standard deviation of the pixels of each channel; a fact of the data.
        kind: dcgan; dense, of linear layers; improved, with residual blocks; conditional, on the class; triple, with a
            classifier as well.
        latent_dim: size of the noise vector.
        width: factor of the widths of both networks.
        lr_generator: learning rate of Adam.
        lr_discriminator: learning rate of Adam.
        lr_classifier: learning rate of Adam for the classifier of the kind triple.
        beta1: beta1 of Adam.
        ema_decay: decay of the moving average of the generator's weights; 0 uses the current weights.
        label_smoothing: one-sided label smoothing: the discriminator's target for real images is 1 minus this.
        spectral_norm: spectral normalisation of the discriminator.
        feature_matching: weight of feature matching in the generator's loss, with features of the reference classifier.
        mismatch_weight: weight of real images with wrong labels in the discriminator's loss, for conditional kinds.
        alpha: weight of pairs with predicted labels against generated pairs in the discriminator's loss of the kind
            triple.
        pseudo_label_weight: weight of generated images with their labels in the classifier's loss of the kind triple.
        extractor: network for the features of FID: reference_classifier, trained on the same dataset, or inception.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        class_names: list[str],
        mean: list[float],
        std: list[float],
        kind: Literal["dcgan", "dense", "improved", "conditional", "triple"] = "dcgan",
        latent_dim: Annotated[int, Gt(0)] = 100,
        width: Annotated[float, Gt(0), Le(4)] = 1.0,
        lr_generator: Rate = 2e-4,
        lr_discriminator: Rate = 2e-4,
        lr_classifier: Rate = 1e-3,
        beta1: Share = 0.5,
        ema_decay: Share = 0.99,
        label_smoothing: Share = 0.0,
        spectral_norm: bool = False,
        feature_matching: Annotated[float, Ge(0)] = 0.0,
        mismatch_weight: Annotated[float, Ge(0)] = 0.0,
        alpha: Annotated[float, Gt(0), Lt(1)] = 0.5,
        pseudo_label_weight: Annotated[float, Ge(0)] = 0.1,
        extractor: Extractor = "reference_classifier",
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.automatic_optimization = False
        self.check_images(class_names, extractor)
        if size % 4:
            raise BadSetting(
                "size",
                f"the generator doubles the size twice, so the image size has to be divisible by 4; found {size}",
            )
        self.kind, self.latent_dim, self.beta1 = kind, latent_dim, beta1
        self.label_smoothing, self.feature_matching, self.mismatch_weight = (
            label_smoothing,
            feature_matching,
            mismatch_weight,
        )
        self.alpha, self.pseudo_label_weight = alpha, pseudo_label_weight
        self.conditional = kind in ("conditional", "triple")
        self.num_conditions = conditions = len(class_names) if self.conditional else 0
        architectures: dict[str, networks.Architecture] = {"dcgan": "plain", "dense": "dense"}
        architecture = architectures.get(kind, "residual")
        self.generator = networks.generator(architecture, latent_dim + conditions, channels, size, width)
        self.discriminator = networks.Discriminator(architecture, channels, size, conditions, width, spectral_norm)
        self.players: dict[str, tuple[nn.Module, float]] = {
            "discriminator": (self.discriminator, lr_discriminator),
            "generator": (self.generator, lr_generator),
        }
        if kind == "triple":
            network = make("cnn", channels, size, self.num_conditions)
            self.classifier = nn.Sequential(Normalize(channels, size, mean, std), network)
            self.classifier.to(memory_format=torch.channels_last)
            self.players["classifier"] = (self.classifier, lr_classifier)
        self.averaged = averaged(self.generator, ema_decay) if ema_decay else None
        self.example_input_array = torch.zeros(1, latent_dim + self.num_conditions)

    # ---- drawing -----------------------------------------------------------------------------------------------------

    def forward(self, codes: Tensor) -> Tensor:
        images: Tensor = self.generator(codes) if self.averaged is None else self.averaged(codes)
        return (images + 1) / 2

    def codes(self, labels: Tensor, random: torch.Generator | None = None) -> Tensor:
        """Noise (B, latent_dim), and behind it the labels (B,) as (B, classes) in conditional kinds."""
        dtype: Any = self.dtype
        noise = torch.randn(len(labels), self.latent_dim, generator=random, dtype=dtype).to(labels.device)
        return (
            torch.cat([noise, F.one_hot(labels, self.num_conditions).to(noise.dtype)], 1)
            if self.num_conditions
            else noise
        )

    def generate(self, labels: Tensor, random: torch.Generator) -> Tensor:
        images: Tensor = self(self.codes(labels, random))
        return images

    def kind_name(self) -> str:
        return f"a GAN of kind {self.kind}"

    # ---- training ----------------------------------------------------------------------------------------------------

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            torch.optim.Adam(player.parameters(), rate, betas=(self.beta1, 0.999), fused=True)
            for player, rate in self.players.values()
        ]

    def on_fit_start(self) -> None:
        if self.global_rank > 0:
            torch.manual_seed(seed_from(torch.initial_seed(), self.global_rank))  # else all draw the same noise

    def training_step(self, batch: dict[str, Tensor]) -> Tensor:
        real, labels = 2 * batch["image"] - 1, batch["label"]
        optimizers: Any = self.optimizers()
        drawn = self.generator(self.codes(labels))  # (B, C, S, S), drawn once for all players
        fakes, weights = [(drawn.detach(), labels)], [1.0]
        if self.kind == "triple":
            read = upcast(self.classifier(torch.cat([batch["image"], (drawn.detach() + 1) / 2])))
            guesses = read[: len(real)].argmax(1)
            fakes, weights = [*fakes, (real, guesses)], [1 - self.alpha, self.alpha]
        if self.num_conditions and self.mismatch_weight:
            others = (labels + torch.randint_like(labels, 1, self.num_conditions)) % self.num_conditions
            fakes, weights = [*fakes, (real, others)], [*weights, self.mismatch_weight]

        images, claims = zip((real, labels), *fakes, strict=True)
        on_real, *on_fakes = self.discriminator(torch.cat(images), torch.cat(claims)).split(len(real))
        losses = {"discriminator": against(on_real, 1 - self.label_smoothing)}
        for weight, logits in zip(weights, on_fakes, strict=True):
            losses["discriminator"] = losses["discriminator"] + weight * against(logits, 0.0)
        optimizer_step(self.trainer, optimizers[0], losses["discriminator"])

        on_drawn = self.discriminator(drawn, labels)
        losses["generator"] = against(on_drawn, 1.0)
        if self.feature_matching:
            losses["generator"] = losses["generator"] + self.feature_matching * self._distance(batch["image"], drawn)
        optimizer_step(self.trainer, optimizers[1], losses["generator"])

        if self.kind == "triple":
            terms = read, labels, guesses, on_fakes[1].detach()
            losses["classifier"] = classifier_loss(*terms, self.pseudo_label_weight, self.alpha)
            optimizer_step(self.trainer, optimizers[2], losses["classifier"])
        if self.averaged is not None:
            self.averaged.update_parameters(self.generator)

        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if every and (self.trainer.global_step // len(self.players)) % every == 0:  # `log` takes its time
            seen = {"real": on_real.sigmoid().mean(), "drawn": on_drawn.sigmoid().mean()}
            found = {f"{player}_loss": loss.detach() for player, loss in losses.items()} | seen
            self.log_dict({f"train/{name}": value for name, value in found.items()})
        return torch.stack(list(losses.values())).detach().sum()  # is looked at, whether it is a number

    def _distance(self, images: Tensor, drawn: Tensor) -> Tensor:
        """Mean squared distance of the reference classifier's mean features of real and generated images."""
        features = self.evaluation.classifier
        return F.mse_loss(upcast(features((drawn + 1) / 2)).mean(0), upcast(features(images)).mean(0))

    # ---- measuring and showing ---------------------------------------------------------------------------------------

    def check_trainer(self, trainer: Trainer) -> None:
        check_precision(trainer, "gan", scales=False)

    def setup(self, stage: str) -> None:
        if stage == "fit":
            self.check_trainer(self.trainer)  # whoever trains it: a recipe was asked before
        super().setup(stage)

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        self.compare(batch, batch_idx, VAL)

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        self.compare(batch, batch_idx, TEST)

    def compare(self, batch: dict[str, Tensor], batch_idx: int, stream: int) -> None:
        super().compare(batch, batch_idx, stream)
        if self.kind == "triple":
            right = self.classifier(batch["image"]).argmax(1) == batch["label"]
            self.evaluation.guessed.update(right.float(), batch["label"])

    def on_validation_epoch_end(self) -> None:
        self.evaluation.log(self, "val")
        self.add_to_film()

    def on_test_epoch_end(self) -> None:
        self.evaluation.log(self, "test")
        self.evaluation.show(self)


TASK = Task(module=GAN, data=ImageData, monitor="val/fid", mode="min")
