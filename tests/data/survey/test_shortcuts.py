"""Cues: found where they were planted, and nowhere else."""

import numpy as np
import pytest
from scipy.stats import chisquare

from visus.data.survey.shortcuts import apart, odd_values, try_cues, unevenness


def _alone(count):
    return np.array([f"#{i}" for i in range(count)])


def test_a_planted_cue_is_told_and_noise_is_not():
    rng = np.random.default_rng(0)
    classes = np.repeat([0, 1, 2], 100)
    columns = {
        "planted": (classes * 20 + rng.normal(0, 5, 300), False),
        "noise": (rng.normal(0, 5, (300, 2)), True),
        "constant": (np.full(300, 7), False),
    }
    planted, noise = try_cues(columns, classes, _alone(300))
    assert planted.name == "planted"
    assert planted.accuracy.value > 0.95
    assert planted.telling
    assert planted.chance == pytest.approx(1 / 3)
    assert abs(noise.accuracy.value - 1 / 3) < 0.1
    assert not noise.telling
    assert noise.accuracy.low <= noise.accuracy.value <= noise.accuracy.high


def test_imbalance_alone_is_no_cue():
    rng = np.random.default_rng(1)
    classes = (np.arange(400) < 380).astype(int)
    [cue] = try_cues({"noise": (rng.normal(size=400), True)}, classes, _alone(400))
    assert cue.chance == 0.5
    assert not cue.telling


def test_a_cue_that_only_groups_share_is_not_told():
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(40), 10)
    classes = groups % 2
    values = rng.normal(0, 10, 40)[groups] + rng.normal(0, 0.01, 400)  # each patient has its own brightness
    [alone] = try_cues({"brightness": (values, True)}, classes, _alone(400))
    [grouped] = try_cues({"brightness": (values, True)}, classes, groups.astype(str))
    assert alone.accuracy.value > 0.95
    assert grouped.accuracy.value < 0.7


def test_small_and_missing_classes_take_no_part():
    values = np.arange(12.0)
    assert try_cues({"x": (values, True)}, np.zeros(12, int), _alone(12)) == []
    assert try_cues({"x": (values, True)}, np.full(12, -1), _alone(12)) == []
    assert try_cues({"x": (values, True)}, np.array([0] * 10 + [1] * 2), _alone(12)) == []
    [cue] = try_cues({"x": (values, True)}, np.array([0] * 5 + [1] * 4 + [2] + [-1] * 2), _alone(12))
    assert cue.chance == 0.5


def test_large_sets_are_sampled_with_every_class():
    classes = np.zeros(30_000, int)
    classes[:4] = 1
    classes[4:5000] = 2
    values = classes * 10.0 + np.random.default_rng(0).normal(size=30_000)
    [cue] = try_cues({"x": (values, True)}, classes, _alone(30_000))
    assert cue.chance == pytest.approx(1 / 3)
    assert cue.accuracy.value > 0.6


def test_odd_values():
    mask, words = odd_values(["a"] * 90 + ["b"] * 6 + ["c"] * 4)
    assert mask.nonzero()[0].tolist() == list(range(90, 100))
    assert words == "b: 6, c: 4; others a"
    assert odd_values(["a"] * 50 + ["b"] * 50) is None
    assert odd_values(["a"] * 50) is None
    assert odd_values([]) is None


def test_apart_needs_a_gap_and_a_batch():
    rng = np.random.default_rng(0)
    usual = rng.normal(100, 3, 300)
    batch = rng.normal(160, 2, 12)
    assert apart(np.concatenate([batch, usual])).nonzero()[0].tolist() == list(range(12))
    assert apart(np.concatenate([usual, 40 - batch])).nonzero()[0].tolist() == list(range(300, 312))
    assert apart(np.concatenate([usual, batch[:4]])) is None  # too few
    assert apart(np.concatenate([usual, batch * 0 + 104])) is None  # no gap
    assert apart(np.concatenate([usual[:30], batch])) is None  # nearly a third: another kind, not a batch
    assert apart(usual[:10]) is None
    assert apart(rng.standard_t(2, 3000) * 10 + 100) is None  # long tails are no batch


def test_unevenness_is_near_the_chi_square_test():
    totals = np.array([4000, 4000, 4000, 4000, 0])
    drawn = np.array([60, 45, 50, 35, 0])
    expected = chisquare(drawn[:4]).pvalue
    assert unevenness(drawn, totals) == pytest.approx(expected, abs=0.02)
    assert unevenness(np.array([50, 0, 0, 0, 0]), totals) == pytest.approx(1e-4)
    assert unevenness(np.array([10, 10, 10, 10, 0]), totals) > 0.9
