"""Small pictures for pages: shrunk, encoded, and carried inside the page as `data:` URIs."""

from __future__ import annotations

import base64
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from visus.image.resize import resize

_PIXELATED = 64  # up to this side a picture is kept pixel by pixel and enlarged by the browser


def thumbnail(image: NDArray[np.uint8], side: int = 160) -> NDArray[np.uint8]:
    """Shrinks a picture so that its longer side is at most `side` pixels, filtered against aliasing.

    Args:
        image: uint8 `(height, width, 3)` RGB, `(height, width)` or `(height, width, 1)` gray.
        side: Longest side of the result, pixels.

    Returns:
        uint8 `(h, w, 3)` RGB; a picture that is small enough keeps its size.

    Raises:
        ValueError: `image` is no uint8 RGB or gray picture.

    Example:
        >>> thumbnail(np.zeros((400, 800), np.uint8)).shape
        (80, 160, 3)
    """
    image = np.asarray(image)
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if (
        image.dtype != np.uint8
        or image.size == 0
        or image.ndim not in (2, 3)
        or image.shape[2:] not in ((), (3,))
    ):
        raise ValueError(
            "thumbnail needs a uint8 picture of shape (height, width, 3) or (height, width). "
            f"Received {image.dtype} of shape {image.shape}."
        )
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale < 1.0:
        image = resize(image, (max(1, round(height * scale)), max(1, round(width * scale))))
    if image.ndim == 2:
        image = np.repeat(image[:, :, None], 3, axis=2)
    return image


def data_uri(image: NDArray[np.uint8], *, lossless: bool | None = None, quality: int = 85) -> str:
    """Encodes a picture as a `data:` URI, which a page carries inside itself.

    Args:
        image: uint8 `(height, width, 3)` RGB.
        lossless: PNG instead of JPEG; by default only for pictures of up to 64 x 64 pixels, where JPEG shows.
        quality: Of the JPEG, 0 to 100.

    Returns:
        `data:image/jpeg;base64,...` or `data:image/png;base64,...`.

    Example:
        >>> data_uri(np.zeros((100, 100, 3), np.uint8))[:23]
        'data:image/jpeg;base64,'
    """
    if lossless is None:
        lossless = is_tiny(image)
    suffix, options = (".png", []) if lossless else (".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality])
    done, encoded = cv2.imencode(suffix, image[:, :, ::-1], options)
    if not done:
        raise ValueError(f"OpenCV could not encode a picture of shape {image.shape} as {suffix}.")
    return f"data:image/{'png' if lossless else 'jpeg'};base64,{base64.b64encode(encoded.tobytes()).decode()}"


def is_tiny(image: NDArray[Any]) -> bool:
    """Whether a picture is so small (64 x 64 at most) that a page should enlarge it pixel by pixel."""
    return bool(max(image.shape[:2]) <= _PIXELATED)
