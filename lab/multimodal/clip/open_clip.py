"""Any network of open_clip: CLIP in full size, most of them with weights trained on millions of photographs."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from lab.errors import BadSetting, nearest, suggestion
from lab.multimodal.clip.network import captions_to_text
from lab.networks import pretrained_weights

OPEN_CLIP = "open_clip:"


class OpenCLIP(nn.Module):
    """Images and captions -> vectors (B, embed_dim) of length 1; images are resized to what the network expects.

    Args:
        name: as open_clip lists it, such as `ViT-B-32`.
        vocabulary: the words of captions; word 0 is padding.
        pretrained: which of open_clip's weights for it, or the path of a file with such; None leaves it random.

    Raises:
        BadSetting: open_clip is not installed, or has no such network or weights.
    """

    def __init__(self, name: str, vocabulary: list[str], pretrained: str | None) -> None:
        super().__init__()
        try:
            import open_clip
        except ImportError:
            needs = "needs a package that is not installed: pip install 'torch-lab[clip]'"
            raise BadSetting("network", f"{OPEN_CLIP}{name} {needs}") from None
        models, tags = open_clip.list_models(), open_clip.list_pretrained_tags_by_model(name)
        if name not in models:
            close = nearest(name, models, OPEN_CLIP)
            raise BadSetting("network", f"open_clip has no network {name!r}{close}")
        if pretrained is not None and pretrained not in tags and not Path(pretrained).is_file():
            known = suggestion(pretrained, tags, "it has")
            raise BadSetting("pretrained", f"no file and no weights {pretrained!r} of {OPEN_CLIP}{name}{known}")
        self.name, self.pretrained, self.vocabulary = name, pretrained, vocabulary
        try:
            self.model = self._create()
            self.tokenizer: Any = open_clip.get_tokenizer(name)
        except (OSError, RuntimeError, ImportError) as error:  # some have a text encoder of transformers
            reason = " ".join(str(error).split())
            raise BadSetting("network", f"{OPEN_CLIP}{name} cannot be built here: {reason[:200]}") from None
        trained = open_clip.get_pretrained_cfg(name, pretrained or "")
        self.mean: list[float] = list(trained.get("mean", open_clip.OPENAI_DATASET_MEAN))
        self.std: list[float] = list(trained.get("std", open_clip.OPENAI_DATASET_STD))

    @property
    def log_scale(self) -> nn.Parameter:
        """Logarithm of what inner products are multiplied by."""
        scale: nn.Parameter = self.model.logit_scale
        return scale

    def encode_image(self, images: Tensor) -> Tensor:
        """Normalised images (B, 3, H, W) -> (B, embed_dim)."""
        size = self.model.visual.image_size
        resized = F.interpolate(images, size, mode="bicubic", antialias=True)
        vectors: Tensor = self.model.encode_image(resized, normalize=True)
        return vectors

    def encode_text(self, captions: Tensor) -> Tensor:
        """Token ids of our vocabulary (B, T) -> (B, embed_dim)."""
        tokens = self.tokenizer(captions_to_text(captions, self.vocabulary)).to(captions.device)
        vectors: Tensor = self.model.encode_text(tokens, normalize=True)
        return vectors

    def load_pretrained(self) -> None:
        """Loads the weights, which are a file, or downloaded, or in open_clip's cache.

        Raises:
            LabError: they are nowhere, or of another network.
        """
        name = f"{OPEN_CLIP}{self.name}, {self.pretrained}"
        with pretrained_weights(name, otherwise="name a file by model.pretrained"):
            trained = self._create(pretrained=self.pretrained)
            self.model.load_state_dict(trained.state_dict())

    def _create(self, **settings: Any) -> Any:
        import open_clip

        # no warning of random weights, which are intended, nor of others whose fault is part of our error
        hidden = logging.ERROR if settings else logging.WARNING

        def shown(record: logging.LogRecord) -> bool:
            return record.levelno != hidden

        logging.root.addFilter(shown)
        try:
            return open_clip.create_model(self.name, pretrained_text=False, **settings)
        finally:
            logging.root.removeFilter(shown)
