"""Images from captions: denoising diffusion whose condition is a text, with classifier-free guidance.

Sources: those of `lab.vision.diffusion.denoiser`; Nichol et al., GLIDE: Towards photorealistic image generation and
editing with text-guided diffusion models, ICML 2022. A small Transformer reads the words, and one vector of the whole
caption enters each block of the U-Net; GLIDE's network also attends to the single words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from annotated_types import Gt
from torch import Tensor, nn
from torchmetrics import MeanMetric, MetricCollection

from lab import plots
from lab.data import seed_from
from lab.errors import BadInput, BadSetting, suggestion
from lab.learning import Stage
from lab.multimodal.clip.clip import prompts
from lab.multimodal.text_to_image import plots as draw
from lab.multimodal.text_to_image.judge import judge
from lab.networks import TextEncoder, upcast
from lab.task import Task
from lab.vision.data.image_data import ImageData
from lab.vision.diffusion.denoiser import Denoiser
from lab.vision.diffusion.unet import context_width
from lab.vision.gan.generative import SAMPLE, TEST


class TextToImage(Denoiser):
    """Noise (B, channels, size, size) in images at times (B,) whose captions (B, words) are known.

    Args:
        channels: channels of an image; a fact of the data.
        size: height and width of an image; a fact of the data.
        words: vocabulary of the captions; a fact of the data.
        caption_length: words of the longest caption; a fact of the data.
        pairs: pairs of colour and shape that captions name; a fact of the data.
        unseen: indices in `pairs` of those that occur only in the test; a fact of the data.
        text_width: size of a word's vector in the text encoder; a multiple of 4.
        text_depth: layers of the text encoder.
        guidance: weight of the condition in sampling; above 1 images differ less and suit it more, at twice the cost.
    """

    learnt_names = ("words",)

    def __init__(
        self,
        channels: int,
        size: int,
        words: list[str],
        caption_length: int,
        pairs: list[str],
        unseen: list[int],
        text_width: Annotated[int, Gt(0)] = 64,
        text_depth: Annotated[int, Gt(0)] = 1,
        guidance: Annotated[float, Gt(0)] = 3.0,
        **training: Any,
    ) -> None:
        super().__init__(channels, size, guidance=guidance, **training)
        if not words or not pairs:
            raise BadSetting("words", "this dataset has no captions of coloured shapes; use scenes16")
        if text_width % 4:
            raise BadSetting("text_width", f"expected a multiple of 4, found {text_width}")
        self.words, self.pairs, self.unseen, self.caption_length = words, pairs, unseen, caption_length
        text = TextEncoder(len(words), text_width, text_depth, caption_length, dropout=0.0)
        self.build(nn.Sequential(text, nn.Linear(text_width, context_width(self.widths))))
        names = ("color_accuracy", "shape_accuracy", "conditional_accuracy", "unseen_accuracy")
        self.accuracies = MetricCollection({name: MeanMetric() for name in names}, compute_groups=False)
        self.reference = self.accuracies.clone(prefix="reference/")
        noise = torch.randn(2, *self.shape, generator=torch.Generator().manual_seed(0))  # zeros have no variance
        captions = torch.ones(2, caption_length, dtype=torch.int64)
        self.example_input_array = noise, torch.zeros(2, dtype=torch.int64), captions

    def condition(self, batch: dict[str, Tensor]) -> Tensor | None:
        return batch["caption"]

    def prepare_data(self) -> None:
        judge(self.trainer.datamodule)  # type: ignore[attr-defined]

    def on_test_start(self) -> None:
        super().on_test_start()
        self.judge = judge(self.trainer.datamodule)  # type: ignore[attr-defined]
        self.judge.classifier.to(self.device)

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Asks for an image by each caption, with the same noise in every test, and judges true ones beside them."""
        super().test_step(batch, batch_idx)
        random = torch.Generator().manual_seed(seed_from(TEST, self.global_rank, batch_idx))
        made, pairs = upcast(self.denoised(batch["caption"], random)), batch["pair"]
        unseen = torch.isin(pairs, torch.tensor(self.unseen, dtype=torch.int64, device=self.device))
        for images, accuracies in ((made, self.accuracies), (batch["image"], self.reference)):
            right = self.judge.right(images, pairs).float()  # (B, 2)
            accuracies["color_accuracy"].update(right[:, 0])
            accuracies["shape_accuracy"].update(right[:, 1])
            accuracies["conditional_accuracy"].update(right.amin(1))
            accuracies["unseen_accuracy"].update(right.amin(1)[unseen])

    def compute_metrics(self, stage: Stage) -> Mapping[str, Any]:
        if stage == "val":
            return {}
        values = {**self.accuracies.compute(), **self.reference.compute()}
        return {name: value for name, value in values.items() if not value.isnan()}  # of no image at all

    def report(self) -> None:
        asked = prompts(self.pairs, self.words)
        captions = nn.functional.pad(asked, (0, self.caption_length - asked.shape[1])).to(self.device)
        images = self.denoised(captions, torch.Generator().manual_seed(1))
        plots.log_figure(self, "pairs.png", draw.pairs(images, self.pairs, self.unseen))

    @torch.inference_mode()
    def generate(self, caption: str, count: int = 1, seed: int = 0) -> Tensor:
        """New images (count, channels, size, size) from 0 to 1.

        Args:
            caption: such as `a red ring`, in words of the data.
            count: how many.
            seed: other images for another one.

        Raises:
            BadInput: there is no word, too many, or one that no caption had.
        """
        names = caption.split()
        for name in names:
            if name not in self.words:
                raise BadInput(f"no caption had the word {name!r}{suggestion(name, self.words[1:], 'the words are')}")
        if not 0 < len(names) <= self.caption_length:
            raise BadInput(f"expected a caption of 1 to {self.caption_length} words, found {len(names)}")
        tokens = torch.zeros(count, self.caption_length, dtype=torch.int64, device=self.device)
        tokens[:, : len(names)] = torch.tensor([self.words.index(name) for name in names])
        was = self.training
        images = self.eval().denoised(tokens, torch.Generator().manual_seed(seed_from(SAMPLE, seed))).float().cpu()
        self.train(was)
        return images


TASK = Task(
    module=TextToImage,
    data=ImageData,
    monitor="val/loss",
    mode="min",
    score="test/conditional_accuracy",
    score_mode="max",
)
