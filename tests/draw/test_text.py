"""Captions: below the picture, inside its width, readable."""

import numpy as np
import pytest

from visus.draw.text import NARROWEST, SMALLEST, _fitted, caption


@pytest.mark.parametrize("shape", [(300, 400, 3), (400, 300), (1, 2000, 3), (28, 28), (2000, 31, 3)])
@pytest.mark.parametrize("text", ["rose 97 %", "Gänseblümchen Ω Ж 12 %\nzweite Zeile", "x" * 500, ""])
def test_the_picture_stays_as_it_is(shape, text):
    picture = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    found = caption(picture, text)
    factor = {(28, 28): 8}.get(shape, 1)
    enlarged = picture.repeat(factor, axis=0).repeat(factor, axis=1)
    if enlarged.ndim == 2:
        enlarged = enlarged[..., None]
    if shape == (2000, 31, 3):
        enlarged = np.pad(enlarged, ((0, 0), (0, NARROWEST - 31), (0, 0)))
    assert found.dtype == np.uint8
    assert found.shape[1:] == (enlarged.shape[1], 3)
    assert (found[: len(enlarged)] == enlarged).all()
    band = found[len(enlarged) :]
    assert (band.max() == 255) == bool(text)
    assert band[:, 0].max() == band[:, -1].max() == 0  # nothing is cut off at the sides


def test_letters_grow_with_the_picture_and_shrink_with_the_text():
    heights = []
    for size in (200, 800, 3200):
        band = caption(np.zeros((size, size, 3), np.uint8), "HHH")[size:]
        rows = np.flatnonzero(band.max(axis=(1, 2)) > 128)
        heights.append(len(rows))
    assert heights[1] == pytest.approx(heights[2] / 4, abs=2)
    assert heights[0] >= 8
    line, font = _fitted("W" * 40, 300, 40)
    assert SMALLEST <= font.size < 40
    line, font = _fitted("W" * 400, 300, 40)
    assert font.size == SMALLEST
    assert line.endswith("W…")
    assert font.getlength(line) <= 300
