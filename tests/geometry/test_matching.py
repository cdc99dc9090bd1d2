"""Matching: the worked example of SSD, thresholds by hand."""

import numpy as np
import pytest

from visus.geometry.iou import iou
from visus.geometry.matching import IGNORED, NEGATIVE, match, match_bipartite, pair

DEFAULTS = [(0, 0, 0.4, 0.4), (0.3, 0.3, 0.7, 0.7), (0.6, 0.6, 1, 1), (0.05, 0.05, 0.45, 0.45)]
TRUTHS = [(0, 0, 0.4, 0.4), (0.5, 0.3, 0.9, 0.7)]


def test_the_worked_example_of_ssd():
    overlaps = iou(DEFAULTS, TRUTHS)
    assert np.allclose(overlaps.T, [[1, 0.032258, 0, 0.620253], [0, 0.333333, 0.103448, 0]], atol=1e-6)
    assert match_bipartite(overlaps).tolist() == [0, 1, NEGATIVE, 0]


def test_two_truths_with_one_best_anchor_both_get_one():
    assert match_bipartite([[0.9, 0.8], [0.1, 0.2], [0.0, 0.1]]).tolist() == [0, 1, NEGATIVE]
    assert match_bipartite([[0.6, 0.7]]).tolist() == [1]


def test_region_proposals_by_thresholds():
    overlaps = [[0.8, 0.1], [0.5, 0.1], [0.2, 0.25], [0.1, 0.4], [0.7, 0.3]]
    assert match(overlaps, positive=0.7, negative=0.3).tolist() == [0, IGNORED, NEGATIVE, 1, 0]
    assert match(overlaps, positive=0.7, negative=0.3, force=False).tolist() == [
        0,
        IGNORED,
        NEGATIVE,
        IGNORED,
        0,
    ]
    # all anchors that share a truth's best IoU learn it; one without any overlap never does
    assert match([[0.2], [0.2], [0.1]], positive=0.7, negative=0.3).tolist() == [0, 0, NEGATIVE]
    assert match([[0.0], [0.0]], positive=0.7, negative=0.3).tolist() == [NEGATIVE, NEGATIVE]


def test_a_picture_without_truths_is_all_negative():
    assert match(np.zeros((3, 0)), positive=0.5).tolist() == [NEGATIVE] * 3
    assert match_bipartite(np.zeros((3, 0))).tolist() == [NEGATIVE] * 3


def test_pairs_of_two_annotators():
    assert pair([[0.9, 0.8], [0.85, 0.6], [0.3, 0.4]]).tolist() == [0, 1, NEGATIVE]
    assert pair(np.zeros((2, 0))).tolist() == [NEGATIVE, NEGATIVE]


def test_thresholds_the_wrong_way_round():
    with pytest.raises(ValueError, match=r"0.7 and 0.5"):
        match([[1.0]], positive=0.5, negative=0.7)
