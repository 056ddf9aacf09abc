"""Images, videos and audio as files, from the tensors and arrays that modules log. Nothing here is random."""

from __future__ import annotations

import io
import math
import wave
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw

CHANNELS = (1, 3, 4)
BINS, WIDTH, HEIGHT, MARGIN = 64, 384, 160, 14  # of the picture of a histogram


def array(value: Any) -> np.ndarray:
    """Numbers from a tensor on any device, an array or a list; half precision becomes single."""
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        value = value.float() if value.is_floating_point() else value
        return np.asarray(value.numpy())
    return np.asarray(value)


def picture(value: Any, layout: str | None = None) -> Image.Image:
    """A picture from a tensor, an array, a figure of matplotlib or a picture of Pillow.

    Args:
        value: numbers are from 0 to 1, or bytes if they are whole.
        layout: the order of the axes, such as `CHW`; None takes channels where there are 1, 3 or 4 of them, in a tensor
            first and in an array last if both are possible.

    Raises:
        ValueError: it is no picture.
    """
    if isinstance(value, Image.Image):
        return value
    if hasattr(value, "savefig"):
        buffer = io.BytesIO()
        value.savefig(buffer, format="png")
        return Image.open(buffer)
    if isinstance(value, str):  # a file
        return Image.open(value)
    pixels = array(value)
    layout = layout or _layout(pixels.shape, channels_first=isinstance(value, torch.Tensor))
    if len(layout) != pixels.ndim or pixels.size == 0:
        raise ValueError(f"an array of shape {pixels.shape} is not an image with the axes {layout}")
    pixels = np.moveaxis(pixels, [layout.index(axis) for axis in "HWC" if axis in layout], range(pixels.ndim))
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim == 3 and pixels.shape[2] not in CHANNELS:
        raise ValueError(f"an array of shape {pixels.shape} is not an image: it has {pixels.shape[2]} channels")
    return Image.fromarray(_bytes(pixels))


def grid(value: Any, layout: str = "NCHW") -> Image.Image:
    """Several pictures of one size beside and below each other."""
    pixels = array(value)
    tiles = [picture(tile, layout.replace("N", "")) for tile in np.moveaxis(pixels, layout.index("N"), 0)]
    if not tiles:
        raise ValueError("no images")
    columns, (width, height) = math.ceil(math.sqrt(len(tiles))), tiles[0].size
    sheet = Image.new(tiles[0].mode, (columns * width, math.ceil(len(tiles) / columns) * height))
    for i, tile in enumerate(tiles):
        sheet.paste(tile, (i % columns * width, i // columns * height))
    return sheet


def histogram(values: Any) -> Image.Image:
    """Bars for the numbers, from the smallest to the largest; what is not finite is left out."""
    numbers = array(values).astype(np.float64).ravel()
    numbers = numbers[np.isfinite(numbers)]
    counts, edges = np.histogram(numbers, BINS) if numbers.size else (np.zeros(BINS), np.zeros(2))
    return bars(counts, edges[0], edges[-1])


def bars(counts: Any, low: float, high: float) -> Image.Image:
    """A histogram from its counts; drawn by hand, for a module may log one for every weight of a network."""
    heights = array(counts).astype(np.float64)
    sheet = Image.new("L", (WIDTH, HEIGHT + MARGIN), 255)
    pen, width, top = ImageDraw.Draw(sheet), WIDTH / max(len(heights), 1), max(heights.max(initial=0), 1)
    for i, height in enumerate(heights):
        pen.rectangle((i * width, HEIGHT - height / top * (HEIGHT - 2), (i + 1) * width - 1, HEIGHT), fill=90)
    pen.text((2, HEIGHT + 1), f"{low:.4g}", fill=0)
    pen.text((WIDTH - 60, HEIGHT + 1), f"{high:.4g}", fill=0)
    return sheet


def animation(frames: Sequence[Image.Image], fps: float) -> bytes:
    """The frames as a GIF."""
    buffer, (first, *rest) = io.BytesIO(), frames
    first.save(buffer, "GIF", save_all=True, append_images=rest, duration=max(1, round(1000 / fps)), loop=0)
    return buffer.getvalue()


def film(value: Any, fps: float) -> bytes:
    """Several films of one length as one GIF: a tensor (N, T, C, H, W), as TensorBoard has it."""
    frames = np.moveaxis(array(value), 1, 0)
    return animation([grid(frame) for frame in frames], fps)


def sound(value: Any, rate: int) -> bytes:
    """One channel from -1 to 1 as WAV."""
    samples = np.clip(np.nan_to_num(array(value).astype(np.float64)).ravel(), -1, 1)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def png(image: Image.Image) -> bytes:
    """The picture as a file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _layout(shape: tuple[int, ...], channels_first: bool) -> str:
    if len(shape) == 2:
        return "HW"
    first, last = shape[0] in CHANNELS, shape[-1] in CHANNELS
    return "CHW" if first and (channels_first or not last) else "HWC"


def _bytes(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels)
    if pixels.dtype.kind in "iu":
        return np.ascontiguousarray(np.clip(pixels, 0, 255).astype(np.uint8))
    scaled = np.nan_to_num(pixels.astype(np.float64)) * 255
    return np.ascontiguousarray(np.clip(scaled, 0, 255).astype(np.uint8))
