"""Tone and colour against closed forms, scikit-image and slow loops."""

import colorsys
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps
from skimage.exposure import adjust_gamma

from visus.image import photometric


@pytest.fixture
def photo(rng):
    return rng.integers(0, 256, (17, 29, 3), np.uint8)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def clipped(values):
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def luma(image):
    return image @ np.array([0.299, 0.587, 0.114])


@given(st.floats(-1, 1))
def test_brightness_adds_and_clips(delta):
    ramp = np.arange(256, dtype=np.uint8).reshape(8, 32)
    np.testing.assert_array_equal(photometric.brightness(ramp, delta), clipped(ramp + 255.0 * delta))


@given(st.floats(0, 3))
def test_exposure_multiplies_and_clips(factor):
    ramp = np.arange(256, dtype=np.uint8).reshape(8, 32)
    np.testing.assert_array_equal(photometric.exposure(ramp, factor), clipped(ramp * factor))


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.7])
def test_contrast_turns_about_the_mean_luma(photo, factor):
    mean = luma(photo).mean()
    expected = clipped(mean + factor * (photo - mean))
    assert np.abs(photometric.contrast(photo, factor).astype(int) - expected).max() <= 1
    assert photometric.mean_luma(photo) == pytest.approx(mean)


def test_gamma_equals_scikit_image(photo):
    ours = photometric.gamma(photo, 1.8)
    theirs = adjust_gamma(photo / 255.0, 1.8) * 255
    np.testing.assert_array_equal(ours, clipped(theirs))
    with pytest.raises(ValueError, match="above 0"):
        photometric.gamma(photo, 0)


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 2.0])
def test_saturation_blends_with_each_pixels_luma(photo, factor):
    gray = luma(photo)[..., None]
    expected = clipped(gray + factor * (photo - gray))
    assert np.abs(photometric.saturation(photo, factor).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("turn", [-0.25, 0.03, 1 / 3, 0.5])
def test_hue_against_the_exact_conversion(photo, turn):
    def exact(pixel):
        h, s, v = colorsys.rgb_to_hsv(*pixel / 255)
        return 255 * np.array(colorsys.hsv_to_rgb((h + turn) % 1, s, v))

    expected = np.apply_along_axis(exact, 2, photo)
    # Turn, hue and saturation are each rounded to 1/256, and hue counts six times.
    error = np.abs(photometric.hue(photo, turn) - expected)
    assert error.max() <= 10
    assert error.mean() < 1


def test_turning_chroma_keeps_luma_and_comes_round():
    colours = np.array([[255, 0, 0], [0, 200, 30], [90, 90, 90]])
    for turn in (0.1, 1 / 3, 0.8):
        turned = colours @ photometric.chroma_matrix(1.0, turn)[:, :3].T
        np.testing.assert_allclose(turned @ [0.299, 0.587, 0.114], colours @ [0.299, 0.587, 0.114], atol=1e-6)
        np.testing.assert_allclose(turned[2], 90, atol=0.01)
    third = photometric.chroma_matrix(1.0, 1 / 3)[:, :3]
    np.testing.assert_allclose(np.linalg.matrix_power(third, 3), np.eye(3), atol=1e-9)
    assert (third @ [1, 0, 0]).argmax() == 1, "a third of the circle makes red green"


def test_hue_keeps_gray_pixels_gray():
    gray = np.repeat(np.arange(256, dtype=np.uint8).reshape(8, 32, 1), 3, axis=2)
    np.testing.assert_array_equal(photometric.hue(gray, 0.3), gray)


def test_channel_shift(photo):
    expected = clipped(np.add(photo, [30, -40, 7]))
    np.testing.assert_array_equal(photometric.channel_shift(photo, (30, -40, 7)), expected)


def test_a_gray_picture_is_treated_as_equal_channels(photo):
    gray = photo[..., 0]
    matrix = np.array([[0.5, 0.1, 0.0, 5], [0.2, 0.6, 0.0, -5], [0.0, 0.1, 0.8, 9]])
    colour = np.repeat(gray[..., None], 3, axis=2) @ matrix[:, :3].T + matrix[:, 3]
    expected = clipped(luma(colour))
    assert np.abs(photometric.color_matrix(gray, matrix).astype(int) - expected).max() <= 1


def test_grayscale_has_three_equal_channels(photo):
    out = photometric.grayscale(photo)
    assert np.abs(out - luma(photo)[..., None]).max() <= 0.51
    assert (out[..., 0] == out[..., 2]).all()


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_posterize_equals_pillow(photo, bits):
    expected = np.asarray(ImageOps.posterize(Image.fromarray(photo), bits))
    np.testing.assert_array_equal(photometric.posterize(photo, bits), expected)


def test_posterize_refuses_nine_bits(photo):
    with pytest.raises(ValueError, match="1 to 8 bits"):
        photometric.posterize(photo, 9)


@pytest.mark.parametrize("threshold", [0, 100, 256])
def test_solarize_equals_pillow(photo, threshold):
    expected = np.asarray(ImageOps.solarize(Image.fromarray(photo), threshold))
    np.testing.assert_array_equal(photometric.solarize(photo, threshold), expected)


def test_invert_equals_pillow(photo):
    np.testing.assert_array_equal(
        photometric.invert(photo), np.asarray(ImageOps.invert(Image.fromarray(photo)))
    )


def test_autocontrast_equals_pillow(photo):
    narrow = (photo // 3 + np.array([10, 50, 90])).astype(np.uint8)
    expected = np.asarray(ImageOps.autocontrast(Image.fromarray(narrow)))
    # Pillow cuts decimals off where we round.
    assert np.abs(photometric.autocontrast(narrow).astype(int) - expected).max() <= 1
    flat = np.full((4, 5, 3), 77, np.uint8)
    np.testing.assert_array_equal(photometric.autocontrast(flat), flat)


def test_equalize_by_a_slow_loop(photo):
    dark = (photo.astype(float) ** 2 / 255).astype(np.uint8)
    expected = np.empty(dark.shape)
    for c in range(3):
        channel = dark[..., c]
        least = (channel <= channel.min()).sum()
        for index, value in np.ndenumerate(channel):
            below = (channel <= value).sum()
            expected[(*index, c)] = 255 * (below - least) / (channel.size - least)
    assert np.abs(photometric.equalize(dark) - expected).max() <= 0.51


def test_jpeg_is_what_a_file_would_give(photo):
    smooth = np.kron(photo[:4, :6], np.ones((16, 16, 1), np.uint8))
    data = io.BytesIO()
    Image.fromarray(smooth).save(data, "JPEG", quality=30)
    theirs = np.asarray(Image.open(data)).astype(float)
    ours = photometric.jpeg(smooth, 30)
    assert np.abs(ours - theirs).mean() < 3  # another encoder, the same losses
    error = [np.abs(photometric.jpeg(smooth, q).astype(float) - smooth).mean() for q in (5, 30, 95)]
    assert error[0] > error[1] > error[2]
    with pytest.raises(ValueError, match=r"1\.\.100"):
        photometric.jpeg(photo, 0)


def test_sun_flare_adds_light_where_it_stands():
    dark = np.full((90, 140, 3), 20, np.uint8)
    lit = photometric.sun_flare(dark, (0.25, 0.2), radius=0.2, strength=0.9).astype(int)
    assert (lit >= dark).all()
    row, column = np.unravel_index(lit.sum(axis=2).argmax(), lit.shape[:2])
    assert (row, column) == (17, 34) or (row, column) == (18, 35)
    # Screen rule at the light itself: 255 - (255 - 20) * (1 - 0.9).
    assert lit[row, column, 0] == pytest.approx(255 - 235 * 0.1, abs=2)
    np.testing.assert_array_equal(photometric.sun_flare(dark, (0.25, 0.2), strength=0), dark)
