"""A network of spiking neurons, trained by a surrogate for the gradient of their threshold.

Sources: Neftci, Mostafa and Zenke, Surrogate gradient learning in spiking neural networks, IEEE Signal Processing
Magazine 36(6), 2019; the surrogate is the arctangent of Fang et al., Incorporating learnable membrane time constant to
enhance learning of spiking neural networks, ICCV 2021.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated

import torch
from annotated_types import Gt
from torch import Tensor, nn

from lab.errors import BadSetting
from lab.vision.networks.plain import Count, Share


def lif(currents: Tensor, beta: float, threshold: float) -> Tensor:
    """Leaky integrate-and-fire neurons with a soft reset: currents (T, ...) -> spikes (T, ...), 0 or 1.

    >>> lif(torch.full((5,), 0.6), beta=0.9, threshold=1.0)  # potentials 0.6, 1.14, 0.726, 1.2534, 0.82806
    tensor([0., 1., 0., 1., 0.])

    Args:
        currents: into each neuron at each time step.
        beta: share of its potential that a neuron keeps from one step to the next.
        threshold: potential at which a neuron spikes, and which a spike subtracts.
    """
    potential, spikes = torch.zeros_like(currents[0]), []
    for current in currents:
        potential = beta * potential + current
        spikes.append(spike(potential - threshold))
        potential = potential - threshold * spikes[-1]
    return torch.stack(spikes)


def spike(above: Tensor) -> Tensor:
    """1 where the potential has reached its threshold, else 0, with the gradient of arctan(pi x) / pi."""
    smooth = torch.atan(math.pi * above) / math.pi
    return (above >= 0).to(above.dtype) + (smooth - smooth.detach())  # the bracket is 0 exactly


class SpikingMLP(nn.Module):
    """Pixels are constant currents into layers of spiking neurons for some time steps.

    The output neurons leak and do not spike: a logit is the mean of a potential over the steps.

    Args:
        channels: of an image.
        size: height and width of an image.
        classes: logits.
        hidden: neurons of each layer.
        steps: of time.
        beta: share of its potential that a neuron keeps from one step to the next.
        threshold: potential at which a neuron spikes.

    Raises:
        BadSetting: there is no hidden layer.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        classes: int,
        hidden: list[Count] = [128],  # noqa: B006 - never changed
        steps: Count = 10,
        beta: Share = 0.9,
        threshold: Annotated[float, Gt(0)] = 1.0,
    ) -> None:
        super().__init__()
        if not hidden:
            raise BadSetting("network_args", "hidden: expected one layer of spiking neurons or more, found []")
        self.steps, self.beta, self.threshold = steps, beta, threshold
        self.hidden = nn.ModuleList(nn.Linear(*sizes) for sizes in pairwise([channels * size**2, *hidden]))
        self.output = nn.Linear(hidden[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        currents = self.output(self._layers(images)[-1])
        potential = total = torch.zeros_like(currents[0])
        for current in currents:
            potential = self.beta * potential + current
            total = total + potential
        return total / self.steps

    def spikes(self, images: Tensor) -> Tensor:
        """Of all hidden neurons, layer by layer: (B, T, neurons)."""
        return torch.cat(self._layers(images), -1).transpose(0, 1)

    def _layers(self, images: Tensor) -> list[Tensor]:
        """The spikes of each hidden layer, (T, B, neurons)."""
        first, *others = self.hidden
        current = first(images.flatten(1))
        spikes = [lif(current.expand(self.steps, *current.shape), self.beta, self.threshold)]
        for layer in others:
            spikes.append(lif(layer(spikes[-1]), self.beta, self.threshold))
        return spikes
