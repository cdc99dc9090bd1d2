"""Resizing: against means by hand, an exact area filter and closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from visus.image import resize

RNG = np.random.default_rng(0)


def test_bilinear_invents_values_and_nearest_does_not():
    label = np.array([[0], [255]])
    assert resize(label.astype(np.float32), (4, 1)).ravel().tolist() == [0, 63.75, 191.25, 255]
    assert resize(label.astype(np.uint8), (4, 1), "nearest").ravel().tolist() == [0, 0, 255, 255]


def test_a_whole_factor_gives_the_mean_of_each_block():
    image = RNG.integers(0, 256, (12, 30, 3), dtype=np.uint8)
    means = image.reshape(4, 3, 6, 5, 3).mean(axis=(1, 3))
    assert np.abs(resize(image, (4, 6)) - means).max() <= 0.51


@pytest.mark.parametrize("size", [(150, 233), (100, 200), (224, 224), (75, 91), (31, 40), (300, 77)])
def test_shrinking_is_as_good_as_an_exact_area_filter(size):
    photo = data.astronaut()[:400]
    rows, columns = _area(photo.shape[0], size[0]), _area(photo.shape[1], size[1])
    exact = np.stack([rows @ photo[..., band] @ columns.T for band in range(3)], axis=-1)
    ours = resize(photo, size)
    assert ours.shape == (*size, 3)
    assert np.abs(ours - exact).mean() < 1.2
    assert abs(ours.mean() - photo.mean()) < 0.5


def _area(old, new):
    """Share of every old pixel in every new one."""
    edges = np.arange(new + 1) * old / new
    pixel = np.arange(old)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return np.clip(overlap, 0, None) * new / old


@pytest.mark.parametrize("shrinkage", [1.7, 2.3, 3.1, 5.7, 11.3])
def test_waves_too_short_for_the_new_picture_fade(shrinkage):
    x = np.arange(1200) + 0.5
    left, passed = [], []
    for frequency in np.linspace(0.55 / shrinkage, 0.5, 12):
        left.append(_after(127 + 100 * np.sin(2 * np.pi * frequency * x), shrinkage))
    for frequency in np.linspace(0.05, 0.3, 6) / shrinkage:
        passed.append(_after(127 + 100 * np.sin(2 * np.pi * frequency * x), shrinkage))
    assert np.mean(left) < 0.4
    assert np.mean(passed) > 0.85


def _after(row, shrinkage):
    image = np.tile(row.astype(np.uint8), (60, 1))
    small = resize(image, (int(60 / shrinkage), int(1200 / shrinkage)))
    return small.astype(float).std() / row.std()


@given(
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
    st.sampled_from([None, 1, 2, 3, 4, 5, 9]),
    st.sampled_from([np.uint8, np.uint16, np.float32]),
    st.sampled_from(["bilinear", "bicubic", "nearest"]),
)
@settings(max_examples=120, deadline=None)
def test_any_size_type_and_number_of_channels(old, new, channels, dtype, interpolation):
    shape = old if channels is None else (*old, channels)
    image = np.random.default_rng(0).integers(0, 256, shape).astype(dtype)
    out = resize(image, new, interpolation)
    assert out.shape == (*new, *shape[2:])
    assert out.dtype == dtype
    flat = np.full(shape, 77, dtype)
    assert np.allclose(resize(flat, new, interpolation), 77)
    if interpolation == "nearest":
        assert set(np.unique(out)) <= set(np.unique(image))


def test_nearest_takes_the_pixel_under_the_new_centre():
    image = np.arange(35, dtype=np.uint8).reshape(5, 7)
    out = resize(image, (8, 3), "nearest")
    rows = ((np.arange(8) + 0.5) * 5 / 8).astype(int)
    columns = ((np.arange(3) + 0.5) * 7 / 3).astype(int)
    assert np.array_equal(out, image[np.ix_(rows, columns)])


def test_the_corners_stay():
    ramp = np.tile(np.arange(40, dtype=np.float32) + 0.5, (6, 1))  # value = x at the pixel's centre
    out = resize(ramp, (6, 25))
    assert np.allclose(out, (np.arange(25) + 0.5) * 40 / 25, atol=0.05)


@pytest.mark.parametrize(
    ("size", "interpolation"), [((0, 3), "bilinear"), ((3, -1), "bilinear"), ((3, 3), "lanczos")]
)
def test_wrong_arguments(size, interpolation):
    with pytest.raises(ValueError, match="Received"):
        resize(np.zeros((4, 5), np.uint8), size, interpolation)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest"])
@pytest.mark.parametrize("size", [(20, 50), (31, 77), (40, 100), (90, 130), (30, 130)])
def test_a_window_is_the_same_part_of_the_whole_result(size, interpolation):
    image = RNG.integers(0, 256, (40, 100, 3), dtype=np.uint8)
    window = slice(3, 17), slice(5, 49)
    part = resize(image, size, interpolation, window=window)
    assert np.array_equal(part, resize(image, size, interpolation)[window])
