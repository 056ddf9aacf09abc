"""Deep belief networks of images: layers that are trained one after the other as restricted Boltzmann machines.

Sources: Hinton, Osindero and Teh, A fast learning algorithm for deep belief nets, Neural Computation 18, 2006; Bengio,
Lamblin, Popovici and Larochelle, Greedy layer-wise training of deep networks, NeurIPS 2006. The weights upwards and
downwards stay the same; they are not tuned apart by the wake-sleep algorithm. The layers are those of the classifier
`mlp` with `activation: sigmoid`, which can begin with them.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, MinLen
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics import MeanMetric, MetricCollection

from lab import plots
from lab.errors import BadSetting
from lab.learning import LazyMetrics, ScheduleName, SupervisedModule
from lab.networks import MLP, upcast
from lab.task import Task
from lab.vision.data.image_data import ImageData
from lab.vision.networks.normalize import Normalize
from lab.vision.networks.rbm import RBM
from lab.vision.plots import deep_belief as draw
from lab.vision.plots.autoencode import SHOWN, reconstructions

FIRST_SUM = 0.5  # standard deviation of what a unit receives from units of variance 1, by the first weights


class DeepBelief(SupervisedModule):
    """Images (B, channels, size, size) in [0, 1] -> probabilities (B, last width) that its top hidden units are 1.

    A pixel is the probability that a binary visible unit is 1. Each layer is trained for an equal share of the run on
    samples of the layer below, while the others rest.

    Args:
        channels: channels of an image; a fact of the data.
        size: height and width of an image; a fact of the data.
        mean: mean of the pixels of each channel; a fact of the data.
        std: standard deviation of the pixels of each channel; a fact of the data.
        hidden: widths of the layers from the bottom; with one it is a restricted Boltzmann machine.
        cd_steps: rounds of Gibbs sampling in a step of training, the k of CD-k.
        sampling_steps: rounds of Gibbs sampling for the plot of samples.
        lr: learning rate of the optimizer.
        schedule: schedule of the learning rate over all layers together: constant (ignores final_lr), linear, cosine,
            step, exponential or one_cycle.
        weight_decay: decoupled weight decay for adamw, an L2 penalty for the others.
    """

    num_first_examples = SHOWN
    trains_in_phases = True

    def __init__(
        self,
        channels: int,
        size: int,
        mean: list[float],
        std: list[float],
        hidden: Annotated[list[Annotated[int, Gt(0)]], MinLen(1)] = [256, 256],  # noqa: B006 - never changed
        cd_steps: Annotated[int, Gt(0)] = 1,
        sampling_steps: Annotated[int, Gt(0)] = 1000,
        lr: Annotated[float, Gt(0)] = 3e-3,
        schedule: ScheduleName = "constant",
        weight_decay: Annotated[float, Ge(0)] = 0.0,
        **training: Any,
    ) -> None:
        super().__init__(lr, schedule=schedule, weight_decay=weight_decay, **training)
        self.shape, self.cd_steps, self.sampling_steps = (channels, size, size), cd_steps, sampling_steps
        units = [channels * size**2, *hidden]
        self.normalise = Normalize(channels, size, mean, std)
        self.network = nn.Sequential(nn.Flatten(), *MLP(units[0], hidden, None, "sigmoid"))
        pixels = torch.tensor(mean).logit().repeat_interleave(size**2)
        self.visible_bias = nn.ParameterList([pixels, *(torch.zeros(width) for width in units[1:-1])])
        for layer in self.layers:
            nn.init.normal_(layer.weight, std=FIRST_SUM / math.sqrt(layer.in_features))
            nn.init.zeros_(layer.bias)
        self.metrics = MetricCollection({"mse": MeanMetric()})
        self.example_input_array = torch.zeros(1, *self.shape)

    @property
    def layers(self) -> list[nn.Linear]:
        return [layer for layer in self.network if isinstance(layer, nn.Linear)]

    def machine(self, i: int) -> RBM:
        """Layer i as a machine, the lowest one with weights for binary pixels in place of normalised ones."""
        layer = self.layers[i]
        if i > 0:
            return RBM(layer.weight, layer.bias, self.visible_bias[i])
        scale, shift = (each.expand(self.shape).flatten() for each in (self.normalise.scale, self.normalise.shift))
        return RBM(layer.weight * scale, layer.bias + layer.weight @ shift, self.visible_bias[0])

    def forward(self, images: Tensor) -> Tensor:
        hidden: Tensor = self.network(self.normalise(images))
        return hidden

    def endless(self) -> BadSetting:
        return BadSetting("trainer", "each layer gets a share of the run, which needs max_epochs or max_steps")

    def training_loss(self, batch: dict[str, Tensor], progress: float) -> tuple[Tensor, LazyMetrics]:
        depth = len(self.layers)
        current = min(int(progress * depth), depth - 1)
        with torch.no_grad():
            units = batch["image"].flatten(1).bernoulli()
            for i in range(current):
                units = self.machine(i).hidden(units).bernoulli()
        machine = self.machine(current)

        def lazy() -> dict[str, Tensor]:
            with torch.no_grad():
                errors = (machine.visible(machine.hidden(units)) - units).square()
            return {"train/layer": torch.tensor(float(current + 1)), "train/mse": errors.mean()}

        return machine.contrastive_divergence(units, self.cd_steps), lazy

    def evaluate_batch(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The loss is the cross-entropy in nats of an image with what comes back from the top layer."""
        images = batch["image"]
        shown = {f"output {depth}": self.reconstruct(images, depth) for depth in range(1, len(self.layers) + 1)}
        found = shown[f"output {len(self.layers)}"]
        self.metrics["mse"].update((found - images).square().flatten(1).mean(1))
        with torch.autocast(images.device.type, enabled=False):  # torch refuses this loss there
            losses = F.binary_cross_entropy(upcast(found), upcast(images), reduction="none").flatten(1).sum(1)
        return {"loss": losses, "image": images, **shown}

    def reconstruct(self, images: Tensor, depth: int) -> Tensor:
        """Images (B, channels, size, size) up through so many layers and down again, as probabilities throughout."""
        units = images.flatten(1)
        for i in range(depth):
            units = self.machine(i).hidden(units)
        for i in reversed(range(depth)):
            units = self.machine(i).visible(units)
        return units.view(-1, *self.shape)

    @torch.no_grad()
    def sample(self, count: int, seed: int = 0) -> Tensor:
        """New images (count, channels, size, size), as the probabilities that their pixels are 1.

        The top layer and the one below it sample each other from units that are 1 with probability 1/2; what the
        lower one ends with goes down once.
        """
        top = len(self.layers) - 1
        machine, random = self.machine(top), torch.Generator(self.device).manual_seed(seed)
        units = machine.visible_bias.new_full((count, len(machine.visible_bias)), 0.5).bernoulli(generator=random)
        units = machine.gibbs(units, self.sampling_steps - 1, random)
        hidden = machine.hidden(units).bernoulli(generator=random)
        for i in range(top, 0, -1):
            hidden = self.machine(i).visible(hidden).bernoulli(generator=random)
        return self.machine(0).visible(hidden).view(-1, *self.shape)

    def report(self) -> None:
        first = self.examples.first
        rows = {"input": first["image"]}
        for depth, width in enumerate((layer.out_features for layer in self.layers), 1):
            rows[f"through {depth} layer{'s' * (depth > 1)}, {width} units"] = first[f"output {depth}"]
        plots.log_figure(self, "reconstructions.png", reconstructions(rows))
        plots.log_figure(self, "receptive_fields.png", draw.receptive_fields(self.receptive_fields()))
        plots.log_figure(self, "samples.png", draw.samples(self.sample(draw.SAMPLES**2), self.sampling_steps))

    @torch.no_grad()
    def receptive_fields(self) -> list[Tensor]:
        """Of each layer, the weights of its units on the pixels (H, channels, size, size): the product of all below."""
        weights, found = None, []
        for i in range(len(self.layers)):
            weight = self.machine(i).weight
            weights = weight if weights is None else weight @ weights
            found.append(weights.unflatten(1, self.shape))
        return found


TASK = Task(module=DeepBelief, data=ImageData, monitor="val/mse", mode="min")
