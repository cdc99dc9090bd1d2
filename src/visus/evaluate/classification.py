"""Judges a classifier: every usual figure with its interval, for one label per picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visus.evaluate.bootstrap import Statistic, estimates, exact_interval, resample
from visus.evaluate.calibration import BINS, Reliability, bin_index, reliability
from visus.evaluate.confusion import check_labels, count_pairs, matrix_figures, mean_of_defined, ratio
from visus.evaluate.curves import Sweep, areas, sweep
from visus.structures import Estimate, InputError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Floats = NDArray[np.float64]

# Multiply-adds that the intervals of the areas under curves may take: about ten seconds.
_AREA_WORK = 1_000_000_000


@dataclass(frozen=True)
class ClassFigures:
    """The figures of one class against the rest.

    Attributes:
        name: Name of the class.
        support: Number of its pictures.
        precision: Share of right answers among those that name the class.
        recall: Share of its pictures that were recognised.
        f1: Harmonic mean of the two.
        specificity: Share of the other pictures that were not taken for it.
        roc_auc: Chance that one of its pictures scores above another one.
        average_precision: Area under the precision-recall curve.
    """

    name: str
    support: int
    precision: Estimate
    recall: Estimate
    f1: Estimate
    specificity: Estimate
    roc_auc: Estimate
    average_precision: Estimate

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: every figure as `{"value", "low", "high"}`."""
        return {k: v.to_dict() if isinstance(v, Estimate) else v for k, v in vars(self).items()}


@dataclass(frozen=True, eq=False)
class ClassificationResult:
    """What `evaluate` found. Every interval is a 95 % one.

    Attributes:
        class_names: Name of class 0, 1, ..., K-1.
        count: Number of pictures N.
        figures: Name -> figure: accuracy, balanced_accuracy, precision, recall, f1 (macro means),
            weighted_precision, weighted_recall, weighted_f1, kappa, mcc, topK_accuracy, roc_auc and
            average_precision (macro means, one against the rest), log_loss, brier, ece.
        per_class: The figures of each class.
        confusion: `(K, K)`, rows actual, columns predicted.
        reliability: Confidence beside accuracy in 15 bins.
        majority_class: The most frequent class of these pictures.
        majority_accuracy: What always answering it would reach.
        truth: int64 `(N,)`.
        scores: float64 `(N, K)`.
        resamples: Number of bootstrap resamples behind the intervals.
        notes: What is out of the ordinary, as sentences.
    """

    class_names: tuple[str, ...]
    count: int
    figures: dict[str, Estimate]
    per_class: tuple[ClassFigures, ...]
    confusion: NDArray[Any]
    reliability: Reliability
    majority_class: str
    majority_accuracy: Estimate
    truth: NDArray[np.int64]
    scores: Floats
    resamples: int
    notes: tuple[str, ...] = field(default=())

    @property
    def predicted(self) -> NDArray[np.int64]:
        """int64 `(N,)` answers: the class of the highest score, the lower index on ties."""
        return self.scores.argmax(axis=1)

    @property
    def confidence(self) -> Floats:
        """float64 `(N,)` score of the answer."""
        return self.scores.max(axis=1)

    def curve(self, index: int) -> Sweep:
        """Hits and false alarms of class `index` against the rest at every threshold: for ROC and PR."""
        return sweep(self.truth == index, self.scores[:, index])

    def confused(self, limit: int = 10) -> list[tuple[str, str, int, float]]:
        """The most frequent mistakes: `(actual, predicted, pictures, share of the actual class)`."""
        wrong = count_pairs(self.truth, self.predicted, len(self.class_names))
        support = wrong.sum(axis=1)
        np.fill_diagonal(wrong, 0)
        order = np.argsort(-wrong, axis=None, kind="stable")[:limit]
        pairs = [divmod(int(cell), len(self.class_names)) for cell in order]
        return [
            (self.class_names[i], self.class_names[j], int(wrong[i, j]), float(wrong[i, j] / support[i]))
            for i, j in pairs
            if wrong[i, j]
        ]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: all of it but the pictures' own truths and scores."""
        return {
            "task": "single",
            "count": self.count,
            "resamples": self.resamples,
            "class_names": list(self.class_names),
            "figures": {name: figure.to_dict() for name, figure in self.figures.items()},
            "majority": {"class": self.majority_class, "accuracy": self.majority_accuracy.to_dict()},
            "per_class": [figures.to_dict() for figures in self.per_class],
            "confusion": self.confusion.tolist(),
            "confused": [
                {"actual": a, "predicted": p, "count": n, "share": share}
                for a, p, n, share in self.confused()
            ],
            "reliability": self.reliability.to_dict(),
            "notes": list(self.notes),
        }


