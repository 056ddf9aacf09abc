"""From observations as environments show them to features: vectors, choices as one-hot, images through convolutions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lab.networks import MLP, as_function
from lab.rl.envs.observations import Layout, ObservationSize
from lab.rl.networks.nature_cnn import NatureCNN

INVALID = -1e8  # the logit of an action that a mask rules out


def as_floats(raw: Tensor) -> Tensor:
    """The numbers (..., N) whose bytes are (..., 4 N).

    A copy in any case: of a single row torch takes a slice for contiguous, though it may begin anywhere in the memory.

    >>> row = torch.tensor([[0, 0, 128, 63, 7]], dtype=torch.uint8)  # a number and a pixel
    >>> as_floats(row[..., :4])
    tensor([[1.]])
    """
    floats = raw.clone(memory_format=torch.contiguous_format).view(-1).view(torch.float32)
    return floats.view(*raw.shape[:-1], raw.shape[-1] // 4)


class Encoder(nn.Module):
    """Observations (..., *shape) -> features (..., `width`).

    >>> encoder = Encoder({"place": {"size": 2}, "phase": {"counts": [3]}})
    >>> encoder(torch.tensor([[0.5, 1.0, 2.0]]))
    tensor([[0.5000, 1.0000, 0.0000, 0.0000, 1.0000]])

    Args:
        observation_size: what an observation is.
        features_dim: neurons of a dense layer behind the convolutions of each image; by default there is none.
    """

    unit: Tensor

    def __init__(self, observation_size: ObservationSize, features_dim: int | None = None) -> None:
        super().__init__()
        self.layout = Layout(observation_size)
        self.is_image = not isinstance(observation_size, int | dict)
        self.images = nn.ModuleList()
        self.width = 0
        part: Any
        for part in self.layout.parts.values():
            if "size" in part:
                self.width += part["size"]
            elif "counts" in part:
                self.width += sum(part["counts"])
            elif "mask" not in part:
                network = NatureCNN(part["bytes"] if "bytes" in part else part["image"], features_dim)
                self.images.append(network)
                self.width += network.width
        self.register_buffer("unit", torch.ones(()), persistent=False)  # of the type that the network has

    def forward(self, observation: Tensor) -> Tensor:
        numbers, pixels = self.split(observation)
        images, features = iter(self.images), []
        part: Any
        for name, part in self.layout.parts.items():
            place = self.layout.places[name]
            if "size" in part:
                features.append(numbers[..., place])
            elif "counts" in part:
                features += [
                    self.unit * (index.unsqueeze(-1) == torch.arange(count, device=index.device))
                    for index, count in zip(numbers[..., place].unbind(-1), part["counts"], strict=True)
                ]
            elif "image" in part:
                low, high = part["bounds"] or (0.0, 1.0)
                scaled = (numbers[..., place] - low) / ((high - low) or 1.0)
                features.append(next(images)(scaled.unflatten(-1, part["image"])))
            elif "bytes" in part:
                features.append(next(images)(pixels[..., place].unflatten(-1, part["bytes"])))
        return torch.cat(features, -1) if len(features) > 1 else features[0]

    def split(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """The numbers (..., numbers) and the bytes of images (..., pixels)."""
        if not self.layout.pixels:
            return self.unit * observation, observation[..., :0]
        observation = observation.to(torch.uint8)  # a collector may have made other numbers of them
        if self.is_image:
            return observation[..., 0, 0, :0], observation.flatten(-3)
        edge = 4 * self.layout.numbers
        return self.unit * as_floats(observation[..., :edge]), observation[..., edge:]

    def valid(self, observation: Tensor) -> Tensor | None:
        """The mask of valid actions (..., A), or None where observations have none."""
        if self.layout.mask is None:
            return None
        return self.split(observation)[0][..., self.layout.mask] > 0


class Encoded(nn.Module):
    """A network behind an encoder; with `masks`, invalid actions have a logit so low that they are never taken."""

    def __init__(self, encoder: Encoder, net: MLP, masks: bool) -> None:
        super().__init__()
        self.encoder, self.net, self.masks = encoder, net, masks

    def forward(self, observation: Tensor) -> Tensor:
        return self.head(self.encoder(observation), observation)

    def head(self, features: Tensor, observation: Tensor) -> Tensor:
        """The outputs for observations whose features are known, such as those of a shared encoder."""
        return self._masked(self.net(features), observation)

    def as_function(self) -> Callable[[Tensor], Tensor]:
        """As that of `MLP`."""
        net = as_function(self.net)
        return lambda observation: self._masked(net(self.encoder(observation)), observation)

    def __getitem__(self, index: int) -> nn.Module:
        layer: nn.Module = self.net[index]
        return layer

    def _masked(self, output: Tensor, observation: Tensor) -> Tensor:
        valid = self.encoder.valid(observation) if self.masks else None
        return output if valid is None else output.masked_fill(~valid, INVALID)


def encoded(
    observation_size: ObservationSize,
    make: Callable[[int], Any],
    masks: bool = False,
    encoder: Encoder | None = None,
) -> Any:
    """The network that `make` builds for features of some width; of vectors it is that network itself.

    >>> type(encoded(3, lambda width: MLP(width, [8], 1))).__name__
    'MLP'

    Args:
        observation_size: what an observation is.
        make: width of the features -> network.
        masks: whether its outputs are one logit for each action, those of invalid ones to be masked.
        encoder: that of another network, to share it; by default a new one.
    """
    if isinstance(observation_size, int):
        return make(observation_size)
    encoder = encoder or Encoder(observation_size)
    return Encoded(encoder, make(encoder.width), masks)


def dense_size(weights: Mapping[str, Tensor]) -> int | None:
    """Neurons of the dense layer of an encoder of images in a state dict; None where there is none.

    >>> dense_size(Encoder([4, 84, 84], features_dim=512).state_dict())
    512
    """
    return next((len(weight) for name, weight in weights.items() if name.endswith(".dense.bias")), None)


def example_input(observation_size: ObservationSize) -> Tensor:
    """A batch of one observation of zeros.

    >>> example_input([3, 64, 64]).dtype
    torch.uint8
    """
    layout = Layout(observation_size)
    return torch.zeros(1, *layout.shape, dtype=torch.uint8 if layout.pixels else torch.float32)
