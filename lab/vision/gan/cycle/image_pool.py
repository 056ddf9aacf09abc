"""Images that a generator made before, for the discriminator to see among its newest ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ImagePool(nn.Module):
    """Keeps generated images, and gives back older ones for some of them, so that the game does not swing.

    Source: Shrivastava et al., Learning from simulated and unsupervised images through adversarial training, CVPR 2017,
    with the 50 images of CycleGAN.

    >>> pool = ImagePool(2, (1, 4, 4))
    >>> bool((pool(torch.ones(2, 1, 4, 4)) == 1).all())  # it fills up first
    True

    Args:
        size: images that it keeps; 0 for none, so that every image comes back as it is.
        shape: of an image: channels, height, width.
    """

    images: Tensor
    count: Tensor

    def __init__(self, size: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.register_buffer("images", torch.zeros(size, *shape))
        self.register_buffer("count", torch.tensor(0))

    def forward(self, images: Tensor) -> Tensor:
        """For each of the images (B, C, H, W) itself, or with probability 1/2 an older one, whose place it takes."""
        images, count = images.detach(), int(self.count)
        fit = min(len(self.images) - count, len(images))
        if fit:
            self.images[count : count + fit] = images[:fit]
            self.count += fit
            return images
        swapped = torch.nonzero(torch.rand(len(images), device=images.device) < 0.5).squeeze(1)[: len(self.images)]
        places = torch.randperm(len(self.images), device=images.device)[: len(swapped)]
        found = images.clone()
        found[swapped] = self.images[places].to(images.dtype)
        self.images[places] = images[swapped].to(self.images.dtype)
        return found
