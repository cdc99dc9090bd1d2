"""Average precision: the worked numbers of every style, and a slow loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visus.evaluate.detection import STYLES, average_precision, precision_recall
from visus.evaluate.detection.precision import envelope


@pytest.mark.parametrize(
    ("flags", "positives", "voc07", "voc10", "coco"),
    [
        ([1, 0, 1, 1, 0, 1], 5, 0.666667, 0.633333, 0.636964),
        ([1, 0, 1], 2, 0.848485, 0.833333, 0.834983),
        ([1, 1, 0, 0, 1], 3, 0.854545, 0.866667, 0.865347),
        ([0, 0], 3, 0, 0, 0),
        ([], 3, 0, 0, 0),
    ],
)
def test_worked_numbers(flags, positives, voc07, voc10, coco):
    curve = precision_recall(flags, positives)
    found = [float(average_precision(*curve, style)) for style in ("voc07", "voc10", "coco")]
    assert found == pytest.approx([voc07, voc10, coco], abs=1e-6)


def test_steps_and_straight_lines():
    curve = precision_recall([1, 0, 1, 1, 0, 1], 5)
    assert average_precision(*curve, "step") == pytest.approx(0.616667, abs=1e-6)
    # from precision 1 at recall 0: 0.2 * (1 + 1)/2, (1/2 + 2/3)/2, (2/3 + 3/4)/2, (3/5 + 4/6)/2
    lines = 0.2 * (1 + 7 / 12 + 17 / 24 + 19 / 30)
    assert average_precision(*curve, "trapezoid") == pytest.approx(lines)


def test_a_later_point_of_higher_precision_counts_for_the_recalls_before_it():
    precision, recall = np.array([0.90, 0.96]), np.array([0.10, 0.20])
    assert envelope(precision).tolist() == [0.96, 0.96]
    assert average_precision(precision, recall, "voc07") == pytest.approx(0.261818, abs=1e-6)


def test_nothing_to_find_is_undefined():
    precision, recall = precision_recall([0, 0], 0)
    assert np.isnan(recall).all()
    assert all(np.isnan(average_precision(precision, recall, style)) for style in STYLES)
    with pytest.raises(ValueError, match="voc12'"):
        average_precision([1.0], [1.0], "voc12")


def test_what_counts_neither_way_changes_nothing():
    curve = precision_recall([1, 0, 0, 1], 2, counted=[1, 0, 1, 1])
    plain = precision_recall([1, 0, 1], 2)
    assert average_precision(*curve) == average_precision(*plain)


@given(st.lists(st.integers(0, 1), max_size=25), st.integers(0, 5))
def test_the_sampled_styles_against_their_definition(flags, missed):
    positives = sum(flags) + missed
    if not positives:
        return
    precision, recall = precision_recall(flags, positives)
    for style, at in (("coco", np.linspace(0, 1, 101)), ("voc07", np.arange(11) / 10)):
        values = [max((p for p, r in zip(precision, recall) if r >= level), default=0.0) for level in at]
        assert average_precision(precision, recall, style) == pytest.approx(np.mean(values))


def test_many_curves_at_once():
    flags = np.random.default_rng(0).integers(0, 2, (3, 4, 9))
    precision, recall = precision_recall(flags, np.full((3, 4), 12))
    for style in STYLES:
        many = average_precision(precision, recall, style)
        assert many.shape == (3, 4)
        assert many[1, 2] == average_precision(precision[1, 2], recall[1, 2], style)
