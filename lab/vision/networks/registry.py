"""What a recipe may call a network, and how it is built."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from lab.errors import BadSetting, nearest
from lab.vision.networks.attention import cbam_cnn, se_cnn
from lab.vision.networks.autoencoder import LEAST, EncoderClassifier
from lab.vision.networks.plain import cnn, lenet, mlp
from lab.vision.networks.transformer import CNNTransformer, ViT
from lab.vision.networks.trunk import Trunk

# name -> from channels, size and classes to a network; the smallest image that leaves something after all pools
NETWORKS: dict[str, tuple[Callable[[int, int, int], nn.Module], int]] = {
    "mlp": (mlp, 1),
    "cnn": (cnn, 4),
    "lenet": (lenet, 12),
    "se_cnn": (se_cnn, 8),
    "cbam_cnn": (cbam_cnn, 8),
    "cnn_transformer": (CNNTransformer, 4),
    "vit": (ViT, 4),
    "encoder": (EncoderClassifier, LEAST),
}
TIMM = "timm:"


def make(name: str, channels: int, size: int, classes: int, frozen: bool = False) -> nn.Module:
    """The network of that name, with random weights.

    Args:
        name: one of `NETWORKS`, or `timm:` and what timm calls it.
        channels: of an image.
        size: height and width of an image.
        classes: logits.
        frozen: train the classifier alone, of a network of timm.

    Raises:
        BadSetting: there is no such network, or images are too small for it.
    """
    if name.startswith(TIMM):
        return Trunk(name.removeprefix(TIMM), channels, size, classes, frozen)
    if name not in NETWORKS:
        listed = nearest(name, NETWORKS) or f"; known are {', '.join(NETWORKS)}, and timm:NAME"
        raise BadSetting("network", f"no network {name!r}{listed}")
    if frozen:
        raise BadSetting("frozen", f"{name} has no trained trunk to keep; only networks of timm have")
    build, least = NETWORKS[name]
    if size < least:
        fitting = ", ".join(other for other, (_, enough) in NETWORKS.items() if enough <= size)
        raise BadSetting("network", f"{name} needs images of {least} x {least}, found {size} x {size}; use {fitting}")
    return build(channels, size, classes)
