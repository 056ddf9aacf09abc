"""Clips as a LightningDataModule: in memory, on the device that trains, a batch at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt, Lt

from lab.data import Batch, Split, Table, TableDataModule, check_fold, stratified_permutation, train_val_split
from lab.errors import BadSetting
from lab.multimodal.clips import moving
from lab.multimodal.clips.clip_dataset import find_clips
from lab.multimodal.clips.video import shuffled

SIZE = 64  # of files, unless told otherwise


class ClipData(TableDataModule):
    """Batches of clips: `clip` (B, T, C, H, W) from 0 to 1, and `label` (B,), `caption` (B, L) or both.

    Args:
        name: name of the dataset, as listed by `lab data ls`; videos for files of your own.
        path: folder with a folder of videos for each class, or CSV file with the columns video and caption, for videos.
        frames: frames of a clip, from the first to the last of a file at equal distances; 8 by default.
        size: height and width of a frame in pixels; by default those of the dataset, or 64 of files.
        max_clips: number of clips for training and validation together; by default all, for generated datasets the
            listed number.
        shuffle_frames: put the frames of every clip into a random order, as a control: what is still right then did
            not need their order.
        batch_size: batch size per process.
        val_fraction: fraction of the clips for validation.
        folds: number of folds of cross-validation, instead of `val_fraction`.
        fold: fold used for validation, from 0.
        data_seed: seed of generated clips, of the splits and of shuffled frames.
    """

    def __init__(
        self,
        name: str = "moving",
        path: str | None = None,
        frames: Annotated[int, Ge(2)] | None = None,
        size: Annotated[int, Ge(8)] | None = None,
        max_clips: Annotated[int, Ge(10)] | None = None,
        shuffle_frames: bool = False,
        batch_size: Annotated[int, Gt(0)] = 64,
        val_fraction: Annotated[float, Gt(0), Lt(1)] = 0.1,
        folds: Annotated[int, Ge(2)] | None = None,
        fold: Annotated[int, Ge(0)] | None = None,
        data_seed: Annotated[int, Ge(0)] = 0,
    ) -> None:
        super().__init__(batch_size)
        self.save_hyperparameters(logger=False)  # else Lightning refuses a module with another `size`, which is a fact
        self.dataset = find_clips(name, path)
        check_fold(fold, folds)
        for key, asked, own in (("frames", frames, self.dataset.frames), ("size", size, self.dataset.size)):
            if asked is not None and own is not None and asked != own:
                raise BadSetting(key, f"{name} has clips of {own}; leave it out")
        self.frames = frames or self.dataset.frames or moving.FRAMES
        self.size = size or self.dataset.size or SIZE
        self.max_clips, self.shuffle_frames, self.data_seed = max_clips, shuffle_frames, data_seed
        self.val_fraction, self.fold, self.folds = val_fraction, fold, folds

    def facts(self) -> dict[str, Any]:
        """Sizes, and the names of what is predicted; empty where there are none."""
        of = self.dataset
        return {
            "channels": 3,
            "size": self.size,
            "frames": self.frames,
            "class_names": list(of.classes),
            "words": list(of.words),
            "caption_length": of.caption_length,
            "pairs": list(of.pairs),
            "unseen": list(of.unseen),
            "mean": list(of.mean),
            "std": list(of.std),
        }

    def tags(self) -> dict[str, str]:
        """Tags of the run about its data."""
        return {"data.name": self.dataset.name, "data.origin": self.dataset.origin}

    def load_tables(self, test: bool) -> Mapping[Split, Table]:
        """
        Raises:
            BadInput: a file cannot be decoded, or is too short.
            BadSetting: there are fewer clips than are asked for.
        """
        if test:
            return {"test": self._read("test")}
        whole = self._read("train")
        if self.max_clips is not None and len(whole) < self.max_clips:
            found = f"{self.dataset.name} has {len(whole)} to learn from, found {self.max_clips}"
            raise BadSetting("max_clips", found)
        labels = whole["label"] if "label" in whole else torch.zeros(len(whole), dtype=torch.int64)
        order = stratified_permutation(labels, self.data_seed)[: self.max_clips]
        train, val = train_val_split(order, self.val_fraction, self.fold, self.folds)
        return {"train": whole[train], "val": whole[val]}

    def collate(self, rows: Table) -> Batch:
        batch = rows.padded()
        batch["clip"] = batch["clip"].float().div_(255)
        return batch

    def _read(self, split: Literal["train", "test"]) -> Table:
        options = {"frames": self.frames, "size": self.size, "seed": self.data_seed}
        table = self.dataset.read(split, max_rows=self.max_clips, **options)
        if self.shuffle_frames:
            table = table.assign({"clip": shuffled(table["clip"], self.data_seed)})
        return table
