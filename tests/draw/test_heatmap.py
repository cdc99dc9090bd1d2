"""Heat maps over pictures, pixel by pixel."""

import cv2
import numpy as np
import pytest

from visus.draw.heatmap import overlay


def test_blends_by_heat():
    picture = np.full((3, 5, 3), (10, 100, 200), np.uint8)
    heat = np.zeros((3, 5), np.float32)
    heat[1, 2], heat[2, 4] = 1.0, 0.5
    found = overlay(picture, heat, opacity=0.5)
    assert found.dtype == np.uint8
    turbo = cv2.applyColorMap(np.arange(256, dtype=np.uint8), cv2.COLORMAP_TURBO)[:, 0, ::-1].astype(float)
    np.testing.assert_allclose(found[1, 2], 0.5 * picture[0, 0] + 0.5 * turbo[255], atol=1)
    np.testing.assert_allclose(found[2, 4], 0.75 * picture[0, 0] + 0.25 * turbo[128], atol=1)
    cold = heat == 0
    assert (found[cold] == picture[cold]).all()
    assert (picture == (10, 100, 200)).all()


def test_gray_pictures_and_values_outside():
    found = overlay(np.full((2, 3), 7, np.uint8), np.array([[-1, 0, 0], [0, 0, 9]], np.float32))
    assert found.shape == (2, 3, 3)
    assert (found[0] == 7).all()
    assert found[1, 2, 0] > found[1, 2, 2]  # the hottest is red


def test_sizes_must_agree():
    with pytest.raises(ValueError, match=r"picture's size, \(4, 5\). Received \(5, 4\)"):
        overlay(np.zeros((4, 5, 3), np.uint8), np.zeros((5, 4), np.float32))
