"""Any network of timm as a classifier: from scratch, or on from weights that somebody has trained."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lab.errors import BadSetting, LabError, nearest
from lab.vision.networks.hub import within_reach


class Trunk(nn.Module):
    """A timm network with a classifier of our size in the place of its own.

    Args:
        name: as timm lists it, such as `resnet18`.
        channels: of an image; timm adapts the first layer, weights included.
        size: height and width of an image.
        classes: logits.
        frozen: train the classifier alone; normalisation then keeps the statistics it came with.

    Raises:
        BadSetting: timm has no such network, or it cannot take such images.
    """

    def __init__(self, name: str, channels: int, size: int, classes: int, frozen: bool = False) -> None:
        super().__init__()
        import timm

        if not timm.is_model(name):
            close = nearest(name, timm.list_models()).replace("mean '", "mean 'timm:")
            raise BadSetting("network", f"timm has no network {name!r}{close}")
        self.name, self.frozen = name, frozen
        self.settings: dict[str, Any] = {"in_chans": channels, "num_classes": classes, "img_size": size}
        try:
            try:
                self.network = self._made()
            except TypeError:  # most take images of any size and no word about it
                del self.settings["img_size"]
                self.network = self._made()
            self.network.eval()(torch.zeros(1, channels, size, size))
        except (RuntimeError, ValueError, TypeError, AssertionError) as error:
            reason = " ".join(str(error).split())
            raise BadSetting("network", f"timm:{name} cannot take images of {size} x {size}: {reason}") from None
        if frozen:
            self.network.requires_grad_(False)
            self._classifier().requires_grad_(True)
        self.train()

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(images)
        return logits

    def train(self, mode: bool = True) -> Trunk:
        super().train(mode)
        if self.frozen:
            self.network.eval()
            self._classifier().train(mode)
        return self

    def load_pretrained(self) -> None:
        """Takes timm's weights, which are downloaded or in its cache; the classifier stays random.

        Raises:
            LabError: neither is so.
        """
        try:
            with within_reach():
                trained = self._made(pretrained=True)
            self.network.load_state_dict(trained.state_dict())
        except (OSError, RuntimeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise LabError(
                f"no weights for timm:{self.name} ({reason[:200]}); where there is a network, run this once, "
                "or leave out pretrained"
            ) from None

    def _made(self, **settings: Any) -> Any:
        import timm

        return timm.create_model(self.name, **self.settings, **settings)

    def _classifier(self) -> Any:
        network: Any = self.network
        return network.get_classifier()
