"""Any network of transformers that encodes images and texts into one space, with its weights: CLIP, SigLIP and more."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lab.multimodal.clip.network import captions_to_text
from lab.networks.transformers_model import building, import_transformers, model_folder, trained_weights

EXTRA = "clip"  # of torch-lab, which transformers comes with


class TransformersCLIP(nn.Module):
    """Images and captions -> vectors (B, embed_dim) of length 1; images are resized to what the network expects.

    Args:
        name: of a model in the cache of huggingface_hub, such as `openai/clip-vit-base-patch32`, or a folder with what
            transformers saves of one: its settings, its weights, its tokeniser, and what it does to pixels.
        vocabulary: the words of captions; word 0 is padding.

    Raises:
        BadSetting: transformers is not installed, the model is missing, or it has no shared embedding space.
    """

    def __init__(self, name: str, vocabulary: list[str]) -> None:
        super().__init__()
        transformers = import_transformers(name, EXTRA)
        self.name, self.vocabulary, self.folder = name, vocabulary, model_folder(name)
        with building(name):
            config: Any = transformers.AutoConfig.from_pretrained(self.folder, trust_remote_code=False)
            if type(config) not in transformers.MODEL_FOR_ZERO_SHOT_IMAGE_CLASSIFICATION_MAPPING:
                raise ValueError(
                    f"a model of type {config.model_type} has no shared embedding space of images and texts"
                )
            pixels: Any = transformers.ImageProcessingMixin.from_pretrained(self.folder)
            self.tokenizer: Any = transformers.AutoTokenizer.from_pretrained(self.folder, trust_remote_code=False)
            self.model: Any = transformers.AutoModel.from_config(config, dtype=torch.float32, trust_remote_code=False)
            self.mean, self.std = list(pixels.image_mean), list(pixels.image_std)
            self.size, self.max_length = config.vision_config.image_size, config.text_config.max_position_embeddings
            self.padding = "max_length" if config.model_type == "siglip" else "longest"  # as it was trained
            self._check()
            if hasattr(self.model, "logit_bias"):  # part of SigLIP's loss, which is not ours
                self.model.logit_bias.requires_grad_(False)

    @property
    def log_scale(self) -> nn.Parameter:
        """Logarithm of what inner products are multiplied by."""
        scale: nn.Parameter = self.model.logit_scale
        return scale

    def encode_image(self, images: Tensor) -> Tensor:
        """Normalised images (B, 3, H, W) -> (B, embed_dim)."""
        resized = F.interpolate(images, (self.size, self.size), mode="bicubic", antialias=True)
        return F.normalize(self.model.get_image_features(pixel_values=resized).pooler_output, dim=1)

    def encode_text(self, captions: Tensor) -> Tensor:
        """Token ids of our vocabulary (B, T) -> (B, embed_dim)."""
        texts = captions_to_text(captions, self.vocabulary)
        tokens = self.tokenizer(
            texts, padding=self.padding, truncation=True, max_length=self.max_length, return_tensors="pt"
        )
        return F.normalize(self.model.get_text_features(**tokens.to(captions.device)).pooler_output, dim=1)

    def load_pretrained(self) -> None:
        """Loads the weights, which lie beside the settings.

        Raises:
            LabError: they do not, or are those of another network.
        """
        auto = import_transformers(self.name, EXTRA).AutoModel
        self.model.load_state_dict(trained_weights(auto, self.name, self.folder))

    def _check(self) -> None:
        """Encodes an image and all words, so that what is missing is reported before training.

        Raises:
            ValueError: it is no CLIP, or its tokeniser came without its vocabulary.
        """
        if not hasattr(self.model, "logit_scale"):
            raise ValueError("it has no learned temperature")
        tokens = self.tokenizer(self.vocabulary[1:])["input_ids"]
        if len(set(map(tuple, tokens))) < len(tokens):
            raise ValueError("its tokenizer gives different words the same ids; is its file missing?")
        with torch.inference_mode():
            self.eval().encode_image(torch.zeros(1, 3, self.size, self.size))
            self.train().encode_text(torch.ones(1, 1, dtype=torch.long))
