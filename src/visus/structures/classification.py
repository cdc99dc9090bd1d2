"""The truth about a whole picture, or a model's opinion of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visus.structures.affine import Affine


@dataclass(frozen=True, eq=False)
class Classification:
    """One label, or several, for a whole picture.

    Truth and prediction are the same type. A prediction carries `scores`. Truth carries none, unless its
    annotators gave probabilities ("defective: 2 of 3"): then `scores` is that soft label.

    Attributes:
        label: Index 0..K-1 into `class_names` (for a prediction the best class), or None for a multi-label truth.
        labels: uint8 `(K,)` of 0 and 1 for multi-label pictures, else None.
        scores: float32 `(K,)`, probabilities in [0, 1], or None.
    """

    label: int | None = None
    labels: NDArray[np.uint8] | None = None
    scores: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if self.label is None and self.labels is None and self.scores is None:
            raise ValueError(
                "Classification needs a label, a vector of labels or scores. Received none of them."
            )
        if self.label is not None and self.label < 0:
            raise ValueError(f"A class label lies in 0..K-1. Received {self.label}.")
        if self.labels is not None:
            object.__setattr__(self, "labels", np.asarray(self.labels, np.uint8))
        if self.scores is not None:
            object.__setattr__(self, "scores", np.asarray(self.scores, np.float32))

    def top(self, k: int, class_names: Sequence[str]) -> list[tuple[str, float]]:
        """The `k` best classes with their scores, best first, ties by index.

        Raises:
            ValueError: There are no scores, or fewer than `k` classes.
        """
        if self.scores is None:
            raise ValueError("top(k) needs scores, and this Classification is a truth without scores.")
        if k > len(self.scores):
            raise ValueError(f"top(k) asks for {k} classes of {len(self.scores)}. Ask for at most that many.")
        best = np.argsort(-self.scores, kind="stable")[:k]
        return [(class_names[i], float(self.scores[i])) for i in best]

    def moved(self, affine: Affine, image_size: tuple[int, int]) -> Classification:
        """Itself: moving a picture does not change what it shows."""
        return self

    def __eq__(self, other: Any) -> bool:
        if not isinstance(other, Classification):
            return NotImplemented
        return (
            self.label == other.label
            and _same(self.labels, other.labels)
            and _same(self.scores, other.scores)
        )

    __hash__ = None  # type: ignore[assignment]


def _same(a: NDArray[Any] | None, b: NDArray[Any] | None) -> bool:
    if a is None or b is None:
        return a is b
    return np.array_equal(a, b)
