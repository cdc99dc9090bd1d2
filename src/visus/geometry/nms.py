"""Non-maximum suppression: of boxes that show the same object, the best one stays."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visus.geometry.boxes import area, checked
from visus.geometry.iou import iou, paired_iou

_BLOCK = 128
_PART = 512
_PAIRS = 200_000


def nms(
    boxes: ArrayLike,
    scores: ArrayLike,
    *,
    threshold: float = 0.5,
    labels: ArrayLike | None = None,
    min_score: float | None = None,
    max_per_class: int | None = None,
    max_total: int | None = None,
) -> NDArray[np.int64]:
    """Greedy suppression: take the best box, remove what overlaps it by more than `threshold`, and so on.

    A removed box removes nothing. Equal scores: the lower index first. An overlap of exactly `threshold` stays.
    The result depends on nothing but the arguments: there is no limit of time.

    Args:
        boxes: `(N, 4)` xyxy.
        scores: `(N,)`, finite.
        threshold: IoU above which the lesser box goes.
        labels: int `(N,)`: only boxes of one class suppress each other; None for all against all.
        min_score: Boxes below are left out first.
        max_per_class: At most so many for each class (for all, without labels).
        max_total: At most so many in all, the best.

    Returns:
        int64 `(M,)`: positions of the boxes that stay, best first.

    Raises:
        ValueError: Shapes do not fit, or a box or score is not a number.

    Example:
        >>> chain = [[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]]
        >>> nms(chain, [0.9, 0.8, 0.7], threshold=0.4).tolist()
        [0, 2]
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"The threshold is an IoU in [0, 1]. Received {threshold}.")
    boxes, scores, classes = _arguments(boxes, scores, labels)
    order = np.argsort(-scores, kind="stable")
    if min_score is not None:
        order = order[scores[order] >= min_score]
    kept = [
        members[_greedy(boxes[members], threshold, max_per_class)] for members in _by_class(order, classes)
    ]
    return _best(kept, scores, max_total)


