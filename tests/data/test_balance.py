"""Class weights and resampling, against hand-computed values and scikit-learn."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from visus.data import Dataset
from visus.data.balance import (
    class_weights,
    draw,
    majority_baseline,
    median_frequency,
    report,
    resample,
    smote,
)
from visus.structures import Classification, InputError, Sample

PIXEL = np.zeros((1, 2), np.uint8)


def made(labels, names=("a", "b", "c")):
    return Dataset(
        tuple(Sample(PIXEL, Classification(label=i), f"s{n}") for n, i in enumerate(labels)),
        names,
        name="made",
    )


def test_ninety_nine_to_one():
    np.testing.assert_allclose(class_weights([990, 10]), [0.505050505, 50], rtol=1e-8)
    assert majority_baseline([990, 10]) == (0, 0.99)


@given(st.lists(st.integers(1, 50), min_size=2, max_size=6))
@settings(max_examples=30, deadline=None)
def test_balanced_equals_scikit_learn(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    expected = compute_class_weight("balanced", classes=np.arange(len(counts)), y=labels)
    np.testing.assert_allclose(class_weights(counts), expected)


def test_inverse_and_effective():
    # 1/2 : 1/6 = 3 : 1, normalised to sum 2.
    np.testing.assert_allclose(class_weights([2, 6], "inverse"), [1.5, 0.5])
    # Effective numbers with beta 0.5: 1.5 and 1.75; weights 2/3 : 4/7 = 7 : 6.
    np.testing.assert_allclose(class_weights([2, 3], "effective", beta=0.5), [14 / 13, 12 / 13])
    np.testing.assert_allclose(class_weights([5, 500], "effective", beta=0), [1, 1])
    np.testing.assert_allclose(
        class_weights([5, 500], "effective", beta=1 - 1e-12), class_weights([5, 500], "inverse"), rtol=1e-6
    )


@pytest.mark.parametrize("scheme", ["balanced", "inverse", "effective"])
def test_an_absent_class_weighs_nothing_and_is_said(scheme):
    with pytest.warns(UserWarning, match="1 classes have no sample and get the weight 0: 1"):
        weights = class_weights([30, 0, 10], scheme)
    np.testing.assert_allclose(weights[[0, 2]], class_weights([30, 10], scheme))
    assert weights[1] == 0


def test_weights_from_a_set():
    data = made([0, 0, 0, 1], ("crane (animal)", "crane (artifact)"))
    np.testing.assert_allclose(class_weights(data), [4 / 6, 2])


def test_median_frequency():
    np.testing.assert_allclose(median_frequency([[60, 40, 0], [80, 10, 10]]), [0.25 / 0.7, 1, 2.5])
    assert median_frequency([[5, 0]]).tolist() == [1, 0]


@pytest.mark.parametrize("wrong", [[], [0, 0], [1, -1], [[1, 2]]])
def test_counts_that_are_none(wrong):
    with pytest.raises(InputError):
        class_weights(wrong)
    with pytest.raises(InputError):
        class_weights([1, 2], "magic")
    with pytest.raises(InputError):
        class_weights([1, 2], "effective", beta=1.0)


@given(
    st.lists(st.integers(-1, 3), min_size=5, max_size=60).filter(lambda v: max(v) >= 0), st.integers(0, 99)
)
@settings(max_examples=50, deadline=None)
def test_resampling(labels, seed):
    labels = np.array(labels)
    counts = Counter(labels[labels >= 0].tolist())
    over = resample(labels, rng=np.random.default_rng(seed))
    assert set(Counter(labels[over].tolist()).values()) == {max(counts.values())}
    assert set(over.tolist()) == set(np.flatnonzero(labels >= 0).tolist())
    for label in counts:  # no sample of a class occurs twice more than another
        often = Counter(over[labels[over] == label].tolist()).values()
        assert max(often) - min(often) <= 1
    under = resample(labels, "under", rng=np.random.default_rng(seed))
    assert set(Counter(labels[under].tolist()).values()) == {min(counts.values())}
    assert len(set(under.tolist())) == len(under)
    assert over.tolist() == resample(labels, rng=np.random.default_rng(seed)).tolist()


def test_drawing_with_weights():
    labels = np.array([0] * 90 + [1] * 10 + [-1] * 10)
    drawn = labels[draw(labels, 20_000, rng=np.random.default_rng(0))]
    assert abs((drawn == 1).mean() - 0.5) < 0.02
    assert (drawn >= 0).all()
    drawn = labels[draw(labels, 20_000, rng=np.random.default_rng(0), weights=[1, 3])]
    assert abs((drawn == 1).mean() - 0.75) < 0.02
    with pytest.raises(InputError):
        draw(labels, 5, rng=np.random.default_rng(0), weights=[0, 0])
    with pytest.raises(InputError):
        resample([-1, -1], rng=np.random.default_rng(0))
    with pytest.raises(InputError):
        resample([0, 1], "sideways", rng=np.random.default_rng(0))


class Quarter:
    """Chance that always says: the first, and u = 0.25."""

    def integers(self, high, size):
        return np.zeros(size, int)

    def random(self, shape):
        return np.full(shape, 0.25)


def test_smote_by_hand():
    features, labels = smote([[1, 1], [3, 2], [9, 9], [9, 8], [8, 9]], [0, 0, 1, 1, 1], rng=Quarter())
    assert labels.tolist() == [0, 0, 1, 1, 1, 0]
    assert features[-1].tolist() == [1.5, 1.25]


def test_smote_stays_between_neighbours():
    rng = np.random.default_rng(1)
    rare, common = rng.normal(size=(8, 3)), rng.normal(size=(50, 3)) + 5
    labels = np.array([0] * 8 + [1] * 50)
    features, new = smote(np.vstack([rare, common]), labels, rng=rng, k=3)
    assert np.bincount(new).tolist() == [50, 50]
    made_up = features[58:]
    assert (made_up >= rare.min(0) - 1e-9).all()
    assert (made_up <= rare.max(0) + 1e-9).all()
    with pytest.raises(InputError, match="Class 0 has one"):
        smote([[0.0], [1.0], [2.0]], [0, 1, 1], rng=rng)


def test_the_report_counts_before_and_after():
    before = made([0, 0, 0, 1])
    after = before.subset(resample(before.labels(), rng=np.random.default_rng(0)))
    text = report(before, after)
    assert "75.0% -> 50.0%" in text
    assert [line.split() for line in text.splitlines()[:3]] == [
        ["a", "3", "->", "3"],
        ["b", "1", "->", "3"],
        ["c", "0", "->", "0"],
    ]
