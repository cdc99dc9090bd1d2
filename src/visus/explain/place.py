"""From the grid of a map back to the pixels of the picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visus.image.warp import warp
from visus.structures import Affine, ImageSpec


def to_picture(
    grid: NDArray[np.float32], placed: Affine, spec: ImageSpec, image_size: tuple[int, int]
) -> NDArray[np.float32]:
    """Spreads a grid that covers the model's input over the picture.

    Args:
        grid: float `(h, w)`; cell (0, 0) covers the upper left `1/h` x `1/w` of the input.
        placed: The map from the picture to the input, as `visus.image.prepare` gives it.
        spec: The model's input.
        image_size: `(height, width)` of the picture.

    Returns:
        float32 `(height, width)`, interpolated between the centres of the cells; 0 where the input shows
        nothing of the picture.
    """
    cells = Affine.scaling(grid.shape[1] / spec.width, grid.shape[0] / spec.height) @ placed
    back = warp(grid.astype(np.float32), cells.inverse(), image_size, border="nearest")
    # Preparing never turns a picture, so what the input shows of it is a rectangle.
    x = placed.apply(np.stack([np.arange(image_size[1]) + 0.5, np.zeros(image_size[1])], axis=1))[:, 0]
    y = placed.apply(np.stack([np.zeros(image_size[0]), np.arange(image_size[0]) + 0.5], axis=1))[:, 1]
    seen = ((y >= 0) & (y <= spec.height))[:, None] & ((x >= 0) & (x <= spec.width))
    return np.where(seen, np.clip(back, 0.0, 1.0), 0.0).astype(np.float32)
