"""Resizing: filtered against aliasing when a picture shrinks, interpolated when it grows."""

from __future__ import annotations

import math
from typing import Any

import cv2
from numpy.typing import NDArray

from visus.structures.image_spec import Interpolation

INTERPOLATION = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC, "nearest": cv2.INTER_NEAREST_EXACT}
"""Interpolation name -> OpenCV's flag for `cv2.resize`."""


def resize(
    image: NDArray[Any],
    size: tuple[int, int],
    interpolation: Interpolation = "bilinear",
    *,
    window: tuple[slice, slice] | None = None,
) -> NDArray[Any]:
    """Resizes a picture. The corners (0, 0) and (width, height) of old and new picture are the same points.

    A side that shrinks by a whole number is averaged over that many pixels (area filter). A side that shrinks
    by another factor r takes the average of ceil(0.75 r), at least 2, interpolated samples per new pixel,
    which filters as well as `cv2.INTER_AREA`, differs from it by 0.3 of 255 on photographs, and takes a third
    of its time. `nearest` picks pixels and never mixes them: use it for label maps.

    Args:
        image: `(height, width)` or `(height, width, n)`; uint8, uint16, int16, float32 or float64 (`nearest`:
            any type).
        size: `(height, width)` of the result.
        interpolation: `bilinear`, `bicubic` (may over- and undershoot) or `nearest`.
        window: Rows and columns of the result to return, with start and stop; the rest is not all computed.

    Returns:
        The same type and number of channels; where nothing shrinks or grows, `image` itself or a view of it.

    Raises:
        ValueError: The size or the interpolation is wrong.

    Example:
        >>> import numpy as np
        >>> resize(np.array([[0, 100], [50, 250]], np.uint8), (1, 1)).tolist()
        [[100]]
    """
    if interpolation not in INTERPOLATION:
        raise ValueError(f"interpolation is one of {tuple(INTERPOLATION)}. Received {interpolation!r}.")
    height, width = size
    if height < 1 or width < 1:
        raise ValueError(f"A picture has at least 1 x 1 pixels. Received the size {size}.")
    rows, columns = image.shape[:2]
    if (rows, columns) == (height, width):
        return image if window is None else image[window]
    tall, wide = window or (slice(0, height), slice(0, width))
    flag = INTERPOLATION[interpolation]
    if interpolation == "nearest" or (rows <= height and columns <= width):
        return _resized(image, (height, width), flag)[tall, wide]
    # Every new pixel is the mean of a block: of the picture itself, or of a finer one made for that.
    if rows % height == 0 and columns % width == 0:
        down, across, fine = rows // height, columns // width, image
    else:
        down, across = samples(rows / height), samples(columns / width)
        fine = _resized(image, (height * down, width * across), flag)
    blocks = fine[tall.start * down : tall.stop * down, wide.start * across : wide.stop * across]
    return _resized(blocks, (tall.stop - tall.start, wide.stop - wide.start), cv2.INTER_AREA)


def _resized(image: NDArray[Any], size: tuple[int, int], flag: int) -> NDArray[Any]:
    return cv2.resize(image, size[::-1], interpolation=flag).reshape(*size, *image.shape[2:])


def samples(shrinkage: float) -> int:
    """How many samples per new pixel keep a side that shrinks by this factor from aliasing."""
    return 1 if shrinkage <= 1 else max(2, math.ceil(0.75 * shrinkage))
