"""What objects are taken for: the confusion matrix of a detector, with a row and a column for the background."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from visus.evaluate.detection.matching import Boxes, match


def confusion(
    truths: Boxes, results: Boxes, num_classes: int, *, min_score: float = 0.25, threshold: float = 0.5
) -> NDArray[np.int64]:
    """Counts objects by what they are and what they were taken for.

    Detections of the right class are matched first, as COCO matches them; then those that are left are matched, best
    score first, to objects of other classes that are left. Ignored objects (crowds, difficult ones), and detections
    that matched them, are not counted.

    Args:
        truths: The objects.
        results: The detections.
        num_classes: K.
        min_score: Detections below are left out.
        threshold: IoU from which a detection shows an object.

    Returns:
        int64 `(K + 1, K + 1)`: rows what it is, columns what it was taken for; the last row counts detections of
        nothing, the last column objects that were missed.

    Example:
        >>> from visus.evaluate.detection.evaluation import gathered
        >>> from visus.structures import Detections
        >>> truth = Detections([[0, 0, 9, 9], [20, 0, 29, 9]], labels=[0, 1])
        >>> found = Detections([[0, 0, 9, 8], [50, 50, 59, 59]], labels=[1, 1], scores=[0.9, 0.8])
        >>> confusion(gathered([truth], 2), gathered([found], 2, scored=True), 2).tolist()
        [[0, 1, 0], [0, 0, 1], [0, 1, 0]]
    """
    background = num_classes
    table = np.zeros((num_classes + 1, num_classes + 1), np.int64)
    results = results.take(np.flatnonzero(results.score >= min_score))

    def matched(objects: Boxes, found: Boxes) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Which object each detection was matched to, or -1, and whether it counts."""
        matches = match(objects, found, num_classes=num_classes, thresholds=[threshold], max_detections=None)
        at, counted = np.empty(len(found), np.int64), np.empty(len(found), bool)
        at[matches.rows], counted[matches.rows] = matches.truth[:, 0, 0], ~matches.ignored[:, 0, 0]
        return at, counted

    at, counted = matched(truths, results)
    right = (at >= 0) & counted
    np.add.at(table, (truths.label[at[right]], results.label[right]), 1)
    free = ~truths.ignore
    free[at[right]] = False
    left, rest = truths.take(np.flatnonzero(free)), results.take(np.flatnonzero((at < 0) & counted))

    # Once more without regard to classes: whatever matches now was taken for something else.
    at, _ = matched(*(replace(boxes, label=np.zeros_like(boxes.label)) for boxes in (left, rest)))
    taken, wrong = rest.label, at >= 0
    np.add.at(table, (left.label[at[wrong]], taken[wrong]), 1)
    table[background, :background] = np.bincount(taken[~wrong], minlength=num_classes)
    missed = np.ones(len(left), bool)
    missed[at[wrong]] = False
    table[:background, background] = np.bincount(left.label[missed], minlength=num_classes)
    return table
