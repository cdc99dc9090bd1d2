"""Contact sheets: where pictures and captions land."""

import numpy as np
import pytest

from visus.draw.sheet import sheet


def test_pictures_land_in_their_cells():
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (9, 9, 9), (200, 100, 0)]
    images = [np.full((50, 70, 3), c, np.uint8) for c in colours]
    page = sheet(images, columns=3, cell=(50, 70))
    assert page.shape == (2 * 56 + 6, 3 * 76 + 6, 3)
    for i, colour in enumerate(colours):
        top, left = 6 + i // 3 * 56, 6 + i % 3 * 76
        np.testing.assert_array_equal(page[top : top + 50, left : left + 70], images[i])
        assert tuple(page[top + 25, left + 35]) == colour
    assert (page[6 + 56 :, 6 + 2 * 76 :] == 255).all(), "the last cell is empty"


def test_aspect_is_kept_and_small_pictures_grow_by_whole_pixels():
    tall = np.zeros((200, 50), np.uint8)
    page = sheet([tall], cell=(100, 100))
    ink = np.argwhere((page == 0).all(axis=2))
    (top, left), (bottom, right) = ink.min(axis=0), ink.max(axis=0) + 1
    assert (bottom - top, right - left) == (100, 25)
    tiny = np.array([[0, 100], [50, 0], [7, 7]], np.uint8)[..., None]
    page = sheet([tiny], cell=(20, 20))
    picture = page[6:26, 6:26][1:19, 4:16, 0]
    np.testing.assert_array_equal(picture, tiny[..., 0].repeat(6, axis=0).repeat(6, axis=1))


def test_captions_are_drawn_below_and_cut_to_the_width():
    image = np.full((60, 80, 3), 128, np.uint8)
    plain = sheet([image, image], ["", ""], columns=2, cell=(60, 80))
    page = sheet([image, image], ["Gänseblümchen №1", "x" * 200], columns=2, cell=(60, 80))
    changed = np.argwhere((page != plain).any(axis=2))
    assert changed[:, 0].min() >= 6 + 60, "no ink on the picture"
    assert not ((changed[:, 1] >= 86) & (changed[:, 1] < 92)).any(), "the gap between the cells stays clean"
    assert (page[66:, 6:86].min() < 100) and (page[66:, 92:172].min() < 100)
    # A letter beyond ASCII is drawn as itself, not as a question mark.
    ouml, mark = (sheet([image], [c], cell=(60, 80)) for c in ("ö", "?"))
    assert (ouml != mark).any()


def test_refusals():
    with pytest.raises(ValueError, match="at least one"):
        sheet([])
    with pytest.raises(ValueError, match="as many captions"):
        sheet([np.zeros((2, 2), np.uint8)], ["a", "b"])
