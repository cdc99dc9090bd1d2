"""What a score says about one class against the rest: ROC and PR curves, their areas, a threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visus.structures import InputError

Floats = NDArray[np.float64]
Rule = Literal["f1", "youden", "recall", "fpr", "cost"]


@dataclass(frozen=True, eq=False)
class Sweep:
    """What happens as the threshold falls from above the best score to the lowest one.

    A picture is called positive when its score is at least the threshold.

    Attributes:
        thresholds: float64 `(T,)`: infinity, then every distinct score, falling.
        hits: float64 `(T,)` positives called positive.
        alarms: float64 `(T,)` negatives called positive.
    """

    thresholds: Floats
    hits: Floats
    alarms: Floats

    @property
    def positives(self) -> float:
        """Number of positives."""
        return float(self.hits[-1])

    @property
    def negatives(self) -> float:
        """Number of negatives."""
        return float(self.alarms[-1])

    @property
    def recall(self) -> Floats:
        """True positive rate `(T,)`; NaN when there is no positive."""
        return self.hits / self.positives if self.positives else np.full_like(self.hits, math.nan)

    @property
    def fpr(self) -> Floats:
        """False positive rate `(T,)`; NaN when there is no negative."""
        return self.alarms / self.negatives if self.negatives else np.full_like(self.alarms, math.nan)

    @property
    def precision(self) -> Floats:
        """Precision `(T,)`; 1 where nothing is called positive yet."""
        called = self.hits + self.alarms
        return np.divide(self.hits, called, out=np.ones_like(called), where=called > 0)

    @property
    def f1(self) -> Floats:
        """F1 `(T,)`; NaN when there is no positive."""
        called = self.hits + self.alarms
        return (
            2.0 * self.hits / (called + self.positives) if self.positives else np.full_like(called, math.nan)
        )


def sweep(positive: ArrayLike, scores: ArrayLike) -> Sweep:
    """Counts hits and false alarms at every threshold.

    The ROC curve is `fpr` against `recall`, the precision-recall curve `recall` against `precision`.

    Args:
        positive: Booleans `(N,)`, or 0 and 1.
        scores: Floats `(N,)`, higher is more positive.

    Raises:
        InputError: The shapes differ, there is no picture, or a score is not finite.

    Example:
        >>> curve = sweep([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        >>> list(zip(curve.fpr.tolist(), curve.recall.tolist()))
        [(0.0, 0.0), (0.0, 0.5), (0.5, 0.5), (0.5, 1.0), (1.0, 1.0)]
    """
    truth, score = _check(positive, scores)
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    hits = np.cumsum(truth[order], dtype=np.float64)[ends]
    return Sweep(
        thresholds=np.append(math.inf, score[order][ends]),
        hits=np.append(0.0, hits),
        alarms=np.append(0.0, ends + 1 - hits),
    )


def areas(positive: ArrayLike, scores: ArrayLike, weights: Floats | None = None) -> tuple[Floats, Floats]:
    """Area under the ROC curve, and average precision, under many weightings of the same pictures at once.

    The area is that of the trapezoids, which equals the chance that a positive scores above a negative, ties
    counting half. Average precision is `sum (R_n - R_{n-1}) P_n` without interpolation.

    Args:
        positive: Booleans `(N,)`, or 0 and 1.
        scores: Floats `(N,)`, higher is more positive.
        weights: float64 `(N, R)`, or None for one column of ones.

    Returns:
        `(auc, average_precision)`, float64 `(R,)` each; NaN where positives or (for the AUC) negatives are
        absent.

    Raises:
        InputError: The shapes differ, there is no picture, or a score is not finite.

    Example:
        >>> auc, ap = areas([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        >>> float(auc[0]), round(float(ap[0]), 7)
        (0.75, 0.8333333)
    """
    from scipy.sparse import csr_array

    truth, score = _check(positive, scores)
    given = np.ones((len(score), 1)) if weights is None else weights
    if not truth.any():
        return np.full(given.shape[1], math.nan), np.full(given.shape[1], math.nan)
    order = np.argsort(-score, kind="stable")
    starts = np.append(0, np.flatnonzero(np.diff(score[order])) + 1)
    ends = np.append(starts[1:], len(score))
    # Only the groups of equal scores that hold a positive matter, and how many negatives lie between them.
    hold = np.add.reduceat(truth[order].astype(np.int64), starts) > 0
    bounds = np.concatenate([[0], np.stack([starts[hold], ends[hold]], axis=1).ravel(), [len(score)]])
    shape = (len(bounds) - 1, len(score))
    hits = (csr_array((truth[order].astype(np.float64), order, bounds), shape=shape) @ given)[1::2]
    alarms = np.cumsum(
        csr_array(((~truth[order]).astype(np.float64), order, bounds), shape=shape) @ given, axis=0
    )
    before, after = alarms[0:-1:2], alarms[1::2]
    called = np.cumsum(hits, axis=0)
    positives, negatives = called[-1], alarms[-1]
    ranked = (hits * (negatives - (before + after) / 2.0)).sum(axis=0)
    precision = np.divide(called, called + after, out=np.zeros_like(called), where=called > 0)
    with np.errstate(invalid="ignore"):
        return ranked / (positives * negatives), (hits * precision).sum(axis=0) / positives


@dataclass(frozen=True)
class Threshold:
    """A threshold on the score of the positive class, and what it gives on the pictures it was chosen on.

    Attributes:
        value: Call a picture positive when its score is at least this; infinity calls none.
        rule: How it was chosen.
        precision: Share of right calls.
        recall: Share of positives found.
        fpr: Share of negatives called positive.
        f1: Harmonic mean of precision and recall.
        cost: Mean cost of a picture, for the rule `cost`, else NaN.
    """

    value: float
    rule: Rule
    precision: float
    recall: float
    fpr: float
    f1: float
    cost: float = math.nan


def choose_threshold(
    positive: ArrayLike,
    scores: ArrayLike,
    rule: Rule = "f1",
    *,
    target: float | None = None,
    cost: ArrayLike | None = None,
) -> Threshold:
    """Chooses the threshold of a two-class decision. Choose it on validation pictures, never on the test set.

    Args:
        positive: Booleans `(N,)`, or 0 and 1.
        scores: Floats `(N,)`, higher is more positive.
        rule: `f1` for the best F1; `youden` for the best recall - fpr; `recall` for the highest threshold
            whose recall is at least `target`; `fpr` for the lowest whose false positive rate is at most
            `target`; `cost` for the least mean cost.
        target: In [0, 1], for `recall` and `fpr`.
        cost: `(2, 2)` with `cost[truth][call]`, for `cost`: `[[0, 1], [10, 0]]` makes a miss ten times as
            dear as a false alarm.

    Returns:
        The threshold; of equally good ones the highest.

    Raises:
        InputError: A class is absent, or the rule lacks its `target` or `cost`.

    Example:
        >>> choose_threshold([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], "recall", target=1.0).value
        0.35
    """
    curve = sweep(positive, scores)
    if not curve.positives or not curve.negatives:
        raise InputError(
            f"A threshold needs pictures of both classes. Received {curve.positives:.0f} positives and "
            f"{curve.negatives:.0f} negatives."
        )
    mean_cost = np.full_like(curve.hits, math.nan)
    if rule == "f1":
        best = int(np.argmax(curve.f1))
    elif rule == "youden":
        best = int(np.argmax(curve.recall - curve.fpr))
    elif rule in ("recall", "fpr"):
        if target is None or not 0.0 <= target <= 1.0:
            raise InputError(f"The rule {rule!r} needs a target in [0, 1]. Received {target}.")
        if rule == "recall":
            best = int(np.argmax(curve.recall >= target))
        else:
            best = int(np.flatnonzero(curve.fpr <= target)[-1])
    elif rule == "cost":
        costs = np.asarray(cost, np.float64)
        if costs.shape != (2, 2):
            raise InputError(
                f"The rule 'cost' needs cost[truth][call] of shape (2, 2). Received {costs.shape}."
            )
        (passed, alarm), (miss, hit) = costs.tolist()
        mean_cost = (
            (curve.negatives - curve.alarms) * passed
            + curve.alarms * alarm
            + (curve.positives - curve.hits) * miss
            + curve.hits * hit
        ) / (curve.positives + curve.negatives)
        best = int(np.argmin(mean_cost))
    else:
        raise InputError(f"A threshold is chosen by f1, youden, recall, fpr or cost. Received {rule!r}.")
    return Threshold(
        value=float(curve.thresholds[best]),
        rule=rule,
        precision=float(curve.precision[best]),
        recall=float(curve.recall[best]),
        fpr=float(curve.fpr[best]),
        f1=float(curve.f1[best]),
        cost=float(mean_cost[best]),
    )


def _check(positive: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.bool_], Floats]:
    truth, score = np.asarray(positive).astype(bool), np.asarray(scores, np.float64)
    if truth.ndim != 1 or truth.shape != score.shape or not truth.size:
        raise InputError(
            f"A curve needs truths and scores of the same shape (N,), N >= 1. Received {truth.shape} and "
            f"{score.shape}."
        )
    if not np.isfinite(score).all():
        raise InputError(f"scores[{np.flatnonzero(~np.isfinite(score))[0]}] is not a finite number.")
    return truth, score
