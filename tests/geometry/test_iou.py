"""IoU and its relatives: oracles by hand, a slow loop, painted pixels, gradients."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visus.geometry.iou import grade, iou, mask_iou, paired_iou

WHOLE = st.lists(
    st.tuples(*[st.integers(0, 12)] * 4).map(
        lambda r: (min(r[0], r[2]), min(r[1], r[3]), max(r[0], r[2]), max(r[1], r[3]))
    ),
    min_size=1,
    max_size=5,
)


@pytest.mark.parametrize(
    ("a", "b", "kind", "expected"),
    [
        ((0, 0, 2, 2), (1, 1, 3, 3), "iou", 1 / 7),
        ((0, 0, 2, 2), (1, 1, 3, 3), "giou", -0.079365),
        ((0, 0, 10, 10), (0, 0, 10, 6), "iou", 0.6),
        ((0, 0, 10, 10), (10, 0, 20, 10), "iou", 0),
        ((0, 0, 1, 1), (2, 0, 3, 1), "giou", -1 / 3),
        ((10, 20, 110, 120), (30, 40, 130, 140), "iou", 0.470588),
        ((3, 3, 3, 3), (3, 3, 3, 3), "iou", 0),
        ((0, 0, 4, 2), (2, 0, 10, 2), "ioa", 0.5),
        # centres 2 apart on each axis, hull 3 x 3: 1/7 - 2/18
        ((0, 0, 2, 2), (1, 1, 3, 3), "diou", 1 / 7 - 2 / 18),
        ((0, 0, 2, 2), (1, 1, 3, 3), "ciou", 1 / 7 - 2 / 18),
    ],
)
def test_oracles(a, b, kind, expected):
    assert iou([a], [b], kind=kind)[0, 0] == pytest.approx(expected, abs=1e-6)
    assert paired_iou(a, b, kind=kind) == pytest.approx(expected, abs=1e-6)


def test_ciou_punishes_another_shape():
    # same centre, 4 x 2 inside 4 x 4: v = 4/pi^2 (atan 1 - atan 2)^2, alpha = v / (1 - 0.5 + v)
    v = 4 / np.pi**2 * (np.arctan(1) - np.arctan(2)) ** 2
    assert iou([[0, 1, 4, 3]], [[0, 0, 4, 4]], kind="ciou")[0, 0] == pytest.approx(0.5 - v * v / (0.5 + v))


@given(WHOLE, WHOLE)
def test_boxes_of_whole_pixels_are_masks(a, b):
    painted = [np.zeros((len(rows), 13, 13), bool) for rows in (a, b)]
    for masks, rows in zip(painted, (a, b)):
        for mask, (x1, y1, x2, y2) in zip(masks, rows):
            mask[y1:y2, x1:x2] = True
    assert np.allclose(iou(a, b), mask_iou(*painted), atol=1e-12)


def test_empty_sides_and_leading_axes():
    assert iou(np.zeros((0, 4)), [[0, 0, 1, 1]]).shape == (0, 1)
    many = iou(np.zeros((2, 3, 4)), np.ones((2, 5, 4)))
    assert many.shape == (2, 3, 5)


def test_masks_of_other_sizes_and_kinds_of_other_names():
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(3, 2\)"):
        mask_iou(np.zeros((1, 2, 3)), np.zeros((1, 3, 2)))
    with pytest.raises(ValueError, match="'siou'"):
        iou([[0, 0, 1, 1]], [[0, 0, 1, 1]], kind="siou")


@pytest.mark.parametrize(
    ("value", "name"), [(0.49, "poor"), (0.5, "good"), (0.95, "good"), (0.951, "excellent")]
)
def test_grades(value, name):
    assert grade(value) == name


@pytest.mark.backend
@pytest.mark.parametrize("kind", ["iou", "giou", "diou", "ciou", "ioa"])
def test_tensors_give_the_same_numbers(kind):
    from keras import ops

    rng = np.random.default_rng(0)
    a, b = (np.sort(rng.uniform(0, 9, (6, 2, 2)), axis=1).reshape(6, 4).astype(np.float32) for _ in range(2))
    tensor = ops.convert_to_numpy(iou(ops.convert_to_tensor(a), ops.convert_to_tensor(b), kind=kind))
    assert tensor.dtype == np.float32
    assert np.allclose(tensor, iou(a, b, kind=kind), atol=1e-5)


@pytest.mark.parametrize("kind", ["iou", "giou", "diou", "ciou"])
def test_gradients_are_finite_where_boxes_have_no_area(kind):
    tf = pytest.importorskip("tensorflow")
    boxes = tf.Variable([[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 3.0, 3.0]])
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(
            paired_iou(boxes, tf.constant([[0.0, 0.0, 0.0, 0.0], [2.0, 2.0, 4.0, 4.0]]), kind=kind)
        )
    assert np.isfinite(tape.gradient(total, boxes).numpy()).all()
