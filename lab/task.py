"""A task: a LightningModule, a LightningDataModule, and the metric that says which run is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Le

if TYPE_CHECKING:  # the record itself needs no torch
    from lightning import LightningDataModule, LightningModule

Unit = Annotated[float, Ge(0), Le(1)]  # a setting that is a share, a probability or a discount


@dataclass(frozen=True)
class Task:
    """What an entry point of group `lab.tasks` names.

    Args:
        module: the LightningModule class; its constructor's signature is the schema of `model:`.
        data: the LightningDataModule class; its constructor's signature is the schema of `data:`.
        monitor: the validation metric that chooses the best checkpoint, such as `val/return`.
        mode: whether a larger (`max`) or a smaller (`min`) value of `monitor` is better.
    """

    module: type[LightningModule]
    data: type[LightningDataModule]
    monitor: str
    mode: Literal["min", "max"]
