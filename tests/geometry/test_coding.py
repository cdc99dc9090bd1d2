"""Codes: the oracles, and that reading undoes writing."""

import numpy as np
import pytest

from visus.geometry import coding as c

RNG = np.random.default_rng(0)
ANCHOR, TRUTH = [[20, 40, 60, 120]], [[30, 30, 80, 130]]


def test_the_oracle():
    assert np.allclose(c.encode_deltas(TRUTH, ANCHOR), [[0.375, 0, 0.223144, 0.223144]], atol=1e-6)
    assert np.allclose(c.encode_deltas(TRUTH, ANCHOR, c.SSD), [[3.75, 0, 1.115718, 1.115718]], atol=1e-6)


@pytest.mark.parametrize("scales", [c.FASTER_RCNN, c.SSD])
def test_reading_undoes_writing(scales):
    corner, size = RNG.uniform(-50, 300, (2, 40, 2)), RNG.uniform(5, 200, (2, 40, 2))
    boxes, anchors = np.concatenate([corner, corner + size], axis=-1)
    assert np.allclose(c.decode_deltas(c.encode_deltas(boxes, anchors, scales), anchors, scales), boxes)


def test_a_wild_prediction_stays_finite():
    (box,) = c.decode_deltas([[0, 0, 900, -900]], [[0, 0, 16, 16]])
    assert np.allclose(box, [8 - 500, 8, 8 + 500, 8])


def test_a_truth_without_area_is_refused():
    with pytest.raises(ValueError, match="width and height"):
        c.encode_deltas([[3, 3, 3, 9]], ANCHOR)


@pytest.mark.parametrize(
    ("width", "error", "plain", "root"),
    [
        (200, 10, 6.25e-4, 3.0492e-4),
        (50, 10, 6.25e-4, 1.13872e-3),
        (200, 50, 1.5625e-2, 6.96601e-3),
        (50, 50, 1.5625e-2, 2.144661e-2),
    ],
)
def test_the_root_makes_errors_in_small_boxes_count(width, error, plain, root):
    for code, expected in (("plain", plain), ("root", root)):
        a, b = (c.encode_sizes([[0, 0, w, 9]], (300, 400), code)[0, 2] for w in (width, width + error))
        assert (a - b) ** 2 == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("code", ["plain", "root"])
def test_sizes_there_and_back(code):
    boxes = np.sort(RNG.uniform(0, 300, (20, 2, 2)), axis=1).reshape(20, 4)
    assert np.allclose(c.decode_sizes(c.encode_sizes(boxes, (300, 400), code), (300, 400), code), boxes)


def test_a_negative_root_is_no_width():
    assert np.allclose(c.decode_sizes([[0.5, 0.5, -0.3, 0.5]], (100, 200), "root"), [[100, 37.5, 100, 62.5]])
    with pytest.raises(ValueError, match="'cube'"):
        c.encode_sizes(TRUTH, (9, 9), "cube")


@pytest.mark.backend
def test_tensors_give_the_same_numbers():
    from keras import ops

    boxes, anchors = (np.array(rows, np.float32) for rows in (TRUTH, ANCHOR))
    deltas = c.encode_deltas(ops.convert_to_tensor(boxes), ops.convert_to_tensor(anchors), c.SSD)
    assert np.allclose(ops.convert_to_numpy(deltas), c.encode_deltas(boxes, anchors, c.SSD), atol=1e-6)
    back = c.decode_deltas(deltas, ops.convert_to_tensor(anchors), c.SSD)
    assert np.allclose(ops.convert_to_numpy(back), boxes, atol=1e-4)
    roots = c.decode_sizes(
        c.encode_sizes(ops.convert_to_tensor(boxes), (200, 100), "root"), (200, 100), "root"
    )
    assert np.allclose(ops.convert_to_numpy(roots), boxes, atol=1e-4)
