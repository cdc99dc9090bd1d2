"""Warping: borders, exact moves, and a slow loop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from visus.image import resize, warp
from visus.structures import Affine

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("border", "around"),
    [
        ("constant", "kkkkkkkkabcdkkkkkkkk"),
        ("nearest", "aaaaaaaaabcddddddddd"),
        ("reflect", "abcddcbaabcddcbaabcd"),
        ("wrap", "abcdabcdabcdabcdabcd"),
        ("mirror", "cbabcdcbabcdcbabcdcb"),
    ],
)
@pytest.mark.parametrize("channels", [None, 3, 5])
def test_borders(border, around, channels):
    letters = np.frombuffer(b"abcd", np.uint8).reshape(1, 4)
    image = letters if channels is None else np.repeat(letters[..., None], channels, axis=2)
    out = warp(image, Affine.translation(8, 0), (1, 20), border=border, fill=ord("k"))
    out = out if channels is None else out[..., channels - 1]
    assert out.tobytes().decode() == around


def test_borders_above_and_below():
    column = np.frombuffer(b"abcd", np.uint8).reshape(4, 1)
    out = warp(column, Affine.translation(0, 8), (20, 1), border="reflect")
    assert out.tobytes() == b"abcddcbaabcddcbaabcd"


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest"])
def test_whole_moves_and_turns_are_exact(interpolation):
    image = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    moved = warp(image, Affine.translation(3, -2), (20, 30), interpolation=interpolation, fill=7)
    assert np.array_equal(moved[:18, 3:], image[2:, :27])
    assert (moved[18:] == 7).all()
    mirror = Affine.translation(30, 0) @ Affine.scaling(-1, 1)
    assert np.array_equal(warp(image, mirror, (20, 30), interpolation=interpolation), image[:, ::-1])
    # Counter-clockwise by 90 degrees about the corner: the right side becomes the top.
    turn = Affine.translation(0, 30) @ Affine.rotation(90)
    assert np.array_equal(warp(image, turn, (30, 20), interpolation=interpolation), np.rot90(image))


def slow(image, affine, size, fill):
    """Bilinear sampling, pixel by pixel."""
    out = np.full(size, float(fill))
    back = affine.inverse()
    for r in range(size[0]):
        for c in range(size[1]):
            x, y = back.apply((c + 0.5, r + 0.5)) - 0.5
            column, row = int(np.floor(x)), int(np.floor(y))
            total = 0.0
            for dr in (0, 1):
                for dc in (0, 1):
                    inside = 0 <= row + dr < image.shape[0] and 0 <= column + dc < image.shape[1]
                    value = image[row + dr, column + dc] if inside else fill
                    total += value * (1 - abs(y - row - dr)) * (1 - abs(x - column - dc))
            out[r, c] = total
    return out


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_against_a_slow_loop(dtype):
    y, x = np.mgrid[:24, :36]
    image = (127 + 60 * np.sin(x / 4) + 60 * np.cos(y / 3)).astype(dtype)
    affine = Affine.translation(2.3, -1.7) @ Affine.rotation(20, (18, 12)) @ Affine.scaling(1.1, 0.9)
    out = warp(image, affine, (26, 40), fill=114)
    # OpenCV counts in 1/32 pixels: at a slope of 20 grays a pixel that is 20 / 64 and the rounding.
    difference = np.abs(out - slow(image, affine, (26, 40), 114))
    assert difference.mean() < 0.5
    assert difference.max() < 5  # at the rim, where the picture meets the fill value


@given(
    st.floats(0.03, 3),
    st.floats(0.03, 3),
    st.floats(-180, 180),
    st.floats(-20, 20),
    st.integers(2, 90),
    st.integers(2, 90),
)
@settings(max_examples=60, deadline=None)
def test_a_smooth_picture_shows_its_own_coordinates(sx, sy, degrees, dx, height, width):
    """A ramp of x stays a ramp: the value of a new pixel is the place that it came from."""
    affine = Affine.translation(dx, 3) @ Affine.rotation(degrees, (20, 20)) @ Affine.scaling(sx, sy)
    old = (160, 200)
    ramp = np.tile(np.arange(old[1], dtype=np.float32) + 0.5, (old[0], 1))
    out = warp(ramp, affine, (height, width), border="nearest")
    centres = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), axis=-1)
    came_from = affine.inverse().apply(centres)
    reach = 2 / min(sx, sy, 1)  # pixels near the rim average over what lies outside, too
    inside = (came_from > reach).all(axis=-1) & (came_from < np.array(old[::-1]) - reach).all(axis=-1)
    assert np.abs(out - came_from[..., 0])[inside].max(initial=0) < 0.1 + 0.05 / min(sx, sy, 1)


@pytest.mark.parametrize("shrinkage", [1.7, 2.5, 3.9, 6.3, 14.0])
def test_a_shrunk_picture_does_not_alias(shrinkage):
    noise = RNG.integers(0, 256, (600, 800), dtype=np.uint8)
    size = int(600 / shrinkage), int(800 / shrinkage)
    turned = (
        Affine.translation(1, 2)
        @ Affine.rotation(10, (40, 30))
        @ Affine.scaling(1 / shrinkage, 1 / shrinkage)
    )
    out = warp(noise, turned, size, border="wrap")
    # The mean of shrinkage ** 2 independent pixels; without a filter it would be noise.std() * 0.67.
    assert out.std() < 1.3 * noise.std() / shrinkage
    assert warp(noise, turned, size, interpolation="nearest", border="wrap").std() > 0.9 * noise.std()


def test_a_pure_scaling_shows_the_same_as_resize():
    photo = data.astronaut()[:400]
    for size in ((224, 224), (150, 301), (60, 80), (500, 600)):
        affine = Affine.scaling(size[1] / 512, size[0] / 400)
        difference = np.abs(warp(photo, affine, size, border="nearest").astype(float) - resize(photo, size))
        assert difference.mean() < 2.5


def test_very_long_pictures():
    strip = np.tile(np.arange(40_000, dtype=np.uint16), (5, 1))
    out = warp(strip, Affine.scaling(0.01, 1), (5, 400))
    assert np.abs(out - (np.arange(400) * 100 + 49.5)).max() < 40
    assert warp(strip, Affine.translation(-39_000, 0), (5, 900)).shape == (5, 900)


@pytest.mark.parametrize(
    "arguments",
    [{"border": "black"}, {"interpolation": "lanczos"}, {"size": (0, 3)}, {"affine": Affine.scaling(0, 1)}],
)
def test_wrong_arguments(arguments):
    given = {"affine": Affine(), "size": (4, 5)} | arguments
    with pytest.raises(ValueError, match=r"Received|singular"):
        warp(np.zeros((4, 5), np.uint8), **given)
