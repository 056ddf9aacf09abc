"""Any set of images as a LightningDataModule: in memory, on the device that trains, a batch at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt, Lt

from lab.data import Batch, Split, Table, TableDataModule, check_fold, train_val_split
from lab.errors import BadSetting, suggestion
from lab.vision.data.augment import augment, check
from lab.vision.data.datasets import find_images
from lab.vision.data.image_dataset import SIZE, permutation
from lab.vision.data.images import to_batch


class ImageData(TableDataModule):
    """Batches of images and of all that the data set knows about them, as a dictionary: `image`, `label`, `mask` ...

    Which images there are and how they are divided depends on `data_seed` alone, so runs with different seeds are
    compared on the same ones; the run's seed shuffles and changes them.

    Args:
        name: name of the dataset, as listed by `lab data ls`.
        path: folder of the dataset `folder`, or file of the dataset `keypoints`.
        size: height and width in pixels; by default those of the dataset, or 128 if its files vary in size.
        max_images: number of images for training and validation together; by default all, for generated datasets the
            listed number.
        leave_out: names of classes without images for training and validation; the test has all classes.
        num_labeled: number of training images with labels, balanced over the classes; by default all.
        batch_size: batch size per process.
        val_fraction: fraction of the images for validation.
        folds: number of folds of cross-validation, instead of `val_fraction`.
        fold: fold used for validation, from 0.
        augment: augmentations of training images with their strengths, such as {flip: 0.5, noise: 0.1}.
        data_seed: seed of generated images and of the splits.
    """

    def __init__(
        self,
        name: str = "letters",
        path: str | None = None,
        size: Annotated[int, Ge(8)] | None = None,
        max_images: Annotated[int, Ge(2)] | None = None,
        leave_out: list[str] = [],  # noqa: B006 - never changed
        num_labeled: Annotated[int, Gt(0)] | None = None,
        batch_size: Annotated[int, Gt(0)] = 128,
        val_fraction: Annotated[float, Gt(0), Lt(1)] = 0.1,
        folds: Annotated[int, Ge(2)] | None = None,
        fold: Annotated[int, Ge(0)] | None = None,
        augment: dict[str, Annotated[float, Gt(0)]] | None = None,
        data_seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        super().__init__(batch_size)
        self.save_hyperparameters(logger=False)  # else Lightning refuses a module with another `size`, which is a fact
        self.dataset = find_images(name, path)
        check(augment or {})
        self.dataset.check_size(size)
        check_fold(fold, folds)
        if num_labeled is not None and self.dataset.classes == ():
            raise BadSetting("num_labeled", f"{name} has no labels; use `max_images` to limit the number of images")
        for unknown in leave_out:
            if unknown not in self.dataset.classes:
                known = suggestion(unknown, self.dataset.classes, "its classes are")
                raise BadSetting("leave_out", f"{name} has no class {unknown!r}{known}")
        if len(set(leave_out)) > max(0, len(self.dataset.classes) - 1):
            raise BadSetting("leave_out", f"{name} would have no class to train with; leave one in")
        self.leave_out = leave_out
        self.size = size or self.dataset.size or SIZE
        self.max_images, self.num_labeled, self.data_seed = max_images, num_labeled, data_seed
        self.val_fraction, self.fold, self.folds, self.augment = val_fraction, fold, folds, augment or {}
        self.transform = self._augmented if augment else None

    @property
    def origin(self) -> Literal["real", "generated"]:
        """Whether the images are photographs and scans, or were made by a program."""
        return self.dataset.origin

    def facts(self) -> dict[str, Any]:
        """The facts of the images: sizes, and the names of what it predicts; 0 and empty where there are none."""
        of = self.dataset
        return {
            "channels": of.channels,
            "size": self.size,
            "classes": len(of.classes),
            "class_names": list(of.classes),
            "left_out": list(self.leave_out),
            "mask_classes": len(of.mask_classes),
            "mask_names": list(of.mask_classes),
            "box_names": list(of.box_classes),
            "points": len(of.point_names),
            "point_names": list(of.point_names),
            "words": list(of.words),
            "caption_length": of.caption_length,
            "pairs": list(of.pairs),
            "unseen": list(of.unseen),
            "mean": list(of.mean) * (of.channels // len(of.mean)),
            "std": list(of.std) * (of.channels // len(of.std)),
        }

    def tags(self) -> dict[str, str]:
        """Tags of the run about its data."""
        return {"data.name": self.dataset.name, "data.origin": self.origin}

    def prepare_data(self) -> None:
        """Download a data set that is not there: one process does, before the others read it."""
        self.dataset.prepare()

    def load_tables(self, test: bool) -> Mapping[Split, Table]:
        """
        Raises:
            BadInput: a file of the data set cannot be used, or is not there.
            BadSetting: that leaves no image to train with.
        """
        if test:
            return {"test": self._read("test")}
        whole = self.train_val_table()
        train, val = train_val_split(permutation(whole, self.data_seed), self.val_fraction, self.fold, self.folds)
        if self.num_labeled is not None and self.num_labeled > len(train):
            found = f"{self.dataset.name} has {len(train)} images for training, found {self.num_labeled}"
            raise BadSetting("num_labeled", found)
        return {"train": whole[train[: self.num_labeled]], "val": whole[val]}

    def train_val_table(self) -> Table:
        """All images to learn from, those for validation included.

        Raises:
            BadInput: a file of the data set cannot be used, or is not there.
        """
        whole = self._read("train")
        if self.leave_out:
            unknown = torch.tensor([self.dataset.classes.index(name) for name in self.leave_out])
            whole = whole[~torch.isin(whole["label"], unknown)]
        if self.max_images is not None and len(whole) < self.max_images:
            found = f"{self.dataset.name} has {len(whole)} to learn from, found {self.max_images}"
            raise BadSetting("max_images", found)
        if self.max_images is None or len(whole) == self.max_images:
            return whole
        return whole[permutation(whole, self.data_seed)[: self.max_images]]

    def collate(self, rows: Table) -> Batch:
        return to_batch(rows)

    def _read(self, split: Literal["train", "test"]) -> Table:
        size = None if self.size == self.dataset.size else self.size
        return self.dataset.read(split, size=size, max_rows=self.max_images, seed=self.data_seed)

    def _augmented(self, batch: Batch, generator: torch.Generator) -> Batch:
        return augment(batch, self.augment, generator, self.dataset.point_names)
