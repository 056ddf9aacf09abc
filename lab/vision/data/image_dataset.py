"""The record of a set of images: what the catalogue says of any data set, and what the pixels and targets are."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Literal

from torch import Tensor

from lab.data import DatasetInfo, Table, stratified_permutation
from lab.errors import BadInput, BadSetting
from lab.vision.data.images import resize

SIZE = 128  # of images whose files have any size, unless told otherwise
ReadImages = Callable[[Literal["train", "test"], int, int, int], Table]  # split, rows, seed, size


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageDataset(DatasetInfo):
    """The record of a set of images, before any image of it is there.

    Args:
        read_images: gives the images of a split, how many of them where they are generated and by which seed, and of
            which size where files of any size are read.
        channels: 1 for grey, 3 for colour.
        size: height and width; None where files of any size are made as large as one likes.
        mask_classes: the names of what `mask` holds, from 0.
        box_classes: the names of what `boxes` hold, from 0.
        point_names: the names of the key points in `points`.
        words: what a `caption` is made of.
        caption_length: words of the longest caption.
        pairs: what `pair` counts, each a colour and a shape.
        unseen: places in `pairs` of those that occur in the test alone.
        original: name of the set whose images these are in another style, row by row; empty where there is none.
        mean: of the training pixels, from 0 to 1, for each channel; ImageNet's, where files of any size are read.
        std: their standard deviation, likewise.
    """

    read_images: ReadImages
    channels: int
    size: int | None
    mask_classes: tuple[str, ...] = ()
    box_classes: tuple[str, ...] = ()
    point_names: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    caption_length: int = 0
    pairs: tuple[str, ...] = ()
    unseen: tuple[int, ...] = ()
    original: str = ""
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.25,)
    field: str = "vision"
    read: Callable[..., Table] = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "read", self._read)  # a frozen record sets its fields like this

    def check_size(self, size: int | None) -> None:
        """
        Raises:
            BadSetting: the images know places in pixels of a size of their own.
        """
        if size is not None and self.size is not None and (self.mask_classes or self.point_names):
            own = f"{self.size} x {self.size}"
            raise BadSetting("size", f"{self.name} has positional targets for images of {own}; leave it out")

    def counts(self, table: Table) -> dict[str, int]:
        """Number of images of each class, with each class in their mask or boxes, or with each key point."""
        if "mask" in table and "label" not in table:
            masks = table["mask"].flatten(1)
            return {name: int((masks == i).any(1).sum()) for i, name in enumerate(self.mask_classes)}
        if "boxes" in table and "label" not in table:
            labels = table["boxes"][..., 0]
            return {name: int((labels == i).any(1).sum()) for i, name in enumerate(self.box_classes)}
        if "points" in table and "label" not in table:
            known = (~table["points"].isnan()).all(-1).sum(0)
            return dict(zip(self.point_names, known.tolist(), strict=True))
        return super().counts(table)

    def _read(
        self, split: Literal["train", "test"], size: int | None = None, max_rows: int | None = None, seed: int = 0
    ) -> Table:
        self.check_size(size)
        side = size or self.size or SIZE
        count = (max_rows or self.train_rows) if split == "train" else self.test_rows
        table = self.read_images(split, count, seed, side)
        if table["image"].shape[-1] != side:
            table = resize(table, side)
        if "label" in table:
            labels, classes = table["label"], len(self.classes)
            if wrong := labels[(labels < 0) | (labels >= classes)].tolist():  # a GPU would end the process
                raise BadInput(
                    f"{self.name} has the label {wrong[0]}, but its {classes} classes are 0 to {classes - 1}"
                )
        return table


def permutation(table: Table, seed: int) -> Tensor:
    """A random order of all rows in which every stretch has about the same share of each class as the whole."""
    labels = table["label"] if "label" in table else table["image"].new_zeros(len(table)).long()
    return stratified_permutation(labels, seed)
