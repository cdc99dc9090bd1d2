"""How a detector writes a box as four numbers, and reads it back."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from visus.geometry.arrays import functions, real
from visus.geometry.boxes import from_xyxy, to_xyxy

MAX_LOG_SCALE = math.log(1000 / 16)
"""Decoded boxes are at most 62.5 times as wide and tall as their anchors, so that exp never overflows."""

FASTER_RCNN = (1.0, 1.0, 1.0, 1.0)
SSD = (10.0, 10.0, 5.0, 5.0)
"""Scales of the deltas; those of SSD are the inverse of its variances 0.1, 0.1, 0.2, 0.2."""


def encode_deltas(boxes: Any, anchors: Any, scales: tuple[float, float, float, float] = FASTER_RCNN) -> Any:
    """Boxes as offsets from anchors (Ren et al., 2015, equation 2).

    tx = (x - xa) / wa, ty = (y - ya) / ha, tw = ln(w / wa), th = ln(h / ha), each times its scale; (x, y) is the
    centre.

    Args:
        boxes: `(..., 4)` xyxy with width and height above 0.
        anchors: `(..., 4)` xyxy, one for each box.
        scales: Factors of tx, ty, tw, th.

    Returns:
        `(..., 4)`.

    Raises:
        ValueError: A box (an array's; a tensor is not looked at) has no width or no height.

    Example:
        >>> encode_deltas([[30, 30, 80, 130]], [[20, 40, 60, 120]]).round(6).tolist()
        [[0.375, 0.0, 0.223144, 0.223144]]
    """
    xp = functions(boxes, anchors)
    x, y, w, h = _centred(boxes)
    xa, ya, wa, ha = _centred(anchors)
    if xp is np and not ((w > 0) & (h > 0)).all():
        raise ValueError("A box needs width and height to be learned. Leave boxes without area out first.")
    deltas = [(x - xa) / wa, (y - ya) / ha, xp.log(w / wa), xp.log(h / ha)]
    return xp.stack([t * s for t, s in zip(deltas, scales)], axis=-1)


def decode_deltas(deltas: Any, anchors: Any, scales: tuple[float, float, float, float] = FASTER_RCNN) -> Any:
    """Undoes `encode_deltas`; tw and th are cut at `MAX_LOG_SCALE`.

    Returns:
        `(..., 4)` boxes xyxy.
    """
    xp, deltas = functions(deltas, anchors), real(deltas)
    xa, ya, wa, ha = _centred(anchors)
    tx, ty, tw, th = (deltas[..., i] / s for i, s in enumerate(scales))
    w, h = (size * xp.exp(xp.minimum(t, MAX_LOG_SCALE)) for size, t in ((wa, tw), (ha, th)))
    return to_xyxy(xp.stack([xa + tx * wa, ya + ty * ha, w, h], axis=-1), "cxcywh")


def _centred(boxes: Any) -> list[Any]:
    centred = from_xyxy(real(boxes), "cxcywh")
    return [centred[..., i] for i in range(4)]


SizeCode = Literal["plain", "root"]


def encode_sizes(boxes: Any, image_size: tuple[int, int], code: SizeCode = "plain") -> Any:
    """Boxes as shares of the picture: (cx, cy, w, h), or with `root` (cx, cy, sqrt w, sqrt h) as in YOLOv1.

    The root makes an error of so many pixels count more in a small box than in a large one.

    Args:
        boxes: `(..., 4)` xyxy, pixels.
        image_size: `(height, width)` of the picture.
        code: `plain` or `root`.

    Raises:
        ValueError: The code is unknown.

    Example:
        >>> encode_sizes([[0, 0, 100, 100]], (100, 400), "root").tolist()
        [[0.125, 0.5, 0.5, 1.0]]
    """
    _known(code)
    shares = from_xyxy(boxes, "cxcywh", relative_to=image_size)
    xp = functions(boxes)
    if code == "plain":
        return shares
    return xp.concatenate([shares[..., :2], xp.sqrt(shares[..., 2:])], axis=-1)


def decode_sizes(codes: Any, image_size: tuple[int, int], code: SizeCode = "plain") -> Any:
    """Undoes `encode_sizes`; a negative root counts as 0."""
    _known(code)
    xp, codes = functions(codes), real(codes)
    if code == "root":
        codes = xp.concatenate([codes[..., :2], xp.maximum(codes[..., 2:], 0) ** 2], axis=-1)
    return to_xyxy(codes, "cxcywh", relative_to=image_size)


def _known(code: str) -> None:
    if code not in ("plain", "root"):
        raise ValueError(f"A code of sizes is plain or root. Received {code!r}.")
