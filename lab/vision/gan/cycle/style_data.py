"""Images in two styles, of which no pair is shown in training: different images in the one and in the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from annotated_types import Ge, Gt, Lt

from lab.data import Batch, Split, Table, TableDataModule
from lab.errors import BadSetting
from lab.vision.data.datasets import find_images
from lab.vision.data.image_data import ImageData


class StyleData(TableDataModule):
    """Batches of `source` and `target` (B, C, S, S), from 0 to 1, in the one and in the other style.

    In training half of the images are shown in the one style and the other half in the other. In validation and test
    row i is the same image in both, with its `label` (B,), so that a translation can be compared with the truth.

    Args:
        name: name of the dataset whose images are those of another one in another style, such as letters_outlined.
        max_images: number of images for training and validation together; by default the listed number.
        batch_size: images of each style in a batch, per process.
        val_fraction: fraction of the images for validation.
        folds: number of folds of cross-validation, instead of `val_fraction`.
        fold: fold used for validation, from 0.
        data_seed: seed of generated images and of the splits.
    """

    def __init__(
        self,
        name: str = "letters_outlined",
        max_images: Annotated[int, Ge(8)] | None = None,
        batch_size: Annotated[int, Gt(0)] = 16,
        val_fraction: Annotated[float, Gt(0), Lt(1)] = 0.1,
        folds: Annotated[int, Ge(2)] | None = None,
        fold: Annotated[int, Ge(0)] | None = None,
        data_seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        super().__init__(batch_size)
        self.save_hyperparameters(logger=False)
        original = find_images(name).original
        if not original:
            raise BadSetting("name", f"{name} has no other dataset's images in another style; use letters_outlined")
        split: dict[str, Any] = {"val_fraction": val_fraction, "folds": folds, "fold": fold, "data_seed": data_seed}
        self.source, self.target = (ImageData(each, max_images=max_images, **split) for each in (original, name))

    def facts(self) -> dict[str, Any]:
        """The facts of the images, which both styles share."""
        facts = self.target.facts()
        return {name: facts[name] for name in ("channels", "size")}

    def tags(self) -> dict[str, str]:
        """Tags of the run about its data."""
        return self.target.tags()

    def load_tables(self, test: bool) -> Mapping[Split, Table]:
        """
        Raises:
            BadSetting: that leaves no image to train with.
        """
        source, target = (each.load_tables(test) for each in (self.source, self.target))
        if test:
            return {"test": pairs(source["test"], target["test"])}
        half = len(source["train"]) // 2
        first, second = source["train"]["image"][:half], target["train"]["image"][half : 2 * half]
        return {"train": Table({"source": first, "target": second}), "val": pairs(source["val"], target["val"])}

    def collate(self, rows: Table) -> Batch:
        batch = rows.padded()
        return batch | {name: batch[name].float().div_(255) for name in ("source", "target")}


def pairs(source: Table, target: Table) -> Table:
    """The images of two tables row by row, with their labels."""
    return Table({"source": source["image"], "target": target["image"], "label": target["label"]})
