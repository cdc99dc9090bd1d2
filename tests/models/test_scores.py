"""Probabilities of logits."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from visus.models.scores import probabilities


def test_probabilities_of_huge_logits():
    huge = np.array([[1e4, -1e4, 0.0]])
    assert_array_equal(probabilities(huge), [[1, 0, 0]])
    assert_array_equal(probabilities(huge, multi_label=True), [[1, 0, 0.5]])
    assert_allclose(probabilities(np.log([[1.0, 2, 5]])), [[1 / 8, 2 / 8, 5 / 8]])
    assert probabilities(np.zeros((0, 3), np.float32)).shape == (0, 3)
