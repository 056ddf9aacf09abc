"""The convolutional encoder of agents that observe images, that of Mnih et al. 2015 in Nature.

Images that are too small for it, such as the grids of MiniGrid and MinAtar, go through two convolutions of 3 x 3.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchrl.modules import ConvNet

LARGE = 36  # the shortest side that the three layers of the paper take


class NatureCNN(nn.Module):
    """Images (..., images, height, width), from 0 to 1 or bytes -> features (..., `width`).

    >>> NatureCNN((4, 84, 84))(torch.zeros(2, 4, 84, 84)).shape
    torch.Size([2, 3136])

    Args:
        shape: (images, height, width); height and width are 5 at least.
        features_dim: neurons of a last dense layer with ReLU, the paper's 512; by default there is none.
    """

    def __init__(self, shape: Sequence[int], features_dim: int | None = None) -> None:
        super().__init__()
        is_large = min(shape[1:]) >= LARGE
        self.net = ConvNet(
            in_features=shape[0],
            num_cells=[32, 64, 64] if is_large else [16, 32],
            kernel_sizes=[8, 4, 3] if is_large else [3, 3],
            strides=[4, 2, 1] if is_large else [1, 1],
            activation_class=nn.ReLU,
        ).to(memory_format=torch.channels_last)  # in which convolutions on a CPU take some three fifths of the time
        self.width = int(self.net(torch.zeros(tuple(shape))).shape[-1])
        self.dense: nn.Linear | None = None
        if features_dim is not None:
            self.dense, self.width = nn.Linear(self.width, features_dim), features_dim

    def forward(self, images: Tensor) -> Tensor:
        # laid out with the channels last here, once, and not again for the gradient
        flat = images.reshape(-1, *images.shape[-3:]).movedim(-3, -1).contiguous()
        if images.dtype == torch.uint8:
            flat = flat.to(self.net[0].weight.dtype).div_(255)
        features: Tensor = self.net(flat.movedim(-1, -3))
        if self.dense is not None:
            features = torch.relu_(self.dense(features))
        return features.view(*images.shape[:-3], self.width)
