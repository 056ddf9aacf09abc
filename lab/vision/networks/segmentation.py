"""Segmentation networks by name: segmentation-models-pytorch's, torchvision's, and our own.

Each consists of an encoder, a decoder and a head: parts can be frozen, or come from another run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from inspect import signature
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lab.errors import BadSetting, nearest, suggestion
from lab.networks import pretrained_weights
from lab.vision.networks.decoder import UpsamplingDecoder
from lab.vision.networks.image_encoder import ImageEncoder
from lab.vision.networks.plain_unet import PlainUNetDecoder, PlainUNetEncoder

Trainable = Literal["all", "decoder", "head"]
TIMM, TORCHVISION = "timm:", "torchvision:"
ATTENDING = ("unet", "unetplusplus")  # architectures whose decoder can have attention
LIBRARY_DEPTH = 3  # downsampling stages, at least, of the libraries' encoders
PLAIN = "plain_unet"  # the architecture without an encoder of a library
CLIP = "clip"  # the image encoder of the task of that name


@dataclass(frozen=True)
class NetworkSpec:
    """The arguments of every builder.

    Args:
        encoder: its name.
        channels: of an image.
        size: height and width of an image.
        classes: logits of a pixel.
        depth: halvings of the image in the encoder; None for as many as the library has.
        pretrained: with pretrained weights rather than random ones.
        attention: the library's name of blocks that weigh channels and positions in the decoder of a U-Net.
    """

    encoder: str
    channels: int
    size: int
    classes: int
    depth: int | None = None
    pretrained: bool = False
    attention: str | None = None


# images -> encoder -> decoder -> head -> logits, and what the sides of the images are multiples of
Parts = tuple[nn.Module, nn.Module, nn.Module, int]
Build = Callable[[NetworkSpec], Parts]


class Segmenter(nn.Module):
    """Images (B, channels, size, size) -> logits (B, classes, size, size), by the network of that name.

    Sides that the network cannot take are filled up with copies of the edge, and cut off again.

    Args:
        name: any architecture of segmentation-models-pytorch, such as `unet`; one of `BUILDERS`; or `torchvision:` and
            what it calls its FCN or DeepLabV3, whose encoder is part of the name.
        encoder: as segmentation-models-pytorch lists it; `timm:` and any network of timm; or, of the network `generic`,
            `clip`, the image encoder of the task of that name.
        channels: of an image.
        size: height and width of an image.
        classes: logits of a pixel.
        depth: downsampling stages of the encoder; by default those of the library, usually 5.
        trainable: the part that is trained: all; the decoder and the head behind a frozen encoder; or the head, the
            last layer, alone. A frozen part keeps the statistics of its normalisation as well.
        attention: `scse` for blocks that weigh channels and positions in the decoder of `ATTENDING`.

    Raises:
        BadSetting: there is no such network or encoder, or they cannot take such images.
    """

    def __init__(
        self,
        name: str,
        encoder: str,
        channels: int,
        size: int,
        classes: int,
        depth: int | None = None,
        trainable: Trainable = "all",
        attention: str | None = None,
    ) -> None:
        super().__init__()
        alone = name.startswith(TORCHVISION) or name.lower() == PLAIN
        self.name, self.trainable = name if alone else f"{name} on {encoder}", trainable
        if depth is not None and depth < LIBRARY_DEPTH and name.lower() != PLAIN:
            raise BadSetting("depth", f"{name} needs {LIBRARY_DEPTH} or more, found {depth}; {PLAIN} needs 1")
        self.build, self.spec = builder(name), NetworkSpec(encoder, channels, size, classes, depth)
        if attention and name.lower() not in ATTENDING:
            found = f"{name} has none; {' and '.join(ATTENDING)} have"
            raise BadSetting("decoder_attention", found)
        self.spec = replace(self.spec, attention=attention)
        try:
            self.encoder, self.decoder, self.head, self.stride = self.build(self.spec)
            logits = self.eval()(torch.zeros(1, channels, size, size))
        except (RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError, AssertionError) as error:
            refusal = f"{self.name} cannot take images of {channels} x {size} x {size}"
            raise BadSetting("network", f"{refusal}: {' '.join(str(error).split())[:200]}") from None
        parameters = list(self.parameters())
        # DDP waits for the gradient of every parameter, and the stages that a smaller depth leaves out have none
        gradients = torch.autograd.grad(logits.sum(), parameters, allow_unused=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.requires_grad_(gradient is not None)
        for part in self._frozen():
            part.requires_grad_(False)
        self.train()

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[2:]
        padded = F.pad(images, (0, -width % self.stride, 0, -height % self.stride), mode="replicate")
        logits: Tensor = self.head(self.decoder(self.encoder(padded)))
        if logits.shape[2:] != padded.shape[2:]:
            logits = F.interpolate(logits, padded.shape[2:], mode="bilinear")
        return logits[..., :height, :width]

    def train(self, mode: bool = True) -> Segmenter:
        super().train(mode)
        for part in self._frozen():
            part.eval()
        return self

    def load_pretrained(self) -> None:
        """Loads the library's weights, which are downloaded or in a cache. The head stays random.

        Raises:
            LabError: there are none, or they are in neither place.
        """
        with pretrained_weights(self.name, otherwise="leave out pretrained"):
            encoder, decoder, _, _ = self.build(replace(self.spec, pretrained=True))
        self.encoder.load_state_dict(encoder.state_dict())
        self.decoder.load_state_dict(decoder.state_dict())

    def _frozen(self) -> tuple[nn.Module, ...]:
        return {"all": (), "decoder": (self.encoder,), "head": (self.encoder, self.decoder)}[self.trainable]


def builder(name: str) -> Build:
    """The function that builds the network of that name.

    Raises:
        BadSetting: there is none.
    """
    import segmentation_models_pytorch as smp
    from torchvision.models import list_models, segmentation

    existing = [kind for kind in list_models(segmentation) if kind.startswith(("fcn", "deeplab"))]
    builders: dict[str, Build] = {
        **{kind: partial(_smp, kind) for kind in smp.MODEL_ARCHITECTURES_MAPPING},
        **BUILDERS,
        **{f"{TORCHVISION}{kind}": partial(_torchvision, kind) for kind in existing},
    }
    if name.lower() not in builders:
        raise BadSetting("network", f"no segmentation network {name!r}{suggestion(name.lower(), builders)}")
    return builders[name.lower()]


def _smp(kind: str, spec: NetworkSpec) -> Parts:
    """An architecture of segmentation-models-pytorch."""
    import segmentation_models_pytorch as smp

    name, weights = _encoder(spec)
    build = smp.MODEL_ARCHITECTURES_MAPPING[kind]
    settings: dict[str, Any] = {"dynamic_img_size": True} if kind == "dpt" else {}  # only a ViT goes with it
    if spec.depth is not None:
        settings["encoder_depth"] = spec.depth
        channels = signature(build).parameters.get("decoder_channels")
        if channels is not None and isinstance(channels.default, tuple):  # of a U-Net, one number for each step
            settings["decoder_channels"] = channels.default[-spec.depth :]
    if spec.attention:
        settings["decoder_attention_type"] = spec.attention
    network: Any = build(name, encoder_weights=weights, in_channels=spec.channels, classes=spec.classes, **settings)
    parts, stride = (network.encoder, network.decoder, network.segmentation_head), network.encoder.output_stride
    if kind == "dpt":  # its encoder gives maps and tokens, and the smallest map is halved once more
        return parts[0], _SelectInputs(parts[1], 0, 1), parts[2], 2 * stride
    return *parts, stride


def _generic(spec: NetworkSpec) -> Parts:
    """An encoder's last map, and a decoder that sees nothing else."""
    import segmentation_models_pytorch as smp

    if spec.encoder == CLIP:
        own = ImageEncoder(spec.channels)
        decoder = UpsamplingDecoder(own.channels, own.stride)
        return own, decoder, nn.Conv2d(decoder.width, spec.classes, 1), own.stride
    name, weights = _encoder(spec)
    encoder: Any = smp.encoders.get_encoder(name, spec.channels, spec.depth or 5, weights)
    decoder = UpsamplingDecoder(encoder.out_channels[-1], encoder.output_stride)
    return encoder, _SelectInputs(decoder, -1), nn.Conv2d(decoder.width, spec.classes, 1), encoder.output_stride


