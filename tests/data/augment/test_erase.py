"""Erasing: how much is hidden, where, and with what."""

import numpy as np
import pytest

from visus.data.augment import Cutout, RandomErasing


@pytest.fixture
def photo():
    return np.random.default_rng(1).integers(1, 255, (120, 200, 3), np.uint8)


def test_random_erasing_hides_the_drawn_area_inside_the_picture(photo):
    op = RandomErasing((0.05, 0.3), (0.5, 2.0), fill=0)
    areas = []
    for seed in range(200):
        p = op.draw(np.random.default_rng(seed), (120, 200))
        assert p["top"] >= 0
        assert p["left"] >= 0
        assert p["top"] + p["height"] <= 1
        assert p["left"] + p["width"] <= 1
        assert 0.49 < p["height"] / p["width"] < 2.01
        areas.append((op.apply(photo, p) == 0).mean())
    assert 0.045 < min(areas) < 0.07
    assert 0.27 < max(areas) < 0.31


def test_extreme_ranges_end():
    p = RandomErasing((0.9, 0.95), (3.0, 3.3)).draw(np.random.default_rng(0), (10, 10))
    assert 0 < p["width"] <= 1
    assert p["height"] <= 1


def test_cutout_may_lie_partly_outside(photo):
    op = Cutout(0.5, fill=0)
    out = op.apply(photo, {"top": -0.25, "left": 0.75, "height": 0.5, "width": 0.5, "seed": 0})
    assert (out[:30, 150:] == 0).all()
    out[:30, 150:] = photo[:30, 150:]
    np.testing.assert_array_equal(out, photo)


def test_fills(photo):
    rectangle = {"top": 0.25, "left": 0.5, "height": 0.5, "width": 0.25, "seed": 3}
    mean = RandomErasing(fill="mean").apply(photo, rectangle)[30:90, 100:150]
    np.testing.assert_array_equal(mean, np.broadcast_to(np.rint(photo.mean(axis=(0, 1))), mean.shape))
    noise = RandomErasing(fill="noise").apply(photo, rectangle)[30:90, 100:150]
    assert noise.std() == pytest.approx(256 / np.sqrt(12), rel=0.03)
    with pytest.raises(ValueError, match="fill is"):
        RandomErasing(fill="pink")
    with pytest.raises(ValueError, match="fill is"):
        Cutout(fill=300)