BIASED = ("ece", "average_precision", "class_average_precision", "mAP")
"""Figures whose intervals are centred (see `bootstrap.estimates`)."""


def evaluate(
    truth: ArrayLike,
    scores: ArrayLike,
    class_names: Sequence[str],
    *,
    topk: Sequence[int] | None = None,
    resamples: int = 1000,
    seed: int = 0,
    weights: ArrayLike | None = None,
) -> ClassificationResult:
    """Judges the scores of a classifier against the truth.

    The answer is the class of the highest score, the lower index on ties. Top-k counts a hit when fewer than
    k classes score strictly higher than the true one, so ties count as hits (the rule of Keras). A class
    without a picture has no figures (n/a) and is left out of the macro means; a class that was never answered
    has precision 0. Intervals are percentiles of a bootstrap that draws pictures from all of them (see
    `visus.evaluate.bootstrap`); where all draws agree, a proportion gets its exact binomial interval and any
    other figure none. The intervals of the areas under curves use fewer resamples when there are very many
    pictures and classes, none below 200; `notes` says so.

    Args:
        truth: Integers `(N,)` in 0..K-1.
        scores: Probabilities `(N, K)` in [0, 1] whose rows sum to 1 (within 0.001).
        class_names: K names.
        topk: The k of the top-k accuracies; 2, 3 and 5 below K when not given.
        resamples: Number of bootstrap resamples; 0 for no intervals.
        seed: Seeds the resamples.
        weights: Floats `(N,)`, at least 0: how much each picture counts. None for 1 each.

    Raises:
        InputError: The shapes do not belong together, a truth lies outside 0..K-1, scores are not
            probabilities, or a k is not in 1..K.

    Example:
        >>> result = evaluate([0, 1, 1], [[0.9, 0.1], [0.4, 0.6], [0.7, 0.3]], ["cat", "dog"])
        >>> round(result.figures["accuracy"].value, 4), result.confusion.tolist()
        (0.6667, [[1, 0], [1, 1]])
    """
    names = tuple(str(name) for name in class_names)
    labels, probabilities = _check(truth, scores, names)
    count, k = probabilities.shape
    given = check_weights(weights, count)
    chosen = tuple(t for t in (2, 3, 5) if t < k) if topk is None else tuple(topk)
    for t in chosen:
        if not 1 <= t <= k:
            raise InputError(f"Top-{t} needs at least {t} classes and t >= 1, and there are {k} classes.")

    values, draws = resample(
        matrix_and_score_figures(labels, probabilities, chosen),
        count,
        resamples=resamples,
        seed=seed,
        weights=given,
    )
    fewer = area_resamples(resamples, count, k)
    notes = []
    if fewer < resamples:
        notes.append(
            f"ROC AUC and average precision have {'fewer resamples' if fewer else 'no intervals'} "
            f"({fewer} of {resamples}), because {count} pictures of {k} classes are many."
        )
    area_values, area_draws = resample(
        area_figures(labels, probabilities), count, resamples=fewer, seed=seed, weights=given
    )
    named = estimates(values | area_values, draws | area_draws, centred=BIASED)

    predicted = probabilities.argmax(axis=1)
    confusion = count_pairs(labels, predicted, k, given)
    support, answers = np.bincount(labels, minlength=k), np.bincount(predicted, minlength=k)
    if given is None and resamples:
        for name in ("accuracy", "majority_accuracy", *(f"top{t}_accuracy" for t in chosen)):
            named[name] = [proportion(e, count) for e in named[name]]
    table = class_table(names, named, support, answers, count if given is None and resamples else 0)

    if absent := [name for name, n in zip(names, support) if not n]:
        notes.append(f"No picture shows {_listing(absent)}: no figures there, and left out of the means.")
    if never := [name for name, n, a in zip(names, support, answers) if n and not a]:
        notes.append(f"No picture was taken for {_listing(never)}: the precision there counts as 0.")
    return ClassificationResult(
        class_names=names,
        count=count,
        figures={n: e[0] for n, e in named.items() if not n.startswith(("class_", "majority_"))},
        per_class=table,
        confusion=confusion,
        reliability=reliability(probabilities.max(axis=1), predicted == labels, weights=given),
        majority_class=names[int(support.argmax())],
        majority_accuracy=named["majority_accuracy"][0],
        truth=labels,
        scores=probabilities,
        resamples=resamples,
        notes=tuple(notes),
    )


