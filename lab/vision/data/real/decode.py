"""Image files with masks: decoded once, made square, and kept as bytes; that fits in memory, and needs no workers."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from lab.data import Table, cached_table
from lab.errors import BadInput, BadSetting

ENDINGS = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
LOSSY = ("JPEG", "JPEG2000", "MPO", "WEBP")  # whose values at an edge are others than those that were saved
LOSSY_TIFF = ("jpeg", "tiff_jpeg", "jpeg2000", "webp", "lerc")
WHOLE = "a mask has whole numbers from 0 to 255"
VERSION = 3  # goes up when other pixels come out of the same files
Classes = Callable[[NDArray[np.uint8], Path], NDArray[np.uint8]]  # values of a mask file, and its name -> classes


def images(pairs: Sequence[tuple[Path, Path]], size: int, classes: Classes, upright: bool = False) -> Table:
    """Pictures and masks of any shape, squeezed to `size` x `size`; a cache knows them by name, size and time.

    Args:
        pairs: the file of each picture, and of its mask.
        size: height and width of the result.
        classes: from the values of a mask file, and its name, to classes.
        upright: turn files as their EXIF orientation says, as every viewer does; published sets count raw pixels.

    Raises:
        BadInput: a file is missing or no image, a mask is not as large as its picture, or `classes` refuses it.
        BadSetting: that many pixels do not fit in memory.
    """
    _check_memory(len(pairs) * size * size * 4, len(pairs), size)
    digest = hashlib.sha256(f"{VERSION} {classes.__name__} {size} {upright}".encode())
    for path in (path for pair in pairs for path in pair):
        try:
            found = path.stat()
        except FileNotFoundError:
            raise BadInput(f"{path} is missing") from None
        digest.update(f"{path.resolve()} {found.st_size} {found.st_mtime_ns}".encode())
    return cached_table(f"decoded-{size}-{digest.hexdigest()[:16]}", lambda: _decoded(pairs, size, classes, upright))


def pictures(files: Sequence[Path], sizes: Sequence[tuple[int, int]] | None, size: int) -> Tensor:
    """Pictures, squeezed to (N, 3, size, size) bytes; those of known widths and heights are not turned by their EXIF.

    Raises:
        BadInput: a file is no image, or has another size than is known of it.
        BadSetting: that many pixels do not fit in memory.
    """
    _check_memory(len(files) * size * size * 3, len(files), size)
    found = torch.empty(len(files), 3, size, size, dtype=torch.uint8)
    for i, file in enumerate(files):
        picture = _opened(file)
        if sizes is None:
            picture = ImageOps.exif_transpose(picture)
        elif picture.size != sizes[i]:
            shapes = [f"{width} x {height}" for width, height in (picture.size, sizes[i])]
            raise BadInput(f"{file} has {shapes[0]} pixels, but its annotation says {shapes[1]}")
        picture = _colours(picture, file).resize((size, size), Image.Resampling.BILINEAR, reducing_gap=2.0)
        found[i] = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
    return found


def mask_values(path: Path) -> NDArray[np.uint8]:
    """The values of a mask file.

    Raises:
        BadInput: it cannot be read, is compressed with losses, or has other values than a mask.
    """
    mask = _opened(path)
    _check_lossless(mask, path)
    return _values(mask, path)


def _decoded(pairs: Sequence[tuple[Path, Path]], size: int, classes: Classes, upright: bool) -> Table:
    pictures = torch.empty(len(pairs), 3, size, size, dtype=torch.uint8)
    masks = torch.empty(len(pairs), size, size, dtype=torch.uint8)

    def read(i: int) -> None:
        picture_file, mask_file = pairs[i]
        picture, mask = _opened(picture_file), _opened(mask_file)
        _check_lossless(mask, mask_file)
        stored = picture.size
        if upright:
            picture, mask = ImageOps.exif_transpose(picture), ImageOps.exif_transpose(mask)
        if picture.size != mask.size:
            shapes = [f"{image.width} x {image.height}" for image in (mask, picture)]
            turned = ", turned as its EXIF orientation says" if picture.size != stored else ""
            words = f"{mask_file} has {shapes[0]} pixels, but its image {picture_file.name} has {shapes[1]}{turned}"
            raise BadInput(f"{words}; save the mask in the size of the image")
        whole = classes(_values(mask, mask_file), mask_file)  # before it is made smaller, which could hide a wrong one
        picture = _colours(picture, picture_file).resize((size, size), Image.Resampling.BILINEAR, reducing_gap=2.0)
        small = Image.fromarray(whole).resize((size, size), Image.Resampling.NEAREST)
        pictures[i] = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
        masks[i] = torch.from_numpy(np.array(small))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(read, range(len(pairs))):
            pass
    return Table({"image": pictures, "mask": masks})


def _check_memory(needed: int, count: int, size: int) -> None:
    free = psutil.virtual_memory().available
    if needed > free / 2:
        words = f"{count} images of {size} x {size} need {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free"
        raise BadSetting("size", f"{words}; use smaller ones")


def _colours(picture: Any, path: Path) -> Any:
    """Three bytes for each pixel; 16 bits of grey are scaled, where Pillow would cut off what is above 255."""
    if picture.mode.startswith("I;16"):
        return Image.fromarray((np.array(picture).astype(np.uint16) / 257).round().astype(np.uint8)).convert("RGB")
    if picture.mode in ("I", "F"):
        raise BadInput(f"{path} has 32 bits for each pixel ({picture.mode}); save it with 8 or 16 bits")
    try:
        return picture.convert("RGB")
    except ValueError:
        raise BadInput(f"{path} has colours of mode {picture.mode}, which cannot be read; save it as RGB") from None


def _check_lossless(mask: Any, path: Path) -> None:
    """Refuses a mask whose values are not those that were saved."""
    compression = mask.info.get("compression") if mask.format == "TIFF" else None
    if mask.format in LOSSY or compression in LOSSY_TIFF:
        kind = f"TIFF file compressed as {compression}" if compression else f"{mask.format} file"
        raise BadInput(f"{path} is a {kind}, whose compression changes mask values; save it as PNG")


def _values(mask: Any, path: Path) -> NDArray[np.uint8]:
    """One number for each pixel; of a palette its places, and not its colours."""
    if mask.mode.startswith("I") or mask.mode == "F":
        wide = np.array(mask)
        if mask.mode == "F" and not (wide == np.rint(wide)).all():
            raise BadInput(f"{path} holds fractions, such as {wide[wide != np.rint(wide)][0]:.4g}; {WHOLE}")
        if wide.min() < 0 or wide.max() > 255:
            raise BadInput(f"{path} holds values from {wide.min()} to {wide.max()}; {WHOLE}")
        return wide.astype(np.uint8)
    if mask.mode in ("1", "L", "P"):
        return np.array(mask).astype(np.uint8)
    colours = np.array(mask.convert("RGB"))
    if (colours != colours[..., :1]).any():
        raise BadInput(f"{path} is in colour ({mask.mode}); a mask is grey or has a palette, one number for each pixel")
    return colours[..., 0]


def _opened(path: Path) -> Any:
    try:
        with Image.open(path) as image:
            if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":  # a camera's preview beside the picture
                raise BadInput(f"{path} holds {image.n_frames} images; save each as a file of its own")
            image.load()
            return image
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = str(error).replace(f" {str(path)!r}", "").replace("'", "")
        raise BadInput(f"{path} cannot be read as an image ({reason}); remove or replace it") from None
