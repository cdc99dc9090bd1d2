"""MixUp and CutMix: the arithmetic of pictures and targets."""

import numpy as np
import pytest
from scipy import stats

from visus.data.augment import CutMix, MixUp
from visus.data.augment.mix import mix_from_dict
from visus.structures import InputError


def constant_batch(count, size=(8, 12)):
    """Picture i is all i, its target one-hot i: what is mixed can be read off both."""
    levels = np.arange(count, dtype=np.float32)[:, None, None, None]
    return np.tile(levels, (1, *size, 3)), np.eye(count, dtype=np.float32)


@pytest.mark.parametrize("mix", [MixUp(0.4), CutMix(1.0)], ids=["mixup", "cutmix"])
def test_targets_are_what_the_pixels_are(mix):
    images, targets = constant_batch(16, (20, 30))
    before = images.copy(), targets.copy()
    mixed, soft = mix(images, targets, np.random.default_rng(1))
    assert mixed.dtype == soft.dtype == np.float32
    np.testing.assert_allclose(soft.sum(axis=1), 1, atol=1e-6)
    # The mean value of a picture is the mean label under its target.
    np.testing.assert_allclose(mixed.mean(axis=(1, 2, 3)), soft @ np.arange(16), atol=1e-4)
    np.testing.assert_array_equal(images, before[0])
    np.testing.assert_array_equal(targets, before[1])
    assert (soft.max(axis=1) < 1).sum() > 8


def test_cutmix_share_is_the_exact_area():
    images, targets = constant_batch(32, (21, 34))
    mixed, soft = CutMix()(images, targets, np.random.default_rng(2))
    for i in range(32):
        kept = (mixed[i, ..., 0] == i).mean()
        assert soft[i, i] == pytest.approx(kept, abs=1e-6)
        pasted = np.argwhere(mixed[i, ..., 0] != i)
        if len(pasted):
            (top, left), (bottom, right) = pasted.min(axis=0), pasted.max(axis=0) + 1
            assert len(pasted) == (bottom - top) * (right - left), "one full rectangle"


def test_mixup_shares_follow_beta():
    images, targets = constant_batch(400, (1, 1))
    _, soft = MixUp(0.5)(images, targets, np.random.default_rng(3))
    shares = soft[np.arange(400), np.arange(400)]
    mixed = shares[shares < 1]  # a permutation leaves about one picture its own partner
    assert stats.kstest(mixed, stats.beta(0.5, 0.5).cdf).pvalue > 0.01


def test_same_chance_same_batch_and_probability():
    images, targets = constant_batch(6)
    first, second = (CutMix()(images, targets, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    rng = np.random.default_rng(0)
    touched = [MixUp(1.0, probability=0.25)(images, targets, rng)[1] is not targets for _ in range(400)]
    assert np.mean(touched) == pytest.approx(0.25, abs=0.06)


def test_a_batch_of_one_stays_itself():
    images, targets = constant_batch(1)
    np.testing.assert_array_equal(MixUp()(images + 5, targets, np.random.default_rng(0))[0], images + 5)


def test_description():
    assert mix_from_dict(CutMix(0.7, 0.5).to_dict()) == CutMix(0.7, 0.5)
    with pytest.raises(InputError, match="MixUp"):
        mix_from_dict({"mix": "Blend"})
    with pytest.raises(ValueError, match="alpha > 0"):
        MixUp(0)
