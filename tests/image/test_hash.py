"""Fingerprints: the oracles of the difference hash, and counting bits one by one."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage import data

from visus.image import dhash, digest, hamming, resize
from visus.image.hash import NEAR, near_pairs


def test_a_ramp_to_the_right_is_all_ones():
    ramp = np.tile(np.arange(9, dtype=np.uint8) * 10, (8, 1))
    assert dhash(ramp) == 0xFFFFFFFFFFFFFFFF
    assert dhash(ramp[:, ::-1]) == 0
    ramp[0, 1] = 0
    assert dhash(ramp) == 0x7FFFFFFFFFFFFFFF  # the first bit: pixel (0, 1) is no longer brighter than (0, 0)
    assert hamming(dhash(ramp), 0xFFFFFFFFFFFFFFFF) == 1
    assert dhash(np.repeat(np.repeat(ramp, 5, axis=0), 7, axis=1)) == dhash(ramp)


def test_the_same_photo_again_is_near_and_another_is_not():
    photo, other = data.astronaut(), data.coffee()
    again = resize(photo, (180, 213))
    darker = (photo * 0.8).astype(np.uint8)
    assert hamming(dhash(photo), [dhash(again), dhash(darker)]).max() <= NEAR
    assert hamming(dhash(photo), dhash(other)) > 2 * NEAR
    assert hamming(dhash(photo), dhash(photo[:, ::-1])) > 2 * NEAR


def test_hashes_are_whole_numbers():
    assert hamming(2**63 + 5, int(float(2**63 + 5))) == 2  # what float64 loses
    assert hamming(2**63 + 5, 2**63 + 5) == 0


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20), st.integers(0, 2**64 - 1))
def test_hamming_counts_bits(hashes, one):
    assert hamming(hashes, one).tolist() == [bin(h ^ one).count("1") for h in hashes]


@pytest.mark.parametrize("count", [0, 1, 2, 300, 5000])
def test_near_pairs_against_a_slow_loop(count):
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, count, dtype=np.uint64)
    for i in range(0, count - 1, 7):
        hashes[i + 1] = hashes[i] ^ np.uint64(sum(1 << int(b) for b in rng.choice(64, i % 9, replace=False)))
    expected = [
        (i, j)
        for i in range(count)
        for j in (range(i + 1, count) if count <= 300 else range(i + 1, min(i + 2, count)))
        if int(hashes[i] ^ hashes[j]).bit_count() <= NEAR
    ]
    assert [tuple(pair) for pair in near_pairs(hashes).tolist()] == expected


def test_digest_is_of_pixels_type_and_shape():
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert digest(image) == hashlib.sha256(b"uint8 (2, 4, 3) " + image.tobytes()).hexdigest()
    assert digest(image[::-1][::-1]) == digest(image.copy())
    assert (
        len({digest(image), digest(image.reshape(4, 2, 3)), digest(image.astype(np.int8)), digest(image + 1)})
        == 4
    )
