"""Duplicate search: against hand-made hashes, brute force and real pictures."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage import data as pictures
from skimage.transform import resize
from sklearn.datasets import load_digits

from visus.data.survey import duplicates
from visus.data.survey.duplicates import area_average, connected, equal_groups, near_pairs, thumbprint
from visus.image import dhash

RAMP = np.tile(np.arange(9, dtype=np.uint8), (8, 1))


def _brute_force(hashes, thumbs, contrasts):
    found = []
    for i in range(len(hashes)):
        for j in range(i + 1, len(hashes)):
            bits = bin(int(hashes[i]) ^ int(hashes[j])).count("1")
            if bits <= 5 and min(contrasts[i], contrasts[j]) >= 2.0:
                a, b = thumbs[i].astype(float), thumbs[j].astype(float)
                if a @ b >= 0.999 * np.sqrt((a @ a) * (b @ b)):
                    found.append((i, j))
    return found


def _measured(grays):
    hashes = np.array([dhash(np.clip(np.rint(g), 0, 255).astype(np.uint8)) for g in grays], np.uint64)
    prints = [thumbprint(g) for g in grays]
    return hashes, np.stack([p[0] for p in prints]), np.array([p[1] for p in prints], np.float32)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 20), st.integers(1, 20))
def test_area_average_keeps_the_mean_and_a_constant(height, width, rows, columns):
    gray = np.random.default_rng(height * 41 + width).integers(0, 256, (height, width))
    small = area_average(gray, rows, columns)
    assert small.shape == (rows, columns)
    assert abs(small.mean() - gray.mean()) < 1e-3
    assert np.allclose(area_average(np.full((height, width), 7.0), rows, columns), 7.0, atol=1e-4)


def test_area_average_by_whole_factors_is_the_block_mean():
    gray = np.random.default_rng(0).integers(0, 256, (24, 45))
    assert np.allclose(area_average(gray, 8, 9), gray.reshape(8, 3, 9, 5).mean((1, 3)), atol=1e-3)


def test_thumbprint_forgets_brightness_and_contrast():
    gray = np.random.default_rng(1).integers(0, 100, (64, 80)).astype(np.float32)
    first, contrast = thumbprint(gray)
    second, doubled = thumbprint(gray * 2 + 20)
    assert (first == second).all()
    assert doubled == pytest.approx(2 * contrast, rel=1e-5)
    assert abs(first.astype(float).std() - 31) < 0.5


def test_near_pairs_equal_brute_force_on_real_digits():
    grays = [resize(d / 16 * 255, (24, 20), order=1, preserve_range=True) for d in load_digits().images[:300]]
    rng = np.random.default_rng(0)
    grays += [g + rng.normal(0, 3, g.shape) for g in grays[:60]]
    grays += [g * 0.8 for g in grays[60:90]] + [np.full((24, 20), 9.0)] * 3
    measured = _measured(grays)
    expected = _brute_force(*measured)
    assert len(expected) >= 60
    assert near_pairs(*measured).tolist() == [list(p) for p in expected]


def test_near_pairs_equal_brute_force_on_random_clusters():
    rng = np.random.default_rng(3)
    bases = rng.normal(100, 30, (40, 16, 16))
    grays = np.concatenate(
        [bases, bases[:20] + rng.normal(0, 1.0, (20, 16, 16)), bases[:9] + rng.normal(0, 2, (9, 16, 16))]
    )
    measured = _measured(grays)
    expected = _brute_force(*measured)
    assert 15 <= len(expected) < 60
    assert near_pairs(*measured).tolist() == [list(p) for p in expected]


def test_resaved_and_resized_photographs_are_found_and_others_are_not():
    photographs = [pictures.chelsea(), pictures.astronaut(), pictures.coffee(), pictures.rocket()]
    grays = [p.mean(-1) for p in photographs]
    copies = [
        resize(g, (g.shape[0] // 2, g.shape[1] // 3), anti_aliasing=True, preserve_range=True) for g in grays
    ]
    rng = np.random.default_rng(0)
    noisy = [np.clip(g + rng.normal(0, 8, g.shape), 0, 255) for g in grays]
    pairs = near_pairs(*_measured([*grays, *copies, *noisy]))
    assert connected(pairs, 12) == [(0, 4, 8), (1, 5, 9), (2, 6, 10), (3, 7, 11)]


def test_plain_pictures_are_not_near_duplicates():
    rng = np.random.default_rng(0)
    black = [np.clip(rng.normal(2, 2, (60, 90)), 0, 255) for _ in range(30)]
    white = [np.clip(rng.normal(250, 4, (60, 90)), 0, 255) for _ in range(30)]
    assert len(near_pairs(*_measured([*black, *white, np.zeros((60, 90)), np.full((60, 90), 255)]))) == 0


def test_few_or_no_pictures():
    none = np.empty(0, np.uint64), np.empty((0, 256), np.int8), np.empty(0, np.float32)
    assert near_pairs(*none).shape == (0, 2)
    assert near_pairs(*_measured([RAMP * 20.0])).shape == (0, 2)
    assert near_pairs(*_measured([RAMP * 20.0, RAMP * 20.0])).tolist() == [[0, 1]]
    assert connected([], 0) == []
    assert equal_groups([]) == []


def test_a_camera_that_stands_still_stays_feasible(monkeypatch):
    monkeypatch.setattr(duplicates, "_MANY", 1000)
    rng = np.random.default_rng(0)
    scene = rng.integers(0, 256, (16, 16)).astype(float)
    other = rng.integers(0, 256, (16, 16)).astype(float)
    grays = [scene + rng.normal(0, 0.5, scene.shape) for _ in range(300)] + [other, other]
    pairs = near_pairs(*_measured(grays))
    assert [len(g) for g in connected(pairs, 302)] == [300, 2]
    assert len(pairs) < 300 * 64 + 1


def test_sixty_thousand_pictures_take_seconds():
    rng = np.random.default_rng(0)
    scenes = (
        rng.normal(0, 31, (256, 256)) * np.geomspace(1, 0.1, 256)[:, None]
    )  # spectrum of natural pictures
    thumbs = (rng.normal(0, 1, (60_000, 256)) @ scenes / 4).clip(-127, 127).astype(np.int8)
    thumbs[59_990:] = thumbs[:10]
    hashes = rng.integers(0, 2**64, 60_000, dtype=np.uint64)
    hashes[59_990:] = hashes[:10] ^ np.uint64(0b11111)
    hashes[59_999] ^= np.uint64(1 << 40)
    started = time.perf_counter()
    pairs = near_pairs(hashes, thumbs, np.full(60_000, 50, np.float32))
    assert pairs.tolist() == [[i, 59_990 + i] for i in range(9)]
    assert time.perf_counter() - started < 30


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)).filter(lambda p: p[0] != p[1])))
def test_connected_equals_merging_sets(pairs):
    groups = [{i} for i in range(13)]
    for a, b in pairs:
        joined = [g for g in groups if a in g or b in g]
        groups = [g for g in groups if g not in joined] + [set().union(*joined)]
    assert connected(pairs, 13) == sorted(tuple(sorted(g)) for g in groups if len(g) > 1)
