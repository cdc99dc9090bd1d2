"""From any picture to a model's input: one affine map, known exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visus.image.color import converted
from visus.image.resize import resize
from visus.image.warp import warp
from visus.structures import Affine, ImageSpec

PADDING = 114
"""Gray of the bars that `letterbox` adds."""


def placement(image_size: tuple[int, int], spec: ImageSpec) -> Affine:
    """Where every point of a picture lies after `prepare`.

    The picture is resized to a whole number of pixels and then moved by a whole number of pixels, so that no
    pixel is interpolated twice; the scales along x and y may therefore differ by a rounding.

    Args:
        image_size: `(height, width)` of the picture.
        spec: Size and resize rule of the input.

    Returns:
        Prepared <- original, in continuous pixel coordinates.

    Raises:
        ValueError: The picture is empty.

    Example:
        >>> placement((100, 200), ImageSpec(50, 50, resize="letterbox")).apply([[200, 100]]).tolist()
        [[50.0, 37.0]]
    """
    (height, width), (top, left) = _resized(image_size, spec)
    return Affine(np.array([[width / image_size[1], 0.0, left], [0.0, height / image_size[0], top]]))


def prepare(image: NDArray[Any], spec: ImageSpec) -> tuple[NDArray[np.uint8], Affine]:
    """Resizes a picture to a model's input.

    `stretch` ignores the aspect ratio, `letterbox` keeps it and pads with gray (114), `crop` keeps it and
    cuts the centre, of which `crop_fraction` remains (0.875: resize to 256, cut 224). A picture that shrinks
    is filtered against aliasing whatever `interpolation` says.

    Args:
        image: uint8 `(height, width)` gray, `(height, width, 3)` RGB or as many channels as the spec asks
            for.
        spec: Size, channels and resize rule of the input.

    Returns:
        uint8 `(spec.height, spec.width, spec.channels)`, and the map prepared <- original.

    Raises:
        ValueError: The picture is empty, not uint8, or has other channels.

    Example:
        >>> prepared, affine = prepare(np.zeros((100, 200), np.uint8), ImageSpec(50, 80))
        >>> prepared.shape, affine.apply([[200, 100]]).tolist()
        ((50, 80, 3), [[80.0, 50.0]])
    """
    if image.dtype != np.uint8:
        raise ValueError(f"prepare expects a uint8 picture with values 0..255. Received {image.dtype}.")
    rows, columns = image.shape[:2]
    (height, width), (top, left) = _resized((rows, columns), spec)
    affine = placement((rows, columns), spec)
    given, image = image, converted(image, spec.channels)
    interpolation = spec.interpolation if height >= rows and width >= columns else "bilinear"
    if height * width > 4 * max(rows * columns, spec.height * spec.width):
        # A strip of a picture, of which a crop keeps little: warp makes only that little.
        prepared = warp(image, affine, spec.size, interpolation=interpolation, border="nearest")
    elif spec.resize == "crop":
        window = slice(-top, -top + spec.height), slice(-left, -left + spec.width)
        prepared = resize(image, (height, width), interpolation, window=window)
    else:
        prepared = resize(image, (height, width), interpolation)
        if spec.resize == "letterbox" and prepared.shape[:2] != spec.size:
            canvas = np.full((*spec.size, *prepared.shape[2:]), PADDING, np.uint8)
            canvas[top : top + height, left : left + width] = prepared
            prepared = canvas
    if np.may_share_memory(prepared, given) or not prepared.flags["C_CONTIGUOUS"]:
        prepared = prepared.copy()  # never the caller's own memory
    return prepared.reshape(spec.shape), affine


def _resized(image_size: tuple[int, int], spec: ImageSpec) -> tuple[tuple[int, int], tuple[int, int]]:
    """Size of the whole picture after resizing, and row and column of its corner in the input."""
    rows, columns = image_size
    if rows < 1 or columns < 1:
        raise ValueError(f"A picture has at least 1 x 1 pixels. Received the size {image_size}.")
    if spec.resize == "stretch":
        return spec.size, (0, 0)
    scales = spec.height / rows, spec.width / columns
    scale = min(scales) if spec.resize == "letterbox" else max(scales) / spec.crop_fraction
    height, width = max(1, round(rows * scale)), max(1, round(columns * scale))
    return (height, width), ((spec.height - height) // 2, (spec.width - width) // 2)
