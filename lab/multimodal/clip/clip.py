"""CLIP: contrastive training of an image and a text encoder, with zero-shot classification and retrieval.

Source: Radford et al., Learning transferable visual models from natural language supervision, ICML 2021. Deviations:
where a batch holds a caption twice, either of its images may have it; in the place of some captions stands a prompt,
such as the test chooses among; weight decay takes all weights by default.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

import torch
from annotated_types import Gt
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix

from lab import plots
from lab.errors import BadSetting
from lab.learning import LazyMetrics, Stage, SupervisedModule
from lab.multimodal.clip import plots as draw
from lab.multimodal.clip.contrastive import Retrieval, contrastive_loss, same_captions
from lab.multimodal.clip.network import CLIP, captions_to_text
from lab.multimodal.clip.open_clip import OPEN_CLIP, OpenCLIP
from lab.multimodal.clip.transformers_clip import TransformersCLIP
from lab.networks import upcast
from lab.networks.transformers_model import TRANSFORMERS
from lab.task import Task, Unit
from lab.vision.data.image_data import ImageData
from lab.vision.networks.normalize import Normalize

MOST = 100.0  # that inner products are multiplied by


class Clip(SupervisedModule):
    """CLIP on images (B, channels, size, size) in [0, 1]; returns logits (B, pairs) of prompts such as `a red circle`.

    Args:
        channels: channels of an image; a fact of the data.
        size: height and width of an image; a fact of the data.
        words: vocabulary of the captions; a fact of the data.
        pairs: pairs of colour and shape for the prompts; a fact of the data.
        unseen: indices in `pairs` of those that occur only in the test; a fact of the data.
        mean: mean of the pixels of each channel; a fact of the data.
        std: standard deviation of the pixels of each channel; a fact of the data.
        network: cnn, a small CNN with a small text Transformer; a model of open_clip, such as open_clip:ViT-B-32; or a
            model of transformers with its weights, such as transformers:openai/clip-vit-base-patch32, or a folder with
            one.
        pretrained: pretrained weights of open_clip for its network, such as openai, or a file.
        embed_dim: size of the embeddings of the network cnn.
        prompt_prob: probability of replacing a training caption by the prompt of the image's pair.
    """

    prompts: Tensor
    num_first_examples = draw.SHOWN

    def __init__(
        self,
        channels: int,
        size: int,
        words: list[str],
        pairs: list[str],
        unseen: list[int],
        mean: list[float],
        std: list[float],
        network: str = "cnn",
        pretrained: str | None = None,
        embed_dim: Annotated[int, Gt(0)] = 64,
        prompt_prob: Unit = 0.5,
        **training: Any,
    ) -> None:
        named = network.startswith(TRANSFORMERS)  # where a name is that of trained weights
        super().__init__(**training)
        self.pretrained_wanted = named or pretrained is not None
        if not words:
            raise BadSetting("words", "this dataset has no captions; use scenes or scenes100")
        if pretrained is not None and named:
            raise BadSetting("pretrained", f"{network} comes with its own weights; leave it out")
        if pretrained is not None and network == "cnn":
            raise BadSetting("pretrained", "there are no pretrained weights for cnn; networks of open_clip have some")
        self.prompt_prob, self.words, self.pairs, self.unseen = prompt_prob, words, pairs, unseen
        made: CLIP | OpenCLIP | TransformersCLIP
        if network == "cnn":
            made = CLIP(channels, len(words), embed_dim).to(memory_format=torch.channels_last)
            self.example_input_array = torch.zeros(1, channels, size, size)
        elif network.startswith(OPEN_CLIP):
            made = OpenCLIP(network.removeprefix(OPEN_CLIP), words, pretrained)
            mean, std = made.mean, made.std
        elif named:
            made = TransformersCLIP(network.removeprefix(TRANSFORMERS), words)
            mean, std = made.mean, made.std
        else:
            known = f"known are cnn, {OPEN_CLIP}NAME and {TRANSFORMERS}NAME"
            raise BadSetting("network", f"no network {network!r}; {known}")
        self.network = made
        self.normalise = Normalize(channels, size, mean, std)
        self.register_buffer("prompts", prompts(pairs, words), persistent=False)  # (pairs, 3)
        self.retrieval = Retrieval()
        self.top5 = MulticlassAccuracy(len(pairs), top_k=5, average="micro", validate_args=False)
        self.confusion = MulticlassConfusionMatrix(len(pairs), validate_args=False)

    def compile(self, *words: object, **settings: object) -> None:
        whole = self.network if isinstance(self.network, CLIP) else self.network.model
        for part in whole.children():  # it has two ways through it, and none that both take
            part.compile(*words, **settings)

    def forward(self, images: Tensor) -> Tensor:
        seen = self.network.encode_image(self.normalise(images))  # (B, dim)
        logits: Tensor = self.scale * seen @ self.network.encode_text(self.prompts).T
        return logits

    @property
    def scale(self) -> Tensor:
        """One over the temperature."""
        return self.network.log_scale.exp()

    def training_loss(self, batch: dict[str, Tensor], progress: float) -> tuple[Tensor, LazyMetrics]:  # noqa: ARG002
        with torch.no_grad():
            self.network.log_scale.clamp_(max=math.log(MOST))
        captions = batch["caption"]
        asked = F.pad(self.prompts, (0, captions.shape[1] - self.prompts.shape[1]))[batch["pair"]]
        replaced = torch.rand(len(captions), 1, device=captions.device) < self.prompt_prob
        images, texts, same = self._together(batch["image"], torch.where(replaced, asked, captions))
        return contrastive_loss(images, texts, same, self.scale), lambda: {
            "train/accuracy": same.gather(1, (images @ texts.T).argmax(1, keepdim=True)).float().mean(),
            "train/scale": self.scale,
        }

    def _together(self, images: Tensor, captions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of all processes: vectors of images and texts, each (B, dim), and which captions are one, (B, B)."""
        seen, read = self._encoded(images, captions)
        if self.trainer.world_size > 1:  # negatives of all processes, each of which gets its share of the gradient
            seen, read, captions = (
                torch.as_tensor(self.all_gather(each, sync_grads=each.requires_grad)).flatten(0, 1)
                for each in (seen, read, captions)
            )
        return seen, read, same_captions(captions)

    def _encoded(self, images: Tensor, captions: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors of images and texts, each (B, dim), of length 1."""
        return upcast(self.network.encode_image(self.normalise(images))), upcast(self.network.encode_text(captions))

    def evaluate_batch(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        captions, prompts = batch["caption"], upcast(self.network.encode_text(self.prompts))
        images, texts = self._encoded(batch["image"], captions)
        logits = self.scale * images @ prompts.T
        self.retrieval.update(images, texts, captions)
        self.top5.update(logits, batch["pair"])
        self.confusion.update(logits, batch["pair"])
        loss = contrastive_loss(images, texts, same_captions(captions), self.scale).expand(len(captions))
        vectors = {"image_vector": images, "text_vector": texts, "probabilities": logits.softmax(1)}
        return {"loss": loss, **{name: values.cpu() for name, values in (batch | vectors).items()}}

    def compute_metrics(self, stage: Stage) -> dict[str, Any]:
        counts: Tensor = self.confusion.compute()
        values: dict[str, Any] = {"zero_shot": accuracy(counts), "zero_shot_top5": self.top5.compute()}
        values |= self.retrieval.compute()
        if stage == "test" and self.unseen:
            new = torch.zeros(len(self.pairs), dtype=torch.bool).index_fill(0, torch.tensor(self.unseen), True)
            values |= {"zero_shot_unseen": accuracy(counts, new), "zero_shot_seen": accuracy(counts, ~new)}
        return values

    def report(self) -> None:
        counts, shown = self.confusion.compute().cpu(), self.examples.first
        captions = captions_to_text(shown["caption"], self.words)
        plots.log_figure(self, "pairs.png", draw.pairs(counts, self.pairs, self.unseen))
        plots.log_figure(self, "zero_shot.png", draw.zero_shot(shown, self.pairs, self.unseen))
        plots.log_figure(self, "similarity.png", draw.similarity(shown, captions))
        plots.log_figure(self, "text_to_image.png", draw.text_to_image(shown, captions))
        plots.log_figure(self, "image_to_text.png", draw.image_to_text(shown, captions))


def prompts(pairs: list[str], words: list[str]) -> Tensor:
    """Such as `an orange star`, as places in the list of words: (pairs, 3)."""
    place = {word: i for i, word in enumerate(words)}
    asked = [("an" if pair[0] in "aeiou" else "a", *pair.split()) for pair in pairs]
    return torch.tensor([[place[word] for word in prompt] for prompt in asked])


def accuracy(counts: Tensor, rows: Tensor | None = None) -> Tensor:
    """The share on the diagonal of a confusion matrix (K, K), of the classes in `rows` alone."""
    chosen = slice(None) if rows is None else rows.to(counts.device)
    return counts.diagonal()[chosen].sum() / counts[chosen].sum().clamp(min=1)


TASK = Task(module=Clip, data=ImageData, monitor="val/loss", mode="min")  # recall of few images is coarse
