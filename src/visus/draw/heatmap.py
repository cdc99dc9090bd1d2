"""A heat map laid over the picture that it belongs to."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def overlay(
    image: NDArray[np.uint8], heat: NDArray[np.float32], *, opacity: float = 0.7
) -> NDArray[np.uint8]:
    """Lays a heat map over a picture; where the map is 0, the picture shows as it is.

    Args:
        image: uint8 `(height, width, 3)` RGB or `(height, width)` gray.
        heat: float `(height, width)` in [0, 1].
        opacity: How much of the picture the hottest places hide, in [0, 1].

    Returns:
        A new uint8 `(height, width, 3)` array.

    Raises:
        ValueError: The sizes differ.

    Example:
        >>> overlay(np.zeros((2, 3, 3), np.uint8), np.zeros((2, 3), np.float32)).max()
        np.uint8(0)
    """
    if image.shape[:2] != heat.shape:
        raise ValueError(f"The heat map has the picture's size, {image.shape[:2]}. Received {heat.shape}.")
    picture = np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image
    heat = np.clip(heat, 0.0, 1.0)
    # Turbo's cold half is dark blue: it would dim what the map says nothing about, so opacity follows the
    # heat.
    levels = np.round(heat * 255).astype(np.uint8)
    colors = cv2.applyColorMap(levels, cv2.COLORMAP_TURBO)[..., ::-1]
    share = opacity * heat[..., None]
    return np.round(picture * (1 - share) + colors * share).astype(np.uint8)
