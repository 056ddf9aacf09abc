"""Faults of the disk: it is full, or what was read from it is not what was written."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks.faults.case import Case, timed
from benchmarks.faults.lives import DDPG, End, Life, Shop, Story
from benchmarks.faults.training import expect_failure
from lab.engine.checkpoint import BUFFERS, LAST, NEXT, PREVIOUS

SIZE = 64  # MB of the disk that gets full


def full(shop: Shop) -> Iterator[Case]:
    """Somebody fills the disk during training: that of the checkpoints, then one that holds everything."""
    whole = shop.whole(DDPG)
    for where in ("checkpoints", "everything"):
        with timed(Case("disk full", f"{DDPG.name}, a disk for {where}")) as case:
            home = shop.folder / "mlruns" / "small" if where == "checkpoints" else shop.folder / "everything"
            home.mkdir(parents=True)
            try:
                subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}m", "lab", home], check=True)
            except (OSError, subprocess.CalledProcessError):
                case.skipped = "only root can mount a small disk"
            else:
                with _unmounted(home):
                    _fill(shop, case, whole, home, where == "everything")
        yield case


def _fill(shop: Shop, case: Case, whole: End, disk: Path, everything: bool) -> None:
    place = shop.beside(disk) if everything else shop
    story, life = Story(place.uri), place.start(DDPG, f"track.experiment={disk.name}")
    _checkpoints(life, 2)
    filler = disk / "somebody's"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 12))
    code = life.end(story)
    filler.unlink()
    story.statuses.append(place.status(story.run_id))
    expect_failure(story, code, "No space left on device.* make room", statuses=("FAILED", "RUNNING")[: 1 + everything])
    life = place.resume(life, story.run_id)
    life.end(story)
    case.judge(story, whole)


@contextmanager
def _unmounted(disk: Path) -> Iterator[None]:
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def flipped(shop: Shop) -> Iterator[Case]:
    """One bit of the newest checkpoint is another."""
    yield from _damaged(shop, "its checkpoint, one bit flipped", lambda newest, _: _flip(shop, newest))


def truncated(shop: Shop) -> Iterator[Case]:
    """The newest checkpoint is cut short."""
    yield from _damaged(shop, "its checkpoint, cut short", lambda newest, _: _cut(shop, newest))


def buffers(shop: Shop) -> Iterator[Case]:
    """A file of the replay buffer has one other bit, or is gone: one that only the newest checkpoint needs."""
    yield from _damaged(shop, "a buffer file, one bit flipped", lambda *pair: _flip(shop, _only(*pair)[0]))
    yield from _damaged(shop, "a buffer file, missing", lambda *pair: _only(*pair)[0].unlink())


def _damaged(shop: Shop, what: str, damage: Callable[[Path, Path], Any]) -> Iterator[Case]:
    whole = shop.whole(DDPG)
    with timed(Case("kill -9, then damage", f"{DDPG.name}, {what}")) as case:
        for _ in range(max(1, shop.points // 20)):
            story, life, newest, before = _killed(shop)
            damage(newest, before)
            noticed = not _good(newest)
            life = shop.resume(life, story.run_id)
            life.end(story)
            passed_over = f"passed over {newest.name}: " in story.said[-1]
            story.expect(passed_over == noticed, f"damaged: {noticed}, said to be passed over: {passed_over}")
            case.judge(story, whole)
    yield case


def _killed(shop: Shop) -> tuple[Story, Life, Path, Path]:
    """A run killed in the middle of its training, and its two newest checkpoints, which differ in a buffer file."""
    while True:
        story, life = Story(shop.uri), shop.start(DDPG)
        _checkpoints(life, 3)
        time.sleep(shop.random.random() * shop.times(DDPG)[0] / 3)
        life.send(signal.SIGKILL)
        life.end(story)
        story.statuses.append(shop.status(story.run_id))
        folder = story.last().parent
        newest, before, *_ = (folder / name for name in (NEXT, LAST, PREVIOUS) if (folder / name).exists())
        if _only(newest, before):  # else it was at its end, where checkpoints need no buffer
            return story, life, newest, before


def _checkpoints(life: Life, count: int) -> None:
    """Waits until the run has written that many."""
    assert life.begun(), "the run ended before it began"
    folders = [*life.shop.folder.glob(f"mlruns/*/{life.journal.parent.name}/artifacts")]
    seen: set[int] = set()
    while life.process.poll() is None and len(seen) < count:
        for path in (folder / "checkpoints" / "last.ckpt" for folder in folders):
            with suppress(OSError):
                seen.add(path.stat().st_mtime_ns)
        time.sleep(0.002)


def _flip(shop: Shop, file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[shop.random.randrange(len(content))] ^= 1 << shop.random.randrange(8)
    file.write_bytes(content)


def _cut(shop: Shop, file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: shop.random.randrange(len(content))])


def _needed(checkpoint: Path) -> list[Path]:
    """The checkpoint's buffer files."""
    from lab import files

    return [checkpoint.parent / BUFFERS / name for name in files.load(checkpoint)["lab"]["buffers"]]


def _only(newest: Path, before: Path) -> list[Path]:
    """The buffer files that the newest checkpoint needs and the one before it does not."""
    return [file for file in _needed(newest) if file not in _needed(before)]


def _good(checkpoint: Path) -> bool:
    """Whether all of it can be read: a bit that decides nothing, such as one of a padding, may be any."""
    from lab import files

    try:
        for file in _needed(checkpoint):
            files.check(file)
    except (files.Corrupt, FileNotFoundError):
        return False
    return True
