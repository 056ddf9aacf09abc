"""The contrastive loss of images and their captions, and recall at k of one by the other."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import Metric


def contrastive_loss(images: Tensor, texts: Tensor, same: Tensor, scale: Tensor) -> Tensor:
    """The mean of two cross-entropies: of an image among all texts, and of a text among all images.

    Source: Radford et al. 2021. Where two captions are one, either is right, and the target is shared out among them:
    else the loss would drive away from an image the very words that describe it.

    Args:
        images: vectors (B, D) of length 1.
        texts: vectors (B, D) of length 1.
        same: (B, B), whether two captions are one.
        scale: what their inner products are multiplied by.
    """
    logits = scale * images @ texts.T
    target = same / same.sum(1, keepdim=True)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def same_captions(captions: Tensor) -> Tensor:
    """Token ids (B, T) -> (B, B), whether two captions are the same."""
    _, kind = captions.unique(dim=0, return_inverse=True)
    same: Tensor = kind.unsqueeze(1) == kind
    return same


class Retrieval(Metric):
    """Recall at 1, 5 and 10: the share of images one of whose k nearest texts is theirs, and of texts likewise.

    A text is right for an image if it has the same words as the image's own. All texts stand for choice, each as
    often as it was said, and so do all images.
    """

    full_state_update = False
    images: list[Tensor]
    texts: list[Tensor]
    captions: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        for name in ("images", "texts", "captions"):
            self.add_state(name, [], dist_reduce_fx="cat")

    def update(self, images: Tensor, texts: Tensor, captions: Tensor) -> None:
        """Vectors (B, D), vectors (B, D), and words (B, T)."""
        self.images.append(images)
        self.texts.append(texts)
        self.captions.append(captions)

    def compute(self) -> dict[str, Tensor]:
        images, texts, captions = (
            torch.cat(part) if isinstance(part, list) else part for part in (self.images, self.texts, self.captions)
        )
        _, kind = captions.unique(dim=0, return_inverse=True)
        found: dict[str, Tensor] = {}
        for name, near in (("image_to_text", images @ texts.T), ("text_to_image", texts @ images.T)):
            nearest = near.topk(min(10, len(kind))).indices  # (N, 10)
            right = kind[nearest] == kind.unsqueeze(1)
            found |= {f"recall{k}_{name}": right[:, :k].any(1).float().mean() for k in (1, 5, 10)}
        return found
