"""Any network of transformers whose images and texts meet in one space, with its weights: CLIP, SigLIP and more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lab.errors import BadSetting, LabError
from lab.multimodal.clip.network import spoken

TRANSFORMERS = "transformers:"
REFUSALS = (OSError, RuntimeError, ValueError, TypeError, KeyError, AttributeError, ImportError)  # of their classes


class TransformersCLIP(nn.Module):
    """Images and captions -> vectors (B, dim) of length 1; images are made as large as the network wants them.

    Args:
        name: of a model in the cache of huggingface_hub, such as `openai/clip-vit-base-patch32`, or a folder with what
            transformers saves of one: its settings, its weights, its tokeniser, and what it does to pixels.
        words: what captions are made of; word 0 fills up a caption.

    Raises:
        BadSetting: transformers is not installed, the model is not here, or images and texts do not meet in it.
    """

    def __init__(self, name: str, words: list[str]) -> None:
        super().__init__()
        try:
            import transformers
        except ImportError:
            needs = "needs a package that is not installed: pip install 'torch-lab[clip]'"
            raise BadSetting("network", f"{TRANSFORMERS}{name} {needs}") from None
        transformers.utils.logging.disable_progress_bar()
        self.name, self.words, self.folder = name, words, folder(name)
        try:
            config: Any = transformers.AutoConfig.from_pretrained(self.folder, trust_remote_code=False)
            if type(config) not in transformers.MODEL_FOR_ZERO_SHOT_IMAGE_CLASSIFICATION_MAPPING:
                raise ValueError(f"images and texts do not meet in a model of type {config.model_type}")
            pixels: Any = transformers.ImageProcessingMixin.from_pretrained(self.folder)
            self.tokens: Any = transformers.AutoTokenizer.from_pretrained(self.folder, trust_remote_code=False)
            self.model: Any = transformers.AutoModel.from_config(config, dtype=torch.float32, trust_remote_code=False)
            self.mean, self.std = list(pixels.image_mean), list(pixels.image_std)
            self.size, self.longest = config.vision_config.image_size, config.text_config.max_position_embeddings
            self.padding = "max_length" if config.model_type == "siglip" else "longest"  # as it was trained
            self._try()
            if hasattr(self.model, "logit_bias"):  # of a loss that judges each pair by itself
                self.model.logit_bias.requires_grad_(False)
        except REFUSALS as error:
            raise BadSetting("network", f"{TRANSFORMERS}{name} cannot be built here: {_short(error)}") from None

    @property
    def log_scale(self) -> nn.Parameter:
        """Logarithm of what inner products are multiplied by."""
        found: nn.Parameter = self.model.logit_scale
        return found

    def images(self, images: Tensor) -> Tensor:
        """Normalised images (B, 3, H, W) -> (B, dim)."""
        whole = F.interpolate(images, (self.size, self.size), mode="bicubic", antialias=True)
        return F.normalize(self.model.get_image_features(pixel_values=whole).pooler_output, dim=1)

    def texts(self, captions: Tensor) -> Tensor:
        """Places in the list of words (B, T) -> (B, dim)."""
        said = spoken(captions, self.words)
        read = self.tokens(said, padding=self.padding, truncation=True, max_length=self.longest, return_tensors="pt")
        return F.normalize(self.model.get_text_features(**read.to(captions.device)).pooler_output, dim=1)

    def load_pretrained(self) -> None:
        """Takes the weights, which lie beside the settings.

        Raises:
            LabError: they do not, or are those of another network.
        """
        import transformers

        try:
            trained, found = transformers.AutoModel.from_pretrained(
                self.folder, dtype=torch.float32, trust_remote_code=False, output_loading_info=True
            )
            if found["missing_keys"]:
                raise ValueError(f"they lack {min(found['missing_keys'])}")
            self.model.load_state_dict(trained.state_dict())
        except REFUSALS as error:
            raise LabError(f"no weights for {TRANSFORMERS}{self.name} in {self.folder}: {_short(error)}") from None

    def _try(self) -> None:
        """Shows it an image and all words, so that what it lacks comes to light before training.

        Raises:
            ValueError: it is of another make, or its tokeniser came without its words.
        """
        if not hasattr(self.model, "logit_scale"):
            raise ValueError("it has no learned scale of inner products")
        read = self.tokens(self.words[1:])["input_ids"]
        if len(set(map(tuple, read))) < len(read):
            raise ValueError("its tokeniser does not tell the words of the captions apart; is its file missing?")
        with torch.inference_mode():
            self.eval().images(torch.zeros(1, 3, self.size, self.size))
            self.train().texts(torch.ones(1, 1, dtype=torch.long))


def folder(name: str) -> str:
    """Where the files of a model are.

    Raises:
        BadSetting: nowhere on this machine.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    if Path(name).is_dir():
        return name
    try:
        return snapshot_download(name, local_files_only=True)
    except HFValidationError:
        raise BadSetting("network", f"no folder {name!r}, and no model can have that name") from None
    except LocalEntryNotFoundError:
        where = "is no folder, and not in the cache of huggingface_hub"
        raise BadSetting("network", f"{name} {where}; where there is a network: hf download {name}") from None


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
