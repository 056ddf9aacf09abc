"""Any network of timm as a classifier, with random or pretrained weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lab.errors import BadSetting, nearest
from lab.networks import pretrained_weights


class TimmClassifier(nn.Module):
    """A timm network with a classifier of our size in the place of its own.

    Args:
        name: as timm lists it, such as `resnet18`.
        channels: of an image; timm adapts the first layer, weights included.
        size: height and width of an image.
        classes: logits.
        frozen: train the classifier alone; normalisation then keeps the statistics of the pretrained weights.

    Raises:
        BadSetting: timm has no such network, or it cannot take such images.
    """

    def __init__(self, name: str, channels: int, size: int, classes: int, frozen: bool = False) -> None:
        super().__init__()
        import timm

        if not timm.is_model(name):
            close = nearest(name, timm.list_models(), "timm:")
            raise BadSetting("network", f"timm has no network {name!r}{close}")
        self.name, self.frozen = name, frozen
        self.settings: dict[str, Any] = {"in_chans": channels, "num_classes": classes, "img_size": size}
        try:
            try:
                self.network = self._create()
            except TypeError:  # most take images of any size, and no such argument
                del self.settings["img_size"]
                self.network = self._create()
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

    def train(self, mode: bool = True) -> TimmClassifier:
        super().train(mode)
        if self.frozen:
            self.network.eval()
            self._classifier().train(mode)
        return self

    def load_pretrained(self) -> None:
        """Loads timm's weights, which are downloaded or in its cache; the classifier stays random.

        Raises:
            LabError: they are in neither place.
        """
        with pretrained_weights(f"timm:{self.name}", otherwise="leave out pretrained"):
            trained = self._create(pretrained=True)
            self.network.load_state_dict(trained.state_dict())

    def _create(self, **settings: Any) -> Any:
        import timm

        return timm.create_model(self.name, **self.settings, **settings)

    def _classifier(self) -> Any:
        network: Any = self.network
        return network.get_classifier()
