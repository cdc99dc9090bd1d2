"""Boxes: their forms, what is wrong with them, and what happens to them when a picture is cut or moved."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from visus.geometry.arrays import functions, real

Form = Literal["xyxy", "xywh", "cxcywh", "yxyx"]
FORMS: tuple[Form, ...] = get_args(Form)


def to_xyxy(boxes: Any, form: Form, relative_to: tuple[int, int] | None = None) -> Any:
    """Boxes as `x1, y1, x2, y2` in pixels.

    Args:
        boxes: `(..., 4)`, an array or a tensor.
        form: `xyxy`; `xywh` (corner, width, height: COCO); `cxcywh` (centre, width, height: YOLO); `yxyx`
            (TensorFlow).
        relative_to: `(height, width)` of the picture when the numbers are shares of it, else None.

    Returns:
        `(..., 4)`: float64 for an array, the tensor's own type for a tensor.

    Raises:
        ValueError: The form is unknown.

    Example:
        >>> to_xyxy([[0.4, 0.625, 0.4, 0.5]], "cxcywh", relative_to=(400, 500)).round(6).tolist()
        [[100.0, 150.0, 300.0, 350.0]]
    """
    xp, (a, b, c, d) = functions(boxes), _columns(boxes, form)
    if form == "xyxy":
        x1, y1, x2, y2 = a, b, c, d
    elif form == "yxyx":
        x1, y1, x2, y2 = b, a, d, c
    elif form == "xywh":
        x1, y1, x2, y2 = a, b, a + c, b + d
    else:
        x1, y1, x2, y2 = a - c / 2, b - d / 2, a + c / 2, b + d / 2
    height, width = relative_to or (1, 1)
    return xp.stack([x1 * width, y1 * height, x2 * width, y2 * height], axis=-1)


def from_xyxy(boxes: Any, form: Form, relative_to: tuple[int, int] | None = None) -> Any:
    """Boxes `x1, y1, x2, y2` in pixels in another form; undoes `to_xyxy`, whose arguments it has.

    Example:
        >>> from_xyxy([[100, 150, 300, 350]], "xywh").tolist()
        [[100.0, 150.0, 200.0, 200.0]]
    """
    xp, (x1, y1, x2, y2) = functions(boxes), _columns(boxes, form)
    height, width = relative_to or (1, 1)
    x1, x2, y1, y2 = x1 / width, x2 / width, y1 / height, y2 / height
    if form == "xyxy":
        row = [x1, y1, x2, y2]
    elif form == "yxyx":
        row = [y1, x1, y2, x2]
    elif form == "xywh":
        row = [x1, y1, x2 - x1, y2 - y1]
    else:
        row = [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1]
    return xp.stack(row, axis=-1)


def _columns(boxes: Any, form: Form) -> list[Any]:
    if form not in FORMS:
        raise ValueError(f"A form of boxes is one of {', '.join(FORMS)}. Received {form!r}.")
    boxes = real(boxes)
    return [boxes[..., i] for i in range(4)]


def area(boxes: Any) -> Any:
    """`(..., 4)` boxes -> `(...)` areas in square pixels; 0 for a box that is upside down."""
    xp, boxes = functions(boxes), real(boxes)
    return xp.maximum(boxes[..., 2] - boxes[..., 0], 0) * xp.maximum(boxes[..., 3] - boxes[..., 1], 0)


def clip(boxes: Any, image_size: tuple[int, int]) -> Any:
    """Boxes cut off at the border of a picture of `(height, width)`; what lay outside has no area afterwards.

    Example:
        >>> clip(np.array([[-5.0, 2.0, 30.0, 8.0]]), (10, 20)).tolist()
        [[0.0, 2.0, 20.0, 8.0]]
    """
    xp, (height, width) = functions(boxes), image_size
    boxes = boxes if xp is not np else np.asarray(boxes)
    x, y = xp.clip(boxes[..., 0::2], 0, width), xp.clip(boxes[..., 1::2], 0, height)
    return xp.stack([x[..., 0], y[..., 0], x[..., 1], y[..., 1]], axis=-1)


def inside(boxes: Any, image_size: tuple[int, int], tolerance: float = 0.0) -> Any:
    """Which boxes, bool `(...)`, cross the border of a picture of `(height, width)` by at most `tolerance` pixels."""
    height, width = image_size
    return (
        (boxes[..., 0] >= -tolerance)
        & (boxes[..., 1] >= -tolerance)
        & (boxes[..., 2] <= width + tolerance)
        & (boxes[..., 3] <= height + tolerance)
    )


def valid(boxes: Any) -> NDArray[np.bool_]:
    """Which boxes, bool `(...)`, are finite with `x1 <= x2` and `y1 <= y2`. A box without area is valid."""
    boxes = np.asarray(boxes, np.float64)
    return (
        np.isfinite(boxes).all(axis=-1) & (boxes[..., 0] <= boxes[..., 2]) & (boxes[..., 1] <= boxes[..., 3])
    )


def checked(boxes: Any) -> NDArray[np.float64]:
    """The boxes as float64 `(N, 4)`, `(0, 4)` for none.

    Raises:
        ValueError: The shape is another, or a box is upside down or not finite.
    """
    boxes = np.asarray(boxes, np.float64)
    boxes = boxes.reshape(0, 4) if boxes.size == 0 else boxes
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"Boxes have the shape (N, 4). Received {boxes.shape}.")
    good = valid(boxes)
    if not good.all():
        first = int(np.argmin(good))
        raise ValueError(
            f"A box is x1, y1, x2, y2 with x1 <= x2 and y1 <= y2, all finite. Box {first} is "
            f"{boxes[first].tolist()}; {int((~good).sum())} of {len(good)} boxes are wrong."
        )
    return boxes