def soft_nms(
    boxes: ArrayLike,
    scores: ArrayLike,
    *,
    kind: str = "gaussian",
    sigma: float = 0.5,
    threshold: float = 0.5,
    labels: ArrayLike | None = None,
    min_score: float = 0.001,
    max_total: int | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Soft suppression (Bodla et al., 2017): a box that overlaps a better one loses score, not its life.

    Args:
        boxes: `(N, 4)` xyxy.
        scores: `(N,)`, not negative.
        kind: `gaussian`: score times exp(-IoU^2 / sigma); `linear`: score times (1 - IoU) where IoU is above
            `threshold`.
        sigma: Width of the Gaussian.
        threshold: For `linear`.
        labels: As for `nms`.
        min_score: Boxes whose score falls below are left out.
        max_total: At most so many, the best.

    Returns:
        int64 `(M,)` positions, best first by their new scores, and float64 `(M,)` the new scores.

    Raises:
        ValueError: As `nms`; or the kind is unknown.
    """
    if kind not in ("gaussian", "linear"):
        raise ValueError(f"kind is gaussian or linear. Received {kind!r}.")
    boxes, scores, classes = _arguments(boxes, scores, labels)
    faded = scores.copy()
    kept = []
    for members in _by_class(np.argsort(-scores, kind="stable"), classes):
        rest = members
        while len(rest):
            at = int(np.argmax(faded[rest]))
            best, rest = rest[at], np.delete(rest, at)
            if faded[best] < min_score:
                break
            kept.append(best)
            overlap = iou(boxes[best : best + 1], boxes[rest])[0]
            faded[rest] *= (
                np.exp(-(overlap**2) / sigma)
                if kind == "gaussian"
                else np.where(overlap > threshold, 1 - overlap, 1)
            )
    positions = _best([np.array(kept, np.int64)], faded, max_total)
    return positions, faded[positions]


def _arguments(
    boxes: ArrayLike, scores: ArrayLike, labels: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    rows, marks = checked(boxes), np.asarray(scores, np.float64)
    classes = np.zeros(len(rows), np.int64) if labels is None else np.asarray(labels, np.int64)
    if marks.shape != (len(rows),) or classes.shape != (len(rows),):
        raise ValueError(
            f"Each of {len(rows)} boxes has one score and one label. Received {marks.shape} scores and "
            f"{classes.shape} labels."
        )
    if not np.isfinite(marks).all():
        raise ValueError(f"Scores are finite. Received {marks[~np.isfinite(marks)][0]}.")
    return rows, marks, classes


def _by_class(order: NDArray[np.int64], classes: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The positions in `order`, class by class, each in that order."""
    grouped = order[np.argsort(classes[order], kind="stable")]
    return np.split(grouped, np.flatnonzero(np.diff(classes[grouped])) + 1)


def _best(parts: list[NDArray[np.int64]], scores: NDArray[np.float64], most: int | None) -> NDArray[np.int64]:
    positions = np.sort(np.concatenate(parts))
    return positions[np.argsort(-scores[positions], kind="stable")][:most]


def _greedy(boxes: NDArray[np.float64], threshold: float, most: int | None) -> NDArray[np.int64]:
    """Positions that stay of boxes in the order of their scores.

    Where boxes crowd, the best of the rest, a block of them, are settled among themselves and strike all others at
    once. As soon as that strikes few, the pairs that overlap at all are fewer: only these are looked at.
    """
    rest = np.arange(len(boxes))
    kept: list[int] = []
    while len(rest) and (most is None or len(kept) < most):
        block, others = rest[:_BLOCK], rest[_BLOCK:]
        better, lesser = np.nonzero(np.triu(_above(boxes[block], boxes[block], threshold), 1))
        stay = block[_settled(better, lesser, len(block))]
        kept += stay.tolist()
        parts = np.split(others, range(_PART, len(others), _PART))
        rest = np.concatenate(
            [part[~_above(boxes[stay], boxes[part], threshold).any(axis=0)] for part in parts]
        )
        if 4 * len(rest) > 3 * len(others):
            kept += rest[_settled(*_overlapping(boxes[rest], threshold), len(rest))].tolist()
            break
    return np.array(kept[:most], np.int64)


def _settled(better: NDArray[np.int64], lesser: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    """Who stays, bool `(count,)`, given all pairs of which the better, if it stays, strikes the lesser."""
    alive = np.ones(count, bool)
    which, starts = np.unique(better, return_index=True)
    for i, struck in zip(which.tolist(), np.split(lesser, starts[1:])):
        if alive[i]:
            alive[struck] = False
    return alive


def _overlapping(boxes: NDArray[np.float64], threshold: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All pairs (better, lesser) with an IoU above the threshold, in the order of the better.

    An IoU above t needs the same along each axis alone: along x, the partners of a box stand, in the order of x1,
    among those that begin within the first 1 - t of its width.
    """
    by_x = np.argsort(boxes[:, 0], kind="stable")
    x1, y1, x2, y2 = boxes[by_x].T.copy()
    loose = threshold - 1e-9  # rounding must not lose a pair; what is too much is sorted out below
    needed = loose * (y2 - y1)
    position = np.arange(len(boxes))
    counts = np.searchsorted(x1, x1 + (1 - loose) * (x2 - x1), side="right") - position - 1
    found = [np.empty((2, 0), np.int64)]
    # In parts of some hundred thousand pairs, which fit the processor's cache.
    for rows in np.split(position, np.flatnonzero(np.diff(np.cumsum(counts) // _PAIRS)) + 1):
        first = np.repeat(rows, counts[rows])
        second = (
            first
            + 1
            + np.arange(len(first))
            - np.repeat(np.cumsum(counts[rows]) - counts[rows], counts[rows])
        )
        tall = np.minimum(y2[first], y2[second]) - np.maximum(y1[first], y1[second])
        near = (tall >= needed[first]) & (tall >= needed[second])
        first, second = by_x[first[near]], by_x[second[near]]
        over = paired_iou(boxes[first], boxes[second]) > threshold
        found.append(np.stack([first[over], second[over]]))
    better, lesser = np.sort(np.concatenate(found, axis=1), axis=0)
    order = np.argsort(better, kind="stable")
    return better[order], lesser[order]


def _above(a: NDArray[np.float64], b: NDArray[np.float64], threshold: float) -> NDArray[np.bool_]:
    """`iou(a, b) > threshold`, to the last bit, in a third of the time: nothing is allocated twice."""
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = a.T[..., None], b.T.copy()
    wide, tall = np.minimum(ax2, bx2), np.minimum(ay2, by2)
    wide -= (spare := np.maximum(ax1, bx1))
    tall -= np.maximum(ay1, by1, out=spare)
    common = np.multiply(np.maximum(wide, 0, out=wide), np.maximum(tall, 0, out=tall), out=wide)
    union = np.subtract(np.add(area(a)[:, None], area(b), out=tall), common, out=tall)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.divide(common, union, out=common) > threshold
