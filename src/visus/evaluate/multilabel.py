"""Judges a classifier whose pictures may carry several labels at once, or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visus.evaluate.bootstrap import Statistic, estimates, resample
from visus.evaluate.classification import (
    BIASED,
    ClassFigures,
    Floats,
    check_scores,
    check_weights,
    class_table,
    proportion,
)
from visus.evaluate.confusion import mean_of_defined, ratio
from visus.evaluate.curves import Sweep, areas, sweep
from visus.structures import Estimate, InputError


@dataclass(frozen=True, eq=False)
class MultilabelResult:
    """What `evaluate_multilabel` found. Every interval is a 95 % one.

    Attributes:
        class_names: Name of label 0, 1, ..., K-1.
        count: Number of pictures N.
        threshold: A label is given when its score is at least this.
        figures: Name -> figure: mAP (the mean of the labels' average precisions), roc_auc (their mean),
            precision, recall, f1 (macro means over the labels), micro_precision, micro_recall, micro_f1 (over
            all decisions), subset_accuracy (all labels of a picture right), hamming_loss (share of wrong
            decisions).
        per_class: The figures of each label.
        empty_subset_accuracy: The subset accuracy of always giving no label, the baseline.
        truth: uint8 `(N, K)`.
        scores: float64 `(N, K)`.
        resamples: Number of bootstrap resamples behind the intervals.
        notes: What is out of the ordinary, as sentences.
    """

    class_names: tuple[str, ...]
    count: int
    threshold: float
    figures: dict[str, Estimate]
    per_class: tuple[ClassFigures, ...]
    empty_subset_accuracy: Estimate
    truth: NDArray[np.uint8]
    scores: Floats
    resamples: int
    notes: tuple[str, ...] = field(default=())

    @property
    def predicted(self) -> NDArray[np.uint8]:
        """uint8 `(N, K)` labels given."""
        return (self.scores >= self.threshold).astype(np.uint8)

    def curve(self, index: int) -> Sweep:
        """Hits and false alarms of label `index` at every threshold: its ROC and PR curves."""
        return sweep(self.truth[:, index], self.scores[:, index])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: all of it but the pictures' own truths and scores."""
        return {
            "task": "multi",
            "count": self.count,
            "resamples": self.resamples,
            "class_names": list(self.class_names),
            "threshold": self.threshold,
            "figures": {name: figure.to_dict() for name, figure in self.figures.items()},
            "baseline": {"answer": "no label", "subset_accuracy": self.empty_subset_accuracy.to_dict()},
            "per_class": [figures.to_dict() for figures in self.per_class],
            "notes": list(self.notes),
        }


def evaluate_multilabel(
    truth: ArrayLike,
    scores: ArrayLike,
    class_names: Sequence[str],
    *,
    threshold: float = 0.5,
    resamples: int = 1000,
    seed: int = 0,
    weights: ArrayLike | None = None,
) -> MultilabelResult:
    """Judges scores of independent labels against the truth.

    A label that no picture carries has no figures (n/a) and is left out of the means; one that is never given
    has precision 0. Intervals as in `visus.evaluate.classification.evaluate`.

    Args:
        truth: 0 and 1, `(N, K)`.
        scores: Probabilities `(N, K)` in [0, 1]; rows need not sum to 1.
        class_names: K names.
        threshold: A label is given when its score is at least this.
        resamples: Number of bootstrap resamples; 0 for no intervals.
        seed: Seeds the resamples.
        weights: Floats `(N,)`, at least 0. None for 1 each.

    Raises:
        InputError: The shapes do not belong together, or a value is none of the above.

    Example:
        >>> result = evaluate_multilabel([[1, 0], [1, 1]], [[0.9, 0.2], [0.8, 0.3]], ["car", "rain"])
        >>> result.figures["subset_accuracy"].value, result.figures["mAP"].value
        (0.5, 1.0)
    """
    names = tuple(str(name) for name in class_names)
    given, labels = check_scores(scores, len(names)), np.asarray(truth)
    if labels.shape != given.shape or not np.isin(labels, (0, 1)).all():
        raise InputError(
            f"truth must be 0 and 1 of shape {given.shape}, as the scores. Received {labels.shape}."
        )
    labels = labels.astype(np.uint8)
    count = len(given)
    values, draws = resample(
        _figures(labels, given, threshold),
        count,
        resamples=resamples,
        seed=seed,
        weights=check_weights(weights, count),
    )
    named = estimates(values, draws, centred=BIASED)
    support, answers = labels.sum(axis=0), (given >= threshold).sum(axis=0)
    exact = count if weights is None and resamples else 0
    for name in ("subset_accuracy", "empty_subset_accuracy"):
        named[name] = [proportion(e, exact) for e in named[name]]
    return MultilabelResult(
        class_names=names,
        count=count,
        threshold=threshold,
        figures={n: e[0] for n, e in named.items() if not n.startswith(("class_", "empty_"))},
        per_class=class_table(names, named, support, answers, exact),
        empty_subset_accuracy=named["empty_subset_accuracy"][0],
        truth=labels,
        scores=given,
        resamples=resamples,
        notes=tuple(
            f"No picture carries {name!r}: no figures there, and left out of the means."
            for name, n in zip(names, support)
            if not n
        ),
    )


def _figures(truth: NDArray[np.uint8], scores: Floats, threshold: float) -> Statistic:
    from scipy.sparse import csr_array

    k = truth.shape[1]
    given = scores >= threshold
    hits, actual, answers = (
        csr_array(np.asarray(m, np.float64).T) for m in (given & (truth == 1), truth, given)
    )
    exact = (given == truth).all(axis=1).astype(np.float64)
    wrong = (given != truth).mean(axis=1)
    empty = (truth.sum(axis=1) == 0).astype(np.float64)

    def figures(weights: Floats) -> dict[str, Floats]:
        total = weights.sum(axis=0)
        tp, there, called = hits @ weights, actual @ weights, answers @ weights
        recall = ratio(tp, there)
        precision = np.where(there > 0, np.nan_to_num(ratio(tp, called)), np.nan)
        f1 = np.where(there > 0, ratio(2.0 * tp, there + called), np.nan)
        columns = [areas(truth[:, i], scores[:, i], weights) for i in range(k)]
        auc, ap = (np.stack(column) for column in zip(*columns))
        return {
            "mAP": mean_of_defined(ap),
            "roc_auc": mean_of_defined(auc),
            "precision": mean_of_defined(precision),
            "recall": mean_of_defined(recall),
            "f1": mean_of_defined(f1),
            "micro_precision": np.nan_to_num(ratio(tp.sum(axis=0), called.sum(axis=0))),
            "micro_recall": ratio(tp.sum(axis=0), there.sum(axis=0)),
            "micro_f1": ratio(2.0 * tp.sum(axis=0), (there + called).sum(axis=0)),
            "subset_accuracy": ratio(exact @ weights, total),
            "hamming_loss": ratio(wrong @ weights, total),
            "class_precision": precision,
            "class_recall": recall,
            "class_f1": f1,
            "class_specificity": ratio(total - there - called + tp, total - there),
            "class_roc_auc": auc,
            "class_average_precision": ap,
            "empty_subset_accuracy": ratio(empty @ weights, total),
        }

    return figures
