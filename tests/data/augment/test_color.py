"""Colour augmentations: drawn ranges, and closed forms where the pixel functions do not cover them."""

import colorsys

import numpy as np
import pytest
from skimage.color import rgb2hsv

from visus.data.augment import (
    Brightness,
    ColorJitter,
    Exposure,
    Gamma,
    GaussianNoise,
    Hue,
    JpegQuality,
    PcaLighting,
    Posterize,
)
from visus.image import photometric


@pytest.fixture
def photo():
    # Middle values, so that nothing is clipped on the way.
    return np.random.default_rng(1).integers(90, 150, (20, 33, 3), np.uint8)


@pytest.mark.parametrize(
    ("op", "name", "low", "high"),
    [
        (Brightness(0.15), "delta", -0.15, 0.15),
        (Exposure(0.4), "factor", 0.6, 1.4),
        (Hue(0.05), "turn", -0.05, 0.05),
        (Gamma(1.5), "exponent", 1 / 1.5, 1.5),
        (GaussianNoise(10), "sigma", 0, 10),
        (JpegQuality(30, 40), "quality", 30, 40),
        (Posterize(5), "bits", 5, 8),
    ],
)
def test_draws_fill_their_range(op, name, low, high):
    rng = np.random.default_rng(0)
    values = [op.draw(rng, (9, 9))[name] for _ in range(400)]
    width = high - low
    assert low <= min(values) < low + 0.05 * width
    assert high - 0.05 * width < max(values) <= high


def test_color_jitter_equals_its_parts_one_after_the_other(photo):
    out = ColorJitter().apply(photo, {"exposure": 1.1, "contrast": 0.8, "saturation": 1.4, "hue": 0.0})
    steps = photometric.exposure(photo, 1.1)
    steps = photometric.contrast(steps, 0.8)
    steps = photometric.saturation(steps, 1.4)
    assert np.abs(out.astype(int) - steps).max() <= 2  # each step rounds


def test_color_jitter_turns_the_hue_by_about_as_much_as_hsv():
    rim = np.array([[colorsys.hsv_to_rgb(h, 0.5, 0.6) for h in np.arange(0, 1, 0.01)]])
    image = np.rint(255 * rim).astype(np.uint8)
    turned = ColorJitter().apply(image, {"exposure": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.05})
    before, after = rgb2hsv(image)[..., 0], rgb2hsv(turned)[..., 0]
    turns = (after - before + 0.5) % 1 - 0.5
    assert turns.mean() == pytest.approx(0.05, abs=0.006)
    assert turns.min() > 0.02
    assert turns.max() < 0.09


def test_color_jitter_on_gray(photo):
    gray = photo[..., 0]
    out = ColorJitter().apply(gray, {"exposure": 1.2, "contrast": 0.5, "saturation": 1.9, "hue": 0.3})
    expected = photometric.contrast(photometric.exposure(gray, 1.2), 0.5)
    assert np.abs(out.astype(int) - expected).max() <= 1


def test_pca_lighting_is_alexnets_formula(photo):
    op = PcaLighting(0.1)
    factors = np.array([0.1, -0.2, 0.05])
    step = sum(f * value * np.array(axis) for f, value, axis in zip(factors, op.eigenvalues, op.eigenvectors))
    expected = np.rint(photo + 255 * step)
    out = op.apply(photo, {"factors": factors.tolist()})
    assert np.abs(out - expected).max() <= 1
    drawn = np.array([op.draw(np.random.default_rng(s), (1, 1))["factors"] for s in range(500)])
    assert drawn.std() == pytest.approx(0.1, rel=0.1)
    # The axes are orthonormal to the four digits that are published.
    np.testing.assert_allclose(np.array(op.eigenvectors) @ np.array(op.eigenvectors).T, np.eye(3), atol=2e-3)


def test_pca_lighting_of_own_pixels():
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((3, 3)))[0].T
    pixels = 128 + (rng.standard_normal((20000, 3)) * [20, 8, 3]) @ axes
    own = PcaLighting.of(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
    np.testing.assert_allclose(np.sqrt(own.eigenvalues) * 255, [20, 8, 3], rtol=0.05)
    np.testing.assert_allclose(np.abs(np.sum(np.array(own.eigenvectors) * axes, axis=1)), 1, atol=0.01)


def test_gamma_refuses_a_ratio_below_one():
    with pytest.raises(ValueError, match="at least 1"):
        Gamma(0.9)
