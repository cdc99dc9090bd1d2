"""Resampling: counts, intervals known in closed form, and what happens when nothing varies."""

import math

import numpy as np
import pytest
from scipy import stats

from visus.evaluate.bootstrap import estimates, exact_interval, percentile_interval, resample, weight_batches
from visus.structures import InputError


def test_every_resample_draws_as_many_pictures_as_there_are():
    batches = list(weight_batches(7, 50, seed=3))
    drawn = np.concatenate(batches, axis=1)
    assert drawn.shape == (7, 50)
    assert (drawn.sum(axis=0) == 7).all()
    # A picture is missing from a resample with probability (1 - 1/n)^n.
    many = np.concatenate(list(weight_batches(50, 2000)), axis=1)
    assert (many == 0).mean() == pytest.approx((1 - 1 / 50) ** 50, abs=0.01)


def test_large_sets_are_drawn_in_parts():
    parts = [b.shape for b in weight_batches(3_000_000, 3)]
    assert parts == [(3_000_000, 1)] * 3


def test_interval_of_a_mean_equals_the_normal_one():
    x = np.random.default_rng(0).normal(size=400)
    values, draws = resample(lambda w: {"mean": x @ w / w.sum(axis=0)}, 400, resamples=4000)
    low, high = percentile_interval(draws["mean"])
    half = 1.96 * x.std() / 20
    assert (low, high) == pytest.approx((x.mean() - half, x.mean() + half), abs=0.01)
    assert values["mean"] == pytest.approx(x.mean())


def test_weights_of_pictures_multiply_the_draws():
    x = np.array([1.0, 5.0])
    values, draws = resample(lambda w: {"sum": x @ w}, 2, resamples=10, weights=np.array([1.0, 0.0]))
    assert values["sum"] == 1.0
    assert set(draws["sum"]) <= {0.0, 1.0, 2.0}


def test_no_spread_and_no_draws_give_no_interval():
    assert all(math.isnan(v) for v in percentile_interval(np.ones(100)))
    assert all(math.isnan(v) for v in percentile_interval(np.ones(0)))
    low, _ = percentile_interval(np.array([[math.nan] * 3, [1.0, math.nan, 2.0]]))
    assert math.isnan(low[0])
    assert low[1] == pytest.approx(1.025)


def test_exact_interval_inverts_the_binomial_test():
    low, high = exact_interval(42, 50)
    assert stats.binom.sf(41, 50, low) == pytest.approx(0.025)
    assert stats.binom.cdf(42, 50, high) == pytest.approx(0.025)
    assert exact_interval(0, 10)[0] == 0.0
    with pytest.raises(InputError):
        exact_interval(3, 2)


def test_centred_draws_lose_their_bias_and_nothing_else():
    draws = np.random.default_rng(0).normal(0.30, 0.01, 1000)
    plain = estimates({"ece": np.array(0.25)}, {"ece": draws})["ece"][0]
    centred = estimates({"ece": np.array(0.25)}, {"ece": draws}, centred=("ece",))["ece"][0]
    assert plain.low > 0.25
    assert centred.low < 0.25 < centred.high
    assert centred.high - centred.low == pytest.approx(plain.high - plain.low)
