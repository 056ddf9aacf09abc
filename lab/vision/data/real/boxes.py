"""Images with boxes of your own: a COCO file of annotations, or a folder as of Pascal VOC.

Formats: Lin et al., Microsoft COCO, ECCV 2014; Everingham et al., The PASCAL visual object classes, IJCV 2010.
"""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import torch

from lab.data import Table, read_text, warn_near_duplicates
from lab.errors import BadSetting
from lab.vision.data.real import decode

LONGEST = 1e9  # pixels; no side of a picture is longer
MOST_LISTED = 20  # ids in a message
EDGE = 1.0  # pixels by which a box may lie beyond its image; it is cut off there
SIDES = ("xmin", "ymin", "xmax", "ymax")  # of a box in VOC
Row = tuple[int, float, float, float, float]  # class, left, top, right, bottom in pixels of the file


class Annotated(NamedTuple):
    """
    Args:
        classes: their names.
        files: of the images.
        sizes: width and height of each image.
        rows: the boxes of each image.
    """

    classes: tuple[str, ...]
    files: list[Path]
    sizes: list[tuple[int, int]]
    rows: list[list[Row]]


def read_annotations(path: Path) -> Annotated:
    """The annotations of the images, which are not opened.

    Raises:
        BadSetting: that is neither format, an image is missing, or a box cannot be.
    """
    if path.suffix.lower() == ".json":
        found = _coco(path)
    elif (path / "Annotations").is_dir():
        found = _voc(path)
    else:
        raise BadSetting("path", f"{path} is no COCO file (.json), and no folder with Annotations/ and JPEGImages/")
    if not any(found.rows):
        raise BadSetting("path", f"{path} has no box in {len(found.files)} images; there is nothing to find")
    if twice := [file for file, count in Counter(found.files).items() if count > 1]:
        raise BadSetting("path", f"{path}: two entries are of the image {twice[0]}")
    if missing := [file for file in found.files if not file.exists()]:
        raise BadSetting("path", f"{missing[0]} is missing, as {len(missing)} of {len(found.files)} images")
    return found


def load(found: Annotated, size: int) -> Table:
    """The images, squeezed to `size` x `size`, and their `boxes` in these pixels.

    Raises:
        BadInput: an image cannot be read.
        BadSetting: it has another size than its annotation says.
    """
    most = max(map(len, found.rows))
    boxes = torch.full((len(found.files), most, 5), torch.nan)
    for i, (rows, (width, height)) in enumerate(zip(found.rows, found.sizes, strict=True)):
        if rows:
            scale = torch.tensor([1.0, size / width, size / height, size / width, size / height])
            boxes[i, : len(rows)] = torch.tensor(rows) * scale
    return Table({"image": decode.pictures(found.files, found.sizes, size), "boxes": boxes})


def _coco(path: Path) -> Annotated:
    try:
        content = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise BadSetting("path", f"{path}:{error.lineno}: no JSON ({error.msg})") from None
    except RecursionError:
        raise BadSetting("path", f"{path} is no COCO file: its lists are nested too deeply") from None
    images, categories = (_by_id(path, content, key) for key in ("images", "categories"))
    if len({type(key) for key in categories}) > 1:
        raise BadSetting("path", f"{path}: the ids of its categories are numbers and texts")
    numbers = {key: i for i, key in enumerate(sorted(categories))}
    classes = tuple(_named(f"{path}: category {key!r}", categories[key], "name") for key in numbers)
    if twice := [name for name, count in Counter(classes).items() if count > 1]:
        raise BadSetting("path", f"{path}: two categories are called {twice[0]!r}")
    warn_near_duplicates(classes, path)
    files = {key: _named(f"{path}: image {key!r}", each, "file_name") for key, each in images.items()}
    sizes = {key: _size(f"{path}: image {key!r}", each) for key, each in images.items()}
    rows: dict[Any, list[Row]] = {key: [] for key in images}
    for each in _listed(path, content, "annotations"):
        where = f"{path}: annotation {each.get('id')!r}"
        image = _known(where, each, "image", images)
        number = numbers[_known(where, each, "category", numbers)]
        if each.get("iscrowd"):
            continue
        box = each.get("bbox")
        if not isinstance(box, list) or len(box) != 4 or not all(map(_is_length, box)):
            raise BadSetting("path", f"{where}: bbox: expected [left, top, width, height], found {box!r:.60}")
        left, top, width, height = box
        rows[image].append(_row(number, (left, top, left + width, top + height), sizes[image], where))
    places = [_place(path.parent, name) for name in files.values()]
    return Annotated(classes, places, list(sizes.values()), list(rows.values()))


