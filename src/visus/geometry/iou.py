"""How much two boxes, or two masks, are the same: IoU and its relatives."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visus.geometry.arrays import functions, real
from visus.geometry.boxes import area


def iou(a: Any, b: Any, *, kind: str = "iou") -> Any:
    """Pairwise overlap of boxes: intersection over union, or a relative of it.

    Args:
        a: `(..., N, 4)` boxes xyxy.
        b: `(..., M, 4)` boxes xyxy.
        kind: `iou`; `giou` (Rezatofighi et al., 2019); `diou` or `ciou` (Zheng et al., 2020); `ioa`, the
            intersection over the area of `a`, which is how COCO measures against a crowd.

    Returns:
        `(..., N, M)`: `iou` and `ioa` in [0, 1] (0 where both areas are 0), `giou` in (-1, 1], `diou` and
        `ciou` in (-1.5, 1]. float64 for arrays, the tensor's own type for tensors.

    Raises:
        ValueError: The kind is unknown.

    Example:
        >>> iou([[0, 0, 2, 2]], [[1, 1, 3, 3], [2, 0, 4, 2]]).round(6).tolist()
        [[0.142857, 0.0]]
    """
    return paired_iou(real(a)[..., :, None, :], real(b)[..., None, :, :], kind=kind)


def paired_iou(a: Any, b: Any, *, kind: str = "iou") -> Any:
    """Overlap of each box with its partner: as `iou`, for shapes `(..., 4)` that broadcast.

    Example:
        >>> round(float(paired_iou([0, 0, 1, 1], [2, 0, 3, 1], kind="giou")), 6)
        -0.333333
    """
    if kind not in ("iou", "giou", "diou", "ciou", "ioa"):
        raise ValueError(f"kind is iou, giou, diou, ciou or ioa. Received {kind!r}.")
    xp, a, b = functions(a, b), real(a), real(b)
    wide = xp.minimum(a[..., 2], b[..., 2]) - xp.maximum(a[..., 0], b[..., 0])
    tall = xp.minimum(a[..., 3], b[..., 3]) - xp.maximum(a[..., 1], b[..., 1])
    common = xp.maximum(wide, 0) * xp.maximum(tall, 0)
    if kind == "ioa":
        return _over(xp, common, area(a) + 0 * common)
    union = area(a) + area(b) - common
    overlap = _over(xp, common, union)
    if kind == "iou":
        return overlap
    hull_wide = xp.maximum(a[..., 2], b[..., 2]) - xp.minimum(a[..., 0], b[..., 0])
    hull_tall = xp.maximum(a[..., 3], b[..., 3]) - xp.minimum(a[..., 1], b[..., 1])
    if kind == "giou":
        hull = hull_wide * hull_tall
        return overlap - _over(xp, hull - union, hull)
    # Distance of the centres in units of the hull's diagonal; the factors of 2 cancel to 4.
    apart_x = a[..., 0] + a[..., 2] - b[..., 0] - b[..., 2]
    apart_y = a[..., 1] + a[..., 3] - b[..., 1] - b[..., 3]
    distant = overlap - _over(xp, apart_x**2 + apart_y**2, 4 * (hull_wide**2 + hull_tall**2))
    if kind == "diou":
        return distant
    skew = 4 / np.pi**2 * (_angle(xp, b) - _angle(xp, a)) ** 2
    weight = _over(xp, skew, 1 - overlap + skew)
    return distant - (weight if xp is np else _held(weight)) * skew


def _over(xp: Any, above: Any, below: Any) -> Any:
    """The quotient, 0 where there is nothing to divide by, without a NaN in the gradient either."""
    some = below > 0
    return xp.where(some, above / xp.where(some, below, xp.ones_like(below)), xp.zeros_like(above))


def _angle(xp: Any, boxes: Any) -> Any:
    wide, tall = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
    some = (wide != 0) | (tall != 0)  # the angle of nothing has no gradient
    one = xp.ones_like(wide)
    return xp.arctan2(xp.where(some, wide, one), xp.where(some, tall, one))


def _held(value: Any) -> Any:
    from keras import ops

    return ops.stop_gradient(value)  # as in the paper: the trade-off is no function of the boxes


def mask_iou(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.float64]:
    """Pairwise IoU of binary masks.

    Args:
        a: bool or 0/1 `(N, height, width)`.
        b: `(M, height, width)` of the same size.

    Returns:
        float64 `(N, M)`; 0 where both masks are empty.

    Raises:
        ValueError: The sizes differ.
    """
    a, b = np.asarray(a), np.asarray(b)
    if a.shape[1:] != b.shape[1:]:
        raise ValueError(f"Masks to compare have one size. Received {a.shape[1:]} and {b.shape[1:]}.")
    rows, columns = (m.reshape(len(m), -1).astype(np.float32) for m in (a, b))
    common = (rows @ columns.T).astype(np.float64)
    union = rows.sum(1, dtype=np.float64)[:, None] + columns.sum(1, dtype=np.float64) - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def grade(value: float) -> str:
    """What an IoU is called: `poor` below 0.5, `good` up to 0.95, `excellent` above.

    Example:
        >>> grade(0.5), grade(0.96)
        ('good', 'excellent')
    """
    return "poor" if value < 0.5 else "good" if value <= 0.95 else "excellent"
