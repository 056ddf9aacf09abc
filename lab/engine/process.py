"""Settings for the whole process: threads, denormal numbers, garbage collection, and which library may talk."""

from __future__ import annotations

import gc
import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from lab.startup import imports_are_frozen

# Remarks of libraries about choices that are made here on purpose, or about themselves.
REMARKS = (
    ".*treespec, LeafSpec.*",
    ".*does not have many workers.*",
    ".*The number of training batches .* is smaller than the logging interval.*",
    ".*`max_epochs` was not set.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*it is recommended to use `self.log.*sync_dist=True.*",
    ".*The dirpath has changed.*",
    ".*Your `IterableDataset` has `__len__` defined.*",
    ".*GPU available but not used.*",
    ".*in eval mode at the start of training.*",
    ".*lightning.pytorch.utilities._pytree.*",
    ".*your dataloader is not resumable.*",
    ".*Total length of .* across ranks is zero.*",
    ".*Using `DistributedSampler` with the dataloaders.*",
    ".*_flat_weights.* were assigned during export.*",  # torch's recurrent layers list their weights anew
)

_keepers = 0  # who wants the heap frozen; the garbage collector's own count of what is frozen takes 0.1 s


def skip_driver_check() -> None:
    """Lets torch ask CUDA's runtime whether there is a GPU, and not the driver's library.

    Every step of an optimiser asks. Lightning chooses the library, which is opened anew each time: up to 0.2 ms on a
    machine that has none. (The library leaves processes free to fork; one that trains on the CPU may forget CUDA.)
    """
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"


def prepare(threads: int | None) -> None:
    """Sets torch's threads if told to, flushes denormal numbers (8-10 % of a small network's time), and quiets logs."""
    if threads is not None:
        torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)
    logging.getLogger("torchrl").setLevel(logging.WARNING)
    for remark in REMARKS:
        warnings.filterwarnings("ignore", remark)


def freeze_heap() -> None:
    """Keeps what exists already from the garbage collector for the rest of the process, also when training is over."""
    global _keepers
    _keepers += 1
    gc.freeze()


@contextmanager
def frozen_heap() -> Iterator[None]:
    """Keeps what exists already from the garbage collector, which would look through all imported modules again.

    That takes 0.5 s each time and finds nothing. Objects made inside are collected as ever. In a process of `lab`'s
    own the imported modules are kept from it already, and stay so.
    """
    global _keepers
    if imports_are_frozen():
        yield
        return
    freeze_heap()
    try:
        yield
    finally:
        _keepers -= 1
        if not _keepers:
            gc.unfreeze()
