"""Flips and transposes against NumPy."""

import numpy as np
import pytest

from visus.image.flip import flip, transpose


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 3), (1, 1), (1, 4, 3)])
def test_flip_and_transpose_equal_numpy(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    np.testing.assert_array_equal(flip(image, left_right=True), image[:, ::-1])
    np.testing.assert_array_equal(flip(image, up_down=True), image[::-1])
    np.testing.assert_array_equal(flip(image, left_right=True, up_down=True), image[::-1, ::-1])
    np.testing.assert_array_equal(transpose(image), np.swapaxes(image, 0, 1))
    copy = flip(image)
    assert copy.base is None
    np.testing.assert_array_equal(copy, image)
