"""From a picture and the map drawn for it to the pixels: cut, resize, flip where exact, else one warp."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visus.data.augment.moves import Move
from visus.image.flip import flip, transpose
from visus.image.remap import remap
from visus.image.resize import resize
from visus.image.warp import Border, warp
from visus.structures import Affine
from visus.structures.image_spec import Interpolation

_PAD = {
    "constant": "constant",
    "nearest": "edge",
    "reflect": "symmetric",
    "mirror": "reflect",
    "wrap": "wrap",
}
_BLOCK = 8_000  # points mapped at once, so that they stay in the processor's cache
_EXACT = 1e-6  # pixels: nearer to a whole pixel than this is on it


def render(
    image: NDArray[np.uint8],
    move: Move,
    size: tuple[int, int],
    *,
    border: Border = "nearest",
    fill: int = 114,
    interpolation: Interpolation = "bilinear",
) -> NDArray[np.uint8]:
    """The picture of `size` = `(height, width)` that `move` makes of `image`.

    Args:
        image: uint8 `(h, w)`, `(h, w, 1)` or `(h, w, 3)`.
        move: From `image` to the new picture.
        size: `(height, width)` of the new picture.
        border: What uncovered pixels show: `constant`, `nearest`, `reflect`, `mirror` or `wrap`.
        fill: The value that `constant` uses.
        interpolation: For enlarging: `bilinear` or `bicubic`; what shrinks is filtered.

    Returns:
        A new uint8 array of the same number of dimensions and channels; never `image` itself.
    """
    if not isinstance(move, Affine):
        return remap(image, _sources(move, size), border=border, fill=fill)
    matrix = move.matrix
    if abs(matrix[0, 0]) + abs(matrix[1, 1]) < _EXACT:
        image, matrix = transpose(image), matrix[:, [1, 0, 2]]
    if abs(matrix[0, 1]) + abs(matrix[1, 0]) < _EXACT:
        y = _axis(matrix[1, 1], matrix[1, 2], image.shape[0], size[0], border)
        x = _axis(matrix[0, 0], matrix[0, 2], image.shape[1], size[1], border)
        if (
            x is not None
            and y is not None
            and y.length * x.length <= 4 * max(image[..., :1].size, math.prod(size))
        ):
            return _cut(image, y, x, size, border, fill, interpolation)
    return warp(image, Affine(matrix), size, interpolation=interpolation, border=border, fill=fill)


def _sources(move: Move, size: tuple[int, int]) -> NDArray[np.float32]:
    """float32 `(height, width, 2)`: where in the old picture each new pixel's centre comes from."""
    back = move.inverse()
    points = np.empty((*size, 2), np.float32)
    step = max(1, _BLOCK // size[1])
    for top in range(0, size[0], step):
        rows, columns = np.mgrid[top : min(top + step, size[0]), : size[1]] + 0.5
        points[top : top + step] = back.apply(np.stack([columns, rows], axis=-1))
    return points


@dataclass(frozen=True)
class _Axis:
    """One axis without rotation: cut `old`, resize to `length`, turn it, `keep` a part, put it at `new`."""

    old: slice
    length: int
    turned: bool
    keep: slice
    new: slice


def _axis(scale: float, offset: float, old: int, new: int, border: Border) -> _Axis | None:
    """How an axis is cut and resized by whole pixels, or None where that cannot be."""
    turned = scale < 0
    start = offset + scale * old if turned else offset
    scale = abs(scale)
    # The visible part, in the new picture and in the old one.
    places = max(start, 0.0), min(start + scale * old, float(new))
    parts = (places[0] - start) / scale, (places[1] - start) / scale
    if places[1] - places[0] < 0.5 or parts[1] - parts[0] < 0.5:
        return None
    covered, shown = places[1] - places[0] > new - _EXACT, parts[1] - parts[0] > old - _EXACT
    if not (covered or shown or border in ("constant", "nearest")):
        return None  # what is mirrored or repeated would lie outside the cut
    first, last = round(places[0]), round(places[1])
    if all(map(_whole, (*places, *parts))):  # cut, then resize
        cut = round(parts[0]), round(parts[1])
        cut = (old - cut[1], old - cut[0]) if turned else cut
        return _Axis(slice(*cut), last - first, turned, slice(None), slice(first, last))
    if _whole(start) and _whole(scale * old):  # resize all of it, then cut, as `prepare` does
        keep = slice(first - round(start), last - round(start))
        return _Axis(slice(0, old), round(scale * old), turned, keep, slice(first, last))
    return None


def _cut(
    image: NDArray[np.uint8],
    y: _Axis,
    x: _Axis,
    size: tuple[int, int],
    border: Border,
    fill: int,
    interpolation: Interpolation,
) -> NDArray[np.uint8]:
    part = image[y.old, x.old]
    if part.shape[:2] != (y.length, x.length):
        grows = y.length >= part.shape[0] and x.length >= part.shape[1]
        part = resize(
            np.ascontiguousarray(part), (y.length, x.length), interpolation if grows else "bilinear"
        )
    part = flip(part, left_right=x.turned, up_down=y.turned)[y.keep, x.keep]
    margins = [(y.new.start, size[0] - y.new.stop), (x.new.start, size[1] - x.new.stop), (0, 0)]
    if margins != [(0, 0)] * 3:
        values = {"constant_values": fill} if border == "constant" else {}
        part = np.pad(part, margins[: part.ndim], _PAD[border], **values)  # type: ignore[call-overload]
    return np.ascontiguousarray(part)


def _whole(place: float) -> bool:
    return abs(place - round(place)) < _EXACT
