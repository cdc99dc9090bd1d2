"""Fingerprints of pictures: equal pixels, and pictures that look alike."""

from __future__ import annotations

import hashlib
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from visus.image.color import converted


def digest(image: NDArray[Any]) -> str:
    """SHA-256 of a picture's pixels, type and shape, in hexadecimal: equal only for equal pictures.

    The file format, its metadata and its suffix play no part.
    """
    content = hashlib.sha256(f"{image.dtype.name} {image.shape} ".encode())
    content.update(np.ascontiguousarray(image).data)
    return content.hexdigest()


def dhash(image: NDArray[np.uint8]) -> int:
    """64-bit difference hash: nearly the same for pictures that look nearly the same.

    The picture is made gray and averaged down to 8 rows of 9 pixels; each bit says whether a pixel is
    brighter than its left neighbour, row by row, the first one the highest. It survives another size, format,
    compression or slight change of colour, not a crop or a flip. A picture without any change from left to
    right has the hash 0, so that all plain pictures look alike. Near-duplicates differ in at most 5 bits or
    so (N. Krawetz, "Kind of Like That", 2013).

    Args:
        image: uint8 `(height, width)` or `(height, width, n)`.

    Returns:
        0 .. 2**64 - 1. Keep it in integers: float64 loses the last bits.

    Example:
        >>> ramp = np.tile(np.arange(9, dtype=np.uint8), (8, 1))
        >>> hex(dhash(ramp))
        '0xffffffffffffffff'
    """
    gray = cv2.resize(converted(image, 1), (9, 8), interpolation=cv2.INTER_AREA)
    return int.from_bytes(np.packbits(gray[:, 1:] > gray[:, :-1]).tobytes(), "big")


def hamming(a: ArrayLike, b: ArrayLike) -> NDArray[np.uint8]:
    """Number of bits in which 64-bit hashes differ, element by element with broadcasting.

    Example:
        >>> hamming([0b1011, 7], 0b0001).tolist()
        [2, 2]
    """
    return np.bitwise_count(np.bitwise_xor(np.asarray(a, np.uint64), np.asarray(b, np.uint64)))
