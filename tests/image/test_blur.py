"""Blur and sharpness against scikit-image, Pillow and hand-made kernels."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from scipy.ndimage import correlate
from skimage.filters import gaussian

from visus.image.blur import gaussian_blur, motion_blur, sharpness


@pytest.fixture
def photo():
    return np.random.default_rng(3).integers(0, 256, (31, 47, 3), np.uint8)


@pytest.mark.parametrize("sigma", [0.5, 1.3, 2.5])
def test_gaussian_blur_equals_scikit_image(photo, sigma):
    theirs = gaussian(photo.astype(float), sigma, mode="mirror", channel_axis=2, truncate=3.0)
    assert np.abs(gaussian_blur(photo, sigma) - theirs).max() < 2
    assert np.abs(gaussian_blur(photo[..., 0], sigma) - theirs[..., 0]).max() < 2


def test_gaussian_blur_refuses_a_negative_sigma(photo):
    with pytest.raises(ValueError, match="at least 0"):
        gaussian_blur(photo, -1)


@pytest.mark.parametrize(
    ("length", "degrees", "kernel"),
    [
        (5, 0, np.full((1, 5), 1 / 5)),
        (5, 90, np.full((5, 1), 1 / 5)),
        (2, 180, np.array([[1 / 4, 1 / 2, 1 / 4]])),
        (3 * np.sqrt(2), 45, np.eye(3)[::-1] / 3),
    ],
)
def test_motion_blur_by_hand(photo, length, degrees, kernel):
    expected = correlate(photo.astype(float), kernel[..., None], mode="mirror")
    assert np.abs(motion_blur(photo, length, degrees) - expected).max() <= 1.5


def test_motion_blur_keeps_the_mean_and_refuses_no_line(photo):
    assert motion_blur(photo, 7.3, 33).mean() == pytest.approx(photo.mean(), abs=1.5)
    with pytest.raises(ValueError, match="at least 1"):
        motion_blur(photo, 0.5, 0)


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 2.0])
def test_sharpness_equals_pillow_inside(photo, factor):
    theirs = np.asarray(ImageEnhance.Sharpness(Image.fromarray(photo)).enhance(factor)).astype(int)
    ours = sharpness(photo, factor).astype(int)
    # Pillow leaves the outermost pixels unsmoothed.
    assert np.abs(ours - theirs)[1:-1, 1:-1].max() <= 2
