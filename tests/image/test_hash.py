"""Fingerprints: the oracles of the difference hash, and counting bits one by one."""

import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from skimage import data

from visus.image import dhash, digest, hamming, resize


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
    assert hamming(dhash(photo), [dhash(again), dhash(darker)]).max() <= 5
    assert hamming(dhash(photo), dhash(other)) > 10
    assert hamming(dhash(photo), dhash(photo[:, ::-1])) > 10


def test_hashes_are_whole_numbers():
    assert hamming(2**63 + 5, int(float(2**63 + 5))) == 2  # what float64 loses
    assert hamming(2**63 + 5, 2**63 + 5) == 0


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20), st.integers(0, 2**64 - 1))
def test_hamming_counts_bits(hashes, one):
    assert hamming(hashes, one).tolist() == [bin(h ^ one).count("1") for h in hashes]


def test_digest_is_of_pixels_type_and_shape():
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert digest(image) == hashlib.sha256(b"uint8 (2, 4, 3) " + image.tobytes()).hexdigest()
    assert digest(image[::-1][::-1]) == digest(image.copy())
    assert (
        len({digest(image), digest(image.reshape(4, 2, 3)), digest(image.astype(np.int8)), digest(image + 1)})
        == 4
    )
