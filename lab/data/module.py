"""Tables as a LightningDataModule: the parts in memory, on the device that trains, served a batch at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from lightning import LightningDataModule

from lab.data.loader import Batch, TableLoader, Transform
from lab.data.table import Table

Split = Literal["train", "val", "test"]


class TableDataModule(LightningDataModule):
    """The base data module of supervised tasks. A subclass says `load_tables`, and `collate` where it has to.

    Batches follow from the run's seed, the epoch and the number of the batch, so that a resumed run goes on with the
    next one. Nothing is to be moved to a device, since the tables are there already.

    A subclass that changes training batches at random sets `transform`, which takes a batch and a generator.

    >>> class Ramp(TableDataModule):
    ...     def load_tables(self, test):
    ...         return {split: Table({"x": torch.arange(4)}) for split in ("train", "val", "test")}
    >>> data = Ramp(batch_size=2)
    >>> data.setup("test")
    >>> [batch["x"].tolist() for batch in data.test_dataloader()]
    [[0, 1], [2, 3]]

    Args:
        batch_size: rows of a batch, in each process; at least 1.
    """

    def __init__(self, batch_size: int) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.transform: Transform | None = None
        self.tables: dict[Split, Table] = {}

    def load_tables(self, test: bool) -> Mapping[Split, Table]:
        """The tables `train` and `val`, or the table `test`."""
        raise NotImplementedError

    def collate(self, rows: Table) -> Batch:
        """A batch from some rows, on their device; by default all columns, ragged ones padded, with a mask."""
        return rows.padded()

    def setup(self, stage: str) -> None:
        """Load what the stage needs, and put it on the device that uses it."""
        self.seed = torch.initial_seed()
        wanted: tuple[Split, ...] = {"fit": ("train", "val"), "validate": ("val",)}.get(stage, ("test",))  # type: ignore[assignment]
        if not set(wanted) <= set(self.tables):
            found = self.load_tables(test=wanted == ("test",))
            self.tables |= {split: found[split] for split in wanted}
        device = self.trainer.strategy.root_device if self.trainer is not None else torch.device("cpu")
        self.tables = {split: table.to(device) for split, table in self.tables.items()}

    def part(self, split: Split) -> Table:
        """The whole of a part, whatever this process serves of it; it is read now if nobody has set it up."""
        return self.tables.get(split) or self.load_tables(test=split == "test")[split]

    def train_dataloader(self) -> TableLoader:
        return self._loader("train", self.seed, self.transform)

    def val_dataloader(self) -> TableLoader:
        return self._loader("val")

    def test_dataloader(self) -> TableLoader:
        return self._loader("test")

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:  # noqa: ARG002
        """It is there already; looking at every tensor takes a fiftieth of a small network's step."""
        return batch

    def _position(self) -> tuple[int, int]:
        """The epoch, and how many batches of it have been seen."""
        if self.trainer is None:
            return 0, 0
        progress = self.trainer.fit_loop.epoch_loop.batch_progress
        return self.trainer.current_epoch, progress.current.ready if self.trainer.training else 0

    def _loader(self, split: Split, seed: int | None = None, transform: Transform | None = None) -> TableLoader:
        trainer = self.trainer
        return TableLoader(
            self.tables[split],
            self.batch_size,
            seed=seed,
            rank=0 if trainer is None else trainer.global_rank,
            world_size=1 if trainer is None else trainer.world_size,
            position=self._position,
            collate=self.collate,
            transform=transform,
        )
