"""Which anchor learns which truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

NEGATIVE, IGNORED = -1, -2
"""What an anchor is matched to when it is to learn "nothing here", and when it is to learn nothing."""


def match(
    overlaps: ArrayLike,
    *,
    positive: float,
    negative: float | None = None,
    force: bool = True,
) -> NDArray[np.int64]:
    """The matching of region proposal networks: by thresholds, and every truth gets its best anchor.

    Args:
        overlaps: `(A, T)` IoU of anchors and truths.
        positive: An anchor with at least this IoU learns the truth that it overlaps most (the first of equals).
        negative: Below this an anchor learns "nothing here"; in between it is ignored. None: as `positive`.
        force: The best anchors of a truth learn it whatever their IoU, if it is above 0 (Ren et al., 2015).

    Returns:
        int64 `(A,)`: the truth of each anchor, or `NEGATIVE` or `IGNORED`.

    Raises:
        ValueError: `negative` is above `positive`.
    """
    overlaps = np.asarray(overlaps, np.float64)
    negative = positive if negative is None else negative
    if negative > positive:
        raise ValueError(f"negative is at most positive. Received {negative} and {positive}.")
    if overlaps.shape[1] == 0:
        return np.full(len(overlaps), NEGATIVE)
    best, highest = overlaps.argmax(axis=1), overlaps.max(axis=1)
    matched = np.where(highest >= positive, best, np.where(highest < negative, NEGATIVE, IGNORED))
    if force:
        anchors, truths = np.nonzero((overlaps == overlaps.max(axis=0)) & (overlaps > 0))
        # An anchor that is the best of several truths learns the one it overlaps most.
        order = np.argsort(overlaps[anchors, truths], kind="stable")
        matched[anchors[order]] = truths[order]
    return matched


def match_bipartite(overlaps: ArrayLike, *, positive: float = 0.5) -> NDArray[np.int64]:
    """The matching of SSD (Liu et al., 2016): no truth is left out.

    First each truth claims an anchor of its own, the pair with the highest IoU first; then every other anchor with
    an IoU of at least `positive` learns the truth that it overlaps most.

    Args:
        overlaps: `(A, T)` IoU of anchors and truths.
        positive: See above.

    Returns:
        int64 `(A,)`: the truth of each anchor, or `NEGATIVE`.

    Example:
        >>> match_bipartite([[1, 0], [0.03, 0.33], [0, 0.1], [0.62, 0]]).tolist()
        [0, 1, -1, 0]
    """
    overlaps = np.asarray(overlaps, np.float64)
    matched = match(overlaps, positive=positive, force=False)
    free = overlaps.copy()
    for _ in range(min(overlaps.shape)):
        anchor, truth = divmod(int(free.argmax()), overlaps.shape[1])
        matched[anchor] = truth
        free[anchor], free[:, truth] = -1, -1
    return matched


def pair(overlaps: ArrayLike, *, positive: float = 0.5) -> NDArray[np.int64]:
    """One-to-one pairs of two people's boxes, the highest IoU first.

    Args:
        overlaps: `(N, M)` IoU.
        positive: Least IoU of a pair.

    Returns:
        int64 `(N,)`: the partner of each row, or `NEGATIVE`.

    Example:
        >>> pair([[0.9, 0.8], [0.85, 0.6]]).tolist()
        [0, 1]
    """
    free = np.array(overlaps, np.float64)
    partner = np.full(len(free), NEGATIVE)
    while free.size and free.max() >= positive:
        row, column = divmod(int(free.argmax()), free.shape[1])
        partner[row] = column
        free[row], free[:, column] = -1, -1
    return partner
