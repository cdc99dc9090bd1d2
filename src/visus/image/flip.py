"""Exact moves of whole pixels: mirror images and transposes, without interpolation."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def flip(image: NDArray[Any], *, left_right: bool = False, up_down: bool = False) -> NDArray[Any]:
    """The mirror image of `(h, w)` or `(h, w, c)`, as a new contiguous array.

    Example:
        >>> flip(np.array([[1, 2, 3]], np.uint8), left_right=True).tolist()
        [[3, 2, 1]]
    """
    if not (left_right or up_down):
        return np.array(image, order="C")
    code = -1 if left_right and up_down else int(left_right)
    return np.asarray(cv2.flip(image, code)).reshape(image.shape)


def transpose(image: NDArray[Any]) -> NDArray[Any]:
    """Rows become columns: `(h, w, ...)` -> `(w, h, ...)`, as a new contiguous array.

    Example:
        >>> transpose(np.array([[1, 2, 3]], np.uint8)).tolist()
        [[1], [2], [3]]
    """
    height, width = image.shape[:2]
    return np.asarray(cv2.transpose(image)).reshape(width, height, *image.shape[2:])
