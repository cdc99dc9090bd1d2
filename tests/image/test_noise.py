"""Noise: its moments, its shares, and that the same chance gives the same pixels."""

import numpy as np
import pytest
from scipy import stats

from visus.image.noise import gaussian_noise, salt_and_pepper


def test_gaussian_noise_is_normal():
    gray = np.full((200, 300), 128, np.uint8)
    noise = gaussian_noise(gray, 9.0, np.random.default_rng(1)).astype(float) - 128
    assert abs(noise.mean()) < 0.2
    # Rounding to whole levels adds the variance 1/12.
    assert noise.std() == pytest.approx(np.sqrt(81 + 1 / 12), rel=0.02)
    assert abs(stats.kurtosis(noise.ravel())) < 0.1


def test_gaussian_noise_clips_and_never_wraps():
    assert gaussian_noise(np.zeros((50, 60), np.uint8), 30, np.random.default_rng(1)).max() < 160
    assert gaussian_noise(np.full((50, 60), 255, np.uint8), 30, np.random.default_rng(1)).min() > 95


def test_salt_and_pepper_hits_whole_pixels_in_equal_shares():
    gray = np.full((200, 300, 3), 128, np.uint8)
    out = salt_and_pepper(gray, 0.2, np.random.default_rng(2))
    hit = (out != 128).all(axis=2)
    assert ((out != 128).any(axis=2) == hit).all()
    assert hit.mean() == pytest.approx(0.2, abs=0.01)
    assert (out[hit] == 255).mean() == pytest.approx(0.5, abs=0.02)


def test_same_chance_same_noise():
    photo = np.random.default_rng(0).integers(0, 256, (7, 9, 3), np.uint8)
    for make in (lambda rng: gaussian_noise(photo, 5, rng), lambda rng: salt_and_pepper(photo, 0.3, rng)):
        np.testing.assert_array_equal(make(np.random.default_rng(4)), make(np.random.default_rng(4)))
