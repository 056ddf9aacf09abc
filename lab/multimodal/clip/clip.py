"""Images and captions in one space: learnt from pairs of both, and asked for classes that no label ever named.

Source: Radford et al., Learning transferable visual models from natural language supervision, ICML 2021. Deviations:
where a batch holds a caption twice, either of its images may have it; in the place of some captions stands a prompt,
such as the test chooses among; weight decay spares nothing.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix

from lab import plots
from lab.errors import BadSetting
from lab.learning.supervised import Descent, Figures, Schedule
from lab.multimodal.clip import plots as pictures
from lab.multimodal.clip.contrastive import Retrieval, contrastive, same_captions
from lab.multimodal.clip.network import CLIP, captions_to_text
from lab.multimodal.clip.open_clip import OPEN_CLIP, OpenCLIP
from lab.multimodal.clip.transformers_clip import TRANSFORMERS, TransformersCLIP
from lab.task import Task, Unit
from lab.vision.data.image_data import ImageData
from lab.vision.networks.normalise import Normalise

MOST = 100.0  # that inner products are multiplied by


class Clip(Descent):
    """Images (B, channels, size, size), from 0 to 1 -> logits (B, pairs) of the prompts `a red circle` and so on.

    Args:
        channels: of an image; a fact of the data.
        size: height and width of an image; a fact of the data.
        words: what captions are made of; a fact of the data.
        pairs: what a prompt asks for, each a colour and a shape; a fact of the data.
        unseen: places in `pairs` of those that occur in the test alone; a fact of the data.
        mean: of the pixels, for each channel; a fact of the data.
        std: standard deviation of the pixels; a fact of the data.
        network: cnn, a small CNN beside a small Transformer; any of open_clip's, such as open_clip:ViT-B-32; or one of
            transformers with its weights, such as transformers:openai/clip-vit-base-patch32, or a folder with one.
        pretrained: begin with these weights of open_clip for its network, such as openai, or with those of a file.
        dim: of the space that images and captions share, for the network cnn.
        prompted: share of the training captions that are replaced by the prompt of the image's pair.
        lr: learning rate of AdamW.
        final_lr: learning rate at the end of the run, as a fraction of `lr`.
        schedule: how it gets there, along half a cosine or a line.
        weight_decay: decoupled weight decay of AdamW.
    """

    prompts: Tensor

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
        dim: Annotated[int, Gt(0)] = 64,
        prompted: Unit = 0.5,
        lr: Annotated[float, Gt(0)] = 1e-3,
        final_lr: Unit = 0.0,
        schedule: Schedule = "cosine",
        weight_decay: Annotated[float, Ge(0)] = 0.01,
    ) -> None:
        named = network.startswith(TRANSFORMERS)  # where a name is that of trained weights
        super().__init__(lr, final_lr, schedule, weight_decay, pretrained=named or pretrained is not None)
        self.save_hyperparameters()
        if not words:
            raise BadSetting("words", "this set has no captions to learn from; scenes and scenes100 have")
        if pretrained is not None and named:
            raise BadSetting("pretrained", f"{network} comes with its own weights; leave it out")
        if pretrained is not None and network == "cnn":
            raise BadSetting("pretrained", "there are no pretrained weights for cnn; networks of open_clip have some")
        self.prompted, self.words, self.pairs, self.unseen = prompted, words, pairs, unseen
        made: CLIP | OpenCLIP | TransformersCLIP
        if network == "cnn":
            made = CLIP(channels, len(words), dim).to(memory_format=torch.channels_last)
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
        self.normalise = Normalise(channels, size, mean, std)
        self.register_buffer("prompts", prompts(pairs, words), persistent=False)  # (pairs, 3)
        self.mean_loss, self.retrieval = MeanMetric(), Retrieval()
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

    def learn(self, batch: dict[str, Tensor], done: float) -> tuple[Tensor, Figures]:  # noqa: ARG002
        with torch.no_grad():
            self.network.log_scale.clamp_(max=math.log(MOST))
        captions = batch["caption"]
        asked = F.pad(self.prompts, (0, captions.shape[1] - self.prompts.shape[1]))[batch["pair"]]
        replaced = torch.rand(len(captions), 1, device=captions.device) < self.prompted
        images, texts, same = self._together(batch["image"], torch.where(replaced, asked, captions))
        return contrastive(images, texts, same, self.scale), lambda: {
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
        return self.network.encode_image(self.normalise(images)).float(), self.network.encode_text(captions).float()

    def validation_step(self, batch: dict[str, Tensor]) -> None:
        self._measure(batch)

    def on_validation_epoch_end(self) -> None:
        self._log("val")

    def on_test_start(self) -> None:
        self.shown: list[dict[str, Tensor]] = []

    def test_step(self, batch: dict[str, Tensor]) -> None:
        found = self._measure(batch)
        if sum(len(each["image"]) for each in self.shown) < pictures.GALLERY:
            self.shown.append({name: values.cpu() for name, values in (batch | found).items()})

    def on_test_epoch_end(self) -> None:
        counts = self._log("test").cpu()  # on every process, since it waits for all of them
        shown = {name: torch.cat([each[name] for each in self.shown]) for name in self.shown[0]}
        said = captions_to_text(shown["caption"], self.words)
        plots.log_figure(self, "pairs.png", pictures.pairs(counts, self.pairs, self.unseen))
        plots.log_figure(self, "zero_shot.png", pictures.zero_shot(shown, self.pairs, self.unseen))
        plots.log_figure(self, "similarity.png", pictures.similarity(shown, said))
        plots.log_figure(self, "text_to_image.png", pictures.text_to_image(shown, said))
        plots.log_figure(self, "image_to_text.png", pictures.image_to_text(shown, said))

    def _measure(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Takes a batch into the metrics; vectors of images and texts, each (B, dim), and probabilities (B, pairs)."""
        captions, asked = batch["caption"], self.network.encode_text(self.prompts).float()
        seen, read = self._encoded(batch["image"], captions)
        logits = self.scale * seen @ asked.T
        self.mean_loss.update(contrastive(seen, read, same_captions(captions), self.scale), len(captions))
        self.retrieval.update(seen, read, captions)
        self.top5.update(logits, batch["pair"])
        self.confusion.update(logits, batch["pair"])
        return {"seen": seen, "read": read, "probabilities": logits.softmax(1)}

    def _log(self, part: str) -> Tensor:
        """How often each pair was taken for each: (pairs, pairs)."""
        counts: Tensor = self.confusion.compute()
        found: dict[str, Any] = {"loss": self.mean_loss.compute(), "zero_shot": accuracy(counts)}
        found |= {"zero_shot_top5": self.top5.compute(), **self.retrieval.compute()}
        if part == "test" and self.unseen:
            new = torch.zeros(len(self.pairs), dtype=torch.bool).index_fill(0, torch.tensor(self.unseen), True)
            found |= {"zero_shot_unseen": accuracy(counts, new), "zero_shot_seen": accuracy(counts, ~new)}
        for metric in (self.mean_loss, self.top5, self.retrieval, self.confusion):
            metric.reset()
        self.log_dict({f"{part}/{name}": value for name, value in found.items()}, sync_dist=True)
        return counts


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
