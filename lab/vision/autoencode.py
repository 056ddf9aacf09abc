"""Autoencoders of images: plain, denoising and variational.

Sources: Vincent et al., Extracting and composing robust features with denoising autoencoders, ICML 2008; Kingma and
Welling, Auto-encoding variational Bayes, ICLR 2014; Higgins et al., beta-VAE, ICLR 2017. All three have the network of
`lab.vision.networks.autoencoder`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import CatMetric, MeanMetric, MetricCollection

from lab import plots
from lab.data import seed_from
from lab.errors import BadSetting
from lab.learning import LazyMetrics, Stage, SupervisedModule
from lab.networks import upcast
from lab.task import Task
from lab.vision.anomaly import Anomalies, pca_errors
from lab.vision.data.augment import check, disturbed
from lab.vision.data.image_data import ImageData
from lab.vision.networks.autoencoder import CODE_SIZE, DROPOUT, MIN_SIZE, Autoencoder
from lab.vision.networks.normalize import Normalize
from lab.vision.plots import autoencode as draw
from lab.vision.plots.anomaly import errors as draw_errors

MOST_TRAINED = 2_000  # images that principal components come from
NEIGHBOURS = 5  # codes that vote for the class of another


class Autoencode(SupervisedModule):
    """Autoencoder of images (B, channels, size, size) in [0, 1]; returns reconstructions of the same shape.

    Args:
        channels: channels of an image; a fact of the data.
        size: height and width of an image; a fact of the data.
        class_names: names of the classes, if there are labels; a fact of the data.
        mean: mean of the pixels of each channel; a fact of the data.
        std: standard deviation of the pixels of each channel; a fact of the data.
        left_out: classes that training has not seen, which the test tells from the others; a fact of the data.
        latent_dim: size of the latent code.
        dropout: dropout rate of the intermediate feature maps.
        loss: reconstruction loss per pixel: squared error (mse) or binary cross-entropy (bce).
        beta: weight of the KL divergence of a variational autoencoder, 1 for the evidence lower bound; null for a plain
            autoencoder.
        corruption: corruption of the input of a denoising autoencoder, such as {noise: 0.3, salt_and_pepper: 0.1}.
        lr: learning rate of the optimizer.
    """

    num_first_examples = draw.SHOWN
    learnt_names = ()  # labels are drawn and not learnt

    def __init__(
        self,
        channels: int,
        size: int,
        class_names: list[str],
        mean: list[float],
        std: list[float],
        left_out: list[str] = [],  # noqa: B006 - never changed
        latent_dim: Annotated[int, Gt(0)] = CODE_SIZE,
        dropout: Annotated[float, Ge(0), Lt(1)] = DROPOUT,
        loss: Literal["mse", "bce"] = "mse",
        beta: Annotated[float, Gt(0)] | None = None,
        corruption: dict[str, Annotated[float, Gt(0)]] | None = None,
        lr: Annotated[float, Gt(0)] = 2e-3,
        **training: Any,
    ) -> None:
        super().__init__(lr, **training)
        if size < MIN_SIZE:
            raise BadSetting("size", f"the encoder needs images of {MIN_SIZE} x {MIN_SIZE}, found {size} x {size}")
        self.latent_dim, self.corruption = latent_dim, corruption or {}
        check(self.corruption, "corruption", moved=False)  # the target stays where it is
        network = Autoencoder(channels, size, latent_dim, dropout, variational=beta is not None)
        self.network = network.to(memory_format=torch.channels_last)
        self.normalise, self.names = Normalize(channels, size, mean, std), class_names
        self.loss, self.beta = loss, beta
        self.left_out = torch.tensor([class_names.index(name) for name in left_out])
        wanted = {"mse": True, "bce": loss == "bce", "kl": beta, "corrupted_mse": self.corruption}
        means: dict[str, Any] = {name: MeanMetric() for name, said in wanted.items() if said}
        self.metrics = MetricCollection(means, compute_groups=False)
        self.codes, self.labels, self.errors = CatMetric(), CatMetric(), CatMetric()
        self.example_input_array = torch.zeros(1, channels, size, size)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(self.normalise(images))[0]
        return logits.sigmoid()

    def training_loss(self, batch: dict[str, Tensor], progress: float) -> tuple[Tensor, LazyMetrics]:  # noqa: ARG002
        images = batch["image"]
        seed = int(torch.randint(2**62, ()))  # from the generator that a checkpoint keeps
        seen, noise = self._corrupted(images, seed)
        logits, mean, log_variance = self.network(self.normalise(seen), noise)
        terms = self.terms(images, upcast(logits), upcast(mean), log_variance)
        return terms["loss"].mean(), lambda: {f"train/{name}": terms[name].mean() for name in terms if name != "loss"}

    def terms(self, images: Tensor, logits: Tensor, mean: Tensor, log_variance: Tensor | None) -> dict[str, Tensor]:
        """For each image (B,): the loss, which is a sum over its pixels, and what it is made of.

        Args:
            images: the target.
            logits: of the pixels.
            mean: of the code (B, latent_dim).
            log_variance: of the code (B, latent_dim), if it is sampled.
        """
        pixels = images[0].numel()
        squares = (logits.sigmoid() - images).square().flatten(1).mean(1)
        terms = {"mse": squares}
        if self.loss == "bce":
            terms["bce"] = F.binary_cross_entropy_with_logits(logits, images, reduction="none").flatten(1).mean(1)
        terms["loss"] = terms[self.loss] * pixels
        if self.beta is not None and log_variance is not None:
            terms["kl"] = divergence(mean, upcast(log_variance))
            terms["loss"] = terms["loss"] + self.beta * terms["kl"]
        return terms

    def evaluate_batch(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The loss is that of a sampled code, as in training, the errors are those of its mean.

        The same batch is corrupted in the same way in every epoch.
        """
        images = batch["image"]
        seen, noise = self._corrupted(images, seed_from(self.eval_batch_idx, self.global_rank))
        logits, mean, log_variance = self.network(self.normalise(seen), noise)
        terms = self.terms(images, upcast(logits), upcast(mean), log_variance)
        if noise is not None:
            logits = self.network.decoder(mean)
            terms = self.terms(images, upcast(logits), upcast(mean), log_variance) | {"loss": terms["loss"]}
        if self.corruption:
            terms["corrupted_mse"] = (seen - images).square().flatten(1).mean(1)
        for name, metric in self.metrics.items():
            metric.update(terms[name])
        self.codes.update(upcast(mean))
        self.errors.update(terms["mse"])
        if "label" in batch:
            self.labels.update(batch["label"])
        shown = {"image": images, "seen": seen, "output": upcast(logits).sigmoid(), "code": upcast(mean)}
        return {"loss": terms["loss"], **shown}

    def compute_metrics(self, stage: Stage) -> dict[str, Any]:
        values: dict[str, Any] = self.metrics.compute()
        if stage == "test" and self.names:
            self.knn_accuracy = knn_accuracy(self.codes.compute(), self.labels.compute().long())
            values["knn_accuracy"] = self.knn_accuracy
        if stage == "test" and len(self.left_out):
            self.anomalies = {"autoencoder": self._anomalies(), "principal components": self._pca_anomalies()}
            values["auroc"], values["pca/auroc"] = (each.auroc for each in self.anomalies.values())
        return values

    def _anomalies(self) -> Anomalies:
        labels, errors = (each.compute().cpu().view(-1) for each in (self.labels, self.errors))
        return Anomalies(errors, torch.isin(labels.long(), self.left_out))

    def _pca_anomalies(self) -> Anomalies:
        """By principal components of training images, as many as the code has numbers."""
        data: ImageData = self.trainer.datamodule  # type: ignore[attr-defined]
        train, test = data.part("train"), data.part("test")
        seen, shown = (table["image"].cpu().float() / 255 for table in (train[:MOST_TRAINED], test))
        return Anomalies(pca_errors(seen, shown, self.latent_dim), torch.isin(test["label"].cpu(), self.left_out))

    def report(self) -> None:
        codes, shown = self.codes.compute(), self.examples.first
        labels, rate = (self.labels.compute(), self.knn_accuracy) if self.names else (None, None)
        rows = {"input": shown["image"], "output": shown["output"]}
        if self.corruption:
            rows = {"target": shown["image"], "corrupted input": shown["seen"], "output": shown["output"]}
        plots.log_figure(self, "reconstructions.png", draw.reconstructions(rows))
        plots.log_figure(self, "interpolation.png", draw.interpolation(self.decode, shown["image"], shown["code"]))
        plots.log_figure(self, "codes.png", draw.codes(codes, labels, self.names, rate))
        if codes.shape[1] <= draw.MOST_AXES:
            plots.log_figure(self, "latent_traversal.png", draw.latent_traversal(self.decode, codes))
        if len(self.left_out):
            plots.log_figure(self, "anomalies.png", draw_errors(self.anomalies))
        if self.beta is not None:
            plots.log_figure(self, "samples.png", draw.samples(self.decode, codes.shape[1]))

    def decode(self, codes: Tensor) -> Tensor:
        """Images (N, C, H, W) from 0 to 1, out of codes (N, latent_dim)."""
        logits: Tensor = self.network.decoder(codes.to(self.device, self.dtype))  # type: ignore[arg-type]
        return upcast(logits).sigmoid()

    def _corrupted(self, images: Tensor, seed: int) -> tuple[Tensor, Tensor | None]:
        """The encoder's input, and noise for its code if that is sampled."""
        random = torch.Generator(images.device).manual_seed(seed)
        seen = disturbed(images, self.corruption, random)
        if self.beta is None:
            return seen, None
        return seen, torch.randn(
            len(images), self.latent_dim, generator=random, device=images.device, dtype=images.dtype
        )


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL divergence (B,) of normal codes (B, latent_dim) from the standard normal, in nats: the sum over the code."""
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(1) / 2


def knn_accuracy(codes: Tensor, labels: Tensor) -> float:
    """Share of the codes (N, latent_dim) whose label (N,) is the one that most of their `NEIGHBOURS` nearest have.

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
