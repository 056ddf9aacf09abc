"""Captions: a sentence about an image or a clip, by an encoder and a decoder with or without attention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Le, Lt
from torch import Tensor
from torch.nn import functional as F
from torchmetrics import MeanMetric
from torchmetrics.text import BLEUScore

from lab import plots
from lab.data import Batch
from lab.errors import BadSetting
from lab.learning import Stage, SupervisedModule, mean_of_known
from lab.multimodal.captions import plots as draw
from lab.multimodal.captions.network import CaptionNetwork, DecoderName, ImagePlaces
from lab.multimodal.captions.pointing import pointing_hits
from lab.multimodal.captions.words import WordDetector, recolored
from lab.multimodal.clip.network import captions_to_text
from lab.multimodal.clips.clip_data import ClipData
from lab.multimodal.clips.network import ClipEncoder, NormalizeClips, TemporalName
from lab.multimodal.places import COLORS
from lab.task import Task
from lab.text.tokenizer import BEGIN, END, PAD
from lab.vision.data.image_data import ImageData
from lab.vision.networks.normalize import Normalize

SHIFT = END  # a token is the place of its word and so many more, because padding, beginning and end come first


class Caption(SupervisedModule):
    """log p (B, L, tokens) of the token behind each token of captions (B, L), for images or clips in [0, 1].

    Captions are written word by word, each time the most probable one. An exact match is a caption that is right as a
    whole.

    Args:
        channels: channels of an image; a fact of the data.
        size: height and width of an image; a fact of the data.
        words: vocabulary of the captions; a fact of the data.
        caption_length: words of the longest caption; a fact of the data.
        pairs: pairs of colour and shape that captions name; a fact of the data.
        unseen: indices in `pairs` of those that occur only in the test; a fact of the data.
        mean: mean of the pixels of each channel; a fact of the data.
        std: standard deviation of the pixels of each channel; a fact of the data.
        frames: frames of a clip, 0 for images; a fact of the data.
        network: lstm, which reads one vector of the whole; lstm_attention, which looks at a place or a frame for each
            word; or transformer, which does so in every layer.
        temporal: how frames of a clip are put together: mean, lstm or attention (default).
        hidden: size of embeddings, states and vectors of places; a multiple of 4.
        width: channels of the first convolution of the encoder; its maps have four times as many.
        depth: layers of the decoder.
        dropout: dropout of the embeddings and of the outputs of layers.
        word_dropout: share of the words before the next one that are hidden in training, so that it is read from the
            image instead of guessed from them: without it no pair of words is written that no caption had.
        pretrain_fraction: share of the run, at its beginning, in which the encoder alone learns which words of its
            caption an image shows, or one frame of a clip: colours and shapes, where the data say which words these
            are, else all. 0 trains its convolutions with the decoder alone.
        word_loss_coef: weight of that loss in the rest of the run, beside the captions', when the convolutions learn
            from both; 0 keeps them as they are.
        initial_state: whether an LSTM begins with a state that is made from the places or frames, instead of zeros, so
            that it knows where things are before it looks at one of them.
        recolor: whether the encoder learns shapes from images whose channels are swapped and inverted, so that it takes
            no shape to have some colours only. It has no effect where the data do not say which words are colours.
        lr: learning rate of the optimizer.
        weight_decay: decoupled weight decay for adamw, an L2 penalty for the others.
        warmup: linear warm-up of the learning rate, as a fraction of the run (below 1) or a number of steps.
    """

    num_first_examples = draw.EXAMPLES
    num_worst_examples = draw.WORST
    learnt_names = ("words",)
    trains_in_phases = True

    def __init__(
        self,
        channels: int,
        size: int,
        words: list[str],
        caption_length: int,
        pairs: list[str],
        unseen: list[int],
        mean: list[float],
        std: list[float],
        frames: int = 0,
        network: DecoderName = "lstm_attention",
        temporal: TemporalName | None = None,
        hidden: Annotated[int, Gt(0)] = 128,
        width: Annotated[int, Gt(0)] = 16,
        depth: Annotated[int, Gt(0)] = 1,
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.1,
        word_dropout: Annotated[float, Ge(0), Le(1)] = 0.5,
        pretrain_fraction: Annotated[float, Ge(0), Lt(1)] = 0.5,
        word_loss_coef: Annotated[float, Ge(0)] = 0.0,
        initial_state: bool = False,
        recolor: bool = True,
        lr: Annotated[float, Gt(0)] = 5e-3,
        weight_decay: Annotated[float, Ge(0)] = 0.01,
        warmup: Annotated[float, Ge(0)] = 0.05,
        **training: Any,
    ) -> None:
        super().__init__(lr, weight_decay=weight_decay, warmup=warmup, **training)
        if not words:
            known = "moving, or a CSV file of videos" if frames else "scenes48, or the dataset captions for your own"
            raise BadSetting("words", f"this dataset has no captions; use {known}")
        if hidden % 4:
            raise BadSetting("hidden", f"expected a multiple of 4, found {hidden}")
        if temporal is not None and not frames:
            raise BadSetting("temporal", "images have no frames; leave it out")
        self.word_dropout, self.pretrain_fraction = word_dropout, pretrain_fraction
        self.word_loss_coef = word_loss_coef
        self.recolor = recolor and len(pairs) > 0
        self.words, self.max_length = words, caption_length + 2
        self.inputs = "clip" if frames else "image"
        encoder: ImagePlaces | ClipEncoder
        fixed = pretrain_fraction > 0 and not word_loss_coef  # its convolutions were trained before
        if frames:
            self.normalise: Normalize = NormalizeClips(channels, size, mean, std)
            encoder = ClipEncoder(channels, size, frames, hidden, temporal or "attention", width, dropout, fixed)
        else:
            self.normalise = Normalize(channels, size, mean, std)
            encoder = ImagePlaces(channels, size, hidden, width, fixed)
        tokens = len(words) + SHIFT
        self.network = CaptionNetwork(encoder, network, tokens, self.max_length, hidden, depth, dropout, initial_state)
        self.shapes_shown = WordDetector(4 * width, len(words))
        self.colors_shown = WordDetector(COLORS, len(words))
        place = {word: i for i, word in enumerate(words)}
        self.pairs = torch.tensor([[place[word] for word in pair.split()] for pair in pairs]).view(-1, 2)
        self.unseen = self.pairs[unseen]
        both = self.pairs.T if pairs else torch.arange(1, len(words)).expand(2, -1)
        self.colors, self.shapes = (each.unique() for each in both)
        self.bleu, self.exact_match, self.pointing = BLEUScore(), MeanMetric(), MeanMetric()
        self.exact_match_seen, self.exact_match_unseen = MeanMetric(), MeanMetric()
        shape = (1, frames, channels, size, size) if frames else (1, channels, size, size)
        self.example_input_array = (torch.zeros(shape), torch.full((1, self.max_length), BEGIN))

    def forward(self, inputs: Tensor, captions: Tensor) -> Tensor:
        log_probabilities: Tensor = self.network(self.normalise(inputs), captions)
        return log_probabilities

    def endless(self) -> BadSetting | None:
        if self.pretrain_fraction:
            return BadSetting("pretrain_fraction", "a share of the run needs max_epochs or max_steps; or set it to 0")
        return super().endless()

    def training_loss(self, batch: Batch, progress: float) -> Tensor:
        inputs, captions = batch[self.inputs], batch["caption"]
        if progress < self.pretrain_fraction:
            return self.word_loss(inputs, captions)
        loss = self.caption_loss(inputs, captions)
        return loss + self.word_loss_coef * self.word_loss(inputs, captions) if self.word_loss_coef else loss

    def word_loss(self, inputs: Tensor, captions: Tensor) -> Tensor:
        """The loss of the words that the encoder finds in images (B, C, H, W), or in one frame of each clip, ()."""
        if self.inputs == "clip":
            frame = torch.randint(inputs.shape[1], (len(inputs),), device=inputs.device)
            inputs = inputs[torch.arange(len(inputs), device=inputs.device), frame].unsqueeze(1)
        others = recolored(inputs) if self.recolor else inputs
        images, others = (self.normalise(each).flatten(end_dim=-4) for each in (inputs, others))
        places, device = self.network.encoder.places, captions.device
        shapes = self.shapes_shown.loss(places.trunk(others), captions, self.shapes.to(device))
        return shapes + self.colors_shown.loss(places.colors(images), captions, self.colors.to(device))

    def caption_loss(self, inputs: Tensor, captions: Tensor) -> Tensor:
        """The loss of each next word, (), behind words some of which are hidden."""
        target = to_tokens(captions)
        known = target[:, :-1]
        hidden = (torch.rand(known.shape, device=known.device) < self.word_dropout) & (known != BEGIN)
        scores = self(inputs, known.masked_fill(hidden, PAD))
        losses = F.nll_loss(scores.mT, target[:, 1:], ignore_index=PAD, reduction="none")
        return mean_of_known(losses, target[:, 1:] != PAD)

    def evaluate_batch(self, batch: Batch) -> dict[str, Tensor]:
        captions, inputs = batch["caption"], batch[self.inputs]
        target = to_tokens(captions)
        memory = self.network.encode(self.normalise(inputs))
        scores, looked = self.network.decoder(target[:, :-1], memory)
        losses = F.nll_loss(scores.mT, target[:, 1:], ignore_index=PAD, reduction="none")
        written = to_captions(self.network.decoder.write(memory)[0], captions.shape[1])
        right = (written == captions).all(1)
        self.exact_match.update(right.float())
        new = names_any(captions, self.unseen)
        for metric, rows in ((self.exact_match_unseen, new), (self.exact_match_seen, ~new)):
            metric.update(right[rows].float())
        found, wanted = (captions_to_text(each, self.words) for each in (written, captions))
        self.bleu.update(found, [[each] for each in wanted])
        if self.points:
            hits = pointing_hits(looked[:, :-1], captions, batch["boxes"], self.pairs[:, 1], inputs.shape[-1])
            self.pointing.update(hits)
        return {
            "loss": losses.sum(1) / (target[:, 1:] != PAD).sum(1),
            "input": inputs,
            "caption": captions,
            "written": written,
            "attention": looked,
        }

    @property
    def points(self) -> bool:
        """Whether it looks at places of images whose shapes have known boxes."""
        return self.inputs == "image" and self.network.attends and len(self.pairs) > 0

    def compute_metrics(self, stage: Stage) -> Mapping[str, Any]:
        values: dict[str, Any] = {"exact_match": self.exact_match.compute(), "bleu": self.bleu.compute()}
        if self.points:
            values["pointing"] = self.pointing.compute()
        if stage == "test" and len(self.unseen):
            both = {"unseen": self.exact_match_unseen, "seen": self.exact_match_seen}
            # a test of a few images may have none of a kind
            values |= {f"exact_match_{name}": metric.compute() for name, metric in both.items() if metric.weight > 0}
        return values

    @torch.inference_mode()
    def describe(self, inputs: Tensor) -> list[str]:
        """A caption for each image (B, C, H, W) or clip (B, T, C, H, W), with values from 0 to 1."""
        memory = self.network.encode(self.normalise(inputs))
        written = to_captions(self.network.decoder.write(memory)[0], self.max_length - 2)
        return captions_to_text(written, self.words)

    def report(self) -> None:
        first, worst = self.examples.first, self.examples.worst
        text = captions_to_text(first["caption"], self.words)
        if first["attention"].shape[2] > 1:  # more than one place to look at
            looked = draw.attention_over_clips if self.inputs == "clip" else draw.attention_over_images
            plots.log_figure(self, "attention.png", looked(first["input"], text, first["attention"]))
        true, written = (captions_to_text(worst[name], self.words) for name in ("caption", "written"))
        plots.log_figure(self, "most_wrong.png", draw.most_wrong(worst["input"], true, written))


def to_tokens(captions: Tensor) -> Tensor:
    """Places of words (B, L), padded with 0 -> tokens (B, L + 2), from a beginning to an end.

    >>> to_tokens(torch.tensor([[5, 1, 0]]))
    tensor([[2, 8, 4, 3, 0]])
    """
    tokens = F.pad(torch.where(captions > 0, captions + SHIFT, PAD), (1, 1))
    tokens[:, 0] = BEGIN
    ends = (captions > 0).sum(1, keepdim=True) + 1
    return tokens.scatter(1, ends, END)


def to_captions(tokens: Tensor, length: int) -> Tensor:
    """Tokens as they were written -> places of words (B, length); what is longer loses its end.

    >>> to_captions(torch.tensor([[2, 8, 4, 3]]), 3)
    tensor([[5, 1, 0]])
    """
    words = (tokens[:, 1:] - SHIFT).clamp(min=0)[:, :length]
    return F.pad(words, (0, length - words.shape[1]))


def names_any(captions: Tensor, pairs: Tensor) -> Tensor:
    """Whether each caption (B, L) has one of the pairs (P, 2) of neighbouring words, (B,)."""
    neighbours = torch.stack([captions[:, :-1], captions[:, 1:]], 2)  # (B, L - 1, 2)
    same = (neighbours.unsqueeze(2) == pairs.to(captions.device)).all(3)
    return same.flatten(1).any(1)


TASK = Task(module=Caption, data=ImageData, monitor="val/exact_match", mode="max")
CLIPS_TASK = Task(module=Caption, data=ClipData, monitor="val/exact_match", mode="max")
