"""Preparing: the map must say where everything went."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visus.image import placement, prepare
from visus.structures import ImageSpec


@pytest.mark.parametrize(
    ("spec", "matrix"),
    [
        (ImageSpec(50, 80), [[0.4, 0, 0], [0, 0.5, 0]]),
        (ImageSpec(80, 80, resize="letterbox"), [[0.4, 0, 0], [0, 0.4, 20]]),
        (ImageSpec(60, 60, resize="crop"), [[0.6, 0, -30], [0, 0.6, 0]]),
        (ImageSpec(70, 70, resize="crop", crop_fraction=0.875), [[0.8, 0, -45], [0, 0.8, -5]]),
    ],
)
def test_placement_of_a_picture_of_100_x_200(spec, matrix):
    assert np.allclose(placement((100, 200), spec).matrix, matrix)


def test_letterbox_keeps_the_ratio_and_pads_with_114():
    prepared, affine = prepare(np.full((100, 200, 3), 10, np.uint8), ImageSpec(50, 50, resize="letterbox"))
    assert (prepared[12:37] == 10).all()
    assert (prepared[:12] == 114).all()
    assert (prepared[37:] == 114).all()
    assert affine.apply([[0, 0], [200, 100]]).tolist() == [[0, 12], [50, 37]]


def test_crop_fraction_cuts_the_centre():
    image = np.zeros((160, 320), np.uint8)
    image[10:150, 90:230] = 255  # what remains of a crop of 70 out of 80, at half the size
    prepared, _ = prepare(image, ImageSpec(70, 70, 1, resize="crop", crop_fraction=0.875))
    assert (prepared == 255).all()


@given(
    st.tuples(st.integers(1, 300), st.integers(1, 300)),
    st.tuples(st.integers(1, 120), st.integers(1, 120)),
    st.sampled_from(["stretch", "letterbox", "crop"]),
    st.sampled_from([0.5, 0.875, 1.0]),
    st.sampled_from([1, 3]),
    st.sampled_from(["bilinear", "bicubic", "nearest"]),
)
@settings(max_examples=120, deadline=None)
def test_shape_and_corners(image_size, size, mode, fraction, channels, interpolation):
    spec = ImageSpec(*size, channels, resize=mode, crop_fraction=fraction, interpolation=interpolation)
    image = np.full((*image_size, 3), 200, np.uint8)
    prepared, affine = prepare(image, spec)
    assert prepared.shape == spec.shape
    assert prepared.dtype == np.uint8
    assert prepared.flags["C_CONTIGUOUS"]
    assert not np.shares_memory(prepared, image)
    assert np.array_equal(affine.matrix, placement(image_size, spec).matrix)
    (left, top), (right, bottom) = affine.apply([[0, 0], image_size[::-1]]).round(9)
    if mode == "letterbox":
        assert left >= 0 and top >= 0 and right <= size[1] and bottom <= size[0]  # noqa: PT018
        inside = prepared[round(top) : round(bottom), round(left) : round(right)]
        assert np.abs(inside.astype(int) - 200).max() <= 1
        assert (prepared == 114).sum() == prepared.size - inside.size
    else:
        assert left <= 0 and top <= 0 and right >= size[1] and bottom >= size[0]  # noqa: PT018
        assert np.abs(prepared.astype(int) - 200).max() <= 1


@pytest.mark.parametrize("mode", ["stretch", "letterbox", "crop"])
@pytest.mark.parametrize(("height", "width"), [(90, 60), (133, 300), (400, 201), (64, 64)])
def test_markers_lie_where_the_map_says(mode, height, width):
    """Painted discs, found again by their centre of gravity."""
    spec = ImageSpec(96, 64, 1, resize=mode, crop_fraction=0.9)
    rows, columns = np.mgrid[:height, :width] + 0.5
    for fx, fy in ((0.45, 0.4), (0.5, 0.62), (0.58, 0.5)):
        x, y = fx * width, fy * height
        radius = min(height, width) / 20
        image = (255 * (np.hypot(columns - x, rows - y) <= radius)).astype(np.uint8)
        weight = image.astype(float)
        truth = [(weight * columns).sum() / weight.sum(), (weight * rows).sum() / weight.sum()]
        prepared, affine = prepare(image, spec)
        light = prepared[..., 0].astype(float)
        light[light == 114] = 0
        r, c = np.mgrid[:96, :64] + 0.5
        found = [(light * c).sum() / light.sum(), (light * r).sum() / light.sum()]
        assert np.allclose(found, affine.apply(truth), atol=0.15)


def test_gray_and_colour_become_what_the_spec_asks_for():
    gray = np.full((10, 20), 90, np.uint8)
    assert (prepare(gray, ImageSpec(5, 5))[0] == 90).all()
    red = np.full((10, 20, 3), (255, 0, 0), np.uint8)
    assert (prepare(red, ImageSpec(5, 5, 1))[0] == 76).all()  # 0.299 * 255 = 76.2
    assert prepare(gray[..., None], ImageSpec(5, 5, 1))[0].shape == (5, 5, 1)
    assert prepare(np.zeros((10, 20, 6), np.uint8), ImageSpec(5, 7, 6))[0].shape == (5, 7, 6)


def test_a_long_strip_takes_no_more_memory_than_it_has():
    strip = np.tile(np.arange(30_000) % 251, (4, 1)).astype(np.uint8)
    prepared, affine = prepare(strip, ImageSpec(224, 224, 1, resize="crop"))
    assert affine.apply([[15_000, 2]]).tolist() == [[112, 112]]
    # Each old pixel is 56 wide; the middle one begins at column 112.
    assert prepared[112, 140, 0] == strip[0, 15_000]


@pytest.mark.parametrize(
    "image", [np.zeros((4, 5), np.float32), np.zeros((0, 5), np.uint8), np.zeros((4, 5, 7), np.uint8)]
)
def test_wrong_pictures(image):
    with pytest.raises(ValueError, match="Received"):
        prepare(image, ImageSpec(8, 8))
