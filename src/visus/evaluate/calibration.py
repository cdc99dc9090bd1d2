"""Whether a model that says 80 % is right in 80 of 100 cases, and the one number that repairs it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visus.structures import InputError

Floats = NDArray[np.float64]

BINS = 15


@dataclass(frozen=True, eq=False)
class Reliability:
    """Confidence beside accuracy, in bins of equal width over [0, 1]; bin b holds `(edges[b], edges[b + 1]]`.

    Attributes:
        edges: float64 `(B + 1,)`.
        count: float64 `(B,)` pictures (or their weight) in each bin.
        confidence: float64 `(B,)` mean confidence, NaN in an empty bin.
        accuracy: float64 `(B,)` share of right answers, NaN in an empty bin.
    """

    edges: Floats
    count: Floats
    confidence: Floats
    accuracy: Floats

    @property
    def ece(self) -> float:
        """Expected calibration error: mean gap between confidence and accuracy, weighted by the counts."""
        gap = np.nan_to_num(np.abs(self.confidence - self.accuracy))
        return float((gap * self.count).sum() / self.count.sum())

    @property
    def mce(self) -> float:
        """Maximum calibration error: the largest gap of any bin."""
        return float(np.nanmax(np.abs(self.confidence - self.accuracy)))

    @property
    def overconfidence(self) -> float:
        """Mean confidence minus accuracy: above 0 the model promises too much."""
        return float(np.nansum((self.confidence - self.accuracy) * self.count) / self.count.sum())

    def to_dict(self) -> dict[str, list[float | None]]:
        """The table as JSON-ready lists; None in empty bins."""
        return {
            name: [None if math.isnan(v) else float(v) for v in getattr(self, name)]
            for name in ("edges", "count", "confidence", "accuracy")
        }


def bin_index(confidence: Floats, bins: int = BINS) -> NDArray[np.int64]:
    """Bin 0..bins-1 of each confidence in [0, 1]; a confidence on an edge belongs to the bin below."""
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def reliability(
    confidence: ArrayLike, correct: ArrayLike, *, bins: int = BINS, weights: Floats | None = None
) -> Reliability:
    """The reliability table of the top answers.

    Args:
        confidence: Floats `(N,)` in [0, 1], the probability of the answer given.
        correct: Booleans `(N,)`, whether it was right.
        bins: Number of bins of equal width.
        weights: float64 `(N,)`, or None for 1 each.

    Raises:
        InputError: The shapes differ, there is no picture, or a confidence lies outside [0, 1].

    References:
        C. Guo et al., On calibration of modern neural networks, ICML 2017.

    Example:
        >>> round(reliability([0.9, 0.9, 0.6], [1, 0, 1]).ece, 4)
        0.4
    """
    sure, right = np.asarray(confidence, np.float64), np.asarray(correct, np.float64)
    if sure.ndim != 1 or sure.shape != right.shape or not sure.size:
        raise InputError(
            f"confidence and correct must share a shape (N,). Received {sure.shape}, {right.shape}."
        )
    if not ((sure >= 0.0) & (sure <= 1.0 + 1e-3)).all():
        raise InputError(f"A confidence lies in [0, 1]. Received {sure.min()} to {sure.max()}.")
    index = bin_index(sure, bins)
    given: Floats = np.ones_like(sure) if weights is None else weights
    count = np.bincount(index, given, bins).astype(np.float64)
    with np.errstate(invalid="ignore"):
        return Reliability(
            edges=np.linspace(0.0, 1.0, bins + 1),
            count=count,
            confidence=np.bincount(index, given * sure, bins) / count,
            accuracy=np.bincount(index, given * right, bins) / count,
        )


def fit_temperature(scores: ArrayLike, truth: ArrayLike, *, prior: float | None = None) -> float:
    """The T for which `softmax(logits / T)` has the least log loss. Above 1 the model was too sure.

    It moves no answer, only how sure the model is of it. Fit it on validation pictures.

    Args:
        scores: Logits `(N, K)`, or probabilities, whose logarithms serve as logits.
        truth: Integers `(N,)` in 0..K-1.
        prior: None, or the standard deviation of log T in a normal prior around T = 1. Without it a few pictures that
            are all answered right would make the model boundlessly sure.

    Returns:
        T, searched for in [0.05, 20].

    Raises:
        InputError: The shapes do not belong together, or a class lies outside 0..K-1.

    References:
        C. Guo et al., On calibration of modern neural networks, ICML 2017.

    Example:
        >>> scores = np.array([[4.0, 0.0], [4.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
        >>> round(fit_temperature(scores, np.array([0, 0, 1, 1])), 3)  # right 3 times of 4, so 4 / T = log 3
        3.641
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    logits = _logits(scores)
    labels = np.asarray(truth)
    if labels.shape != logits.shape[:1] or labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise InputError(
            f"truth must be {len(logits)} classes in 0..{logits.shape[1] - 1}. Received {labels.shape}, "
            f"{labels.min()} to {labels.max()}."
        )
    true = logits[np.arange(len(labels)), labels]

    def loss(log_t: float) -> float:
        doubt = 0.0 if prior is None else 0.5 * (log_t / prior) ** 2 / len(labels)
        return float(np.mean(logsumexp(logits / math.exp(log_t), axis=1) - true / math.exp(log_t))) + doubt

    found = minimize_scalar(
        loss, bounds=(math.log(0.05), math.log(20.0)), method="bounded", options={"xatol": 1e-6}
    )
    return math.exp(float(found.x))


def apply_temperature(scores: ArrayLike, temperature: float) -> Floats:
    """Probabilities `(N, K)` at a temperature: `softmax(logits / temperature)`.

    Args:
        scores: Logits `(N, K)`, or probabilities.
        temperature: Above 0.

    Example:
        >>> apply_temperature(np.array([[0.8, 0.2]]), 1.0).round(6).tolist()
        [[0.8, 0.2]]
    """
    if not temperature > 0.0:
        raise InputError(f"A temperature is above 0. Received {temperature}.")
    from scipy.special import softmax

    return np.asarray(softmax(_logits(scores) / temperature, axis=1), np.float64)


def _logits(scores: ArrayLike) -> Floats:
    given = np.asarray(scores, np.float64)
    if given.ndim != 2 or not given.size or not np.isfinite(given).all():
        raise InputError(f"Scores are finite numbers of shape (N, K). Received shape {given.shape}.")
    if (given >= 0.0).all() and np.allclose(given.sum(axis=1), 1.0, atol=1e-3):
        return np.log(np.maximum(given, 1e-12))
    return given


def uncertain(scores: ArrayLike) -> NDArray[np.bool_]:
    """Whether each answer is so weak that the picture may well show none of the classes.

    Args:
        scores: Probabilities `(N, K)`.

    Returns:
        Boolean `(N,)`: the best probability is below 0.5, or less than 0.1 above the second one.

    Example:
        >>> uncertain([[0.9, 0.1, 0.0], [0.4, 0.3, 0.3], [0.52, 0.48, 0.0]]).tolist()
        [False, True, True]
    """
    given = np.sort(np.asarray(scores, np.float64), axis=1)
    best = given[:, -1]
    second = given[:, -2] if given.shape[1] > 1 else np.zeros_like(best)
    return (best < 0.5) | (best - second < 0.1)
