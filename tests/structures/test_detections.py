"""Detections and masks: choosing, moving beside painted pixels, outlines and runs by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visus.geometry.boxes import clip
from visus.image import warp
from visus.structures import Affine, Detections, Mask

MAPS = [
    Affine([[-1, 0, 40], [0, 1, 0]]),
    Affine([[0, 1, 0], [-1, 0, 40]]),
    Affine.translation(3, -2) @ Affine.scaling(2, 0.5),
]


def full():
    square = Mask((30, 40), outlines=[[(9, 6), (25, 6), (25, 16), (9, 16)]])
    return Detections(
        [[9, 6, 25, 16], [0, 0, 40, 30]],
        labels=[3, 1],
        scores=[0.5, 0.25],
        masks=(square, None),
        keypoints=[[[9.5, 6.5, 2]], [[39, 29, 1]]],
        track_ids=[7, 8],
        crowd=[False, True],
        areas=[160, 500],
        image_size=(30, 40),
    )


@pytest.mark.parametrize("index", [[1], [False, True], slice(1, 2), np.array([1]), -1, 1])
def test_choosing_takes_every_row_along(index):
    one = full()[index]
    assert one.boxes.tolist() == [[0, 0, 40, 30]]
    assert (one.labels[0], one.scores[0], one.masks, one.track_ids[0]) == (1, 0.25, (None,), 8)
    assert one.crowd[0]
    assert one.difficult is None
    assert one.areas.tolist() == [500]
    assert one.image_size == (30, 40)


def test_no_objects_are_a_statement():
    none = Detections.none((3, 4))
    assert len(none) == len(full()[[]]) == 0
    assert none.boxes.shape == (0, 4)
    assert none.moved(MAPS[0], (9, 9)).boxes.shape == (0, 4)


@pytest.mark.parametrize("affine", MAPS)
def test_boxes_masks_and_keypoints_stay_on_the_painted_pixels(affine):
    picture = np.zeros((30, 40), np.uint8)
    picture[6:16, 9:25] = 255
    painted = warp(picture, affine, (60, 90), interpolation="nearest", fill=0) > 0
    moved = full().moved(affine, (60, 90))
    rows, columns = np.nonzero(painted)
    hull = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert clip(moved.boxes, (60, 90))[0].tolist() == hull
    assert np.array_equal(moved.masks[0].to_array(), painted)
    runs = Mask.from_array(picture).moved(affine, (60, 90))
    assert np.array_equal(runs.to_array(), painted)
    assert runs.box().tolist() == hull
    x, y, seen = moved.keypoints[0, 0]
    assert not seen or painted[int(y), int(x)]
    assert moved.areas[0] == pytest.approx(160 * abs(np.linalg.det(affine.matrix[:, :2])))


def test_a_keypoint_that_leaves_is_not_labelled():
    assert full().moved(Affine.translation(-20, 0), (30, 40)).keypoints[..., 2].tolist() == [[0], [1]]


def test_a_turned_box_is_the_hull_of_its_corners():
    (box,) = Affine.rotation(45).hull([[-1, -1, 1, 1]])
    assert np.allclose(box, np.sqrt(2) * np.array([-1, -1, 1, 1]))


def test_lengths_and_shapes_are_checked():
    with pytest.raises(ValueError, match="2 boxes and 1 labels"):
        Detections(np.zeros((2, 4)), labels=[0])
    with pytest.raises(ValueError, match="2 boxes and 3 masks"):
        Detections(np.zeros((2, 4)), labels=[0, 0], masks=(None,) * 3)
    with pytest.raises(ValueError, match=r"\(N, 4\)"):
        Detections(np.zeros((2, 5)), labels=[0, 0])


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**20))
def test_runs_there_and_back(height, width, seed):
    mask = np.random.default_rng(seed).random((height, width)) < 0.5
    runs = Mask.from_array(mask)
    assert np.array_equal(runs.to_array(), mask)
    assert runs.area == mask.sum()
    assert Mask((height, width), runs=runs.runs).to_runs().tolist() == runs.runs.tolist()


def test_runs_go_down_the_columns_and_begin_with_nothing():
    assert Mask.from_array([[1, 0], [1, 1]]).runs.tolist() == [0, 2, 1, 1]
    assert Mask.from_array([[0, 0], [0, 0]]).runs.tolist() == [4]
    assert Mask((2, 2), runs=[1, 2, 1]).to_array().tolist() == [[False, True], [True, False]]


def test_outlines_of_whole_pixels_fill_just_these():
    two = Mask((5, 7), outlines=[[(1, 1), (3, 1), (3, 4), (1, 4)], [(2, 0), (6, 0), (6, 2), (2, 2)]])
    expected = np.zeros((5, 7), bool)
    expected[1:4, 1:3] = expected[0:2, 2:6] = True
    assert np.array_equal(two.to_array(), expected)
    assert two.area == expected.sum()
    assert two.box().tolist() == [1, 0, 6, 4]
    assert Mask((5, 7), outlines=[[(-9, -9), (20, -9), (20, 20), (-9, 20)]]).area == 35
    assert Mask((5, 7), outlines=[]).area == 0


def test_what_is_no_mask():
    with pytest.raises(ValueError, match="one of the two"):
        Mask((2, 2))
    with pytest.raises(ValueError, match=r"add up to 4.*sum 5"):
        Mask((2, 2), runs=[1, 4])
    with pytest.raises(ValueError, match="finite"):
        Mask((2, 2), outlines=[[(0, np.nan), (1, 1), (0, 1)]])