def top_k_hits(truth: ArrayLike, scores: ArrayLike, k: int) -> NDArray[np.bool_]:
    """Whether fewer than `k` classes score strictly higher than the true one, boolean `(N,)`.

    Args:
        truth: Integers `(N,)` in 0..K-1.
        scores: Floats `(N, K)`.
        k: In 1..K.

    Raises:
        InputError: `k` is not in 1..K.

    Example:
        >>> top_k_hits([2, 3], [[0.1, 0.5, 0.2, 0.2], [0.25, 0.25, 0.25, 0.25]], 1).tolist()
        [False, True]
    """
    given, labels = np.asarray(scores), np.asarray(truth)
    if not 1 <= k <= given.shape[1]:
        raise InputError(f"Top-{k} accuracy needs k in 1..{given.shape[1]}, the number of classes.")
    true = given[np.arange(len(labels)), labels]
    return (given > true[:, None]).sum(axis=1) < k


def matrix_and_score_figures(truth: NDArray[np.int64], scores: Floats, topk: Sequence[int] = ()) -> Statistic:
    """All figures but the areas under curves, as a function of the pictures' weights."""
    count, k = scores.shape
    predicted, sure = scores.argmax(axis=1), scores.max(axis=1)
    right = predicted == truth
    majority = np.bincount(truth).argmax()
    true = scores[np.arange(count), truth]
    # Of two classes one probability tells all, and halving gives the score of Brier's two-class form.
    brier = (np.square(scores).sum(axis=1) - 2.0 * true + 1.0) / (2.0 if k == 2 else 1.0)
    means = {f"top{t}_accuracy": top_k_hits(truth, scores, t).astype(np.float64) for t in topk}
    means["log_loss"] = -np.log(np.clip(true, np.finfo(np.float64).eps, 1.0))
    means["brier"] = brier
    rows = np.stack(list(means.values()))

    actual, answers = _selector(truth, k), _selector(predicted, k)
    hits = actual.multiply(answers).tocsr()
    gaps = _selector(bin_index(sure), BINS, sure - right)

    def figures(weights: Floats) -> dict[str, Floats]:
        total = weights.sum(axis=0)
        there = actual @ weights
        result = matrix_figures(hits @ weights, there, answers @ weights)
        result |= dict(zip(means, ratio(rows @ weights, total)))
        result["ece"] = ratio(np.abs(gaps @ weights).sum(axis=0), total)
        result["majority_accuracy"] = ratio(there[majority], total)
        return result

    return figures


def area_figures(truth: NDArray[np.int64], scores: Floats) -> Statistic:
    """ROC AUC and average precision, per class and their means, as a function of the pictures' weights."""

    def figures(weights: Floats) -> dict[str, Floats]:
        columns = [areas(truth == i, scores[:, i], weights) for i in range(scores.shape[1])]
        auc, ap = (np.stack(column) for column in zip(*columns))
        return {
            "roc_auc": mean_of_defined(auc),
            "average_precision": mean_of_defined(ap),
            "class_roc_auc": auc,
            "class_average_precision": ap,
        }

    return figures


