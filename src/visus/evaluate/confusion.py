"""The confusion matrix, gathered in a stream, and the figures that follow from it."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visus.structures import InputError

Floats = NDArray[np.float64]
Normalise = Literal["row", "column", "all"]


class ConfusionMatrix:
    """Counts pairs of true and predicted class: rows are the truth, columns the prediction.

    Args:
        class_names: Names of class 0, 1, ..., K-1.

    Example:
        >>> matrix = ConfusionMatrix(["cat", "dog"])
        >>> matrix.update([0, 0, 1], [0, 1, 1])
        >>> matrix.result().tolist()
        [[1, 1], [0, 1]]
        >>> round(matrix.figures()["accuracy"], 4)
        0.6667
    """

    def __init__(self, class_names: Sequence[str]) -> None:
        self.class_names = tuple(class_names)
        self.reset()

    def reset(self) -> None:
        """Forgets all counts."""
        k = len(self.class_names)
        self._counts = np.zeros((k, k), np.int64)

    def update(self, truth: ArrayLike, predicted: ArrayLike) -> None:
        """Adds pictures.

        Args:
            truth: Integers `(N,)` in 0..K-1.
            predicted: Integers `(N,)` in 0..K-1.

        Raises:
            InputError: The lengths differ, or a class lies outside 0..K-1; nothing is added then.
        """
        rows = check_labels(truth, len(self.class_names), "truth")
        columns = check_labels(predicted, len(self.class_names), "predicted")
        if len(rows) != len(columns):
            raise InputError(
                f"truth has {len(rows)} pictures and predicted {len(columns)}; they must be the same."
            )
        self._counts += count_pairs(rows, columns, len(self.class_names))

    def result(self) -> NDArray[np.int64]:
        """int64 `(K, K)` counts so far."""
        return self._counts.copy()

    def figures(self) -> dict[str, float]:
        """Accuracy, macro and weighted means, kappa and the rest, as `matrix_figures` names them."""
        named = matrix_figures(*totals(self._counts))
        return {name: float(value[0]) for name, value in named.items() if value.ndim == 1}

    def write_csv(self, path: Path) -> None:
        """Writes the counts with class names as header and first column."""
        write_matrix_csv(path, self._counts, self.class_names)


def check_labels(labels: ArrayLike, num_classes: int, what: str) -> NDArray[np.int64]:
    """Integer class indices `(N,)`, all of them in 0..K-1.

    Raises:
        InputError: They are not, with the first offender and its position.
    """
    given: NDArray[Any] = np.asarray(labels)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        raise InputError(
            f"{what} needs integer class indices of shape (N,). Received {given.dtype}, shape {given.shape}."
        )
    bad = np.flatnonzero((given < 0) | (given >= num_classes))
    if bad.size:
        raise InputError(
            f"{what}[{bad[0]}] is {given[bad[0]]}, but the {num_classes} classes are 0..{num_classes - 1}. "
            "Leave out pictures without a label, and check the class names."
        )
    return given.astype(np.int64)


def count_pairs(
    rows: NDArray[np.int64], columns: NDArray[np.int64], k: int, weights: Floats | None = None
) -> NDArray[Any]:
    """`(K, K)` counts (int64), or sums of weights (float64), of the pairs."""
    return np.bincount(rows * k + columns, weights=weights, minlength=k * k).reshape(k, k)


def totals(matrix: NDArray[Any]) -> tuple[Floats, Floats, Floats]:
    """Diagonal, row sums and column sums of a `(K, K)` matrix, each float64 `(K, 1)`."""
    counts = np.asarray(matrix, np.float64)
    return counts.diagonal()[:, None], counts.sum(axis=1)[:, None], counts.sum(axis=0)[:, None]


def matrix_figures(hits: Floats, actual: Floats, predicted: Floats) -> dict[str, Floats]:
    """Every figure that needs only how often each class was there, was answered, and was answered rightly.

    A class without a picture has no figures (NaN) and is left out of the means; what was wrongly given to it
    counts against the classes it was taken from. A class that was never predicted has precision 0. Weighted
    means weigh by the number of pictures; the micro means all equal the accuracy.

    Args:
        hits: `(K, R)` right answers for each class.
        actual: `(K, R)` pictures of each class (the row sums).
        predicted: `(K, R)` answers of each class (the column sums).

    Returns:
        `(R,)`: accuracy, balanced_accuracy, precision, recall, f1 (macro), weighted_precision,
        weighted_recall, weighted_f1, kappa (Cohen), mcc (Matthews). `(K, R)`: class_precision, class_recall,
        class_f1, class_specificity.

    References:
        J. Cohen, A coefficient of agreement for nominal scales, 1960. J. Gorodkin, Comparing two K-category
        assignments by a K-category correlation coefficient, 2004.
    """
    n = actual.sum(axis=0)
    there = actual > 0
    recall = ratio(hits, actual)
    precision = np.where(there, np.nan_to_num(ratio(hits, predicted)), math.nan)
    f1 = np.where(there, ratio(2.0 * hits, actual + predicted), math.nan)
    right = hits.sum(axis=0)
    chance = (actual * predicted).sum(axis=0)
    spread = (n * n - (actual * actual).sum(axis=0)) * (n * n - (predicted * predicted).sum(axis=0))
    share = ratio(actual, n)
    return {
        "accuracy": ratio(right, n),
        "balanced_accuracy": mean_of_defined(recall),
        "precision": mean_of_defined(precision),
        "recall": mean_of_defined(recall),
        "f1": mean_of_defined(f1),
        "weighted_precision": np.nansum(precision * share, axis=0),
        "weighted_recall": np.nansum(recall * share, axis=0),
        "weighted_f1": np.nansum(f1 * share, axis=0),
        "kappa": ratio(n * right - chance, n * n - chance),
        "mcc": ratio(n * right - chance, np.sqrt(spread)),
        "class_precision": precision,
        "class_recall": recall,
        "class_f1": f1,
        "class_specificity": np.where(there, ratio(n - actual - predicted + hits, n - actual), math.nan),
    }


def normalised(matrix: NDArray[Any], by: Normalise) -> Floats:
    """The matrix as shares of each row (of the true class), each column (of the predicted class) or of all.

    A row or column of zeros stays zero.

    Example:
        >>> normalised(np.array([[3, 1], [0, 0]]), "row").tolist()
        [[0.75, 0.25], [0.0, 0.0]]
    """
    counts = np.asarray(matrix, np.float64)
    if by == "all":
        total: Any = counts.sum()
    elif by in ("row", "column"):
        total = counts.sum(axis=1 if by == "row" else 0, keepdims=True)
    else:
        raise InputError(f"A confusion matrix is normalised by 'row', 'column' or 'all'. Received {by!r}.")
    return np.nan_to_num(ratio(counts, np.broadcast_to(total, counts.shape)))


def write_matrix_csv(path: Path, matrix: NDArray[Any], class_names: Sequence[str]) -> None:
    """Writes a confusion matrix: first row the predicted class names, first column the true ones."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["true \\ predicted", *class_names])
            writer.writerows([name, *row] for name, row in zip(class_names, matrix.tolist()))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def ratio(top: Floats, bottom: NDArray[Any]) -> Floats:
    """`top / bottom`, NaN where `bottom` is 0."""
    return np.divide(top, bottom, out=np.full(np.broadcast(top, bottom).shape, math.nan), where=bottom > 0)


def mean_of_defined(values: Floats) -> Floats:
    """The mean over axis 0 without NaN; NaN where nothing is defined."""
    return ratio(np.nansum(values, axis=0), (~np.isnan(values)).sum(axis=0))
