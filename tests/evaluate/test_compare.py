"""Comparing two models: McNemar by its formulas, and paired intervals that separate ones cannot give."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from visus.evaluate.classification import evaluate
from visus.evaluate.compare import compare, mcnemar
from visus.structures import InputError


def answers(both: int, only_a: int, only_b: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    a = np.repeat([1, 1, 0, 0], [both, only_a, only_b, neither])
    b = np.repeat([1, 0, 1, 0], [both, only_a, only_b, neither])
    return a, b


def test_exact_below_25_disagreements():
    test = mcnemar(*answers(50, 3, 11, 6))
    assert (test.both, test.only_a, test.only_b, test.neither, test.method) == (50, 3, 11, 6, "exact")
    # Two sides of a fair coin: 2 * sum_{i <= 3} C(14, i) / 2^14.
    assert test.p == pytest.approx(2 * sum(math.comb(14, i) for i in range(4)) / 2**14)


def test_chi_square_with_continuity_correction_from_25_on():
    test = mcnemar(*answers(100, 25, 10, 20))
    assert test.method == "chi2"
    assert test.statistic == pytest.approx((15 - 1) ** 2 / 35)
    assert test.p == pytest.approx(math.erfc(math.sqrt(test.statistic / 2)))  # chi-square of one degree
    assert test.p == pytest.approx(stats.chi2.sf(test.statistic, 1))


def test_equal_answers_have_p_one():
    assert mcnemar([1, 0, 1], [1, 0, 1]).p == 1.0
    assert mcnemar(*answers(0, 20, 20, 0)).p == 1.0


def noisy(truth: np.ndarray, right: float, rng: np.random.Generator, k: int = 3) -> np.ndarray:
    predicted = np.where(rng.random(len(truth)) < right, truth, (truth + 1) % k)
    return np.eye(k)[predicted] * 0.7 + 0.1


def test_paired_difference_is_the_difference_of_the_figures():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 300)
    a, b = noisy(truth, 0.9, rng), noisy(truth, 0.7, rng)
    result = compare(truth, a, b, list("abc"), names=("big", "small"))
    one, other = (evaluate(truth, s, list("abc"), resamples=0).figures for s in (a, b))
    assert set(result.differences) == set(one)
    for name, difference in result.differences.items():
        assert difference.difference.value == pytest.approx(one[name].value - other[name].value, abs=1e-12)
    accuracy = result.differences["accuracy"]
    assert accuracy.difference.low > 0
    assert accuracy.p == pytest.approx(2 / 1001)
    assert result.sentence.startswith("big is right on")
    assert "more than chance" in result.sentence
    swapped = compare(truth, b, a, list("abc"), names=("small", "big"))
    assert swapped.sentence.startswith("big is right on")
    assert swapped.differences["accuracy"].difference.value == -accuracy.difference.value
    json.dumps(result.to_dict(), allow_nan=False)


def test_pairing_sees_what_separate_intervals_hide():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, 400)
    a = noisy(truth, 0.80, rng)
    b = a.copy()
    better = np.flatnonzero(a.argmax(axis=1) != truth)[:16]  # b repairs 16 mistakes and makes none
    b[better] = np.eye(3)[truth[better]] * 0.7 + 0.1
    one, other = (evaluate(truth, s, list("abc")).figures["accuracy"] for s in (a, b))
    assert one.high > other.low  # they overlap ...
    result = compare(truth, a, b, list("abc"))
    assert result.differences["accuracy"].difference.high < 0  # ... and yet the difference is clear
    assert result.mcnemar.p == pytest.approx(2 / 2**16)


def test_paired_interval_equals_a_slow_loop():
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 2, 50)
    a, b = noisy(truth, 0.8, rng, 2), noisy(truth, 0.7, rng, 2)
    a, b = (s / s.sum(axis=1, keepdims=True) for s in (a, b))
    found = compare(truth, a, b, ["x", "y"], resamples=200, seed=5).differences["accuracy"]
    draws = np.random.default_rng(5).integers(0, 50, (200, 50), dtype=np.int32)
    gains = (a.argmax(axis=1) == truth) * 1.0 - (b.argmax(axis=1) == truth)
    slow = gains[draws].mean(axis=1)
    assert (found.difference.low, found.difference.high) == pytest.approx(
        tuple(np.quantile(slow, [0.025, 0.975]))
    )
    smaller = min((slow <= 1e-12).sum(), (slow >= -1e-12).sum())
    assert found.p == pytest.approx(min(1, 2 * (smaller + 1) / 201))


def test_equal_models_are_said_to_be_equal():
    truth = np.array([0, 1, 1])
    scores = np.array([[0.9, 0.1], [0.4, 0.6], [0.6, 0.4]])
    result = compare(truth, scores, scores, ["x", "y"], names=("first", "second"))
    assert result.sentence.startswith("first and second are both right on 66.7%")
    assert result.differences["accuracy"].p == 1.0


def test_bad_input_is_named():
    with pytest.raises(InputError, match="both models"):
        mcnemar([1, 0], [1])
    with pytest.raises(InputError):
        compare([0, 1], [[0.5, 0.5]] * 2, [[0.5, 0.5]], ["a", "b"])
