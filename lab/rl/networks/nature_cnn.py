"""The convolutional encoder of agents that observe images, that of Mnih et al. 2015 in Nature."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchrl.modules import ConvNet


class NatureCNN(nn.Module):
    """Images (..., images, height, width), from 0 to 1 -> features (..., `width`).

    >>> NatureCNN((4, 84, 84))(torch.zeros(2, 4, 84, 84)).shape
    torch.Size([2, 3136])

    Args:
        shape: (images, height, width); height and width are 36 at least.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.net = ConvNet(
            in_features=shape[0],
            num_cells=[32, 64, 64],
            kernel_sizes=[8, 4, 3],
            strides=[4, 2, 1],
            activation_class=nn.ReLU,
        )
        self.width = int(self.net(torch.zeros(tuple(shape))).shape[-1])

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.net(images)
        return features
