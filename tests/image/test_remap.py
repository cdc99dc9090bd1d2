"""Remapping against SciPy, and the five borders of abcd."""

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from visus.image.remap import remap


@pytest.fixture
def photo():
    return np.random.default_rng(8).integers(0, 256, (23, 37), np.uint8)


def grid(height, width):
    rows, columns = np.indices((height, width))
    return np.stack([columns + 0.5, rows + 0.5], axis=-1)


def test_identity(photo):
    np.testing.assert_array_equal(remap(photo, grid(23, 37)), photo)
    colour = np.repeat(photo[..., None], 3, axis=2)
    np.testing.assert_array_equal(remap(colour, grid(23, 37)), colour)
    assert remap(photo[..., None], grid(5, 6)).shape == (5, 6, 1)


def test_bilinear_values_equal_scipy(photo):
    points = grid(11, 13) @ np.array([[0.9, 0.4], [-0.3, 1.1]]) + (5.2, 3.7)
    expected = map_coordinates(
        photo.astype(float), [points[..., 1] - 0.5, points[..., 0] - 0.5], order=1, mode="nearest"
    )
    # OpenCV interpolates at 1/32 of a pixel.
    assert np.abs(remap(photo, points, border="nearest") - expected).max() <= 255 / 32 * 2


@pytest.mark.parametrize(
    ("border", "expected"),
    [
        ("constant", "kkkkkkkk|abcd|kkkkkkkk"),
        ("nearest", "aaaaaaaa|abcd|dddddddd"),
        ("reflect", "abcddcba|abcd|dcbaabcd"),
        ("mirror", "cbabcdcb|abcd|cbabcdcb"),
        ("wrap", "abcdabcd|abcd|abcdabcd"),
    ],
)
def test_borders(border, expected):
    letters = np.frombuffer(b"abcd", np.uint8).reshape(1, 4)
    points = np.stack(np.broadcast_arrays(np.arange(-8, 12) + 0.5, 0.5), axis=-1)[None]
    out = remap(letters, points, border=border, fill=ord("k"))
    assert out.tobytes().decode() == expected.replace("|", "")


def test_shrinking_does_not_alias():
    stripes = np.zeros((120, 200), np.uint8)
    stripes[:, ::2] = 255
    out = remap(stripes, grid(30, 50) * 4)
    assert out.min() > 120
    assert out.max() < 135


def test_a_very_long_picture():
    long = np.tile(np.arange(256, dtype=np.uint8), 160)[None].repeat(2, axis=0)
    assert long.shape[1] > 32767
    assert remap(long, grid(2, 64)).shape == (2, 64)


def test_unknown_border(photo):
    with pytest.raises(ValueError, match="border is one of"):
        remap(photo, grid(2, 2), border="replicate")
