"""Sets that torchvision downloads: fetched whole or not at all, each into a folder of its own, and read into memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision import datasets

from lab.data import Table, fetch_into, root
from lab.errors import BadInput, LabError, error_text
from lab.vision.data.images import IGNORE_INDEX
from lab.vision.data.real import decode

Opened = Callable[
    [Path, bool, bool], Any
]  # folder, whether the training part, whether to download -> torchvision's set
ARCHIVES = {".gz", ".tar", ".zip"}


def mnist(folder: Path, train: bool, download: bool) -> Any:
    return datasets.MNIST(folder, train=train, download=download)


def emnist(folder: Path, train: bool, download: bool) -> Any:
    return datasets.EMNIST(folder, split="letters", train=train, download=download)


def cifar100(folder: Path, train: bool, download: bool) -> Any:
    return datasets.CIFAR100(folder, train=train, download=download)


def pet(folder: Path, train: bool, download: bool) -> Any:
    return datasets.OxfordIIITPet(folder, split="trainval" if train else "test", download=download)


def voc(folder: Path, train: bool, download: bool) -> Any:
    return datasets.VOCSegmentation(folder, year="2012", image_set="train" if train else "val", download=download)


def fetch(name: str) -> None:
    """Downloads, checks and unpacks; does nothing where the set is there.

    Raises:
        LabError: there is no network, no room, or the checksum is another one.
    """

    def fill(folder: Path) -> None:
        DOWNLOADS[name][0](folder, True, True)
        for file in folder.rglob("*"):
            if file.suffix in ARCHIVES:
                file.unlink()

    fetch_into(name, fill)


def read(name: str, train: bool, size: int) -> Table:
    """One part of a set that has been fetched.

    Raises:
        BadInput: it has not been.
        LabError: its files are not what they were.
    """
    home, (opened, converted) = root() / name, DOWNLOADS[name]
    if not home.exists():
        raise BadInput(f"{name} is not in {root()}; fetch it with: lab data fetch {name}")
    try:
        return converted(opened(home, train, False), size)
    except LabError:
        raise
    except Exception as error:  # broken files fail in many ways
        raise LabError(f"{home} is damaged ({error_text(error)}); remove it, then: lab data fetch {name}") from None


def _grey(found: Any, size: int) -> Table:  # noqa: ARG001
    return Table({"image": found.data.unsqueeze(1).contiguous(), "label": found.targets.long()})


def _letters(found: Any, size: int) -> Table:
    """Without the rows that are no letter, the first class 0, and upright: the files hold columns before rows."""
    images = _grey(found, size)
    labels = images["label"]
    upright = Table({"image": images["image"].mT.contiguous(), "label": labels - 1})
    letters: Tensor = (labels >= 1) & (labels <= 26)
    return upright[letters]


def _colour(found: Any, size: int) -> Table:  # noqa: ARG001
    images = torch.from_numpy(found.data).permute(0, 3, 1, 2).contiguous()
    return Table({"image": images, "label": torch.tensor(found.targets)})


def _pets(found: Any, size: int) -> Table:
    images = decode.images(list(zip(found._images, found._segs, strict=True)), size, _trimap)
    return images.assign({"label": torch.tensor(found._labels)})


def _voc(found: Any, size: int) -> Table:
    pairs = [(Path(picture), Path(mask)) for picture, mask in zip(found.images, found.targets, strict=True)]
    return decode.images(pairs, size, _voc_classes)


def _trimap(mask: NDArray[np.uint8], file: Path) -> NDArray[np.uint8]:
    """1 is the pet, 2 the background, and 3 the outline between them, which belongs to neither."""
    if mask.min() < 1 or mask.max() > 3:
        raise BadInput(f"{file} holds values from {mask.min()} to {mask.max()}; expected 1, 2 and 3")
    return np.array([0, 1, 0, IGNORE_INDEX], dtype=np.uint8)[mask]


def _voc_classes(mask: NDArray[np.uint8], file: Path) -> NDArray[np.uint8]:
    wrong = mask[(mask > 20) & (mask != IGNORE_INDEX)]
    if wrong.size:
        raise BadInput(f"{file} holds the value {wrong.max()}; expected 0 to 20, or 255 for no class")
    return mask


DOWNLOADS: dict[str, tuple[Opened, Callable[[Any, int], Table]]] = {
    "mnist": (mnist, _grey),
    "emnist": (emnist, _letters),
    "cifar100": (cifar100, _colour),
    "pet": (pet, _pets),
    "voc": (voc, _voc),
}
