"""Cues that give the class away without showing the thing: how bright, how large, from which source.

A model takes the easiest way. When pictures of one class were taken by another camera, at another time or saved
by another program, it learns that, scores well, and fails in use. Two questions are asked: can a small classifier
tell the classes from such cues alone, and is there a batch of pictures that stands out from the rest?
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visus.structures import Estimate

POINTS = 0.10
"""A cue that beats chance by so much is told."""

STRONG = 0.30
"""A look (brightness, background) that beats chance by so much is worth a warning: shape may not be needed."""

MOST = 2000
"""Pictures that a cue is tried on, at most."""


@dataclass(frozen=True)
class Cue:
    """How well the classes can be told by one cue alone.

    Attributes:
        name: The cue.
        accuracy: Balanced accuracy of a cross-validated classifier, with its 95 % interval.
        chance: 1 over the number of classes.
        look: Whether it may be a property of the thing that is shown.
    """

    name: str
    accuracy: Estimate
    chance: float
    look: bool

    @property
    def telling(self) -> bool:
        """Whether it beats chance by `POINTS`, and surely beats it."""
        return bool(self.accuracy.value >= self.chance + POINTS and self.accuracy.low > self.chance)

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON-ready values."""
        return {
            "cue": self.name,
            "balanced_accuracy": self.accuracy.to_dict(),
            "chance": self.chance,
            "telling": self.telling,
        }


def try_cues(
    columns: Mapping[str, tuple[NDArray[Any], bool]], classes: NDArray[np.int64], groups: NDArray[np.str_]
) -> list[Cue]:
    """Tries each cue that varies at all.

    A forest of 50 trees is cross-validated (5 folds, fewer for small classes; whole groups stay together) on a
    seeded sample of 2,000 pictures at most.

    Args:
        columns: Name of the cue -> its values `(N,)` or `(N, d)`, and whether it may be a property of the thing.
        classes: Class index of each picture, or -1 for one that does not take part. Nor do classes of fewer than
            three pictures.
        groups: What belongs together, such as a patient; for each picture.

    Returns:
        What varies, in the given order; nothing where fewer than two classes take part.
    """
    enough = np.flatnonzero(np.bincount(classes[classes >= 0], minlength=1) >= 3)
    rows = np.flatnonzero(np.isin(classes, enough))
    if len(enough) < 2:
        return []
    if len(rows) > MOST:
        rows = _sample(rows, classes, enough)
    _, labels = np.unique(classes[rows], return_inverse=True)
    found = []
    for name, (values, look) in columns.items():
        chosen = values.reshape(len(values), -1)[rows].astype(np.float64)
        if (chosen != chosen[0]).any():
            found.append(Cue(name, _accuracy(chosen, labels, groups[rows]), 1.0 / len(enough), look))
    return found


def odd_values(values: Sequence[Any] | NDArray[Any]) -> tuple[NDArray[np.bool_], str] | None:
    """Which of some kinds differ from the usual one.

    Returns:
        The mask of those that differ, and words such as `366 x 369: 8; others 363 x 360`. None unless at least
        four fifths, but not all, are of one kind.
    """
    counts = Counter(values)
    usual, most = counts.most_common(1)[0] if counts else (None, 0)
    if len(counts) < 2 or most < 0.8 * len(values):
        return None
    rare = [f"{value}: {n}" for value, n in counts.most_common()[1:4]]
    more = ["..."] if len(counts) > 4 else []
    return np.array([v != usual for v in values]), f"{', '.join(rare + more)}; others {usual}"


def apart(values: NDArray[Any], *, least: float = 8.0) -> NDArray[np.bool_] | None:
    """Which numbers lie beyond a gap.

    Returns:
        The mask of the smaller side, of 5 numbers or more and at most a fifth of all; None unless the widest gap
        is wider than two standard deviations of either side, and than `least`.

    Example:
        >>> apart(np.array([*range(30), 90, 91, 92, 93, 95])).nonzero()[0].tolist()
        [30, 31, 32, 33, 34]
    """
    ordered = np.sort(values.astype(np.float64))
    if len(ordered) < 20:
        return None
    gaps = np.diff(ordered)
    at = int(gaps.argmax())
    low, high = ordered[: at + 1], ordered[at + 1 :]
    few = min(len(low), len(high))
    if few < 5 or few > 0.2 * len(values) or gaps[at] < max(2 * low.std(), 2 * high.std(), least):
        return None
    beyond: NDArray[np.bool_] = values <= low[-1] if len(low) == few else values >= high[0]
    return beyond


def unevenness(drawn: NDArray[np.int64], totals: NDArray[np.int64]) -> float:
    """How likely chance would spread a batch over the classes at least as unevenly.

    Args:
        drawn: Pictures of the batch in each class.
        totals: Pictures of each class in all.

    Returns:
        p of the chi-square statistic, from 9,999 simulated draws without replacement.
    """
    present = totals > 0
    drawn, totals = drawn[present], totals[present]
    expected = totals * (drawn.sum() / totals.sum())
    simulated = np.random.default_rng(0).multivariate_hypergeometric(totals, int(drawn.sum()), 9999)
    unlike = [((n - expected) ** 2 / expected).sum(-1) for n in (drawn, simulated)]
    return float((1 + (unlike[1] >= unlike[0] - 1e-9).sum()) / 10_000)


def _accuracy(values: NDArray[np.float64], classes: NDArray[np.int64], groups: NDArray[np.str_]) -> Estimate:
    """Balanced accuracy of out-of-fold predictions, and its normal 95 % interval."""
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict

    folds = int(min(5, np.bincount(classes).min()))
    grouped = len(np.unique(groups)) < len(groups)
    kind = StratifiedGroupKFold if grouped else StratifiedKFold
    forest = ExtraTreesClassifier(50, min_samples_leaf=3, class_weight="balanced", random_state=0)
    guessed = cross_val_predict(
        forest,
        values,
        classes,
        groups=groups if grouped else None,
        cv=kind(folds, shuffle=True, random_state=0),
    )
    sizes = np.bincount(classes)
    recall = np.bincount(classes[guessed == classes], minlength=len(sizes)) / sizes
    error = 1.96 * np.sqrt((recall * (1 - recall) / sizes).sum()) / len(sizes)
    value = float(recall.mean())
    return Estimate(value, max(0.0, value - error), min(1.0, value + error))


def _sample(
    rows: NDArray[np.int64], classes: NDArray[np.int64], enough: NDArray[np.int64]
) -> NDArray[np.int64]:
    """`MOST` rows, each class in its share but with 3 at least."""
    rng = np.random.default_rng(0)
    chosen = []
    for c in enough:
        own = rows[classes[rows] == c]
        chosen.append(
            rng.choice(own, min(len(own), max(3, round(MOST * len(own) / len(rows)))), replace=False)
        )
    return np.sort(np.concatenate(chosen))
