"""Maps that are not affine: their inverses, and how they join."""

import numpy as np
import pytest
from scipy.interpolate import BSpline

from visus.data.augment.moves import Bend, Chain, Homography, then
from visus.structures import Affine

POINTS = np.random.default_rng(0).uniform(0, 100, (6, 7, 2))
TURN = Affine.rotation(20, (50, 30))
TILT = Homography.between([(0, 0), (99, 0), (99, 60), (0, 60)], [(3, 2), (95, 0), (99, 55), (1, 60)])
BEND = Bend((60, 99), np.random.default_rng(1).standard_normal((6, 7, 2)))


def test_homography_by_hand():
    matrix = np.array([[1.1, 0.2, 3], [0.1, 0.9, -4], [1e-3, 2e-3, 1]])
    homogeneous = np.concatenate([POINTS, np.ones((6, 7, 1))], axis=-1) @ matrix.T
    np.testing.assert_allclose(Homography(matrix).apply(POINTS), homogeneous[..., :2] / homogeneous[..., 2:])


@pytest.mark.parametrize(
    "move", [TURN, TILT, BEND, Chain((TURN, TILT, BEND))], ids=lambda m: type(m).__name__
)
def test_inverse_undoes(move):
    np.testing.assert_allclose(move.inverse().apply(move.apply(POINTS)), POINTS, atol=1e-6)


@pytest.mark.parametrize("first", [TURN, TILT, BEND])
@pytest.mark.parametrize("second", [TURN, TILT, BEND, Chain((BEND, TURN))])
def test_then_does_one_after_the_other(first, second):
    np.testing.assert_allclose(
        then(first, second).apply(POINTS), second.apply(first.apply(POINTS)), atol=1e-9
    )


def test_joined_maps_stay_simple():
    assert isinstance(then(TURN, TURN), Affine)
    assert isinstance(then(TURN, TILT), Homography)
    assert isinstance(then(TILT, TURN), Homography)
    assert len(then(then(TURN, BEND), TILT).links) == 3


def test_bend_is_scipys_cubic_spline():
    # Alike in all rows, so a spline of x alone; one control point stands off each end.
    grid = np.broadcast_to(np.random.default_rng(2).standard_normal((1, 7, 2)), (6, 7, 2))
    x = np.linspace(0, 98.9, 40)
    expected = BSpline(np.arange(11) - 3, grid[0], 3)(x / 99 * 4)
    points = np.stack([x, np.full(40, 17.3)], axis=-1)
    np.testing.assert_allclose(Bend((60, 99), grid).displacement(points), expected, atol=1e-9)
