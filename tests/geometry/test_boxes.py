"""Boxes: forms by hand and as inverses, clipping, moving beside painted pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visus.geometry import boxes as b

ROWS = st.lists(st.tuples(*[st.floats(-500, 500, width=32)] * 4), max_size=8).map(
    lambda rows: np.array(rows, np.float32).reshape(-1, 4)
)


def test_the_forms_by_hand():
    box = [[100.0, 150.0, 300.0, 350.0]]
    assert b.from_xyxy(box, "xywh").tolist() == [[100, 150, 200, 200]]
    assert b.from_xyxy(box, "cxcywh").tolist() == [[200, 250, 200, 200]]
    assert b.from_xyxy(box, "yxyx").tolist() == [[150, 100, 350, 300]]
    # YOLO's label of this box in a picture 500 wide and 400 high
    assert np.allclose(b.from_xyxy(box, "cxcywh", relative_to=(400, 500)), [[0.4, 0.625, 0.4, 0.5]])


@given(ROWS, st.sampled_from(b.FORMS), st.sampled_from([None, (30, 70)]))
def test_there_and_back(rows, form, size):
    there = b.from_xyxy(rows, form, relative_to=size)
    assert there.shape == rows.shape
    assert np.allclose(b.to_xyxy(there, form, relative_to=size), rows, atol=1e-9)


def test_an_unknown_form_is_named():
    with pytest.raises(ValueError, match=r"xyxy, xywh, cxcywh, yxyx.*'xxyy'"):
        b.to_xyxy([[0, 0, 1, 1]], "xxyy")


def test_area_of_boxes_upside_down_is_nothing():
    assert b.area([[0, 0, 4, 3], [4, 0, 0, 3], [1, 1, 1, 9]]).tolist() == [12, 0, 0]
    assert b.area(np.zeros((0, 4))).shape == (0,)


def test_clipping_at_the_border_of_a_picture_that_is_not_square():
    rows = np.array([[-5, -5, 5, 5], [15, 5, 40, 30], [30, 2, 40, 8], [2, 3, 4, 5]], np.float32)
    clipped = b.clip(rows, (10, 20))
    assert clipped.tolist() == [[0, 0, 5, 5], [15, 5, 20, 10], [20, 2, 20, 8], [2, 3, 4, 5]]
    assert clipped.dtype == np.float32
    assert (b.area(clipped) > 0).tolist() == [True, True, False, True]
    assert b.inside(rows, (10, 20)).tolist() == [False, False, False, True]
    assert b.inside(rows, (10, 20), tolerance=5).tolist() == [True, False, False, True]


def test_what_is_wrong_is_said():
    rows = [[0, 0, 1, 1], [3, 0, 2, 1], [0, 0, np.nan, 1], [2, 2, 2, 2]]
    assert b.valid(rows).tolist() == [True, False, False, True]
    with pytest.raises(ValueError, match=r"Box 1 is \[3.0, 0.0, 2.0, 1.0\]; 2 of 4"):
        b.checked(rows)
    with pytest.raises(ValueError, match=r"\(N, 4\).*\(2, 3\)"):
        b.checked(np.zeros((2, 3)))
    assert b.checked([]).shape == (0, 4)
