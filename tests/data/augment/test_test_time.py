"""Test-time views: how many, where they lie, and that they can be undone."""

import numpy as np
import pytest

from visus.data.augment import VIEWS, view_images, views
from visus.image.prepare import placement, prepare
from visus.structures import ImageSpec, InputError

SPEC = ImageSpec(224, 224, resize="crop", crop_fraction=0.875)


def source(view, spec=SPEC):
    """The box of the picture that a view shows: left, top, right, bottom."""
    corners = view.inverse().apply([[0, 0], [spec.width, spec.height]])
    return np.concatenate([corners.min(axis=0), corners.max(axis=0)])


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("none", 1),
        ("flip", 2),
        ("five-crop", 5),
        ("ten-crop", 10),
        ("multi-scale", 6),
        ("vgg", 150),
        ("googlenet", 144),
    ],
)
def test_counts_and_that_all_lie_inside(name, count):
    for size in ((360, 500), (500, 360), (256, 256)):
        found = views(name, size, SPEC)
        assert len(found) == count
        for view in found:
            left, top, right, bottom = source(view)
            assert left >= -1e-6
            assert top >= -1e-6
            assert right <= size[1] + 1e-6
            assert bottom <= size[0] + 1e-6


def test_none_is_preparation():
    np.testing.assert_array_equal(
        views("none", (360, 500), SPEC)[0].matrix, placement((360, 500), SPEC).matrix
    )


def test_ten_crop_of_a_256_picture_is_alexnets():
    boxes = [source(view) for view in views("ten-crop", (256, 256), SPEC)]
    expected = [(0, 0), (32, 0), (0, 32), (32, 32), (16, 16)]
    for i, (left, top) in enumerate(expected):
        for box in boxes[2 * i : 2 * i + 2]:
            np.testing.assert_allclose(box, [left, top, left + 224, top + 224], atol=1e-9)
    mirrored = views("ten-crop", (256, 256), SPEC)[1]
    np.testing.assert_allclose(mirrored.apply([0, 0]), [224, 0], atol=1e-9)


def test_googlenet_shows_three_squares_at_four_scales():
    boxes = np.array([source(view) for view in views("googlenet", (360, 500), SPEC)])
    sides = boxes[:, 2] - boxes[:, 0]
    np.testing.assert_allclose(sides, boxes[:, 3] - boxes[:, 1])
    expected = {360 * 224 / s: 3 * 5 * 2 for s in (256, 288, 320, 352)} | {360.0: 4 * 3 * 2}
    for side, count in expected.items():
        assert np.isclose(sides, side).sum() == count
    whole = boxes[np.isclose(sides, 360)]
    assert sorted(set(whole[:, 0].round(6))) == [0, 70, 140]


def test_vgg_grid_covers_the_long_side():
    boxes = np.array([source(view) for view in views("vgg", (360, 500), SPEC)])[:50:2]
    assert boxes[:, 0].min() == pytest.approx(0)
    assert boxes[:, 2].max() == pytest.approx(500)
    assert len(set(boxes[:, 0].round(3))) == 5


@pytest.mark.parametrize("resize", ["stretch", "letterbox", "crop"])
def test_images_of_the_views(resize):
    spec = ImageSpec(32, 48, resize=resize)
    photo = np.random.default_rng(0).integers(0, 256, (60, 70, 3), np.uint8)
    for name in VIEWS[:5]:
        images = view_images(photo, name, spec)
        assert images.shape == (len(views(name, (60, 70), spec)), 32, 48, 3)
        if name in ("none", "flip"):
            np.testing.assert_array_equal(images[0], prepare(photo, spec)[0])
        if name == "flip":
            np.testing.assert_array_equal(images[1], images[0][:, ::-1])
    assert view_images(photo[..., 0], "flip", ImageSpec(32, 48, channels=1)).shape == (2, 32, 48, 1)


def test_unknown_name():
    with pytest.raises(InputError, match="ten-crop"):
        views("hundred", (10, 10), SPEC)
