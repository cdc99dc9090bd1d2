"""Pictures under maps that no matrix describes: every pixel says where it comes from."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from visus.image.warp import BORDERS, Border

_LONGEST = 32_000  # cv2.remap counts source pixels in 16 bits


def remap(
    image: NDArray[np.uint8], points: NDArray[np.floating], *, border: Border = "constant", fill: float = 114
) -> NDArray[np.uint8]:
    """The picture whose pixel (r, c) shows `image` at `points[r, c]`, bilinearly.

    Where neighbouring pixels come from places two or more pixels apart, the picture is first reduced by an
    area filter, so that it shrinks without aliasing.

    Args:
        image: uint8 `(h, w)` or `(h, w, c)`.
        points: `(H, W, 2)`, continuous `(x, y)` in `image` that each new pixel's centre comes from.
        border: Outside `image`: `constant`, `nearest`, `reflect` (edge pixel repeated), `mirror` (not
            repeated) or `wrap`.
        fill: The value that `constant` uses.

    Returns:
        uint8 `(H, W)` or `(H, W, c)`.

    Raises:
        ValueError: The border is unknown.

    Example:
        >>> swap = np.array([[[1.5, 0.5], [0.5, 0.5]]])
        >>> remap(np.array([[10, 20]], np.uint8), swap).tolist()
        [[20, 10]]
    """
    if border not in BORDERS:
        raise ValueError(f"border is one of {tuple(BORDERS)}. Received {border!r}.")
    height, width = image.shape[:2]
    columns = math.ceil(width / _reduction(points[..., 0], width))
    rows = math.ceil(height / _reduction(points[..., 1], height))
    source = image
    if (rows, columns) != (height, width):
        source = np.asarray(cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA))
        points = points * np.array([columns / width, rows / height])
    out = cv2.remap(
        source,
        (points - 0.5).astype(np.float32),
        None,  # type: ignore[call-overload]
        cv2.INTER_LINEAR,
        borderMode=BORDERS[border],
        borderValue=(fill, fill, fill, fill),
    )
    return np.asarray(out, np.uint8).reshape(*points.shape[:2], *image.shape[2:])


def _reduction(coordinate: NDArray[np.floating], length: int) -> int:
    """How much to reduce the source along one axis, so that neighbours come from less than 2 pixels apart."""
    some = (
        coordinate[:: max(1, coordinate.shape[0] // 64)],
        coordinate[:, :: max(1, coordinate.shape[1] // 64)],
    )
    steps = [np.abs(np.diff(lines, axis=axis)) for lines, axis in zip(some, (1, 0))]
    typical = max((float(np.median(step)) for step in steps if step.size), default=1.0)
    return max(1, int(typical), math.ceil(length / _LONGEST))
