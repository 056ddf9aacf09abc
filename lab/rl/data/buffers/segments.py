"""A replay buffer on disk: files that are added and never changed, so that an older checkpoint keeps the ones it needs.

Rows are counted from the first one ever collected. Each write adds one file with the rows since the write before it. So
that a long run does not gather thousands of small files, the newest ones are written again as one larger file as soon
as there are several of about the same size: a row is written about log(rows) / log(`FAN`) times in all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch
from tensordict import TensorDict
from torch import Tensor
from torchrl.data import TensorDictReplayBuffer

from lab import files
from lab.errors import LabError
from lab.rl.data.buffers.prioritized import PlainPrioritizedSampler

FAN = 8  # files of about one size that become one


class Segment(NamedTuple):
    """A file and the rows in it: `first` is in it, `last` is the first one that is not."""

    name: str
    first: int
    last: int


class Segments:
    """The files of one replay buffer.

    Args:
        replay: the buffer, a ring that is written in order.
    """

    def __init__(self, replay: TensorDictReplayBuffer) -> None:
        self.replay = replay
        self.folder: Path | None = None
        self.segments: list[Segment] = []

    def state_dict(self) -> dict[str, Any]:
        """The position in the buffer and the state of its sampler; its content goes with `write`."""
        writer, sampler = self.replay.writer.state_dict(), self.replay.sampler
        state = {"writer": dict(writer), "sampler": dict(sampler.state_dict()), "rows": len(self.replay)}
        if isinstance(
            sampler, PlainPrioritizedSampler
        ):  # they change with every update, so they are written again every time
            state["priorities"] = sampler.leaves(self._places(len(self.replay)))
        return state

    def write(self, folder: Path) -> list[str]:
        """Writes the rows that are not in `folder` yet; returns the names of all files that hold the buffer.

        Raises:
            OSError: they cannot be written; the next call tries again.
        """
        total = self.replay.write_count
        oldest = total - len(self.replay)
        kept = [each for each in self.segments if each.last > oldest] if folder == self.folder else []
        first = kept[-1].last if kept else oldest
        if first < total:
            while len(small := _small(kept, total - first)) >= FAN - 1:
                kept, first = kept[: -len(small)], max(small[0].first, oldest)
            name = files.unused(folder, f"replay-{first}-{total}")
            files.save({"first": first, "rows": self._rows(first, total)}, folder / name)
            kept.append(Segment(name, first, total))
        self.folder, self.segments = folder, kept
        return [each.name for each in kept]

    def read(self, folder: Path, names: list[str], state: dict[str, Any]) -> None:
        """Fills the empty buffer with the rows it had when `state` was taken; never looks at a file not in `names`.

        Raises:
            LabError: a file is damaged, or rows are missing.
            FileNotFoundError: a file is missing.
        """
        total, buffer_size = state["writer"]["_write_count"], self.replay.storage.max_size
        rows = min(state["rows"], buffer_size)
        next_row = total - rows
        cursor = state["writer"]["_cursor"] % buffer_size if rows == buffer_size else 0
        self.replay.writer.load_state_dict(state["writer"] | {"_cursor": cursor, "_write_count": next_row})
        self.folder, self.segments = folder, []
        for name in names:
            saved = files.load(folder / name)
            held = TensorDict(saved["rows"]).auto_batch_size_(1)
            first, last = saved["first"], saved["first"] + len(held)
            self.segments.append(Segment(name, first, last))
            if first <= next_row < min(last, total):
                self.replay.extend(held[next_row - first : total - first])
                next_row = min(last, total)
        if next_row != total:
            raise LabError(f"{folder}: rows {next_row} to {total} of the replay buffer are missing")
        self.replay.sampler.load_state_dict(state["sampler"])
        if isinstance(self.replay.sampler, PlainPrioritizedSampler) and rows:
            self.replay.sampler.set_leaves(self._places(rows), state["priorities"][-rows:])

    def _places(self, rows: int) -> Tensor:
        """Positions of the newest `rows` in the ring, oldest first."""
        cursor, size = self.replay.writer.state_dict()["_cursor"], self.replay.storage.max_size
        places: Tensor = (cursor - torch.arange(rows, 0, -1)) % size
        return places

    def _rows(self, first: int, last: int) -> dict[str, Any]:
        """Rows as ordinary tensors of their own: a view would be saved with all the storage behind it."""
        storage, total = self.replay.storage, self.replay.write_count
        start = (self.replay.writer.state_dict()["_cursor"] - (total - first)) % storage.max_size
        stop = start + last - first
        parts = [storage[start : min(stop, storage.max_size)]]
        if stop > storage.max_size:
            parts.append(storage[: stop - storage.max_size])
        rows: Any = torch.cat([part.exclude("index") for part in parts])
        plain: dict[str, Any] = rows.to_dict()
        return plain


def _small(segments: list[Segment], rows: int) -> list[Segment]:
    """The newest segments that are not much larger than one of `rows`."""
    start = len(segments)
    while start and segments[start - 1].last - segments[start - 1].first < FAN * rows:
        start -= 1
    return segments[start:]
