"""Geometric augmentations against NumPy slices and the numbers of the data specification."""

import numpy as np
import pytest

from visus.data.augment import (
    Crop,
    Elastic,
    HorizontalFlip,
    Perspective,
    QuarterTurn,
    RandomResizedCrop,
    Rotate,
    Shear,
    Shift,
    ShorterSideJitter,
    VerticalFlip,
    Zoom,
)
from visus.structures import ImageSpec


@pytest.fixture
def photo():
    return np.random.default_rng(1).integers(0, 256, (20, 33, 3), np.uint8)


def hull(op, parameters, box, size):
    """The box around the four moved corners."""
    x1, y1, x2, y2 = box
    corners = op.move(parameters, size)[0].apply([[x1, y1], [x2, y1], [x2, y2], [x1, y2]])
    return np.concatenate([corners.min(axis=0), corners.max(axis=0)])


def test_flips_are_exact(photo):
    np.testing.assert_array_equal(HorizontalFlip().apply(photo, {}), photo[:, ::-1])
    np.testing.assert_array_equal(VerticalFlip().apply(photo, {}), photo[::-1])


@pytest.mark.parametrize("turns", range(4))
def test_quarter_turns_and_rotations_by_90_equal_rot90(photo, turns):
    expected = np.rot90(photo, turns)
    np.testing.assert_array_equal(QuarterTurn().apply(photo, {"turns": turns}), expected)
    rotated = Rotate(270, expand=True).apply(photo, {"degrees": 90.0 * turns})
    np.testing.assert_array_equal(rotated, expected)


@pytest.mark.parametrize(
    ("op", "parameters", "expected"),
    [
        (HorizontalFlip(), {}, (70, 20, 90, 60)),
        (Rotate(90), {"degrees": 90.0}, (20, 70, 60, 90)),
        (QuarterTurn(), {"turns": 1}, (20, 70, 60, 90)),
        (Rotate(30), {"degrees": 30.0}, (0.3590, 34.0192, 37.6795, 78.6603)),
    ],
)
def test_boxes_of_the_specification(op, parameters, expected):
    np.testing.assert_allclose(hull(op, parameters, (10, 20, 30, 60), (100, 100)), expected, atol=1e-3)


def test_expanded_rotation_keeps_every_corner():
    move, (height, width) = Rotate(45, expand=True).move({"degrees": 30.0}, (20, 33))
    corners = move.apply([[0, 0], [33, 0], [33, 20], [0, 20]])
    assert corners.min() >= -0.5
    assert (corners.max(axis=0) <= (width + 0.5, height + 0.5)).all()
    # 33 cos 30 + 20 sin 30 = 38.58, 33 sin 30 + 20 cos 30 = 33.82
    assert (height, width) == (34, 39)


def test_crops_equal_slices(photo):
    parameters = {"top": 3, "left": 7, "height": 11, "width": 20}
    for op in (Crop(), RandomResizedCrop()):
        np.testing.assert_array_equal(op.apply(photo, parameters), photo[3:14, 7:27])


def test_crop_scales_both_sides_alike():
    rng = np.random.default_rng(0)
    for _ in range(100):
        p = Crop((0.8, 0.9)).draw(rng, (200, 300))
        assert p["height"] / 200 == pytest.approx(p["width"] / 300, abs=0.005)
        assert 160 <= p["height"] <= 180
        assert 0 <= p["top"] <= 200 - p["height"]
        assert 0 <= p["left"] <= 300 - p["width"]
    fixed = Crop(size=(50, 400)).draw(rng, (200, 300))
    assert (fixed["height"], fixed["width"]) == (50, 300)


def test_shift_equals_padding_by_the_edge(photo):
    out = Shift(0.5).apply(photo, {"x": 5 / 33, "y": -3 / 20})
    expected = np.pad(photo[3:, :28], [(0, 3), (5, 0), (0, 0)], "edge")
    np.testing.assert_array_equal(out, expected)


def test_zoom_and_shear_keep_the_middle():
    for op in (Zoom(0.5, per_axis=True), Shear(30, 20)):
        for seed in range(5):
            move, size = op.move(op.draw(np.random.default_rng(seed), (20, 33)), (20, 33))
            np.testing.assert_allclose(move.apply([16.5, 10.0]), [16.5, 10.0])
            assert size == (20, 33)
    move, _ = Zoom(0.5).move({"x": 1.5, "y": 1.5}, (20, 33))
    np.testing.assert_allclose(move.apply([17.5, 10.0]), [18.0, 10.0])
    move, _ = Shear(45).move({"x": 45.0, "y": 0.0}, (20, 33))
    np.testing.assert_allclose(move.apply([16.5, 15.0]), [21.5, 15.0])