def _listed(path: Path, content: Any, key: str) -> list[dict[str, Any]]:
    entries = content.get(key) if isinstance(content, dict) else None
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise BadSetting("path", f"{path} has no list {key!r}, which a COCO file has")
    return entries


def _by_id(path: Path, content: Any, key: str) -> dict[int | str, dict[str, Any]]:
    """The entries of a list by their ids."""
    found: dict[int | str, dict[str, Any]] = {}
    for each in _listed(path, content, key):
        name: Any = each.get("id")
        if type(name) not in (int, str):
            raise BadSetting("path", f"{path}: {key}: expected a number or a text as id, found {name!r:.60}")
        if name in found:
            raise BadSetting("path", f"{path}: {key}: two have the id {name!r}")
        found[name] = each
    return found


def _known(where: str, entry: Mapping[str, Any], noun: str, known: Collection[int | str]) -> Any:
    """The image or the category that an annotation names."""
    name: Any = entry.get(f"{noun}_id")
    if type(name) not in (int, str) or name not in known:
        listed = f"; known are {', '.join(map(repr, known))}" if len(known) <= MOST_LISTED else ""
        raise BadSetting("path", f"{where}: there is no {noun} {name!r:.60}{listed}")
    return name


def _named(where: str, entry: Mapping[str, Any], key: str) -> str:
    name = entry.get(key)
    if not isinstance(name, str) or not name.strip():
        raise BadSetting("path", f"{where}: expected a text as {key}, found {name!r:.60}")
    return name.strip()


def _size(where: str, image: Mapping[str, Any]) -> tuple[int, int]:
    sides: dict[str, Any] = {key: image.get(key) for key in ("width", "height")}
    for key, side in sides.items():
        if not _is_length(side) or side % 1 or side < 1:
            raise BadSetting("path", f"{where}: {key}: expected a whole number above 0, found {side!r:.60}")
    return int(sides["width"]), int(sides["height"])


def _is_length(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < LONGEST


def _place(folder: Path, name: str) -> Path:
    """The file of an image of a COCO file: beside it, or in `images/` beside it or above it."""
    places = [folder / name, folder / "images" / name, folder.parent / "images" / name]
    return next((place for place in places if place.exists()), places[1])


def _voc(path: Path) -> Annotated:
    files, sizes, named = [], [], []
    for file in sorted((path / "Annotations").glob("*.xml")):
        try:
            tree = ElementTree.fromstring(file.read_bytes())
            size = int(_text(tree, "size/width")), int(_text(tree, "size/height"))
            objects = [each for each in tree.iter("object") if each.findtext("difficult", "0") != "1"]
            sides = [[float(_text(each, f"bndbox/{side}")) for side in SIDES] for each in objects]
            files.append(path / "JPEGImages" / _text(tree, "filename"))
            names = [_text(each, "name").strip() for each in objects]
            if not all(names):
                raise ValueError("an object has an empty name")
        except (ElementTree.ParseError, ValueError) as error:
            raise BadSetting("path", f"{file}: {error}") from None
        sizes.append(size)
        named.append((file, list(zip(names, sides, strict=True))))
    if not files:
        raise BadSetting("path", f"{path / 'Annotations'} has no .xml files")
    left_out = sorted({each for each in (path / "JPEGImages").glob("*") if each.is_file()} - set(files))
    if left_out:
        words = f"{len(left_out)} files in {path / 'JPEGImages'} have no annotation and are left out"
        warnings.warn(f"{words}: {left_out[0].name}{', ...' * (len(left_out) > 1)}", stacklevel=4)
    classes = tuple(sorted({name for _, boxes in named for name, _ in boxes}))
    warn_near_duplicates(classes, path)
    rows = [
        [_row(classes.index(name), (sides[0] - 1, sides[1] - 1, *sides[2:]), size, str(file)) for name, sides in boxes]
        for (file, boxes), size in zip(named, sizes, strict=True)
    ]  # the first pixel is 1 there
    return Annotated(classes, files, sizes, rows)


def _text(tree: ElementTree.Element, name: str) -> str:
    found = tree.findtext(name)
    if found is None:
        raise ValueError(f"there is no {name} in it")
    return found


def _row(label: int, sides: tuple[float, ...], size: tuple[int, int], where: str) -> Row:
    left, top, right, bottom = sides
    words = f"{where}: the box {', '.join(f'{side:g}' for side in sides)} (left, top, right, bottom)"
    if not (min(left, top) >= -EDGE and right <= size[0] + EDGE and bottom <= size[1] + EDGE):  # so is NaN found, too
        raise BadSetting("path", f"{words} lies outside its image of {size[0]} x {size[1]} pixels")
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, size[0]), min(bottom, size[1])
    if not (right > left and bottom > top):
        raise BadSetting("path", f"{words} has no area")
    return label, left, top, right, bottom
