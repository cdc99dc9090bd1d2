"""Colour: weights by hand, and Pillow."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from visus.image.color import converted, gray_to_rgb, over, rgb_to_bgr, rgb_to_gray

RGB = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def test_gray_is_the_luma_of_bt_601():
    assert rgb_to_gray(np.eye(3, dtype=np.uint8)[None] * 255).tolist() == [[76, 150, 29]]
    assert np.abs(rgb_to_gray(RGB) - RGB @ [0.299, 0.587, 0.114]).max() <= 0.51
    assert np.abs(rgb_to_gray(RGB).astype(int) - np.asarray(Image.fromarray(RGB).convert("L"))).max() <= 1
    assert np.array_equal(rgb_to_gray(gray_to_rgb(RGB[..., 0])), RGB[..., 0])


def test_bgr():
    assert np.array_equal(rgb_to_bgr(RGB), RGB[..., ::-1])
    rgba = np.dstack([RGB, RGB[..., :1]])
    assert np.array_equal(rgb_to_bgr(rgba), rgba[..., [2, 1, 0, 3]])


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255))
def test_over(value, alpha, behind):
    exact = (value * alpha + behind * (255 - alpha)) / 255
    pixel = np.array([[[value, value, value, alpha]]], np.uint8)
    assert abs(int(over(pixel, (behind, behind, behind))[0, 0, 0]) - exact) <= 0.5 + 1e-9
    assert np.array_equal(over(pixel[..., 2:], (behind,) * 3), over(pixel, (behind,) * 3))


@pytest.mark.parametrize("have", [None, 1, 2, 3, 4])
@pytest.mark.parametrize("want", [1, 3, 4])
def test_converted(have, want):
    image = np.dstack([RGB, RGB[..., :1]])[..., : have or 1]
    image = image[..., 0] if have is None else np.ascontiguousarray(image)
    out = converted(image, want)
    assert out.shape == ((20, 30) if want == 1 else (20, 30, want))
    if (have or 1) >= 3:
        assert np.array_equal(out, rgb_to_gray(RGB) if want == 1 else out)
        assert want == 1 or np.array_equal(out[..., :3], RGB)
    else:
        assert np.array_equal(out if want == 1 else out[..., 1], RGB[..., 0])
    if want == 4:
        assert np.array_equal(out[..., 3], image[..., 3] if have == 4 else np.full((20, 30), 255))


def test_conversions_that_do_not_exist():
    with pytest.raises(ValueError, match=r"5 channels was expected\. Received one of 3"):
        converted(RGB, 5)
    with pytest.raises(ValueError, match="Received one of 7"):
        converted(np.zeros((2, 3, 7), np.uint8), 3)
