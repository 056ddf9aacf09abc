"""Video files: a folder of classes, or a CSV file with a sentence for each; some frames of each are decoded by PyAV."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import torch
from torch import Tensor

from lab.data import Table, cached_table, check_count, warn_near_duplicates
from lab.errors import BadInput, BadSetting
from lab.vision.data.real.captions import read_captions
from lab.vision.data.real.folder import of_desktop

ENDINGS = (".avi", ".gif", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")
VERSION = 1  # goes up when other frames come out of the same files
LEAST = 10  # videos


class Videos(NamedTuple):
    """
    Args:
        files: the videos.
        classes: names of the classes; empty where videos have sentences.
        labels: (N,) places in `classes`; None where videos have sentences.
        words: of the sentences; the first one, which is empty, fills up a sentence.
        captions: (N, L) places in `words`; None where videos have classes.
    """

    files: list[Path]
    classes: tuple[str, ...] = ()
    labels: Tensor | None = None
    words: tuple[str, ...] = ()
    captions: Tensor | None = None


def find_videos(path: Path) -> Videos:
    """The videos of a folder with a folder for each class, or of a CSV file with the columns video and caption.

    Raises:
        BadSetting: there is no such folder or file, or something in it is missing.
    """
    if path.is_file():
        named = read_captions(path, "video", ENDINGS)
        return Videos(named.files, words=named.words, captions=named.captions)
    if not path.is_dir():
        raise BadSetting("path", f"there is no folder or CSV file {path}")
    inside = _inside(path)
    folders = [each for each in inside if each.is_dir() and not each.name.startswith("__")]
    if len(folders) < 2:
        raise BadSetting("path", f"{path} has {len(folders)} folders of videos; one for each class, two at least")
    if beside := [each for each in inside if each.suffix.lower() in ENDINGS and not each.is_dir()]:
        raise BadSetting("path", f"{beside[0]} is in no folder of a class; move it into one, or elsewhere")
    files: list[Path] = []
    labels: list[int] = []
    warn_near_duplicates((folder.name for folder in folders), path)
    for number, folder in enumerate(folders):
        videos = _inside(folder)
        if not videos:
            raise BadSetting("path", f"{folder} has no videos ({', '.join(ENDINGS)})")
        if other := [each for each in videos if not each.is_file() or each.suffix.lower() not in ENDINGS]:
            raise BadSetting("path", f"{other[0]} is no video ({', '.join(ENDINGS)}); convert or remove it")
        files += videos
        labels += [number] * len(videos)
    check_count(path, len(files), "videos", LEAST)
    return Videos(files, tuple(folder.name for folder in folders), torch.tensor(labels))


def _inside(folder: Path) -> list[Path]:
    """The files and folders in a folder, but for those that desktops put into any."""
    return sorted(each for each in folder.iterdir() if not of_desktop(each.name))


def load(videos: Videos, frames: int, size: int) -> Table:
    """`clip` (N, T, 3, size, size) with `label` or `caption`; a cache knows the files by name, size and time.

    Raises:
        BadInput: a file cannot be decoded, or has fewer frames.
        BadSetting: that many pixels do not fit in memory.
    """
    count, free = len(videos.files), psutil.virtual_memory().available
    needed = count * frames * 3 * size**2
    if needed > free / 2:
        words = f"{count} clips of {frames} frames need {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free"
        raise BadSetting("size", f"{words}; use smaller frames, or fewer")
    digest = hashlib.sha256(f"{VERSION} {frames} {size}".encode())
    for file in videos.files:
        known = file.stat()
        digest.update(f"{file.resolve()} {known.st_size} {known.st_mtime_ns}".encode())

    def decode() -> Table:
        return Table({"clip": torch.stack([read_frames(file, frames, size) for file in videos.files])})

    table = cached_table(f"videos-{size}-{digest.hexdigest()[:16]}", decode)
    further = {"label": videos.labels, "caption": videos.captions}
    return table.assign({name: column for name, column in further.items() if column is not None})


def read_frames(file: Path, frames: int, size: int) -> Tensor:
    """So many frames, from the first to the last at equal distances, squeezed to (T, 3, size, size) bytes.

    The file is decoded twice, first to count its frames, because what files say of their length is often wrong.

    Raises:
        BadInput: it cannot be decoded, or has fewer frames.
    """
    count = sum(1 for _ in _decoded(file))
    if count < frames:
        raise BadInput(f"{file} has {count} frames, and {frames} are wanted; remove it, or set data.frames to {count}")
    wanted = np.linspace(0, count - 1, frames).round().astype(int).tolist()
    chosen = set(wanted)
    kept = [
        torch.from_numpy(frame.to_ndarray(format="rgb24", width=size, height=size, interpolation="AREA"))
        for number, frame in enumerate(_decoded(file))
        if number in chosen
    ]
    return torch.stack(kept).permute(0, 3, 1, 2)


def _decoded(file: Path) -> Any:
    """The frames of a file, one after the other."""
    try:
        import av
    except ImportError:
        raise BadInput("video files are read with PyAV; install it with `pip install 'torch-lab[video]'`") from None
    try:
        with av.open(str(file)) as container:
            if not container.streams.video:
                raise BadInput(f"{file} has no pictures; remove or replace it")
            yield from container.decode(video=0)
    except (av.FFmpegError, ValueError, IndexError) as error:
        reason = str(getattr(error, "strerror", None) or error)
        raise BadInput(f"{file} cannot be read as a video ({reason}); remove or replace it") from None


def shuffled(clips: Tensor, seed: int) -> Tensor:
    """Clips (N, T, ...) with the frames of each in an order of its own, which the seed decides."""
    count, frames = clips.shape[:2]
    order = torch.rand(count, frames, generator=torch.Generator().manual_seed(seed)).argsort(1)
    return clips[torch.arange(count).unsqueeze(1), order.to(clips.device)]
