"""Contact sheets: many pictures on one, each with its caption."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visus.image.resize import resize

_PAPER, _INK = 255, 40
_GAP = 6


def sheet(
    images: Sequence[NDArray[np.uint8]],
    captions: Sequence[str] = (),
    columns: int | None = None,
    cell: tuple[int, int] = (160, 160),
) -> NDArray[np.uint8]:
    """Lays pictures out in rows, left to right.

    Args:
        images: uint8 `(h, w, 3)` RGB, `(h, w)` or `(h, w, 1)` gray, of any sizes; each keeps its aspect.
        captions: One for each picture (none for no captions); one that is too long ends in dots.
        columns: Pictures in a row; by default as many as make the sheet about square.
        cell: `(height, width)` of the room for each picture. Pictures below half of it are enlarged by whole
            pixels.

    Returns:
        uint8 `(height, width, 3)` RGB.

    Raises:
        ValueError: There is no picture, or the number of captions is another one.

    Example:
        >>> sheet([np.zeros((20, 30, 3), np.uint8)] * 6, columns=3, cell=(50, 50)).shape
        (118, 174, 3)
    """
    if not images:
        raise ValueError("A contact sheet needs at least one picture. Received none.")
    if captions and len(captions) != len(images):
        raise ValueError(f"{len(images)} pictures need as many captions. Received {len(captions)}.")
    columns = columns or math.ceil(math.sqrt(len(images)))
    height, width = cell[0] + (_caption_height() if captions else 0), cell[1]
    rows = math.ceil(len(images) / columns)
    out = np.full((rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, 3), _PAPER, np.uint8)
    for i, image in enumerate(images):
        top = _GAP + i // columns * (height + _GAP)
        left = _GAP + i % columns * (width + _GAP)
        picture = _fit(image, cell)
        y, x = top + (cell[0] - picture.shape[0]) // 2, left + (width - picture.shape[1]) // 2
        out[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
        if captions:
            caption = _text(captions[i], width)
            below = top + cell[0]
            out[below : below + caption.shape[0], left : left + width] = caption[..., None]
    return out


def _fit(image: NDArray[np.uint8], cell: tuple[int, int]) -> NDArray[np.uint8]:
    """The RGB picture, as large as fits."""
    image = image.reshape(*image.shape[:2], -1)
    image = np.broadcast_to(image, (*image.shape[:2], 3)) if image.shape[2] == 1 else image[..., :3]
    scale = min(cell[0] / image.shape[0], cell[1] / image.shape[1])
    if scale >= 2:
        return image.repeat(int(scale), axis=0).repeat(int(scale), axis=1)
    size = max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale))
    return resize(np.ascontiguousarray(image), size)


@cache
def _font() -> Any:
    # DejaVu comes with matplotlib and knows Latin, Greek, Cyrillic and more, which OpenCV's strokes do not.
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), 11)


@cache
def _caption_height() -> int:
    ascent, descent = _font().getmetrics()
    return int(ascent + descent) + 2


def _text(caption: str, width: int) -> NDArray[np.uint8]:
    """uint8 `(caption height, width)`: one line of text, in the middle, cut to the width."""
    from PIL import Image, ImageDraw

    font = _font()
    line = " ".join(caption.split())
    if font.getlength(line) > width:
        while line and font.getlength(line + "…") > width:
            line = line[:-1]
        line += "…"
    canvas = Image.new("L", (width, _caption_height()), _PAPER)
    ImageDraw.Draw(canvas).text((width / 2, 1), line, fill=_INK, font=font, anchor="ma")
    return np.asarray(canvas)
