"""Figures of classifiers: against the specification's tables, scikit-learn, and counting by hand."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from visus.evaluate.classification import area_resamples, evaluate, top_k_hits
from visus.structures import InputError


def softmax_scores(n: int, k: int, seed: int = 0, strength: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = np.concatenate([np.arange(k), rng.integers(0, k, n - k)]).astype(np.int32)
    logits = rng.normal(size=(n, k))
    logits[np.arange(n), truth] += strength
    scores = np.exp(logits)
    return truth, scores / scores.sum(axis=1, keepdims=True)


def scores_of(predicted: np.ndarray, k: int) -> np.ndarray:
    return np.eye(k)[predicted] * 0.7 + 0.3 / k


def from_matrix(matrix: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    counts = np.array(matrix)
    rows, columns = np.indices(counts.shape)
    truth = np.repeat(rows.ravel(), counts.ravel())
    return truth, scores_of(np.repeat(columns.ravel(), counts.ravel()), len(counts))


def values(result) -> dict[str, float]:
    return {name: figure.value for name, figure in result.figures.items()}


def test_cat_and_dog_of_the_specification():
    truth, scores = from_matrix([[80, 10], [8, 92]])
    result = evaluate(truth, scores, ["cat", "dog"])
    assert result.confusion.tolist() == [[80, 10], [8, 92]]
    got = values(result)
    assert got["accuracy"] == pytest.approx(0.9052632, abs=5e-8)
    assert got["kappa"] == pytest.approx(0.8097887, abs=5e-8)
    assert got["balanced_accuracy"] == pytest.approx(0.9044444, abs=5e-8)
    cat = result.per_class[0]
    assert cat.precision.value == pytest.approx(0.9090909, abs=5e-8)
    assert cat.recall.value == pytest.approx(0.8888889, abs=5e-8)
    assert cat.f1.value == pytest.approx(0.8988764, abs=5e-8)
    assert 1 - cat.specificity.value == pytest.approx(0.08)  # false positive rate
    assert 1 - cat.recall.value == pytest.approx(0.1111111, abs=5e-8)  # false negative rate
    assert (result.majority_class, result.majority_accuracy.value) == ("dog", pytest.approx(100 / 190))


DIGITS = """
972 0 1 0 0 0 2 0 3 2 / 0 1117 3 1 0 0 3 1 10 0 / 3 0 1011 1 1 0 1 5 10 0 / 1 0 5 974 0 7 0 3 10 10 /
2 0 2 1 953 0 2 4 2 16 / 3 0 0 7 2 860 2 2 11 5 / 3 2 1 0 2 1 944 0 5 0 / 1 1 6 3 1 0 0 1000 6 10 /
3 0 5 0 2 0 0 1 960 3 / 4 3 0 2 4 2 1 4 8 981
"""


def test_ten_digits_of_the_specification():
    truth, scores = from_matrix([[int(n) for n in row.split()] for row in DIGITS.split("/")])
    result = evaluate(truth, scores, list("0123456789"), resamples=0)
    got = values(result)
    assert result.count == 10_000
    assert got["accuracy"] == 0.9772
    for name, expected in (
        ("precision", 0.9773824),
        ("recall", 0.9770604),
        ("f1", 0.9771096),
        ("weighted_f1", 0.9772555),
        ("kappa", 0.9746570),
    ):
        assert got[name] == pytest.approx(expected, abs=5e-8), name
    eight = result.per_class[8]
    assert eight.precision.value == pytest.approx(0.936585, abs=5e-7)
    assert eight.recall.value == pytest.approx(0.985626, abs=5e-7)
    assert eight.f1.value == pytest.approx(0.960480, abs=5e-7)


def test_top_k_of_the_specification():
    scores = np.array([[0.1, 0.5, 0.2, 0.2], [0.4, 0.3, 0.2, 0.1], [0.25] * 4])
    truth = [2, 3, 3]
    assert [int(top_k_hits(truth, scores, k).sum()) for k in (1, 2, 3)] == [1, 2, 2]
    result = evaluate(truth, scores, list("abcd"), topk=(1, 2, 3), resamples=0)
    assert [round(3 * result.figures[f"top{k}_accuracy"].value) for k in (1, 2, 3)] == [1, 2, 2]
    # One row of probabilities for the truths 0, 1 and 2.
    rows = [[0.5, 0.3, 0.2]] * 3
    assert [int(top_k_hits([0, 1, 2], rows, k).sum()) for k in (1, 2, 3)] == [1, 2, 3]
    with pytest.raises(InputError, match="Top-5"):
        evaluate(truth, scores, list("abcd"), topk=(5,))


def test_accuracy_and_first_answer_break_ties_by_index():
    result = evaluate([1], [[0.5, 0.5]], ["a", "b"], topk=(1,), resamples=0)
    assert result.predicted.tolist() == [0]
    assert result.figures["accuracy"].value == 0.0
    assert result.figures["top1_accuracy"].value == 1.0  # a tie is a hit there


@pytest.mark.parametrize(("n", "k"), [(400, 5), (150, 2)])
@pytest.mark.parametrize("weighted", [False, True])
def test_figures_equal_scikit_learn(n: int, k: int, weighted: bool):
    truth, scores = softmax_scores(n, k)
    names = [f"class {i}" for i in range(k)]
    weights = np.random.default_rng(1).uniform(0.1, 3.0, n) if weighted else None
    result = evaluate(truth, scores, names, topk=(2,) if k > 2 else (), resamples=0, weights=weights)
    predicted, w = scores.argmax(axis=1), {"sample_weight": weights}
    expected = {
        "accuracy": metrics.accuracy_score(truth, predicted, **w),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, predicted, **w),
        "kappa": metrics.cohen_kappa_score(truth, predicted, **w),
        "mcc": metrics.matthews_corrcoef(truth, predicted, **w),
        "log_loss": metrics.log_loss(truth, scores, **w),
    }
    for short, name in (("precision", "precision_score"), ("recall", "recall_score"), ("f1", "f1_score")):
        score = getattr(metrics, name)
        expected[short] = score(truth, predicted, average="macro", **w)
        expected[f"weighted_{short}"] = score(truth, predicted, average="weighted", **w)
    auc = [metrics.roc_auc_score(truth == i, scores[:, i], **w) for i in range(k)]
    ap = [metrics.average_precision_score(truth == i, scores[:, i], **w) for i in range(k)]
    expected |= {"roc_auc": np.mean(auc), "average_precision": np.mean(ap)}
    if k == 2:
        expected["brier"] = metrics.brier_score_loss(truth, scores[:, 1], **w)
    else:
        onehot = np.eye(k)[truth]
        expected["brier"] = np.average(((scores - onehot) ** 2).sum(axis=1), weights=weights)
        expected["top2_accuracy"] = metrics.top_k_accuracy_score(truth, scores, k=2, **w)
    got = values(result)
    assert set(got) - set(expected) == {"ece"}
    for name, value in expected.items():
        assert got[name] == pytest.approx(value, abs=1e-12), name
    table = metrics.precision_recall_fscore_support(truth, predicted, **w)
    for i, row in enumerate(result.per_class):
        for mine, theirs in zip((row.precision, row.recall, row.f1), table):
            assert mine.value == pytest.approx(theirs[i], abs=1e-12)
        assert row.roc_auc.value == pytest.approx(auc[i], abs=1e-12)
        assert row.average_precision.value == pytest.approx(ap[i], abs=1e-12)
    assert np.allclose(result.confusion, metrics.confusion_matrix(truth, predicted, **w), atol=1e-12)


def test_interval_equals_a_slow_bootstrap_of_scikit_learn():
    truth, scores = softmax_scores(60, 3, seed=4)
    result = evaluate(truth, scores, list("abc"), resamples=200, seed=7)
    rng = np.random.default_rng(7)
    draws = rng.integers(0, 60, (200, 60), dtype=np.int32)
    predicted = scores.argmax(axis=1)
    for name, score in (
        ("accuracy", lambda i: metrics.accuracy_score(truth[i], predicted[i])),
        ("f1", lambda i: metrics.f1_score(truth[i], predicted[i], average="macro")),
        ("log_loss", lambda i: metrics.log_loss(truth[i], scores[i], labels=[0, 1, 2])),
        (
            "roc_auc",
            lambda i: np.mean([metrics.roc_auc_score(truth[i] == c, scores[i, c]) for c in range(3)]),
        ),
    ):
        low, high = np.quantile([score(i) for i in draws], [0.025, 0.975])
        assert (result.figures[name].low, result.figures[name].high) == pytest.approx((low, high), abs=1e-12)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    # Right with probability 0.8: the interval of the accuracy must hold 0.8 in 95 of 100 sets.
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        truth = rng.integers(0, 3, 120)
        predicted = np.where(rng.random(120) < 0.8, truth, (truth + 1) % 3)
        accuracy = evaluate(truth, scores_of(predicted, 3), list("abc"), resamples=200).figures["accuracy"]
        held += accuracy.low <= 0.8 <= accuracy.high
    assert 0.90 <= held / 200 <= 0.99


@given(st.integers(0, 10_000), st.integers(5, 60), st.integers(2, 6))
@settings(max_examples=40, deadline=None)
def test_every_interval_holds_its_value(seed: int, n: int, k: int):
    truth, scores = softmax_scores(max(n, k), k, seed)
    result = evaluate(truth, scores, [str(i) for i in range(k)], resamples=100)
    for name, figure in result.figures.items():
        if not math.isnan(figure.low):
            assert figure.low <= figure.high, name
    assert (
        result.figures["accuracy"].low <= result.figures["accuracy"].value <= result.figures["accuracy"].high
    )
    assert result.confusion.sum() == result.count
    assert result.figures["recall"].value == pytest.approx(result.figures["balanced_accuracy"].value)


def test_seed_decides():
    truth, scores = softmax_scores(80, 3)
    first, again, other = (evaluate(truth, scores, list("abc"), seed=s).to_dict() for s in (1, 1, 2))
    assert first == again
    assert first != other


def test_absent_class_has_a_zero_row_and_no_figures():
    truth, scores = softmax_scores(100, 3)
    padded = np.concatenate([scores * 0.9, np.full((100, 1), 0.1)], axis=1)
    result = evaluate(truth, padded, ["a", "b", "c", "never"])
    assert result.confusion[3].tolist() == [0, 0, 0, 0]
    never = result.per_class[3]
    assert never.support == 0
    assert all(
        math.isnan(getattr(never, f).value) for f in ("precision", "recall", "f1", "roc_auc", "specificity")
    )
    without = evaluate(truth, scores, ["a", "b", "c"])
    for name in ("f1", "balanced_accuracy", "roc_auc", "average_precision"):
        assert result.figures[name].value == pytest.approx(without.figures[name].value)
    assert "never" in result.notes[0]


def test_class_that_is_never_answered_has_precision_zero_and_a_note():
    truth, scores = from_matrix([[5, 0], [3, 0]])
    result = evaluate(truth, scores, ["a", "b"])
    assert result.per_class[1].precision.value == 0.0
    assert result.per_class[1].f1.value == 0.0
    assert any("'b'" in note for note in result.notes)


def test_one_picture_and_one_class():
    result = evaluate([0], [[1.0]], ["only"])
    assert result.figures["accuracy"].to_dict() == {"value": 1.0, "low": pytest.approx(0.025), "high": 1.0}
    assert math.isnan(result.figures["kappa"].value)
    assert math.isnan(result.figures["roc_auc"].value)
    result = evaluate([1], [[0.2, 0.8]], ["a", "b"])
    assert result.figures["f1"].to_dict() == {"value": 1.0, "low": None, "high": None}


def test_all_right_gets_the_exact_interval_and_not_a_point():
    truth = np.tile([0, 1], 25)
    result = evaluate(truth, scores_of(truth, 2), ["a", "b"])
    assert result.figures["accuracy"].low == pytest.approx(0.025 ** (1 / 50))
    assert result.per_class[0].recall.low == pytest.approx(0.025 ** (1 / 25))


def test_one_picture_for_each_class_still_has_an_interval():
    truth, scores = softmax_scores(40, 40, seed=2, strength=3.0)
    accuracy = evaluate(truth, scores, [str(i) for i in range(40)]).figures["accuracy"]
    assert accuracy.low < accuracy.value < accuracy.high


def test_area_under_the_curves_uses_fewer_resamples_when_there_are_very_many_scores():
    assert area_resamples(1000, 10_000, 10) == 1000
    assert area_resamples(1000, 10_000, 300) == 333
    assert area_resamples(1000, 50_000, 1000) == 0
    assert area_resamples(100, 250, 5) == 100


def test_most_confused_pairs():
    truth, scores = from_matrix([[5, 3, 0], [1, 9, 0], [0, 0, 4]])
    result = evaluate(truth, scores, ["a", "b", "c"], resamples=0)
    assert result.confused() == [("a", "b", 3, 3 / 8), ("b", "a", 1, 1 / 10)]


def test_dictionary_is_json():
    truth, scores = softmax_scores(50, 3)
    document = json.loads(json.dumps(evaluate(truth, scores, list("abc")).to_dict(), allow_nan=False))
    assert set(document["figures"]["accuracy"]) == {"value", "low", "high"}
    assert document["confusion"][0][0] >= 0
    assert len(document["reliability"]["count"]) == 15


@pytest.mark.parametrize(
    ("truth", "scores", "said"),
    [
        ([0, 1], [[0.6, 0.6], [0.5, 0.5]], "row 0 sums to 1.2"),
        ([0, 1], [[3.0, -2.0], [0.5, 0.5]], "softmax"),
        ([0, 1], [[np.nan, 0.5], [0.5, 0.5]], "Row 0"),
        ([0, 2], [[0.5, 0.5], [0.5, 0.5]], r"truth\[1\] is 2"),
        ([0, -1], [[0.5, 0.5], [0.5, 0.5]], r"truth\[1\] is -1"),
        ([0.0, 1.0], [[0.5, 0.5], [0.5, 0.5]], "integer"),
        ([0], [[0.5, 0.5], [0.5, 0.5]], "truth has 1 pictures and scores 2"),
        ([0, 1], [[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], r"\(N, 2\)"),
        ([], np.zeros((0, 2)), "N >= 1"),
    ],
)
def test_bad_input_is_named(truth, scores, said):
    with pytest.raises(InputError, match=said):
        evaluate(truth, scores, ["a", "b"])


def test_bad_weights_are_named():
    with pytest.raises(InputError, match="weights"):
        evaluate([0, 1], [[0.5, 0.5], [0.5, 0.5]], ["a", "b"], weights=[1.0, -1.0])
