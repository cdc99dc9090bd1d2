"""Calibration: by hand, by a slow loop, and by undoing a known temperature."""

import numpy as np
import pytest
from scipy.special import softmax

from visus.evaluate.calibration import apply_temperature, fit_temperature, reliability
from visus.evaluate.classification import evaluate
from visus.structures import InputError


def test_table_by_hand():
    # Two bins: (0, 0.5] holds 0.4 (wrong) and 0.5 (right); (0.5, 1] holds 0.8 and 1.0, both right.
    table = reliability([0.4, 0.5, 0.8, 1.0], [0, 1, 1, 1], bins=2)
    assert table.count.tolist() == [2, 2]
    assert table.confidence.tolist() == pytest.approx([0.45, 0.9])
    assert table.accuracy.tolist() == [0.5, 1.0]
    assert table.ece == pytest.approx((2 * 0.05 + 2 * 0.1) / 4)
    assert table.mce == pytest.approx(0.1)
    assert table.overconfidence == pytest.approx(0.675 - 0.75)


def test_error_equals_a_loop_over_bins():
    rng = np.random.default_rng(0)
    confidence, correct = rng.random(500), rng.random(500) < 0.6
    expected = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence > low) & (confidence <= low + 1 / 15)
        expected += abs(confidence[inside].sum() - correct[inside].sum()) / 500
    assert reliability(confidence, correct).ece == pytest.approx(expected, abs=1e-9)


def test_evaluate_reports_the_error_of_its_table():
    rng = np.random.default_rng(1)
    scores = softmax(rng.normal(size=(300, 4)) * 2, axis=1)
    result = evaluate(rng.integers(0, 4, 300), scores, list("abcd"), resamples=100)
    ece = result.figures["ece"]
    assert ece.value == pytest.approx(result.reliability.ece, abs=1e-12)
    assert ece.low <= ece.value <= ece.high


def test_empty_bins_are_none_in_json():
    table = reliability([0.9], [1]).to_dict()
    assert table["accuracy"].count(None) == 14


def test_temperature_is_found_again():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 5)) * 2
    truth = np.array([rng.choice(5, p=p) for p in softmax(logits, axis=1)])
    for factor in (0.5, 1.0, 3.0):
        assert fit_temperature(logits * factor, truth) == pytest.approx(factor, rel=0.04)
    # Probabilities serve as well as logits.
    sharp = softmax(logits * 3.0, axis=1)
    found = fit_temperature(sharp, truth)
    assert found == pytest.approx(3.0, rel=0.04)
    repaired = apply_temperature(sharp, found)
    right = repaired.argmax(axis=1) == truth
    assert np.array_equal(repaired.argmax(axis=1), sharp.argmax(axis=1))
    assert reliability(repaired.max(axis=1), right).ece < 0.02 < reliability(sharp.max(axis=1), right).ece


def test_bad_input_is_named():
    with pytest.raises(InputError, match="above 0"):
        apply_temperature([[0.5, 0.5]], 0.0)
    with pytest.raises(InputError, match=r"0\.\.1"):
        fit_temperature([[0.5, 0.5]], [2])
    with pytest.raises(InputError, match=r"\[0, 1\]"):
        reliability([1.5], [1])
    with pytest.raises(InputError, match="share a shape"):
        reliability([0.5], [1, 0])


def test_a_prior_keeps_few_right_answers_from_being_taken_for_certainty():
    # Two classes, n pictures right by the margin m: the summed log loss n log(1 + exp(-m / T)) falls without end as T
    # falls, so the search has no end but its bound. With the prior it ends where n (m / T) p = -log(T) / s^2, p the
    # probability of the other class.
    logits, truth = [[2.0, 0.0]] * 4, [0, 0, 0, 0]
    assert fit_temperature(logits, truth) < 0.3
    found = fit_temperature(logits, truth, prior=1.0)
    wrong = 1 / (1 + np.exp(2.0 / found))
    assert 4 * 2.0 / found * wrong == pytest.approx(-np.log(found), abs=1e-4)
    assert 0.5 < found < 1.0
