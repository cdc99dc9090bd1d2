"""Which of two models is better on the same pictures, and whether that is more than chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visus.evaluate.bootstrap import Statistic, percentile_interval, resample
from visus.evaluate.classification import (
    Floats,
    area_figures,
    area_resamples,
    evaluate,
    matrix_and_score_figures,
)
from visus.structures import Estimate, InputError


@dataclass(frozen=True)
class McNemar:
    """McNemar's test: of the pictures on which only one model is right, is it half and half?

    Attributes:
        both: Pictures that both get right.
        only_a: Pictures that only the first gets right.
        only_b: Pictures that only the second gets right.
        neither: Pictures that both get wrong.
        statistic: Chi-square with continuity correction; NaN for the exact form.
        p: Two-sided p-value.
        method: `exact` (binomial, below 25 disagreements) or `chi2`.
    """

    both: int
    only_a: int
    only_b: int
    neither: int
    statistic: float
    p: float
    method: Literal["exact", "chi2"]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return vars(self) | {"statistic": None if math.isnan(self.statistic) else self.statistic}


@dataclass(frozen=True)
class Difference:
    """One figure of both models.

    Attributes:
        a: The figure of the first model.
        b: The figure of the second model.
        difference: `a - b` with its 95 % interval from paired resamples.
        p: Two-sided p-value: how often paired resamples fall on the other side of 0.
    """

    a: float
    b: float
    difference: Estimate
    p: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; None for NaN."""
        plain = {k: None if math.isnan(v) else v for k, v in (("a", self.a), ("b", self.b), ("p", self.p))}
        return plain | {"difference": self.difference.to_dict()}


@dataclass(frozen=True)
class Comparison:
    """Two models on the same pictures.

    Attributes:
        names: What the two are called.
        count: Number of pictures.
        differences: Name of a figure -> its difference, for every figure of `evaluate`.
        mcnemar: The test on the answers.
        sentence: The outcome in plain words.
    """

    names: tuple[str, str]
    count: int
    differences: dict[str, Difference]
    mcnemar: McNemar
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "names": list(self.names),
            "count": self.count,
            "differences": {name: difference.to_dict() for name, difference in self.differences.items()},
            "mcnemar": self.mcnemar.to_dict(),
            "sentence": self.sentence,
        }


def mcnemar(right_a: ArrayLike, right_b: ArrayLike) -> McNemar:
    """McNemar's test on two models' answers to the same pictures.

    Below 25 disagreements it is the exact binomial test, from there on chi-square with continuity correction,
    `(|b - c| - 1)^2 / (b + c)`.

    Args:
        right_a: Booleans `(N,)`, whether the first model is right.
        right_b: Booleans `(N,)`, whether the second is.

    Raises:
        InputError: The shapes differ.

    References:
        Q. McNemar, Note on the sampling error of the difference between correlated proportions, 1947.

    Example:
        >>> mcnemar([1, 1, 1, 1, 0], [1, 0, 0, 0, 1]).p
        0.625
    """
    from scipy.stats import binomtest, chi2

    a, b = np.asarray(right_a, bool), np.asarray(right_b, bool)
    if a.ndim != 1 or a.shape != b.shape:
        raise InputError(
            f"McNemar's test needs answers of both models to the same pictures: {a.shape}, {b.shape}."
        )
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    disagreements = only_a + only_b
    if disagreements < 25:
        method: Literal["exact", "chi2"] = "exact"
        statistic = math.nan
        p = float(binomtest(only_a, disagreements, 0.5).pvalue) if disagreements else 1.0
    else:
        method = "chi2"
        statistic = max(abs(only_a - only_b) - 1, 0) ** 2 / disagreements
        p = float(chi2.sf(statistic, 1))
    return McNemar(int((a & b).sum()), only_a, only_b, int((~a & ~b).sum()), statistic, p, method)