def class_table(
    names: Sequence[str],
    named: dict[str, list[Estimate]],
    support: NDArray[np.int64],
    answers: NDArray[np.int64],
    exact: int,
) -> tuple[ClassFigures, ...]:
    """The figures of each class, from the estimates whose names begin with `class_`.

    Args:
        names: K class names.
        named: `class_precision` and so on -> K estimates.
        support: `(K,)` pictures of each class.
        answers: `(K,)` pictures taken for each class.
        exact: Number of pictures, if proportions without an interval are to get their exact one, else 0.
    """
    columns = {field: named[f"class_{field}"] for field in list(ClassFigures.__annotations__)[2:]}
    if exact:
        for field, pictures in (
            ("recall", support),
            ("precision", answers),
            ("specificity", exact - support),
        ):
            columns[field] = [proportion(e, int(n)) for e, n in zip(columns[field], pictures)]
    return tuple(
        ClassFigures(name, int(support[i]), **{field: column[i] for field, column in columns.items()})
        for i, name in enumerate(names)
    )


def area_resamples(resamples: int, count: int, num_classes: int) -> int:
    """How many resamples the areas under curves get: fewer for many pictures and classes, 0 below 200."""
    fewer = min(resamples, _AREA_WORK // (count * num_classes))
    return 0 if fewer < min(resamples, 200) else fewer


def proportion(estimate: Estimate, count: int) -> Estimate:
    """A proportion of `count` pictures, given its exact interval where the bootstrap found none, or a point."""
    if math.isnan(estimate.value) or estimate.low < estimate.high or count == 0:
        return estimate
    return Estimate(estimate.value, *exact_interval(round(estimate.value * count), count))


def check_weights(weights: ArrayLike | None, count: int) -> Floats | None:
    """Weights `(N,)`, finite, at least 0, not all 0.

    Raises:
        InputError: They are not.
    """
    if weights is None:
        return None
    given = np.asarray(weights, np.float64)
    if given.shape != (count,) or not np.isfinite(given).all() or (given < 0).any() or not given.any():
        raise InputError(
            f"weights must be {count} numbers of at least 0, not all 0. Received shape {given.shape}."
        )
    return given


def check_scores(scores: ArrayLike, num_classes: int) -> Floats:
    """Scores `(N, K)` in [0, 1], N >= 1, as float64.

    Raises:
        InputError: They are not.
    """
    given = np.asarray(scores, np.float64)
    if given.ndim != 2 or given.shape[1] != num_classes or not len(given):
        raise InputError(
            f"scores must have the shape (N, {num_classes}), N >= 1: a row for each picture and a column for "
            f"each of the {num_classes} class names. Received {given.shape}."
        )
    bad = ~((given >= 0.0) & (given <= 1.0 + 1e-3)).all(axis=1)
    if bad.any():
        row = int(bad.argmax())
        raise InputError(
            f"scores must be probabilities in [0, 1]. Row {row} is {given[row].tolist()[:10]}. If these are "
            "logits, apply softmax (or sigmoid, for several labels) first."
        )
    return given


def _check(truth: ArrayLike, scores: ArrayLike, names: tuple[str, ...]) -> tuple[NDArray[np.int64], Floats]:
    labels, given = check_labels(truth, len(names), "truth"), check_scores(scores, len(names))
    if len(labels) != len(given):
        raise InputError(f"truth has {len(labels)} pictures and scores {len(given)}; they must be the same.")
    sums = given.sum(axis=1)
    if (np.abs(sums - 1.0) > 1e-3).any():
        row = int(np.abs(sums - 1.0).argmax())
        raise InputError(
            f"The scores of a picture must sum to 1; row {row} sums to {sums[row]:.4f}. Apply softmax, or "
            "judge independent labels with evaluate_multilabel."
        )
    return labels, given


def _selector(group: NDArray[np.int64], k: int, values: Floats | None = None) -> csr_array:
    """`(K, N)`: the matrix whose product with weights sums them, times the values, by group."""
    from scipy.sparse import csr_array

    count = len(group)
    return csr_array(
        (np.ones(count) if values is None else values, (group, np.arange(count))), shape=(k, count)
    )


def _listing(names: Sequence[str], limit: int = 5) -> str:
    more = f" and {len(names) - limit} more classes" if len(names) > limit else ""
    return ", ".join(repr(name) for name in names[:limit]) + more
