"""The judge of images that were asked for in words: a CNN that reads colour and shape, trained on true images."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lab.data import Table, cached
from lab.multimodal.captions.words import recolored
from lab.vision.data.image_data import ImageData
from lab.vision.gan.reference_classifier import ReferenceClassifier, trained

VERSION = 1  # goes up when other weights come out for the same images


class Judge:
    """Reads the colour and the shape of images, each by itself, so that pairs it never saw are read as well.

    Shapes are learnt from images whose channels are swapped and inverted: else no shape has the colour it never had.

    Args:
        classifier: whose classes are the colours and then the shapes.
        pairs: what places of `pair` stand for, such as `red ring`.
    """

    def __init__(self, classifier: ReferenceClassifier, pairs: list[str]) -> None:
        self.classifier = classifier
        self.colors, self.shapes = (names_of(pairs, part) for part in (0, 1))
        places = [
            [names.index(pair.split()[i]) for i, names in enumerate((self.colors, self.shapes))] for pair in pairs
        ]
        self.places = torch.tensor(places)  # (pairs, 2)

    def read(self, images: Tensor) -> Tensor:
        """The places of colour and shape (B, 2) of images (B, C, S, S) from 0 to 1."""
        with torch.autocast(images.device.type, enabled=False):
            logits = self.classifier.last(self.classifier(images))
        return torch.stack([part.argmax(1) for part in self._parted(logits)], 1)

    def right(self, images: Tensor, pairs: Tensor) -> Tensor:
        """Whether colour and shape (B, 2) of images are those of the pairs (B,)."""
        return self.read(images) == self.places.to(pairs.device)[pairs]

    def loss(self, classifier: ReferenceClassifier, images: Tensor, rows: Table) -> Tensor:
        """The cross-entropies of both, (), for images (B, C, S, S) from 0 to 1 and their rows."""
        color, shape = self.places[rows["pair"]].T
        colors, _ = self._parted(classifier.last(classifier(images)))
        _, shapes = self._parted(classifier.last(classifier(recolored(images))))
        return F.cross_entropy(colors, color) + F.cross_entropy(shapes, shape)

    def _parted(self, logits: Tensor) -> tuple[Tensor, ...]:
        parts: tuple[Tensor, ...] = logits.split([len(self.colors), len(self.shapes)], 1)
        return parts


def judge(data: ImageData) -> Judge:
    """The judge of a data module's images, all but those of the test; trained now if it never was.

    It depends on the images alone, and the global generator is left as it was.
    """
    facts = data.facts()
    pairs = facts["pairs"]
    wanted = {name: facts[name] for name in ("channels", "size", "mean", "std")}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found = Judge(ReferenceClassifier(class_names=[*names_of(pairs, 0), *names_of(pairs, 1)], **wanted), pairs)
        images = f"{data.dataset.name}-{data.data_seed}-{data.size}-{data.max_images or 'all'}"
        weights = cached(f"judge-{VERSION}-{images}", lambda: trained(found.classifier, data, found.loss))
        found.classifier.load_state_dict(weights)
    found.classifier.eval().requires_grad_(False)
    return found


def names_of(pairs: list[str], part: int) -> list[str]:
    """The colours (part 0) or the shapes (part 1) of pairs, each once.

    >>> names_of(["red ring", "red star", "blue ring"], 1)
    ['ring', 'star']
    """
    return list(dict.fromkeys(pair.split()[part] for pair in pairs))