def compare(
    truth: ArrayLike,
    scores_a: ArrayLike,
    scores_b: ArrayLike,
    class_names: Sequence[str],
    *,
    names: tuple[str, str] = ("A", "B"),
    topk: Sequence[int] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Compares two models on the same pictures: a paired bootstrap of every figure, and McNemar's test.

    Both models meet the same resamples, so what is hard for both cancels out; two separate intervals that
    overlap may still belong to a clear difference. The p-value of a figure is twice the share of resamples
    (counting one more, so that it is never 0) on the smaller side of 0.

    Args:
        truth: Integers `(N,)` in 0..K-1.
        scores_a: Probabilities `(N, K)` of the first model.
        scores_b: Probabilities `(N, K)` of the second model.
        class_names: K names.
        names: What the models are called.
        topk: As for `evaluate`.
        resamples: Number of paired resamples.
        seed: Seeds them.

    Raises:
        InputError: As for `evaluate`, for either model.

    Example:
        >>> good, bad = [[0.9, 0.1], [0.2, 0.8]], [[0.9, 0.1], [0.8, 0.2]]
        >>> result = compare([0, 1], good, bad, ["cat", "dog"])
        >>> result.differences["accuracy"].difference.value, result.mcnemar.only_a
        (0.5, 1)
    """
    a = evaluate(truth, scores_a, class_names, topk=topk, resamples=0)
    b = evaluate(truth, scores_b, class_names, topk=topk, resamples=0)
    chosen = [int(n[3:-9]) for n in a.figures if n.startswith("top") and n.endswith("_accuracy")]

    def paired(make: Any, *rest: Any) -> Statistic:
        first, second = make(a.truth, a.scores, *rest), make(b.truth, b.scores, *rest)

        def differences(weights: Floats) -> dict[str, Floats]:
            one, other = first(weights), second(weights)
            return {name: one[name] - other[name] for name in one if name in a.figures}

        return differences

    values, draws = resample(
        paired(matrix_and_score_figures, chosen), a.count, resamples=resamples, seed=seed
    )
    fewer = area_resamples(resamples, *a.scores.shape)
    area_values, area_draws = resample(paired(area_figures), a.count, resamples=fewer, seed=seed)
    values, draws = values | area_values, draws | area_draws
    differences = {}
    for name in a.figures:
        low, high = percentile_interval(draws[name])
        differences[name] = Difference(
            a.figures[name].value,
            b.figures[name].value,
            Estimate(float(values[name]), float(low), float(high)),
            _two_sided(draws[name]),
        )
    test = mcnemar(a.predicted == a.truth, b.predicted == b.truth)
    return Comparison(
        names, a.count, differences, test, _sentence(names, a.count, differences["accuracy"], test)
    )


def _two_sided(draws: NDArray[np.float64]) -> float:
    known = draws[~np.isnan(draws)]
    if not known.size:
        return math.nan
    smaller = min(int((known <= 0).sum()), int((known >= 0).sum()))
    return min(1.0, 2.0 * (smaller + 1) / (known.size + 1))


def _sentence(names: tuple[str, str], count: int, accuracy: Difference, test: McNemar) -> str:
    better, worse = names if accuracy.a >= accuracy.b else names[::-1]
    high, low = max(accuracy.a, accuracy.b), min(accuracy.a, accuracy.b)
    p = "p < 0.001" if test.p < 0.001 else f"p = {test.p:.3f}"
    if high == low:
        gap = f"{names[0]} and {names[1]} are both right on {high:.1%} of the same {count} pictures"
    else:
        gap = (
            f"{better} is right on {high:.1%} of the same {count} pictures and {worse} on {low:.1%}, "
            f"{100 * (high - low):.1f} points less"
        )
    disagreements = test.only_a + test.only_b
    where = f"only {names[0]} is right on {test.only_a} of them, only {names[1]} on {test.only_b}"
    if test.p < 0.05:
        verdict = f"that is more than chance would give (McNemar {p})"
    elif disagreements:
        verdict = f"chance alone could give that (McNemar {p}): this is no proof that either is better"
    else:
        verdict = "they never disagree on what is right"
    return f"{gap}; {where}; {verdict}."
