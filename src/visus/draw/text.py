"""Text on pictures, large enough to read and never over what the picture shows."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

NARROWEST = 200  # pixels; a narrower picture is enlarged before it gets a caption
ENLARGED = 1600  # pixels; no side grows beyond that
SMALLEST, LARGEST = 12, 200  # pixels, height of the letters


def caption(image: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    """Sets a caption below a picture: white on black, in a band of its own.

    The letters grow with the picture. A line that is too long gets smaller letters, then an ellipsis. A
    picture narrower than 200 pixels is first enlarged by a whole factor, without smoothing; a strip that is
    too long for that gets a black margin.

    Args:
        image: uint8 `(height, width, 3)` RGB or `(height, width)` gray.
        text: One or several lines.

    Returns:
        A new uint8 `(height + band, width, 3)` array.

    Example:
        >>> caption(np.zeros((300, 400, 3), np.uint8), "rose 97 %").shape[1]
        400
    """
    picture = np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image
    factor = max(1, min(-(-NARROWEST // picture.shape[1]), ENLARGED // max(picture.shape)))
    picture = picture.repeat(factor, axis=0).repeat(factor, axis=1)
    margin = max(0, NARROWEST - picture.shape[1])
    picture = np.pad(picture, ((0, 0), (0, margin), (0, 0)))
    height, width = picture.shape[:2]
    largest = round(min(max(max(height, width) / 24, SMALLEST), width / 10, LARGEST))
    lines = [_fitted(line, width - largest, largest) for line in text.splitlines()]
    spacing = round(largest * 1.35)
    band = Image.new("RGB", (width, len(lines) * spacing + largest // 2))
    pen = ImageDraw.Draw(band)
    for i, (line, font) in enumerate(lines):
        pen.text((largest // 2, largest // 4 + i * spacing + spacing // 2), line, "white", font, anchor="lm")
    return np.concatenate([picture, np.asarray(band)])


def _fitted(line: str, width: int, largest: int) -> tuple[str, ImageFont.FreeTypeFont]:
    """The line, cut if need be, with the largest letters that fit."""
    wide = _font(largest).getlength(line)
    size = max(SMALLEST, min(largest, int(largest * width / wide))) if wide > 0 else largest
    font = _font(size)
    if font.getlength(line) <= width:
        return line, font
    kept = min(len(line), width)  # no letter is narrower than a pixel
    while kept and font.getlength(line[:kept] + "…") > width:
        kept -= 1
    return line[:kept] + "…", font


@lru_cache(32)
def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which Matplotlib carries: Latin, Greek, Cyrillic and more."""
    spec = find_spec("matplotlib")
    assert spec is not None and spec.origin is not None
    file = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(file), size)
