"""The shared vocabulary: exact maps, honest comparisons, sentences for bad values."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visus.structures import Affine, Classification, Estimate, ImageSpec, Sample

numbers = st.floats(-100, 100, allow_nan=False)


def test_rotation_by_90_degrees_turns_a_box_as_the_specification_says():
    corners = Affine.rotation(90, (50, 50)).apply([[10, 20], [30, 20], [30, 60], [10, 60]])
    np.testing.assert_allclose([*corners.min(0), *corners.max(0)], [20, 70, 60, 90], atol=1e-9)


def test_rotation_by_30_degrees_gives_the_hull_of_the_specification():
    corners = Affine.rotation(30, (50, 50)).apply([[10, 20], [30, 20], [30, 60], [10, 60]])
    np.testing.assert_allclose(
        [*corners.min(0), *corners.max(0)], [0.3590, 34.0192, 37.6795, 78.6603], atol=1e-3
    )


@given(st.lists(numbers, min_size=6, max_size=6), st.lists(numbers, min_size=2, max_size=2))
def test_the_inverse_undoes_every_map_that_can_be_undone(values, point):
    affine = Affine(np.reshape(values, (2, 3)))
    if abs(np.linalg.det(affine.matrix[:, :2])) < 1e-3:
        return
    np.testing.assert_allclose((affine.inverse() @ affine).apply(point), point, atol=1e-4)


def test_composition_applies_the_right_map_first():
    both = Affine.scaling(2, 3) @ Affine.translation(1, 1)
    assert both.apply([1, 1]).tolist() == [4, 6]


def test_a_flat_map_cannot_be_inverted():
    with pytest.raises(ValueError, match="singular"):
        Affine.scaling(0, 1).inverse()


def test_an_affine_is_frozen_with_its_matrix():
    with pytest.raises(ValueError, match="read-only"):
        Affine().matrix[0, 0] = 2


def test_top_k_is_sorted_with_ties_by_index():
    prediction = Classification(label=1, scores=np.array([0.2, 0.4, 0.2, 0.2]))
    top = prediction.top(3, ["a", "b", "c", "d"])
    assert [name for name, _ in top] == ["b", "a", "c"]
    with pytest.raises(ValueError, match="5 classes of 4"):
        prediction.top(5, ["a", "b", "c", "d"])


def test_classifications_compare_by_value():
    one = Classification(label=1, scores=np.array([0.5, 0.5]))
    assert one == Classification(label=1, scores=np.array([0.5, 0.5]))
    assert one != Classification(label=1)
    assert one.moved(Affine(), (3, 4)) is one


@pytest.mark.parametrize("arguments", [{}, {"label": -1}])
def test_a_classification_says_something(arguments):
    with pytest.raises(ValueError, match="label"):
        Classification(**arguments)


def test_an_image_spec_survives_json():
    spec = ImageSpec(20, 30, resize="crop", crop_fraction=0.875, interpolation="bicubic")
    assert ImageSpec(**json.loads(json.dumps(spec.to_dict()))) == spec
    assert spec.shape == (20, 30, 3)


@pytest.mark.parametrize(
    "arguments",
    [
        {"height": 0},
        {"channels": 0},
        {"resize": "squash"},
        {"interpolation": "magic"},
        {"crop_fraction": 0.0},
    ],
)
def test_an_image_spec_refuses_nonsense(arguments):
    with pytest.raises(ValueError, match="Received"):
        ImageSpec(**{"height": 4, "width": 5, **arguments})


def test_an_estimate_is_json_ready_without_nan():
    assert Estimate(float("nan")).to_dict() == {"value": None, "low": None, "high": None}
    assert str(Estimate(0.5, 0.4, 0.6)) == "0.5000 [0.4000, 0.6000]"
    assert str(Estimate(float("nan"))) == "n/a"


def test_a_sample_is_replaced_not_changed():
    sample = Sample(np.zeros((2, 3), np.uint8), Classification(label=0), "x")
    assert sample.replace(split="val").split == "val"
    assert sample.split is None
