"""Every set of images by name: what it is, where it is from, and how a part of it is had."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import torch

from lab.errors import BadInput, BadSetting, nearest
from lab.vision.data.generated import faces, letters, scenes
from lab.vision.data.images import Images
from lab.vision.data.places import kept, root
from lab.vision.data.real import downloads, folder, keypoints, names
from lab.vision.data.split import balanced

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Part:
    """Which images are asked for.

    Args:
        train: those to learn from, or those of the test.
        count: how many, of a set that is drawn; the others give all.
        seed: draws them; the others know none.
        size: of the images, where files of any size are read.
    """

    train: bool
    count: int
    seed: int
    size: int


@dataclass(frozen=True)
class ImageSet:
    """What is known about a set before any image of it is there.

    Args:
        name: what a recipe calls it.
        about: what is to be seen.
        source: where it is from, and what may be done with it.
        origin: photographs and scans are real, what a program drew is generated.
        load: gives one part.
        train: images to learn from and to validate with; of a drawn set by default, 0 where only the files know.
        test: images of the test, likewise.
        channels: 1 for grey, 3 for colour.
        size: height and width; None where files of any size are made as large as one likes.
        classes: what `label` counts.
        mask_classes: what a `mask` holds.
        points: what `points` are.
        words: what a `caption` is made of.
        pairs: what `pair` counts, each a colour and a shape.
        unseen: places in `pairs` of those that occur in the test alone.
        mean: of the training pixels, from 0 to 1, for each channel; ImageNet's, where files of any size are read.
        std: their standard deviation, likewise.
        fetch: puts the set into its folder.
        path: the file or folder that it is read from, if it is not drawn.
    """

    name: str
    about: str
    source: str
    origin: Literal["real", "generated"]
    load: Callable[[Part], Images]
    train: int
    test: int
    channels: int
    size: int | None
    classes: tuple[str, ...] = ()
    mask_classes: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    pairs: tuple[str, ...] = ()
    unseen: tuple[int, ...] = ()
    mean: tuple[float, ...] = (0.5,)
    std: tuple[float, ...] = (0.25,)
    fetch: Callable[[], None] | None = None
    path: Path | None = None

    @property
    def present(self) -> bool:
        """Whether it can be used without a network."""
        return self.path is None or self.path.exists()


def find(name: str, path: str | None = None) -> ImageSet:
    """The set of that name; `path` is for those that lie where their owner wants.

    Raises:
        BadSetting: there is no such set, or nothing at `path`.
    """
    known = known_sets()
    if name not in known:
        listed = nearest(name, known) or f"; known are {', '.join(known)}"
        raise BadSetting("name", f"no set of images {name!r}{listed}")
    found = known[name]
    if path is None:
        if name == "folder":
            raise BadSetting("path", "name the folder that has `images/` and `masks/`")
        return found
    if name == "folder":
        return replace(
            found, path=Path(path), mask_classes=folder.mask_classes(Path(path)), load=partial(_folder, Path(path))
        )
    if name == "keypoints":
        return replace(found, path=Path(path), load=partial(_keypoints, Path(path)))
    raise BadSetting("path", f"{name} has a place of its own; path is for the sets folder and keypoints")


def known_sets() -> dict[str, ImageSet]:
    """All sets, those first that need no download."""
    csv = root() / "keypoints" / "training.csv"
    drawn = "drawn by this package; free to use"
    found = [
        ImageSet(
            "digits", "handwritten digits, 8x8 grey", "UCI optical digits, as scikit-learn ships them; CC BY 4.0",
            "real", _digits, 1_438, 359, 1, 8, tuple("0123456789"), mean=(0.305,), std=(0.376,),
        ),
        ImageSet(
            "letters", "letters of 23 fonts, bent and thickened, 28x28 grey", f"{drawn}, from matplotlib's fonts",
            "generated", partial(_drawn, "letters", letters.VERSION, letters.load), 20_800, 5_200, 1, 28,
            letters.CLASSES, mean=(0.142,), std=(0.315,),
        ),
        ImageSet(
            "scenes", "coloured shapes on clutter, 64x64", drawn, "generated",
            partial(_drawn, "scenes", scenes.VERSION, scenes.load), 8_320, 2_080, 3, 64, scenes.CLASSES,
            scenes.MASK_CLASSES, scenes.POINTS, scenes.WORDS, scenes.PAIRS, scenes.UNSEEN,
            (0.509, 0.498, 0.497), (0.204, 0.187, 0.197),
        ),
        ImageSet(
            "scenes100", "one of 100 pairs of colour and shape, 32x32", drawn, "generated",
            partial(_drawn, "scenes100", scenes.VERSION, scenes.load_100), 20_800, 5_200, 3, 32, scenes.PAIRS,
            scenes.MASK_CLASSES, scenes.POINTS, scenes.WORDS, scenes.PAIRS,
            mean=(0.510, 0.502, 0.498), std=(0.203, 0.185, 0.195),
        ),
        ImageSet(
            "faces", "drawn faces with 15 key points, 96x96 grey", drawn, "generated",
            partial(_drawn, "faces", faces.VERSION, faces.load), 4_160, 1_040, 1, 96, points=faces.POINTS,
            mean=(0.487,), std=(0.197,),
        ),
        _download(
            "mnist", "handwritten digits, 28x28 grey", "LeCun, Cortes and Burges; CC BY-SA 3.0",
            60_000, 10_000, 1, 28, tuple("0123456789"), mean=(0.1307,), std=(0.3081,),
        ),
        _download(
            "emnist", "handwritten letters, 28x28 grey", "NIST Special Database 19, Cohen et al. 2017; public domain",
            124_800, 20_800, 1, 28, letters.CLASSES, mean=(0.1722,), std=(0.3309,),
        ),
        _download(
            "cifar100", "photographs of 100 classes, 32x32", "Krizhevsky 2009; no licence is stated",
            50_000, 10_000, 3, 32, names.CIFAR_100, mean=(0.5071, 0.4865, 0.4409), std=(0.2673, 0.2564, 0.2762),
        ),
        _download(
            "pet", "cats and dogs of 37 breeds, with masks", "Parkhi et al. 2012; CC BY-SA 4.0",
            3_680, 3_669, 3, None, names.PETS, ("background", "pet"), mean=IMAGENET[0], std=IMAGENET[1],
        ),
        _download(
            "voc", "photographs of 20 classes with masks, of 2012", "Everingham et al.; Flickr's terms of use",
            1_464, 1_449, 3, None, (), names.VOC, mean=IMAGENET[0], std=IMAGENET[1],
        ),
        ImageSet(
            "keypoints", "faces with 15 key points in a CSV, 96x96 grey",
            "Kaggle, facial-keypoints-detection: log in, and agree to the rules of the competition", "real",
            partial(_keypoints, csv), 0, 0, 1, 96, points=faces.POINTS, path=csv, fetch=_from_kaggle,
        ),
        ImageSet(
            "folder", "pictures and masks of your own", "your own folder, by `path`", "real", _nowhere, 0, 0, 3, None,
            (), ("background", "object"), mean=IMAGENET[0], std=IMAGENET[1],
        ),
    ]  # fmt: skip
    return {each.name: each for each in found}


def _download(
    name: str, about: str, source: str, train: int, test: int, channels: int,
    size: int | None, classes: tuple[str, ...], mask_classes: tuple[str, ...] = (), *, mean: tuple[float, ...],
    std: tuple[float, ...],
) -> ImageSet:  # fmt: skip
    return ImageSet(
        name, about, source, "real", lambda part: downloads.read(name, part.train, part.size), train, test,
        channels, size, classes, mask_classes, mean=mean, std=std, fetch=partial(downloads.fetch, name),
        path=root() / name,
    )  # fmt: skip


def _drawn(name: str, version: int, load: Callable[[bool, int, int], Images], part: Part) -> Images:
    key = f"{name}-{version}-{part.seed}-{'train' if part.train else 'test'}-{part.count}"
    return kept(key, lambda: load(part.train, part.count, part.seed))


def _digits(part: Part) -> Images:
    """Scikit-learn's 1,797 scans; every fifth or so is in the test, always the same ones."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images = torch.from_numpy(found.images * (255 / 16)).round().to(torch.uint8).unsqueeze(1)
    return _halved(Images(images, {"label": torch.from_numpy(found.target).long()}), part.train)


def _keypoints(path: Path, part: Part) -> Images:
    if not path.exists():
        raise BadInput(f"there is no {path}; `lab data fetch keypoints` says where it comes from")
    return _halved(keypoints.load(path), part.train)


def _folder(path: Path, part: Part) -> Images:
    return _halved(folder.load(path, part.size), part.train)


def _nowhere(part: Part) -> Images:  # noqa: ARG001
    raise BadSetting("path", "name the folder that has `images/` and `masks/`")


def _halved(images: Images, train: bool) -> Images:
    """A set that comes without a test: a fifth of it, always the same one."""
    order = balanced(images, 0)
    test = round(len(images) / 5)
    return images[order[test:] if train else order[:test]]


def _from_kaggle() -> None:
    page = "https://www.kaggle.com/c/facial-keypoints-detection/data"
    raise BadInput(f"{page} asks for a login: put its training.csv at {root() / 'keypoints' / 'training.csv'}")
