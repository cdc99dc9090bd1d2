"""The streamed confusion matrix and the figures that need only it."""

import csv

import numpy as np
import pytest
from sklearn import metrics

from visus.evaluate.confusion import ConfusionMatrix, normalised
from visus.structures import InputError


def test_stream_of_the_specification():
    matrix = ConfusionMatrix(["no", "yes"])
    for truth, predicted in zip([1, 0, 1], [1, 0, 0]):
        matrix.update([truth], [predicted])
    assert matrix.figures()["accuracy"] == pytest.approx(2 / 3)
    matrix.reset()
    assert matrix.result().sum() == 0


def test_stream_equals_the_whole_at_once():
    rng = np.random.default_rng(0)
    truth, predicted = rng.integers(0, 4, 300), rng.integers(0, 4, 300)
    matrix = ConfusionMatrix(list("abcd"))
    for part in np.array_split(np.arange(300), 7):
        matrix.update(truth[part], predicted[part])
    assert np.array_equal(matrix.result(), metrics.confusion_matrix(truth, predicted))
    assert matrix.figures()["kappa"] == pytest.approx(metrics.cohen_kappa_score(truth, predicted), abs=1e-12)


def test_bad_update_changes_nothing():
    matrix = ConfusionMatrix(["a", "b"])
    for truth, predicted in (([0, 1], [0, 2]), ([0], [0, 1]), ([-1], [0])):
        with pytest.raises(InputError):
            matrix.update(truth, predicted)
    assert matrix.result().sum() == 0


def test_normalisation_leaves_rows_of_zeros():
    counts = np.array([[8, 2, 0], [0, 0, 0], [1, 1, 2]])
    assert normalised(counts, "row").tolist() == [[0.8, 0.2, 0], [0, 0, 0], [0.25, 0.25, 0.5]]
    assert normalised(counts, "column")[:, 0].tolist() == [8 / 9, 0, 1 / 9]
    assert normalised(counts, "all").sum() == pytest.approx(1.0)
    with pytest.raises(InputError, match="'row', 'column' or 'all'"):
        normalised(counts, "diagonal")  # type: ignore[arg-type]


def test_csv_holds_names_and_counts(tmp_path):
    matrix = ConfusionMatrix(["a, b", "c"])
    matrix.update([0, 0, 1], [0, 1, 1])
    matrix.write_csv(tmp_path / "matrix.csv")
    with (tmp_path / "matrix.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [
            ["true \\ predicted", "a, b", "c"],
            ["a, b", "1", "1"],
            ["c", "0", "1"],
        ]
    assert [p.name for p in tmp_path.iterdir()] == ["matrix.csv"]
