"""Which detections are right: the matching of COCO and of Pascal VOC, for a whole set at once.

The rules are sequential (a detection takes the best truth that a better one has left), but only within a picture and
a class. So the n-th detection of every picture and class is matched in one step over arrays: the result is that of the
reference loops, in a fraction of their time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Rule = Literal["coco", "voc"]

Overlaps = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float64]]
"""Rows of results `(P,)` (as they were given) and of truths `(P, G)` -> their overlaps float64 `(P, G)`."""

_CELLS = 2_000_000
"""Elements of the largest array of a step, which bounds the memory."""


@dataclass(frozen=True, eq=False)
class Boxes:
    """Boxes of a whole set, truths or results, one row for each.

    Attributes:
        image: int64 `(N,)` index of the picture.
        label: int64 `(N,)` class index.
        xywh: float64 `(N, 4)` corner, width, height, pixels.
        score: float64 `(N,)` for results; zeros for truths.
        area: float64 `(N,)` that decides whether an object is small or large; of a mask, where there is one.
        crowd: bool `(N,)`: a region of many objects, which detections may fill without being wrong.
        ignore: bool `(N,)`: neither to be found nor wrong when found (crowd, or VOC's `difficult`).
    """

    image: NDArray[np.int64]
    label: NDArray[np.int64]
    xywh: NDArray[np.float64]
    score: NDArray[np.float64]
    area: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    ignore: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.image)

    def take(self, rows: NDArray[np.int64]) -> Boxes:
        """Some of the rows, in the given order."""
        return Boxes(**{name: values[rows] for name, values in vars(self).items()})


@dataclass(frozen=True, eq=False)
class Matches:
    """What became of every detection.

    Attributes:
        results: The detections, by label, then score (best first), then picture: the order of precision and recall.
        rows: int64 `(D,)`: which of the given results each one is.
        rank: int64 `(D,)`: 0 for the best detection of its class in its picture, 1 for the next, ...
        truth: int64 `(D, A, T)`: row of the truth that it was matched to at area range a and threshold t, or -1.
        ignored: bool `(D, A, T)`: counts neither as right nor as wrong.
        overlap: float64 `(D,)`: its best IoU with any truth of its class in its picture, 0 if there is none.
        positives: int64 `(A, K)`: truths that are to be found, for each area range and class.
    """

    results: Boxes
    rows: NDArray[np.int64]
    rank: NDArray[np.int64]
    truth: NDArray[np.int64]
    ignored: NDArray[np.bool_]
    overlap: NDArray[np.float64]
    positives: NDArray[np.int64]


def match(
    truths: Boxes,
    results: Boxes,
    *,
    num_classes: int,
    thresholds: Sequence[float],
    areas: Sequence[tuple[float, float]] = ((0.0, np.inf),),
    max_detections: int | None = 100,
    rule: Rule = "coco",
    overlaps: Overlaps | None = None,
) -> Matches:
    """Matches every detection, by score, to a truth of its class in its picture.

    `coco`: to the free truth that it overlaps most, if by at least the threshold; truths that are ignored only when no
    other is left; a crowd takes any number, and its overlap is the share of the detection inside. `voc`: to the truth
    that it overlaps most, taken or not; a taken one makes it wrong.

    Args:
        truths: See `Boxes`.
        results: See `Boxes`.
        num_classes: K.
        thresholds: T values of IoU; a pair of exactly that IoU matches.
        areas: A ranges `(from, to)` in square pixels, both ends belonging to the range. Truths outside are ignored;
            so are detections outside that matched nothing.
        max_detections: The best so many of each class in each picture count, None for all.
        rule: `coco` or `voc`.
        overlaps: How much results overlap truths; None for the IoU of their boxes.
    """
    order = np.lexsort((-results.score, results.image, results.label))
    results = results.take(order)
    rank = _rank(results)
    kept = np.arange(len(results)) if max_detections is None else np.flatnonzero(rank < max_detections)
    given, results, rank = order[kept], results.take(kept), rank[kept]

    low, high = np.array(areas, np.float64).reshape(-1, 2).T
    outside = (truths.area[:, None] < low) | (truths.area[:, None] > high)
    ignored_truths = outside | truths.ignore[:, None]
    positives = np.stack(
        [np.bincount(truths.label[~column], minlength=num_classes) for column in ignored_truths.T]
    )
    shape = (len(results), len(low), len(thresholds))
    matched = np.full(shape, -1, np.int64)
    overlap = np.zeros(len(results))
    # pycocotools: an IoU of exactly 1 must not be asked for more than rounding gives.
    least = np.minimum(np.asarray(thresholds, np.float64), 1 - 1e-10)
    for steps, candidates in _groups(truths, results, cells=len(low) * len(thresholds)):
        state = _Group(candidates, truths.crowd[candidates], ignored_truths[candidates], least, rule)
        for rows in steps:
            some = candidates[: len(rows)]
            if overlaps is None:
                iou = _iou(results.xywh[rows], truths.xywh[some], truths.crowd[some])
            else:
                iou = overlaps(given[rows], some)
            iou = np.where(some >= 0, iou, -1.0)
            overlap[rows] = np.maximum(iou.max(axis=1), 0)
            matched[rows] = state.take(iou)
    wrong_size = (results.area[:, None] < low) | (results.area[:, None] > high)
    hit = np.where(matched >= 0, matched, 0)
    ignored = np.where(
        matched >= 0,
        ignored_truths[hit, np.arange(len(low))[:, None]] if len(truths) else False,
        wrong_size[:, :, None],
    )
    final = np.lexsort((rank, results.image, -results.score, results.label))
    return Matches(
        results.take(final),
        given[final],
        rank[final],
        matched[final],
        ignored[final],
        overlap[final],
        positives,
    )


def _rank(results: Boxes) -> NDArray[np.int64]:
    """How many detections of the same class and picture stand before each one."""
    position = np.arange(len(results))
    new = np.ones(len(results), bool)
    new[1:] = (np.diff(results.image) != 0) | (np.diff(results.label) != 0)
    return position - np.maximum.accumulate(np.where(new, position, 0))


def _groups(
    truths: Boxes, results: Boxes, cells: int
) -> Iterator[tuple[list[NDArray[np.int64]], NDArray[np.int64]]]:
    """Pictures and classes with detections and truths, in groups with about as many truths each.

    Yields:
        For each rank the rows of `results` of that rank, of the first so many members of the group; and the rows of
        `truths` of every member, `(P, G)`, filled up with -1.
    """
    if not len(truths) or not len(results):
        return
    pictures = int(max(truths.image.max(), results.image.max())) + 1
    ours, theirs = (boxes.label * pictures + boxes.image for boxes in (results, truths))
    by_key = np.argsort(theirs, kind="stable")
    theirs = theirs[by_key]
    common = np.intersect1d(ours, theirs)
    first_result, first_truth = (np.searchsorted(keys, common) for keys in (ours, theirs))
    result_count, truth_count = (
        np.searchsorted(keys, common, side="right") - first
        for keys, first in ((ours, first_result), (theirs, first_truth))
    )
    width = 2 ** np.ceil(np.log2(truth_count)).astype(np.int64)
    for wide in np.unique(width):
        members = np.flatnonzero(width == wide)
        members = members[np.argsort(-result_count[members], kind="stable")]
        for part in np.array_split(members, max(1, len(members) * int(wide) * cells // _CELLS)):
            column = np.arange(wide)
            at = np.minimum(first_truth[part][:, None] + column, len(by_key) - 1)
            candidates = np.where(column < truth_count[part][:, None], by_key[at], -1)
            counts = result_count[part]
            steps = [first_result[part[counts > r]] + r for r in range(int(counts.max(initial=0)))]
            yield steps, candidates


class _Group:
    """Pictures and classes of which the detections of one rank after the other choose a truth.

    Args:
        candidates: int64 `(P, G)` rows of the truths of each, -1 where there is none.
        crowd: bool `(P, G)`.
        ignored: bool `(P, G, A)`.
        least: float64 `(T,)` thresholds.
        rule: `coco` or `voc`.
    """

    def __init__(
        self,
        candidates: NDArray[np.int64],
        crowd: NDArray[np.bool_],
        ignored: NDArray[np.bool_],
        least: NDArray[np.float64],
        rule: Rule,
    ):
        self.candidates, self.least, self.rule = candidates[:, None, None, :], least, rule
        self.crowd = crowd[:, None, None, :]
        self.ignored = ignored.transpose(0, 2, 1)[:, :, None, :]
        wide = candidates.shape[1]
        self.free = np.repeat(self.candidates >= 0, ignored.shape[2], axis=1).repeat(len(least), axis=2)
        self.last = wide - 1

    def take(self, iou: NDArray[np.float64]) -> NDArray[np.int64]:
        """The truths that the first `P'` members take now, int64 `(P', A, T)`, -1 for none.

        Args:
            iou: float64 `(P', G)`, -1 where there is no truth.
        """
        count = len(iou)
        there = self.candidates[:count] >= 0
        free, crowd, ignored = self.free[:count], self.crowd[:count], self.ignored[:count]
        usable = (iou[:, None, None, :] >= self.least[:, None]) & there
        if self.rule == "voc":
            # It looks at one truth only; whether that is still free decides between right and wrong.
            top = np.arange(self.last + 1) == iou.argmax(axis=1)[:, None]
            usable = usable & top[:, None, None, :] & (free | ignored)
        else:
            usable = usable & (free | crowd)
            wanted = usable & ~ignored
            usable = np.where(wanted.any(axis=-1, keepdims=True), wanted, usable)
        # Of equal overlaps the last one, as in the reference.
        value = np.where(usable, iou[:, None, None, :], -1.0)
        best = self.last - value[..., ::-1].argmax(axis=-1)
        found = usable.any(axis=-1)
        member, area, threshold = np.nonzero(found)
        self.free[member, area, threshold, best[found]] = False
        chosen = np.take_along_axis(self.candidates[:count], best[..., None], axis=-1)[..., 0]
        return np.where(found, chosen, -1)


def _iou(
    results: NDArray[np.float64], truths: NDArray[np.float64], crowd: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """`(P, 4)` and `(P, G, 4)` xywh -> `(P, G)`, operation by operation as in COCO's mask library."""
    a, b = results[:, None, :], truths
    wide = np.minimum(a[..., 2] + a[..., 0], b[..., 2] + b[..., 0]) - np.maximum(a[..., 0], b[..., 0])
    tall = np.minimum(a[..., 3] + a[..., 1], b[..., 3] + b[..., 1]) - np.maximum(a[..., 1], b[..., 1])
    common = np.maximum(wide, 0) * np.maximum(tall, 0)
    area_a, area_b = a[..., 2] * a[..., 3], b[..., 2] * b[..., 3]
    union = np.where(crowd, area_a, area_a + area_b - common)
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)
