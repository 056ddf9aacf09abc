"""Image classifiers by the names that a recipe gives them."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from lab.errors import BadSetting, suggestion
from lab.vision.networks.autoencoder import MIN_SIZE, EncoderClassifier
from lab.vision.networks.conv_attention import cbam_cnn, se_cnn
from lab.vision.networks.plain import cnn, lenet, mlp
from lab.vision.networks.timm_classifier import TimmClassifier
from lab.vision.networks.vit import CNNTransformer, ViT

# name -> a function of channels, size and classes; the smallest image of which something is left after all pools
NETWORKS: dict[str, tuple[Callable[[int, int, int], nn.Module], int]] = {
    "mlp": (mlp, 1),
    "cnn": (cnn, 4),
    "lenet": (lenet, 12),
    "se_cnn": (se_cnn, 8),
    "cbam_cnn": (cbam_cnn, 8),
    "cnn_transformer": (CNNTransformer, 4),
    "vit": (ViT, 4),
    "encoder": (EncoderClassifier, MIN_SIZE),
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
        return TimmClassifier(name.removeprefix(TIMM), channels, size, classes, frozen)
    if name not in NETWORKS:
        raise BadSetting("network", f"no network {name!r}{suggestion(name, NETWORKS)}; or {TIMM}NAME")
    if frozen:
        raise BadSetting("frozen", f"{name} has no pretrained backbone to freeze; only networks of timm have one")
    build, min_size = NETWORKS[name]
    if size < min_size:
        fitting = ", ".join(other for other, (_, enough) in NETWORKS.items() if enough <= size)
        raise BadSetting(
            "network", f"{name} needs images of {min_size} x {min_size}, found {size} x {size}; use {fitting}"
        )
    return build(channels, size, classes)
