"""Blur and sharpness: what lens, shake and sharpening do to a picture.

Every function takes a uint8 picture `(h, w)`, `(h, w, 1)` or `(h, w, 3)` and returns a new one of the same
shape. Outside the picture its rows and columns are mirrored (the edge pixel not repeated).
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


def gaussian_blur(image: Picture, sigma: float) -> Picture:
    """Blurs with a Gaussian of standard deviation `sigma` pixels; 0 changes nothing.

    Raises:
        ValueError: `sigma` is negative.

    Example:
        >>> dot = np.zeros((5, 5), np.uint8)
        >>> dot[2, 2] = 255
        >>> int(gaussian_blur(dot, 1.0)[2, 2])  # 255 / (2 pi) = 40.6
        40
    """
    if sigma < 0:
        raise ValueError(f"gaussian_blur needs a sigma of at least 0 pixels. Received {sigma}.")
    if sigma == 0:
        return image.copy()
    size = 2 * math.ceil(3 * sigma) + 1
    out = cv2.GaussianBlur(image, (size, size), sigma, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(out, np.uint8).reshape(image.shape)


def motion_blur(image: Picture, length: float, degrees: float) -> Picture:
    """Blurs along a line, as a camera does that moves `length` pixels while the shutter is open.

    Args:
        image: The picture.
        length: Length of the line in pixels, at least 1; 1 changes nothing.
        degrees: Direction of the line, counter-clockwise from the right; 180 is the same as 0.

    Raises:
        ValueError: `length` is below 1.

    Example:
        >>> dot = np.zeros((1, 5), np.uint8)
        >>> dot[0, 2] = 90
        >>> motion_blur(dot, 3, 0).tolist()
        [[0, 30, 30, 30, 0]]
    """
    if length < 1:
        raise ValueError(f"motion_blur needs a length of at least 1 pixel. Received {length}.")
    kernel = _line(length, degrees)
    if kernel.size == 1:
        return image.copy()
    out = cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(out, np.uint8).reshape(image.shape)


def sharpness(image: Picture, factor: float) -> Picture:
    """Moves the picture away from (factor > 1) or towards (< 1) its smoothed self; 1 changes nothing.

    The smoothing kernel is PIL's: the pixel counts 5, each of its eight neighbours 1, over 13.

    Example:
        >>> dot = np.zeros((3, 3), np.uint8)
        >>> dot[1, 1] = 130
        >>> int(sharpness(dot, 0.0)[1, 1]), int(sharpness(dot, 2.0)[1, 1])
        (50, 210)
    """
    if factor == 1:
        return image.copy()
    kernel = np.ones((3, 3), np.float32) / 13
    kernel[1, 1] = 5 / 13
    smooth = cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT_101)
    out = cv2.addWeighted(image, factor, smooth.reshape(image.shape), 1 - factor, 0)
    return np.asarray(out, np.uint8).reshape(image.shape)


def _line(length: float, degrees: float) -> NDArray[np.float32]:
    """A kernel of sum 1, in which each pixel weighs the length of the line that lies inside it."""
    angle = math.radians(degrees)
    pieces = 32 * math.ceil(length)
    t = ((np.arange(pieces) + 0.5) / pieces - 0.5) * length
    column = np.rint(t * math.cos(angle)).astype(int)
    row = np.rint(-t * math.sin(angle)).astype(int)
    half = max(abs(row).max(), abs(column).max())
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    np.add.at(kernel, (row + half, column + half), 1 / pieces)
    return kernel
