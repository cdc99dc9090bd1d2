"""Pictures under affine maps."""

from __future__ import annotations

import math
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from visus.image.resize import resize, samples
from visus.structures import Affine
from visus.structures.image_spec import Interpolation

Border = Literal["constant", "nearest", "reflect", "mirror", "wrap"]

BORDERS = {
    "constant": cv2.BORDER_CONSTANT,
    "nearest": cv2.BORDER_REPLICATE,
    "reflect": cv2.BORDER_REFLECT,
    "mirror": cv2.BORDER_REFLECT_101,
    "wrap": cv2.BORDER_WRAP,
}
"""Border name -> OpenCV's flag. Around abcd: kkkk|kkkk, aaaa|dddd, dcba|dcba, cbd|cba, abcd|abcd."""

_INTERPOLATION = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC, "nearest": cv2.INTER_NEAREST}

_ALIASES = 1.5  # a picture that shrinks by more than this is filtered while it is warped,
_RESIZES = 4.0  # and by more than this it is first resized to twice its new scale
_LONGEST = 32_000  # OpenCV counts the pixels of a warp in 16 bits


def warp(
    image: NDArray[Any],
    affine: Affine,
    size: tuple[int, int],
    *,
    interpolation: Interpolation = "bilinear",
    border: Border = "constant",
    fill: float = 114,
) -> NDArray[Any]:
    """The picture under an affine map.

    Where the map shrinks by more than 1.5, every new pixel is the average of several samples, so that nothing
    aliases (not with `nearest`, which never mixes pixels). Pictures longer than 32,000 pixels are first
    reduced to that. Positions are exact to 1/32 of a pixel, which is how OpenCV counts.

    Args:
        image: `(height, width)` or `(height, width, n)`; uint8, uint16, int16, float32 or float64.
        affine: New picture <- old picture, in continuous pixel coordinates (the centre of the first pixel is
            (0.5, 0.5)).
        size: `(height, width)` of the new picture.
        interpolation: `bilinear`, `bicubic` or `nearest`.
        border: What pixels outside the old picture show: `constant` (the value `fill`), `nearest` (the edge
            pixel), `reflect` (the edge pixel repeated), `mirror` (not repeated) or `wrap`.
        fill: The value that `constant` uses in every channel.

    Returns:
        The same type and number of channels.

    Raises:
        ValueError: A name, the size or the map is wrong.

    Example:
        >>> warp(np.array([[1, 2, 3]], np.uint8), Affine.translation(1, 0), (1, 4), fill=9).tolist()
        [[9, 1, 2, 3]]
    """
    if interpolation not in _INTERPOLATION:
        raise ValueError(f"interpolation is one of {tuple(_INTERPOLATION)}. Received {interpolation!r}.")
    if border not in BORDERS:
        raise ValueError(f"border is one of {tuple(BORDERS)}. Received {border!r}.")
    height, width = size
    if height < 1 or width < 1:
        raise ValueError(f"A picture has at least 1 x 1 pixels. Received the size {size}.")
    image, affine = _reduced(image, affine, interpolation)
    back = affine.inverse()
    down = across = 1
    if interpolation != "nearest":
        # How many old pixels lie between two new ones, along each axis of the new picture.
        steps = np.linalg.norm(back.matrix[:, :2], axis=0)
        across, down = (samples(min(step, _RESIZES)) if step > _ALIASES else 1 for step in steps)
    # OpenCV puts pixel centres at whole numbers, we at halves.
    back = (
        Affine.translation(-0.5, -0.5)
        @ back
        @ Affine.scaling(1 / across, 1 / down)
        @ Affine.translation(0.5, 0.5)
    )
    flags = _INTERPOLATION[interpolation] | cv2.WARP_INVERSE_MAP
    fine = [
        cv2.warpAffine(
            np.ascontiguousarray(part),
            back.matrix,
            (width * across, height * down),
            flags=flags,
            borderMode=BORDERS[border],
            borderValue=(fill, fill, fill, fill),
        )
        for part in _four_channels(image)
    ]
    if (down, across) != (1, 1):
        fine = [cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA) for part in fine]
    out = fine[0] if len(fine) == 1 else np.dstack(fine)
    return out.reshape(height, width, *image.shape[2:])


def _reduced(
    image: NDArray[Any], affine: Affine, interpolation: Interpolation
) -> tuple[NDArray[Any], Affine]:
    """A smaller picture and its map, where the old one shrinks too much or is too long for OpenCV."""
    smaller = []
    for side, stretch in zip(image.shape[:2], np.linalg.norm(affine.matrix[:, :2], axis=0)[::-1]):
        if stretch * _RESIZES < 1 and interpolation != "nearest":
            smaller.append(max(1, min(math.ceil(2 * side * stretch), _LONGEST)))
        else:
            smaller.append(min(side, _LONGEST))
    height, width = smaller
    scale = Affine.scaling(image.shape[1] / width, image.shape[0] / height)
    return resize(image, (height, width), interpolation), affine @ scale


def _four_channels(image: NDArray[Any]) -> list[NDArray[Any]]:
    """The picture in parts of at most four channels, which is what OpenCV's fill value has."""
    if image.ndim == 2 or image.shape[2] <= 4:
        return [image]
    return [image[..., at : at + 4] for at in range(0, image.shape[2], 4)]
