"""From right and wrong detections, best first, to precision, recall and average precision in every common style."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

Style = Literal["coco", "voc07", "voc10", "step", "trapezoid"]
STYLES: tuple[Style, ...] = get_args(Style)

# Tenths exactly: a recall of 3 in 5 reaches the sample at 0.6. For coco the values of the reference, rounding included.
_SAMPLES = {"coco": np.linspace(0.0, 1.0, 101), "voc07": np.arange(11) / 10}


def precision_recall(
    right: ArrayLike, positives: ArrayLike, *, counted: ArrayLike | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision and recall after each detection.

    Args:
        right: `(..., N)`, best detection first: 1 where it is right, 0 where not; or how often that counts.
        positives: `(...)` truths that are to be found.
        counted: `(..., N)`: 0 for a detection that counts neither as right nor as wrong, else 1, or how often it
            counts; None: all count once.

    Returns:
        float64 `(..., N)` each. Without truths, recall is NaN.

    Example:
        >>> precision, recall = precision_recall([1, 0, 1], 4)
        >>> precision.round(4).tolist(), recall.tolist()
        ([1.0, 0.5, 0.6667], [0.25, 0.25, 0.5])
    """
    right = np.asarray(right, np.float64)
    hits = right.cumsum(axis=-1)
    total = np.cumsum(np.ones_like(right) if counted is None else np.asarray(counted, np.float64), axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return hits / (total + np.spacing(1)), hits / np.asarray(positives, np.float64)[..., None]


def envelope(precision: NDArray[np.float64]) -> NDArray[np.float64]:
    """`(..., N)`: the highest precision here or at any greater recall."""
    return np.maximum.accumulate(precision[..., ::-1], axis=-1)[..., ::-1]


def average_precision(precision: ArrayLike, recall: ArrayLike, style: Style = "coco") -> NDArray[np.float64]:
    """The area under a precision-recall curve.

    `coco`: the highest precision at this recall or beyond, read at 101 recalls. `voc07`: the same at 11 recalls.
    `voc10`: the whole area under that envelope. `step`: precision times each step of recall, without envelope.
    `trapezoid`: straight lines between the points, from precision 1 at recall 0.

    Args:
        precision: `(..., N)` as `precision_recall` gives it.
        recall: `(..., N)`, not falling.
        style: See above.

    Returns:
        float64 `(...)`; 0 without detections, NaN where recall is NaN.

    Raises:
        ValueError: The style is unknown.

    Example:
        >>> curve = precision_recall([1, 0, 1, 1, 0, 1], 5)
        >>> [round(float(average_precision(*curve, style)), 6) for style in ("voc07", "voc10", "coco", "step")]
        [0.666667, 0.633333, 0.636964, 0.616667]
    """
    if style not in STYLES:
        raise ValueError(f"A style of average precision is one of {', '.join(STYLES)}. Received {style!r}.")
    precision, recall = np.asarray(precision, np.float64), np.asarray(recall, np.float64)
    if precision.shape[-1] == 0:
        return np.zeros(precision.shape[:-1])
    if style in _SAMPLES:
        # How many of the sampled recalls lie between one detection and the next.
        at = _SAMPLES[style]
        share = np.searchsorted(at, recall, side="right") / len(at)
        height = envelope(precision)
    else:
        share, height = recall, precision
        if style == "voc10":
            height = envelope(precision)
        elif style == "trapezoid":
            before = np.concatenate([np.ones_like(precision[..., :1]), precision[..., :-1]], axis=-1)
            height = (precision + before) / 2
    area = (np.diff(share, axis=-1, prepend=0.0) * height).sum(axis=-1)
    return np.where(np.isnan(recall[..., -1]), np.nan, area)
