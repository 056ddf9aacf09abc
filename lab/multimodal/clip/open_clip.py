"""Any network of open_clip: a CLIP of full size, and most of them with weights from millions of photographs."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from lab.errors import BadSetting, LabError, nearest
from lab.multimodal.clip.network import spoken
from lab.vision.networks.hub import within_reach

OPEN_CLIP = "open_clip:"


class OpenCLIP(nn.Module):
    """Images and captions -> vectors (B, dim) of length 1; images are made as large as the network wants them.

    Args:
        name: as open_clip lists it, such as `ViT-B-32`.
        words: what captions are made of; word 0 fills up a caption.
        pretrained: which of open_clip's weights for it, or the path of a file with such; None leaves it random.

    Raises:
        BadSetting: open_clip is not installed, or has no such network or weights.
    """

    def __init__(self, name: str, words: list[str], pretrained: str | None) -> None:
        super().__init__()
        try:
            import open_clip
        except ImportError:
            needs = "needs a package that is not installed: pip install 'torch-lab[clip]'"
            raise BadSetting("network", f"{OPEN_CLIP}{name} {needs}") from None
        models, tags = open_clip.list_models(), open_clip.list_pretrained_tags_by_model(name)
        if name not in models:
            close = nearest(name, models).replace("mean '", f"mean '{OPEN_CLIP}")
            raise BadSetting("network", f"open_clip has no network {name!r}{close}")
        if pretrained is not None and pretrained not in tags and not Path(pretrained).is_file():
            known = nearest(pretrained, tags) or f"; it has {', '.join(tags) or 'none'}"
            raise BadSetting("pretrained", f"no file and no weights {pretrained!r} of {OPEN_CLIP}{name}{known}")
        self.name, self.pretrained, self.words = name, pretrained, words
        try:
            self.model = self._made()
            self.tokens: Any = open_clip.get_tokenizer(name)
        except (OSError, RuntimeError, ImportError) as error:  # some read their text by a network of transformers
            reason = " ".join(str(error).split())
            raise BadSetting("network", f"{OPEN_CLIP}{name} cannot be built here: {reason[:200]}") from None
        trained = open_clip.get_pretrained_cfg(name, pretrained or "")
        self.mean: list[float] = list(trained.get("mean", open_clip.OPENAI_DATASET_MEAN))
        self.std: list[float] = list(trained.get("std", open_clip.OPENAI_DATASET_STD))

    @property
    def log_scale(self) -> nn.Parameter:
        """Logarithm of what inner products are multiplied by."""
        found: nn.Parameter = self.model.logit_scale
        return found

    def images(self, images: Tensor) -> Tensor:
        """Normalised images (B, 3, H, W) -> (B, dim)."""
        size = self.model.visual.image_size
        whole = F.interpolate(images, size, mode="bicubic", antialias=True)
        vectors: Tensor = self.model.encode_image(whole, normalize=True)
        return vectors

    def texts(self, captions: Tensor) -> Tensor:
        """Places in the list of words (B, T) -> (B, dim)."""
        read = self.tokens(spoken(captions, self.words)).to(captions.device)
        vectors: Tensor = self.model.encode_text(read, normalize=True)
        return vectors

    def load_pretrained(self) -> None:
        """Takes the weights, which are a file, or downloaded, or in open_clip's cache.

        Raises:
            LabError: they are nowhere, or of another network.
        """
        try:
            with within_reach():
                trained = self._made(pretrained=self.pretrained)
            self.model.load_state_dict(trained.state_dict())
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())
            raise LabError(
                f"no weights {self.pretrained} for {OPEN_CLIP}{self.name} ({reason[:200]}); where there is a network, "
                "run this once, or name a file by model.pretrained"
            ) from None

    def _made(self, **settings: Any) -> Any:
        import open_clip

        # random weights are meant, and what is wrong with others is part of the error
        unsaid = logging.ERROR if settings else logging.WARNING

        def worth_saying(record: logging.LogRecord) -> bool:
            return record.levelno != unsaid

        logging.root.addFilter(worth_saying)
        try:
            return open_clip.create_model(self.name, pretrained_text=False, **settings)
        finally:
            logging.root.removeFilter(worth_saying)
