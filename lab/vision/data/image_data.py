"""Any set of images as a LightningDataModule: in memory, on the device that trains, a batch at a time."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt, Lt
from lightning import LightningDataModule

from lab.data.splits import check_fold, train_val_split
from lab.errors import BadInput, BadSetting
from lab.vision.data import sets
from lab.vision.data.augment import Batch, check
from lab.vision.data.images import Images, resized
from lab.vision.data.loader import Batches
from lab.vision.data.split import balanced

SIZE = 128  # of sets whose files have any size, unless told otherwise


class ImageData(LightningDataModule):
    """Batches of images and of all that the set knows about them, as a dictionary: `image`, `label`, `mask` and so on.

    Which images there are and how they are divided depends on `data_seed` alone, so runs with different seeds are
    compared on the same ones; the run's seed shuffles and changes them.

    Args:
        name: the set, as `lab data ls` lists it.
        path: the folder of the set `folder`, or the file of the set `keypoints`.
        size: height and width; by default the set's own, or 128 where files have any size.
        images: images for training and validation together; by default all, and of a drawn set what it is listed with.
        labels: training images, about as many of each class; by default all.
        batch_size: images of a batch, in each process.
        val_fraction: share of the images that chooses the best checkpoint.
        folds: instead of a fraction, validate on one of so many parts.
        fold: which of them, from 0.
        augment: random changes of training images and their strengths, such as {flip: 0.5, noise: 0.1}.
        data_seed: draws and divides the images.
    """

    def __init__(
        self,
        name: str = "letters",
        path: str | None = None,
        size: Annotated[int, Ge(8)] | None = None,
        images: Annotated[int, Ge(2)] | None = None,
        labels: Annotated[int, Gt(0)] | None = None,
        batch_size: Annotated[int, Gt(0)] = 128,
        val_fraction: Annotated[float, Gt(0), Lt(1)] = 0.1,
        folds: Annotated[int, Ge(2)] | None = None,
        fold: Annotated[int, Ge(0)] | None = None,
        augment: dict[str, Annotated[float, Gt(0)]] | None = None,
        data_seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(logger=False)  # else Lightning refuses a module with another `size`, which is a fact
        self.set = sets.find(name, path)
        check(augment or {})
        if size is not None and self.set.size is not None and (self.set.mask_classes or self.set.points):
            own = f"{self.set.size} x {self.set.size}"
            raise BadSetting("size", f"{name} knows places in images of {own}; leave it out")
        check_fold(fold, folds)
        if labels is not None and self.set.classes == ():
            raise BadSetting("labels", f"{name} has none; `images` takes a part of it")
        self.size = size or self.set.size or SIZE
        self.images, self.labels, self.batch_size, self.data_seed = images, labels, batch_size, data_seed
        self.val_fraction, self.fold, self.folds, self.augment = val_fraction, fold, folds, augment or {}
        self.parts: dict[str, Images] = {}

    @property
    def origin(self) -> Literal["real", "generated"]:
        """Whether the images are photographs and scans, or were drawn by a program."""
        return self.set.origin

    def facts(self) -> dict[str, Any]:
        """What a module may name: sizes, and the names of what it predicts; 0 and empty where the set has none."""
        of = self.set
        return {
            "channels": of.channels,
            "size": self.size,
            "classes": len(of.classes),
            "class_names": list(of.classes),
            "mask_classes": len(of.mask_classes),
            "mask_names": list(of.mask_classes),
            "points": len(of.points),
            "point_names": list(of.points),
            "words": list(of.words),
            "pairs": list(of.pairs),
            "unseen": list(of.unseen),
            "mean": list(of.mean) * (of.channels // len(of.mean)),
            "std": list(of.std) * (of.channels // len(of.std)),
        }

    def tags(self) -> dict[str, str]:
        """What the run's record says about its data."""
        return {"data.name": self.set.name, "data.origin": self.origin}

    def prepare_data(self) -> None:
        """Download a set that is not there: one process does, before the others read it."""
        if self.set.fetch is not None and not self.set.present:
            self.set.fetch()

    def setup(self, stage: str) -> None:
        """Load what the stage needs, and put it where it will be used.

        Raises:
            BadSetting: that leaves no image to train with.
        """
        device = self.trainer.strategy.root_device if self.trainer is not None else torch.device("cpu")
        self.seed = torch.initial_seed()
        wanted = {"fit": ("train", "val"), "validate": ("val",)}.get(stage, ("test",))
        if not set(wanted) <= set(self.parts):
            found = self._tested() if wanted == ("test",) else self._divided()
            self.parts |= {part: found[part] for part in wanted}
        self.parts = {name: part.to(device) for name, part in self.parts.items()}

    def everything(self) -> Images:
        """All images to learn from, those for validation included.

        Raises:
            BadInput: a file of the set cannot be used, or is not there.
        """
        whole = self._load(True)
        if self.images is not None and len(whole) < self.images:
            raise BadSetting("images", f"{self.set.name} has {len(whole)} to learn from, found {self.images}")
        if self.images is None or len(whole) == self.images:
            return whole
        return whole[balanced(whole, self.data_seed)[: self.images]]

    def _load(self, train: bool) -> Images:
        count = (self.images or self.set.train) if train else self.set.test
        found = self.set.load(sets.Part(train, count, self.data_seed, self.size))
        if found.images.shape[-1] != self.size:
            found = resized(found, self.size)
        labels, classes = found.targets.get("label", torch.empty(0)), len(self.set.classes)
        if wrong := labels[(labels < 0) | (labels >= classes)].tolist():  # on a graphics card it would end the process
            raise BadInput(
                f"{self.set.name} has the label {wrong[0]}, but its {classes} classes are 0 to {classes - 1}"
            )
        return found

    def _tested(self) -> dict[str, Images]:
        return {"test": self._load(False)}

    def _divided(self) -> dict[str, Images]:
        whole = self.everything()
        order = balanced(whole, self.data_seed)
        train, val = train_val_split(order, self.val_fraction, self.fold, self.folds)
        if not len(train) or not len(val):
            raise BadSetting(
                "images", f"{len(order)} images leave none for {'validation' if len(train) else 'training'}"
            )
        if self.labels is not None and self.labels > len(train):
            raise BadSetting("labels", f"{self.set.name} has {len(train)} images for training, found {self.labels}")
        return {"train": whole[train[: self.labels]], "val": whole[val]}

    def train_dataloader(self) -> Batches:
        return Batches(
            self.parts["train"],
            self.batch_size,
            self._process,
            self.seed,
            self.trainer,
            self.augment,
            self.set.points,
        )

    def val_dataloader(self) -> Batches:
        return Batches(self.parts["val"], self.batch_size, self._process)

    def test_dataloader(self) -> Batches:
        return Batches(self.parts["test"], self.batch_size, self._process)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:  # noqa: ARG002
        """It is there already; looking at every tensor takes a fiftieth of a small network's step."""
        return batch

    @property
    def _process(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer is not None else (0, 1)
