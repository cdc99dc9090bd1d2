"""Between gray, RGB, BGR and alpha. Types and ranges stay as they are."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def rgb_to_gray(image: NDArray[Any]) -> NDArray[Any]:
    """Luma of ITU-R BT.601: `0.299 R + 0.587 G + 0.114 B`, rounded; as Pillow, OpenCV and JPEG weigh it.

    Args:
        image: uint8, uint16 or float32 `(height, width, 3)` RGB.

    Returns:
        The same type, `(height, width)`.

    Example:
        >>> rgb_to_gray(np.full((1, 1, 3), (255, 0, 0), np.uint8)).tolist()
        [[76]]
    """
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def gray_to_rgb(image: NDArray[Any]) -> NDArray[Any]:
    """Three equal channels: `(height, width)` or `(height, width, 1)` -> `(height, width, 3)`."""
    return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)


def rgb_to_bgr(image: NDArray[Any]) -> NDArray[Any]:
    """Swaps the first and third of 3 or 4 channels; its own inverse."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2BGR if image.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)


def over(image: NDArray[np.uint8], background: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Lays a picture with alpha over one colour (Porter and Duff 1984, operator over).

    Args:
        image: uint8 `(height, width, 2)` or `(height, width, 4)`: gray or RGB and straight (not
            premultiplied) alpha.
        background: RGB colour, 0..255.

    Returns:
        uint8 `(height, width, 3)`.

    Example:
        >>> over(np.full((1, 1, 4), (255, 0, 0, 51), np.uint8), (0, 0, 255)).tolist()
        [[[51, 0, 204]]]
    """
    alpha = image[..., -1:].astype(np.uint16)
    # At most 255 * 255 + 127, which just fits into 16 bits.
    mixed = image[..., :-1] * alpha + np.asarray(background, np.uint16) * (255 - alpha) + np.uint16(127)
    return (mixed // 255).astype(np.uint8)


def converted(image: NDArray[Any], channels: int) -> NDArray[Any]:
    """A picture with the given number of channels.

    Gray becomes RGB by repetition, RGB becomes gray by `rgb_to_gray`, alpha is dropped, or added as opaque
    (for uint8 and uint16). Any other number of channels has to be there already.

    Args:
        image: `(height, width)` gray or `(height, width, n)` with n = 1 gray, 2 gray and alpha, 3 RGB, 4 RGB
            and alpha.
        channels: 1, 3, 4, or n.

    Returns:
        `(height, width)` for one channel, else `(height, width, channels)`.

    Raises:
        ValueError: There is no such conversion.

    Example:
        >>> converted(np.zeros((20, 30), np.uint8), 3).shape
        (20, 30, 3)
    """
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    have = 1 if image.ndim == 2 else image.shape[2]
    if have == channels:
        return image
    if channels not in (1, 3, 4) or have > 4:
        raise ValueError(f"A picture of {channels} channels was expected. Received one of {have}.")
    if have == 2:
        image, have = np.ascontiguousarray(image[..., 0]), 1
    if channels == 1:
        return image if have == 1 else rgb_to_gray(image[..., :3])
    if have == 1:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB if channels == 3 else cv2.COLOR_GRAY2RGBA)
    return cv2.cvtColor(image, cv2.COLOR_RGBA2RGB if channels == 3 else cv2.COLOR_RGB2RGBA)
