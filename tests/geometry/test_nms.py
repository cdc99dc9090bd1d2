"""Suppression: the oracles, a plain loop on random boxes, ties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visus.geometry.iou import iou
from visus.geometry.nms import nms, soft_nms

NAMES = "abcde"
FIVE = np.array([(0, 0, 10, 10), (0, 0, 10, 6), (0, 1, 10, 10), (20, 20, 30, 30), (21, 21, 31, 31)])
SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.95])


@pytest.mark.parametrize(("threshold", "kept"), [(0.5, "ea"), (0.6, "eab"), (0.7, "eabd"), (0.95, "eabcd")])
def test_the_oracle(threshold, kept):
    assert "".join(NAMES[i] for i in nms(FIVE, SCORES, threshold=threshold)) == kept
    # float32 boxes, as detectors store them: b overlaps a by exactly 0.6, and 0.6 is not above 0.6
    assert "".join(NAMES[i] for i in nms(FIVE.astype(np.float32), SCORES, threshold=threshold)) == kept


def test_soft_scores_of_the_oracle():
    positions, scores = soft_nms(FIVE, SCORES)
    assert "".join(NAMES[i] for i in positions) == "eabdc"
    assert np.allclose(scores, [0.95, 0.9, 0.389402, 0.237531, 0.084022], atol=1e-6)
    positions, scores = soft_nms(FIVE, SCORES, kind="linear", max_total=3)
    assert "".join(NAMES[i] for i in positions) == "eab"
    assert scores[2] == pytest.approx(0.8 * 0.4)


def test_a_removed_box_removes_nothing():
    chain = [(0, 0, 10, 10), (4, 0, 14, 10), (8, 0, 18, 10)]
    assert nms(chain, [0.9, 0.8, 0.7], threshold=0.4).tolist() == [0, 2]


def plain(boxes, scores, threshold, labels):
    overlaps, kept = iou(boxes, boxes), []
    for i in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        if all(labels[i] != labels[k] or overlaps[i, k] <= threshold for k in kept):
            kept.append(i)
    return kept


@given(
    seed=st.integers(0, 10**6),
    count=st.integers(0, 40),
    threshold=st.sampled_from([0.0, 0.3, 0.5, 0.6, 1.0]),
    classes=st.sampled_from([1, 3]),
    whole=st.booleans(),
)
@settings(deadline=None)
def test_it_agrees_with_a_plain_loop(seed, count, threshold, classes, whole):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 12, (count, 2, 2))
    boxes = np.sort(np.round(corners) if whole else corners, axis=1).reshape(count, 4)
    scores, labels = rng.integers(0, 6, count) / 5, rng.integers(0, classes, count)
    assert nms(boxes, scores, threshold=threshold, labels=labels).tolist() == plain(
        boxes, scores, threshold, labels
    )


@pytest.mark.parametrize("spread", [20, 300, 3000])
def test_many_boxes_take_every_path(spread):
    """A crowd is struck in blocks, a field by its pairs: the plain loop knows neither."""
    rng = np.random.default_rng(spread)
    centre, size = rng.uniform(0, spread, (700, 2)), rng.uniform(5, 60, (700, 2))
    boxes = np.concatenate([centre - size / 2, centre + size / 2], axis=1)
    scores = rng.random(700)
    expected = plain(boxes, scores, 0.45, np.zeros(700))
    assert nms(boxes, scores, threshold=0.45).tolist() == expected
    assert nms(boxes, scores, threshold=0.45, max_per_class=9).tolist() == expected[:9]


def test_classes_and_limits():
    boxes, scores = np.tile([0.0, 0, 9, 9], (6, 1)), [0.5, 0.6, 0.7, 0.8, 0.9, 0.2]
    labels = [0, 1, 2, 0, 1, 2]
    assert nms(boxes, scores, labels=labels).tolist() == [4, 3, 2]
    assert nms(boxes, scores, labels=labels, max_total=2).tolist() == [4, 3]
    assert nms(boxes, scores, labels=labels, min_score=0.75).tolist() == [4, 3]
    assert nms(boxes, scores, labels=labels, threshold=1.0, max_per_class=1).tolist() == [4, 3, 2]
    assert nms(boxes, scores).tolist() == [4]
    assert nms([], []).tolist() == []


def test_bad_arguments_are_said():
    with pytest.raises(ValueError, match="one score"):
        nms(FIVE, SCORES[:4])
    with pytest.raises(ValueError, match=r"finite.*nan"):
        nms(FIVE[:1], [np.nan])
    with pytest.raises(ValueError, match=r"\[0, 1\].*1.5"):
        nms(FIVE, SCORES, threshold=1.5)
    with pytest.raises(ValueError, match="'cubic'"):
        soft_nms(FIVE, SCORES, kind="cubic")