def _plain_unet(spec: NetworkSpec) -> Parts:
    """The U-Net of its paper, which has an encoder of its own."""
    if spec.pretrained:
        raise ValueError("nobody has published weights for it")
    depth = spec.depth or 4
    encoder = PlainUNetEncoder(spec.channels, depth)
    decoder, head = PlainUNetDecoder(encoder.widths), nn.Conv2d(encoder.widths[0], spec.classes, 1)
    return encoder, decoder, head, 2**depth


def _torchvision(kind: str, spec: NetworkSpec) -> Parts:
    """An existing model with its last layer replaced; its encoder is part of its name."""
    from torchvision.models import get_model

    if spec.channels != 3:
        raise ValueError("it takes 3 channels")
    whole: Any = get_model(kind, weights="DEFAULT" if spec.pretrained else None, weights_backbone=None)
    *before, last = whole.classifier
    return whole.backbone, _SelectInputs(nn.Sequential(*before), "out"), nn.Conv2d(last.in_channels, spec.classes, 1), 1


def _encoder(spec: NetworkSpec) -> tuple[str, Any]:
    """The name that segmentation-models-pytorch has for an encoder, and for its pretrained weights.

    Raises:
        BadSetting: there is no such encoder.
        ValueError: it has no weights.
    """
    import timm
    from segmentation_models_pytorch.encoders import encoders

    name = spec.encoder
    if name.startswith(TIMM):
        inner = name.removeprefix(TIMM)
        if not timm.is_model(inner):
            close = nearest(inner, timm.list_models(), TIMM)
            raise BadSetting("encoder", f"timm has no network {inner!r}{close}")
        return f"tu-{inner}", True if spec.pretrained else None
    if name not in encoders:
        raise BadSetting("encoder", f"no encoder {name!r}{suggestion(name, encoders)}; or {TIMM}NAME")
    if not spec.pretrained:
        return name, None
    weights = encoders[name]["pretrained_settings"]
    if not weights:
        raise ValueError("its library has none for this encoder")
    return name, "imagenet" if "imagenet" in weights else next(iter(weights))


class _SelectInputs(nn.Module):
    """A decoder that takes some of what its encoder gives.

    Args:
        decoder: takes the chosen maps, one after the other.
        keys: which they are.
    """

    def __init__(self, decoder: nn.Module, *keys: int | str) -> None:
        super().__init__()
        self.decoder, self.keys = decoder, keys

    def forward(self, given: Any) -> Tensor:
        maps: Tensor = self.decoder(*(given[key] for key in self.keys))
        return maps


BUILDERS: dict[str, Build] = {"generic": _generic, PLAIN: _plain_unet}  # beside the architectures of the two libraries
