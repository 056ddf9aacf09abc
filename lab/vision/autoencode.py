"""Images through a narrow code and back: the plain autoencoder, the denoising one, and the variational one.

Sources: Vincent et al., Extracting and composing robust features with denoising autoencoders, ICML 2008; Kingma and
Welling, Auto-encoding variational Bayes, ICLR 2014; Higgins et al., beta-VAE, ICLR 2017. All three have the network of
`lab.vision.networks.autoencoder`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import CatMetric, MeanMetric

from lab import plots
from lab.errors import BadSetting
from lab.learning.supervised import Descent, Figures, Schedule
from lab.task import Task, Unit
from lab.vision.data.augment import check, disturbed
from lab.vision.data.image_data import ImageData
from lab.vision.data.images import mixed
from lab.vision.networks.autoencoder import CODE_SIZE, DROPOUT, MIN_SIZE, Autoencoder
from lab.vision.networks.normalise import Normalise
from lab.vision.plots import autoencode as pictures

NEIGHBOURS = 5  # codes that vote on the class of another


class Autoencode(Descent):
    """Images (B, channels, size, size), from 0 to 1 -> the same, out of a code of a few numbers.

    Args:
        channels: of an image; a fact of the data.
        size: height and width of an image; a fact of the data.
        class_names: what labels are called, where there are some; a fact of the data.
        mean: of the pixels, for each channel; a fact of the data.
        std: standard deviation of the pixels; a fact of the data.
        code: numbers that an image becomes.
        dropout: share of the values of the middle maps that are dropped in training.
        loss: how far two pixels are apart, by their squared difference (mse) or by cross-entropy (bce).
        beta: weight of the KL divergence, 1 for the evidence bound of a variational autoencoder; none for a plain one.
        disturb: what is done to the input while the target stays clean, such as {noise: 0.3, salt_and_pepper: 0.1}.
        lr: learning rate of AdamW.
        final_lr: learning rate at the end of the run, as a fraction of `lr`.
        schedule: how it gets there, along half a cosine or a line.
        weight_decay: decoupled weight decay of AdamW.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        class_names: list[str],
        mean: list[float],
        std: list[float],
        code: Annotated[int, Gt(0)] = CODE_SIZE,
        dropout: Annotated[float, Ge(0), Lt(1)] = DROPOUT,
        loss: Literal["mse", "bce"] = "mse",
        beta: Annotated[float, Gt(0)] | None = None,
        disturb: dict[str, Annotated[float, Gt(0)]] | None = None,
        lr: Annotated[float, Gt(0)] = 2e-3,
        final_lr: Unit = 0.0,
        schedule: Schedule = "cosine",
        weight_decay: Annotated[float, Ge(0)] = 0.01,
    ) -> None:
        super().__init__(lr, final_lr, schedule, weight_decay)
        self.save_hyperparameters()
        if size < MIN_SIZE:
            raise BadSetting("size", f"the encoder needs images of {MIN_SIZE} x {MIN_SIZE}, found {size} x {size}")
        self.disturb = disturb or {}
        check(self.disturb, "disturb", moved=False)  # the target stays where it is
        network = Autoencoder(channels, size, code, dropout, variational=beta is not None)
        self.network = network.to(memory_format=torch.channels_last)
        self.normalise, self.names = Normalise(channels, size, mean, std), class_names
        self.loss, self.beta = loss, beta
        said = {"loss": True, "mse": True, "bce": loss == "bce", "kl": beta, "disturbed_mse": self.disturb}
        self.means: Any = nn.ModuleDict({name: MeanMetric() for name, wanted in said.items() if wanted})
        self.codes, self.labels = CatMetric(), CatMetric()
        self.example_input_array = torch.zeros(1, channels, size, size)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(self.normalise(images))[0]
        return logits.sigmoid()

    def learn(self, batch: dict[str, Tensor], done: float) -> tuple[Tensor, Figures]:  # noqa: ARG002
        images = batch["image"]
        drawn = int(torch.randint(2**62, ()))  # from the generator that a checkpoint keeps
        seen, noise = self._drawn(images, drawn)
        logits, mean, log_variance = self.network(self.normalise(seen), noise)
        found = self.terms(images, logits.float(), mean.float(), log_variance)
        return found["loss"].mean(), lambda: {f"train/{name}": found[name].mean() for name in found if name != "loss"}

    def terms(self, images: Tensor, logits: Tensor, mean: Tensor, log_variance: Tensor | None) -> dict[str, Tensor]:
        """For each image (B,): the loss, which is a sum over its pixels, and what it is made of.

        Args:
            images: the target.
            logits: of the pixels.
            mean: of the code (B, code).
            log_variance: of the code (B, code), if it is drawn.
        """
        pixels = images[0].numel()
        squares = (logits.sigmoid() - images).square().flatten(1).mean(1)
        found = {"mse": squares}
        if self.loss == "bce":
            found["bce"] = F.binary_cross_entropy_with_logits(logits, images, reduction="none").flatten(1).mean(1)
        found["loss"] = found[self.loss] * pixels
        if self.beta is not None and log_variance is not None:
            found["kl"] = divergence(mean, log_variance.float())
            found["loss"] = found["loss"] + self.beta * found["kl"]
        return found

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        self._measure(batch, batch_idx)

    def on_validation_epoch_end(self) -> None:
        self._log("val")

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        seen, output, mean = self._measure(batch, batch_idx)
        self.codes.update(mean)
        if "label" in batch:
            self.labels.update(batch["label"])
        if batch_idx == 0:
            self.shown = {"image": batch["image"], "seen": seen, "output": output, "code": mean}

    def on_test_epoch_end(self) -> None:
        codes = self.codes.compute()  # on every process, since it waits for all of them
        labels = self.labels.compute() if self.names else None
        self.codes.reset()
        self.labels.reset()
        rate = None if labels is None else neighbour_accuracy(codes, labels.long())
        self._log("test", {} if rate is None else {"neighbour_accuracy": rate})
        rows = {"input": self.shown["image"], "output": self.shown["output"]}
        if self.disturb:
            rows = {"target": rows["input"], "disturbed input": self.shown["seen"], "output": rows["output"]}
        plots.log_figure(self, "reconstructions.png", pictures.reconstructions(rows))
        plots.log_figure(self, "walk.png", pictures.walk(self.decode, self.shown["image"], self.shown["code"]))
        plots.log_figure(self, "codes.png", pictures.codes(codes, labels, self.names, rate))
        if codes.shape[1] <= pictures.MOST_AXES:
            plots.log_figure(self, "axes.png", pictures.axes(self.decode, codes))
        if self.beta is not None:
            plots.log_figure(self, "samples.png", pictures.samples(self.decode, codes.shape[1]))

    def decode(self, codes: Tensor) -> Tensor:
        """Images (N, C, H, W) from 0 to 1, out of codes (N, code)."""
        logits: Tensor = self.network.decoder(codes.to(self.device))
        return logits.float().sigmoid()

    def _drawn(self, images: Tensor, seed: int) -> tuple[Tensor, Tensor | None]:
        """What the encoder is to see of the images, and noise for its code if that is drawn."""
        random = torch.Generator(images.device).manual_seed(seed)
        seen = disturbed(images, self.disturb, random)
        if self.beta is None:
            return seen, None
        return seen, torch.randn(len(images), self.hparams["code"], generator=random, device=images.device)

    def _measure(self, batch: dict[str, Tensor], number: int) -> tuple[Tensor, Tensor, Tensor]:
        """Takes a batch into the means; what was seen, the output of the code's mean, and that mean.

        The same batch is disturbed in the same way in every epoch. The loss is that of a drawn code, as in training,
        the errors are those of its mean.
        """
        images = batch["image"]
        seen, noise = self._drawn(images, mixed(number, self.global_rank))
        logits, mean, log_variance = self.network(self.normalise(seen), noise)
        found = self.terms(images, logits.float(), mean.float(), log_variance)
        if noise is not None:
            logits = self.network.decoder(mean)
            found = self.terms(images, logits.float(), mean.float(), log_variance) | {"loss": found["loss"]}
        if self.disturb:
            found["disturbed_mse"] = (seen - images).square().flatten(1).mean(1)
        for name, metric in self.means.items():
            metric.update(found[name])
        return seen, logits.float().sigmoid(), mean.float()

    def _log(self, part: str, further: dict[str, float] | None = None) -> None:
        found = {name: metric.compute() for name, metric in self.means.items()} | (further or {})
        for metric in self.means.values():
            metric.reset()
        self.log_dict({f"{part}/{name}": value for name, value in found.items()}, sync_dist=True)


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL divergence (B,) of normal codes (B, code) from the standard normal, in nats: the sum over the code."""
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(1) / 2


def neighbour_accuracy(codes: Tensor, labels: Tensor) -> float:
    """Share of the codes (N, code) whose label (N,) is the one that most of their `NEIGHBOURS` nearest have.

    No code is its own neighbour. Where several labels are as frequent, the smallest one counts.
    """
    count = min(NEIGHBOURS, len(codes) - 1)
    if count < 1:
        return 0.0
    right = 0
    for rows in torch.arange(len(codes), device=codes.device).split(1_024):
        distances = torch.cdist(codes[rows], codes)
        distances[torch.arange(len(rows)), rows] = torch.inf
        nearest = labels[distances.topk(count, largest=False).indices]  # (rows, count)
        right += int((nearest.mode(1).values == labels[rows]).sum())
    return right / len(codes)


TASK = Task(module=Autoencode, data=ImageData, monitor="val/loss", mode="min")
