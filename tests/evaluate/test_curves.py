"""Curves, areas and thresholds: against scikit-learn and a search over every threshold."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from visus.evaluate.curves import areas, choose_threshold, sweep
from visus.structures import InputError


def test_curve_of_the_specification():
    curve = sweep([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    assert list(zip(curve.fpr, curve.recall)) == [(0, 0), (0, 0.5), (0.5, 0.5), (0.5, 1), (1, 1)]
    auc, ap = areas([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    assert auc[0] == pytest.approx(0.75)
    assert ap[0] == pytest.approx(0.8333333, abs=5e-8)


@st.composite
def ranked(draw):
    n = draw(st.integers(2, 40))
    # Few distinct scores: ties are where such code goes wrong.
    scores = draw(st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.7, 1.0]), min_size=n, max_size=n))
    positive = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    weights = draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    return np.array(positive), np.array(scores), np.array(weights, float)


@given(ranked())
@settings(max_examples=150, deadline=None)
def test_areas_equal_scikit_learn_with_ties_and_weights(case):
    positive, scores, weights = case
    both = [np.ones(len(scores)), weights]
    auc, ap = areas(positive, scores, np.stack(both, axis=1))
    for i, w in enumerate(both):
        drawn = np.repeat(np.arange(len(scores)), w.astype(int))
        if not positive[drawn].any():
            assert math.isnan(ap[i])
            continue
        assert ap[i] == pytest.approx(
            metrics.average_precision_score(positive[drawn], scores[drawn]), abs=1e-12
        )
        if positive[drawn].all():
            assert math.isnan(auc[i])
        else:
            assert auc[i] == pytest.approx(metrics.roc_auc_score(positive[drawn], scores[drawn]), abs=1e-12)


def test_sweep_equals_scikit_learn():
    rng = np.random.default_rng(0)
    positive, scores = rng.integers(0, 2, 200), np.round(rng.random(200), 2)
    curve = sweep(positive, scores)
    fpr, tpr, thresholds = metrics.roc_curve(positive, scores, drop_intermediate=False)
    assert np.allclose(curve.fpr, fpr, atol=1e-12)
    assert np.allclose(curve.recall, tpr, atol=1e-12)
    assert np.array_equal(curve.thresholds, thresholds)
    precision, recall, _ = metrics.precision_recall_curve(positive, scores)
    assert np.allclose(curve.precision, precision[::-1], atol=1e-12)
    assert np.allclose(curve.recall, recall[::-1], atol=1e-12)


def test_threshold_of_each_rule_equals_trying_them_all():
    rng = np.random.default_rng(3)
    positive = rng.integers(0, 2, 150)
    scores = np.clip(rng.normal(0.4 + 0.2 * positive, 0.15), 0, 1)
    costs = np.array([[0.0, 1.0], [5.0, -1.0]])

    def at(threshold: float) -> dict[str, float]:
        called = scores >= threshold
        tp, fp = (called & (positive == 1)).sum(), (called & (positive == 0)).sum()
        fn, tn = (~called & (positive == 1)).sum(), (~called & (positive == 0)).sum()
        return {
            "f1": 2 * tp / (2 * tp + fp + fn),
            "recall": tp / (tp + fn),
            "fpr": fp / (fp + tn),
            "cost": (np.array([[tn, fp], [fn, tp]]) * costs).sum() / 150,
        }

    tried = {t: at(t) for t in [math.inf, *scores]}
    assert choose_threshold(positive, scores).f1 == pytest.approx(max(v["f1"] for v in tried.values()))
    youden = choose_threshold(positive, scores, "youden")
    assert youden.recall - youden.fpr == pytest.approx(max(v["recall"] - v["fpr"] for v in tried.values()))
    assert choose_threshold(positive, scores, "recall", target=0.9).value == max(
        t for t, v in tried.items() if v["recall"] >= 0.9
    )
    assert choose_threshold(positive, scores, "fpr", target=0.1).value == min(
        t for t, v in tried.items() if v["fpr"] <= 0.1
    )
    chosen = choose_threshold(positive, scores, "cost", cost=costs)
    assert chosen.cost == pytest.approx(min(v["cost"] for v in tried.values()))
    for rule in (chosen, youden):
        assert at(rule.value)["f1"] == pytest.approx(rule.f1)


def test_bad_input_is_named():
    with pytest.raises(InputError, match="both classes"):
        choose_threshold([1, 1], [0.1, 0.2])
    with pytest.raises(InputError, match="needs a target"):
        choose_threshold([0, 1], [0.1, 0.2], "recall")
    with pytest.raises(InputError, match=r"\(2, 2\)"):
        choose_threshold([0, 1], [0.1, 0.2], "cost")
    with pytest.raises(InputError, match="f1, youden"):
        choose_threshold([0, 1], [0.1, 0.2], "best")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="finite"):
        sweep([0, 1], [0.1, math.nan])
    with pytest.raises(InputError, match="same shape"):
        sweep([0, 1], [0.1])
