"""Image classifiers by the names that a recipe gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from torch import nn

from lab.errors import BadSetting, suggestion
from lab.vision.networks.autoencoder import MIN_SIZE, EncoderClassifier
from lab.vision.networks.conv_attention import cbam_cnn, plain_cnn, se_cnn
from lab.vision.networks.plain import cnn, lenet, mlp
from lab.vision.networks.spiking import SpikingMLP
from lab.vision.networks.timm_classifier import TimmClassifier
from lab.vision.networks.vit import CNNTransformer, ViT

# name -> a function of channels, size and classes; the smallest image of which something is left after all pools
NETWORKS: dict[str, tuple[Callable[..., nn.Module], int]] = {
    "mlp": (mlp, 1),
    "cnn": (cnn, 4),
    "lenet": (lenet, 12),
    "plain_cnn": (plain_cnn, 8),
    "se_cnn": (se_cnn, 8),
    "cbam_cnn": (cbam_cnn, 8),
    "cnn_transformer": (CNNTransformer, 4),
    "vit": (ViT, 4),
    "spiking": (SpikingMLP, 1),
    "encoder": (EncoderClassifier, MIN_SIZE),
}
TIMM = "timm:"


def make(
    name: str,
    channels: int,
    size: int,
    classes: int,
    frozen: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> nn.Module:
    """The network of that name, with random weights.

    Args:
        name: one of `NETWORKS`, or `timm:` and what timm calls it.
        channels: of an image.
        size: height and width of an image.
        classes: logits.
        frozen: train the classifier alone, of a network of timm.
        settings: further arguments of one of `NETWORKS`, such as {depth: 2}.

    Raises:
        BadSetting: there is no such network, images are too small for it, or it does not take these settings.
    """
    if name.startswith(TIMM):
        if settings:
            raise BadSetting("network_args", f"{name} takes none; choose another network of timm by its name")
        return TimmClassifier(name.removeprefix(TIMM), channels, size, classes, frozen)
    if name not in NETWORKS:
        known = suggestion(name, NETWORKS, cutoff=0.75)  # resnet50 is no lenet
        raise BadSetting("network", f"no network {name!r}{known}; or one of timm, such as {TIMM}resnet18")
    if frozen:
        raise BadSetting("frozen", f"{name} has no pretrained backbone to freeze; only networks of timm have one")
    build, min_size = NETWORKS[name]
    if size < min_size:
        fitting = ", ".join(other for other, (_, enough) in NETWORKS.items() if enough <= size)
        raise BadSetting(
            "network", f"{name} needs images of {min_size} x {min_size}, found {size} x {size}; use {fitting}"
        )
    return build(channels, size, classes, **_checked(name, build, settings or {}))


def _checked(name: str, build: Callable[..., nn.Module], settings: Mapping[str, Any]) -> dict[str, Any]:
    """
    Raises:
        BadSetting: the network has no argument of that name, or not with this value.
    """
    function: Any = vars(build)["__init__"] if isinstance(build, type) else build
    hints = get_type_hints(function, include_extras=True)
    known = {key: kind for key, kind in hints.items() if key not in ("channels", "size", "classes", "return")}
    for key, value in settings.items():
        if key not in known:
            raise BadSetting("network_args", f"{name} has no argument {key!r}{suggestion(str(key), known, 'it has')}")
        try:
            TypeAdapter(known[key], config=ConfigDict(allow_inf_nan=False)).validate_python(value, strict=True)
        except ValidationError as error:
            wrong = error.errors()[0]["msg"].removeprefix("Input should be ")
            raise BadSetting("network_args", f"{key}: expected {wrong}, found {value!r}") from None
    return dict(settings)
