"""Intervals by the bootstrap: how far a figure could have been off, had other pictures been drawn.

The rule: each resample draws as many pictures as there are, with replacement, from all of them. It is not
stratified by class: a test set with one picture for each of 500 classes, which is common, would then have no
spread at all. The price is that a rare class is missing from some resamples; a figure of that class ignores
them.

A figure is written once, as a function of the weight of each picture. Weights of one give the figure itself,
and the counts of a resample give the resampled figure, a thousand of them at once.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from visus.evaluate.confusion import ratio
from visus.structures import Estimate, InputError

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Mapping[str, Floats]]
"""Weights `(N, R)` -> name of a figure -> its values `(..., R)`, NaN where it is not defined."""

_CELLS = 4_000_000  # weights held at once: 32 MB


def weight_batches(count: int, resamples: int, seed: int = 0) -> Iterator[Floats]:
    """How often each of `count` pictures was drawn, as `(count, r)` arrays whose `r` add up to `resamples`.

    Example:
        >>> [w.sum(axis=0).tolist() for w in weight_batches(5, 2)]
        [[5.0, 5.0]]
    """
    rng = np.random.default_rng(seed)
    done = 0
    while done < resamples:
        r = min(resamples - done, max(1, _CELLS // count))
        batch = np.empty((count, r))
        for column, drawn in zip(batch.T, rng.integers(0, count, (r, count), dtype=np.int32)):
            column[:] = np.bincount(drawn, minlength=count)
        yield batch
        done += r


def resample(
    statistic: Statistic, count: int, *, resamples: int = 1000, seed: int = 0, weights: Floats | None = None
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """The figures themselves, and the same figures on every resample.

    Args:
        statistic: Maps weights `(count, R)` to named figures `(..., R)`.
        count: Number of pictures.
        resamples: Number of resamples R; 0 gives arrays of length 0.
        seed: Seeds the draws; equal seeds draw equal pictures, which is what pairs two models.
        weights: float64 `(count,)` weight of each picture, or None for 1 each.

    Returns:
        `(values, draws)`: name -> `(...)`, and name -> `(..., R)`.

    Example:
        >>> x = np.array([1.0, 2.0, 6.0])
        >>> values, draws = resample(lambda w: {"mean": x @ w / w.sum(axis=0)}, 3)
        >>> float(values["mean"]), draws["mean"].shape
        (3.0, (1000,))
    """
    base = np.ones((count, 1)) if weights is None else np.asarray(weights, np.float64)[:, None]
    values = {name: value[..., 0] for name, value in statistic(base).items()}
    parts: dict[str, list[Floats]] = {name: [np.empty((*v.shape, 0))] for name, v in values.items()}
    for batch in weight_batches(count, resamples, seed):
        for name, drawn in statistic(batch if weights is None else batch * base).items():
            parts[name].append(drawn)
    return values, {name: np.concatenate(drawn, axis=-1) for name, drawn in parts.items()}


def percentile_interval(draws: Floats, level: float = 0.95) -> tuple[Floats, Floats]:
    """The `(1 - level) / 2` and `(1 + level) / 2` quantiles over the last axis, ignoring NaN.

    NaN where all draws are NaN, and where all of them are equal: a resample of identical answers says nothing
    about how far other pictures could have differed.

    Example:
        >>> low, high = percentile_interval(np.arange(101.0))
        >>> round(float(low), 6), round(float(high), 6)
        (2.5, 97.5)
    """
    tail = (1.0 - level) / 2.0
    if draws.shape[-1] == 0:
        return np.full(draws.shape[:-1], math.nan), np.full(draws.shape[:-1], math.nan)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
        # Without NaN the plain quantile is a hundred times faster than the one that looks for them.
        quantile = np.nanquantile if np.isnan(draws).any() else np.quantile
        low, high = quantile(draws, [tail, 1.0 - tail], axis=-1)
        spread = np.nanmax(draws, axis=-1) - np.nanmin(draws, axis=-1)
    # Sums of the same numbers in another order differ in the last digits.
    collapsed = ~(spread > 1e-12)
    return np.where(collapsed, math.nan, low), np.where(collapsed, math.nan, high)


def exact_interval(hits: float, count: float, level: float = 0.95) -> tuple[float, float]:
    """The Clopper-Pearson interval of the proportion `hits / count`.

    Where all answers are right, or all wrong, the bootstrap has nothing to vary, and this takes its place.

    References:
        C. Clopper and E. Pearson, The use of confidence or fiducial limits, Biometrika 26 (1934).

    Raises:
        InputError: `hits` does not lie in 0..count.

    Example:
        >>> low, high = exact_interval(5, 5)
        >>> round(low, 6) == round(0.025 ** (1 / 5), 6), high
        (True, 1.0)
    """
    if not 0 <= hits <= count:
        raise InputError(f"A proportion needs 0 <= hits <= count. Received {hits} of {count}.")
    if count == 0:
        return math.nan, math.nan
    from scipy.stats import beta

    tail = (1.0 - level) / 2.0
    low = 0.0 if hits == 0 else float(beta.ppf(tail, hits, count - hits + 1))
    high = 1.0 if hits == count else float(beta.ppf(1.0 - tail, hits + 1, count - hits))
    return low, high


def estimates(
    values: Mapping[str, Floats], draws: Mapping[str, Floats], *, centred: tuple[str, ...] = ()
) -> dict[str, list[Estimate]]:
    """95 % percentile intervals for every figure, those of vector figures in their order.

    Args:
        values: Name -> `()` or `(K,)`.
        draws: Name -> `(R,)` or `(K, R)`.
        centred: Names of figures in 0..1 that resampling itself pushes up: in the calibration error each
            resample adds its own noise to every bin, and in average precision a positive drawn twice follows
            itself in the ranking. Their draws are shifted back by the mean difference, within 0..1.
    """
    result = {}
    for name, value in values.items():
        drawn = draws[name]
        if name in centred and drawn.shape[-1]:
            bias = ratio(np.nansum(drawn, axis=-1), (~np.isnan(drawn)).sum(axis=-1)) - value
            drawn = np.clip(drawn - bias[..., None], 0.0, 1.0)
        low, high = percentile_interval(drawn)
        result[name] = [
            Estimate(float(v), float(a), float(b))
            for v, a, b in zip(np.ravel(value), np.ravel(low), np.ravel(high))
        ]
    return result
