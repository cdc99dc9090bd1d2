"""Confusion with the background: by hand, and sums that must hold on random sets."""

import numpy as np
import pytest

from visus.evaluate.detection.confusion import confusion
from visus.evaluate.detection.evaluation import gathered
from visus.structures import Detections


def table(truths, results, classes, **options):
    return confusion(gathered(truths, classes), gathered(results, classes, scored=True), classes, **options)


def test_by_hand():
    truths = [Detections([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 70, 10]], [0, 0, 1, 1])]
    found = [
        ([0, 0, 10, 9], 0, 0.9),  # right
        ([0, 0, 10, 10], 1, 0.95),  # the object is taken already: a detection of nothing
        ([20, 0, 30, 10], 1, 0.8),  # a 0 taken for a 1
        ([40, 0, 50, 4], 1, 0.7),  # too small an overlap: nothing, and the object is missed
        ([60, 0, 70, 10], 1, 0.1),  # below the score
    ]
    boxes, labels, scores = zip(*found)
    results = [Detections(list(boxes), list(labels), scores=list(scores))]
    assert table(truths, results, 2).tolist() == [[1, 1, 0], [0, 0, 2], [0, 2, 0]]
    assert table(truths, results, 2, min_score=0.05).tolist() == [[1, 1, 0], [0, 1, 1], [0, 2, 0]]
    assert table(truths, results, 2, threshold=0.3).tolist() == [[1, 1, 0], [0, 1, 1], [0, 1, 0]]


def test_crowds_and_difficult_objects_are_not_counted():
    truths = [
        Detections([[0, 0, 10, 10], [20, 0, 30, 10]], [0, 0], crowd=[True, False], difficult=[False, True])
    ]
    results = [Detections([[0, 0, 5, 5], [5, 5, 10, 10], [20, 0, 30, 10]], [0, 0, 0], scores=[0.9, 0.8, 0.7])]
    assert table(truths, results, 1).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize("seed", range(20))
def test_every_object_and_every_detection_is_counted_once(seed):
    rng = np.random.default_rng(seed)
    truths, results = [], []
    for _ in range(6):
        n, extra = rng.integers(0, 6, 2)
        corner, size = rng.uniform(0, 60, (n, 2)), rng.uniform(5, 30, (n, 2))
        boxes = np.concatenate([corner, corner + size], axis=1)
        truths.append(Detections(boxes, rng.integers(0, 3, n)))
        some = rng.integers(0, max(1, n), extra if n else 0)
        near = boxes[some] + rng.normal(0, 2, (len(some), 4))
        near[:, 2:] = np.maximum(near[:, 2:], near[:, :2] + 1)
        results.append(Detections(near, rng.integers(0, 3, len(some)), scores=rng.random(len(some))))
    counts = table(truths, results, 3, min_score=0.3)
    actual = np.bincount(np.concatenate([t.labels for t in truths]), minlength=3)
    kept = [r.labels[r.scores >= 0.3] for r in results]
    assert counts[:3].sum(axis=1).tolist() == actual.tolist()
    assert counts[:, :3].sum(axis=0).tolist() == np.bincount(np.concatenate(kept), minlength=3).tolist()
    assert counts[3, 3] == 0


def test_nothing_at_all():
    none = Detections.none()
    assert table([none], [none.replace(scores=[])], 2).tolist() == [[0, 0, 0]] * 3