def test_random_resized_crop_draws_area_and_aspect_in_their_ranges():
    rng = np.random.default_rng(0)
    op = RandomResizedCrop((0.2, 0.6), (0.5, 2.0))
    drawn = [op.draw(rng, (480, 640)) for _ in range(500)]
    area = np.array([p["height"] * p["width"] for p in drawn]) / (480 * 640)
    aspect = np.array([p["width"] / p["height"] for p in drawn])
    assert area.min() >= 0.198
    assert area.max() <= 0.602
    assert aspect.min() >= 0.49
    assert aspect.max() <= 2.03
    # Log-uniform about 1, so wide and tall cuts are as frequent (few are lost to the picture's edge).
    assert np.median(np.log(aspect)) == pytest.approx(0, abs=0.15)
    assert all(p["top"] + p["height"] <= 480 and p["left"] + p["width"] <= 640 for p in drawn)


def test_random_resized_crop_falls_back_to_the_middle():
    p = RandomResizedCrop((1.0, 1.0), (1.0, 1.0)).draw(np.random.default_rng(0), (100, 300))
    assert p == {"top": 0, "left": 100, "height": 100, "width": 100}


def test_random_resized_crop_knows_what_prediction_will_show():
    op = RandomResizedCrop(ratio=(1.0, 1.0), scale=(0.3, 0.3))
    wide = ImageSpec(64, 128, resize="crop")
    p = op.for_input(wide, (300, 300)).draw(np.random.default_rng(0), (300, 300))
    assert p["width"] / p["height"] == pytest.approx(2, rel=0.02)
    stretched = ImageSpec(64, 64, resize="stretch")
    p = op.for_input(stretched, (200, 500)).draw(np.random.default_rng(0), (200, 500))
    assert p["width"] / p["height"] == pytest.approx(2.5, rel=0.02)


def test_shorter_side_jitter_shows_224_of_256_to_512():
    rng = np.random.default_rng(0)
    parts = [ShorterSideJitter().draw(rng, (600, 900))["height"] / 600 for _ in range(300)]
    assert 224 / 512 <= min(parts) < 0.46
    assert 0.84 < max(parts) <= 224 / 256
    half = ShorterSideJitter().for_input(ImageSpec(112, 112), (600, 900))
    assert (half.low, half.high, half.size) == (128, 256, (112, 112))
    photo = np.zeros((60, 90, 3), np.uint8)
    assert half.apply(photo, half.draw(rng, (60, 90))).shape == (112, 112, 3)


def test_perspective_pulls_the_part_to_the_corners():
    corners = [[0.1, 0.05], [0.0, 0.1], [0.05, 0.0], [0.02, 0.08]]
    move, _ = Perspective(0.3).move({"corners": corners}, (100, 200))
    part = [[20, 5], [200, 10], [190, 100], [4, 92]]
    np.testing.assert_allclose(move.apply(part), [[0, 0], [200, 0], [200, 100], [0, 100]], atol=1e-9)


def test_elastic_moves_as_far_as_it_says_and_never_folds():
    op = Elastic(0.02, 4)
    rows, columns = np.indices((100, 150)) + 0.5
    grid = np.stack([columns, rows], axis=-1)
    deviations = []
    for seed in range(20):
        move, _ = op.move({"amount": 0.02, "seed": seed}, (100, 150))
        back = move.inverse().apply(grid)
        deviations.append((back - grid).std())
        across, down = np.diff(back, axis=1)[:-1], np.diff(back, axis=0)[:, :-1]
        area = across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0]
        assert area.min() > 0, "a fold turns area over"
    assert np.mean(deviations) == pytest.approx(0.02 * 100, rel=0.3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Zoom(1.0),
        lambda: Crop((0.0, 1.0)),
        lambda: Crop((0.9, 0.8)),
        lambda: RandomResizedCrop((0.5, 1.5)),
        lambda: RandomResizedCrop(ratio=(2, 1)),
        lambda: ShorterSideJitter(200, 300),
        lambda: Perspective(1.0),
        lambda: Elastic(0.1, 8),
    ],
)
def test_impossible_ranges_are_refused(make):
    with pytest.raises(ValueError, match="Received"):
        make()
