"""Images with boxes of your own: a COCO file of annotations, or a folder as of Pascal VOC.

Formats: Lin et al., Microsoft COCO, ECCV 2014; Everingham et al., The PASCAL visual object classes, IJCV 2010.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import torch

from lab.data import Table, read_text
from lab.errors import BadSetting
from lab.vision.data.real import decode

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
    known = content if isinstance(content, dict) else {}
    parts = {key: known.get(key) for key in ("images", "annotations", "categories")}
    for key, value in parts.items():
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise BadSetting("path", f"{path} has no list {key!r}, which a COCO file has")
    try:
        categories = sorted((each["id"], str(each["name"])) for each in parts["categories"] or [])
        number = {key: i for i, (key, _) in enumerate(categories)}
        images = {each["id"]: each for each in parts["images"] or []}
        rows: dict[Any, list[Row]] = {key: [] for key in images}
        for each in parts["annotations"] or []:
            where = f"{path}: annotation {each.get('id')}"
            image = images.get(each["image_id"])
            if image is None:
                raise BadSetting("path", f"{where}: there is no image {each['image_id']}")
            if each["category_id"] not in number:
                listed = ", ".join(str(key) for key in number)
                raise BadSetting("path", f"{where}: there is no category {each['category_id']}; known are {listed}")
            if each.get("iscrowd"):
                continue
            left, top, width, height = each["bbox"]
            sides = (left, top, left + width, top + height)
            rows[each["image_id"]].append(_row(number[each["category_id"]], sides, _size(image), where))
        places = [_place(path.parent, str(each["file_name"])) for each in images.values()]
        sizes = [_size(each) for each in images.values()]
        return Annotated(tuple(name for _, name in categories), places, sizes, list(rows.values()))
    except (KeyError, TypeError, ValueError) as error:
        missing = f"an entry has no {error}" if isinstance(error, KeyError) else f"an entry cannot be read ({error})"
        raise BadSetting("path", f"{path}: {missing}") from None


def _place(folder: Path, name: str) -> Path:
    """The file of an image of a COCO file: beside it, or in `images/` beside it or above it."""
    places = [folder / name, folder / "images" / name, folder.parent / "images" / name]
    return next((place for place in places if place.exists()), places[1])


def _size(image: Mapping[str, Any]) -> tuple[int, int]:
    return int(image["width"]), int(image["height"])


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
        except (ElementTree.ParseError, ValueError) as error:
            raise BadSetting("path", f"{file}: {error}") from None
        sizes.append(size)
        named.append((file, list(zip(names, sides, strict=True))))
    if not files:
        raise BadSetting("path", f"{path / 'Annotations'} has no .xml files")
    classes = tuple(sorted({name for _, boxes in named for name, _ in boxes}))
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
    if min(left, top) < -EDGE or right > size[0] + EDGE or bottom > size[1] + EDGE:
        raise BadSetting("path", f"{words} lies outside its image of {size[0]} x {size[1]} pixels")
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, size[0]), min(bottom, size[1])
    if right <= left or bottom <= top:
        raise BadSetting("path", f"{words} has no area")
    return label, left, top, right, bottom
