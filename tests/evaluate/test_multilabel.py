"""Several labels at once: against scikit-learn."""

import json
import math

import numpy as np
import pytest
from sklearn import metrics

from visus.evaluate.multilabel import evaluate_multilabel
from visus.structures import InputError

NAMES = ["car", "rain", "night", "person"]


def case(n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = (rng.random((n, 4)) < [0.5, 0.2, 0.1, 0.6]).astype(np.uint8)
    return truth, np.clip(rng.normal(0.35 + 0.3 * truth, 0.2), 0, 1)


def test_figures_equal_scikit_learn():
    truth, scores = case()
    result = evaluate_multilabel(truth, scores, NAMES)
    given = (scores >= 0.5).astype(int)
    expected = {
        "mAP": metrics.average_precision_score(truth, scores, average="macro"),
        "roc_auc": metrics.roc_auc_score(truth, scores, average="macro"),
        "precision": metrics.precision_score(truth, given, average="macro"),
        "recall": metrics.recall_score(truth, given, average="macro"),
        "f1": metrics.f1_score(truth, given, average="macro"),
        "micro_precision": metrics.precision_score(truth, given, average="micro"),
        "micro_recall": metrics.recall_score(truth, given, average="micro"),
        "micro_f1": metrics.f1_score(truth, given, average="micro"),
        "subset_accuracy": metrics.accuracy_score(truth, given),
        "hamming_loss": metrics.hamming_loss(truth, given),
    }
    assert set(expected) == set(result.figures)
    for name, value in expected.items():
        figure = result.figures[name]
        assert figure.value == pytest.approx(value, abs=1e-12), name
        assert figure.low < figure.value < figure.high, name
    for i, row in enumerate(result.per_class):
        assert row.support == truth[:, i].sum()
        assert row.f1.value == pytest.approx(metrics.f1_score(truth[:, i], given[:, i]), abs=1e-12)
        assert row.specificity.value == pytest.approx(metrics.recall_score(1 - truth[:, i], 1 - given[:, i]))
    assert np.array_equal(result.predicted, given)
    json.dumps(result.to_dict(), allow_nan=False)


def test_threshold_of_the_specification():
    # [.1, .9, .05, .01, .7, .001] at 0.5 gives the labels 1 and 4.
    scores = np.array([[0.1, 0.9, 0.05, 0.01, 0.7, 0.001]])
    result = evaluate_multilabel(np.array([[0, 1, 0, 0, 1, 0]]), scores, list("abcdef"))
    assert np.flatnonzero(result.predicted[0]).tolist() == [1, 4]
    assert result.figures["subset_accuracy"].value == 1.0


def test_label_that_nobody_carries_is_left_out():
    truth, scores = case()
    truth[:, 1] = 0
    result = evaluate_multilabel(truth, scores, NAMES, resamples=50)
    assert math.isnan(result.per_class[1].average_precision.value)
    kept = [0, 2, 3]
    assert result.figures["mAP"].value == pytest.approx(
        metrics.average_precision_score(truth[:, kept], scores[:, kept], average="macro"), abs=1e-12
    )
    assert "'rain'" in result.notes[0]


def test_bad_input_is_named():
    with pytest.raises(InputError, match="0 and 1"):
        evaluate_multilabel([[0, 2]], [[0.5, 0.5]], ["a", "b"])
    with pytest.raises(InputError, match="probabilities"):
        evaluate_multilabel([[0, 1]], [[0.5, 7.0]], ["a", "b"])
