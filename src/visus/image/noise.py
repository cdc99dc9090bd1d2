"""Noise: what sensors and transmission add to a picture.

Every function takes a uint8 picture `(h, w)`, `(h, w, 1)` or `(h, w, 3)` and returns a new one of the same
shape, clipped to 0..255.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


def gaussian_noise(image: Picture, sigma: float, rng: np.random.Generator) -> Picture:
    """Adds to every value a number drawn from a normal distribution with deviation `sigma` (levels, 0..255).

    Example:
        >>> noisy = gaussian_noise(np.full((200, 300), 128, np.uint8), 10.0, np.random.default_rng(0))
        >>> round(float(noisy.std()), 1)
        10.0
    """
    noise = rng.standard_normal(image.shape, np.float32)
    noise *= np.float32(sigma)
    noise += image
    return np.clip(np.rint(noise, out=noise), 0, 255, out=noise).astype(np.uint8)


def salt_and_pepper(image: Picture, amount: float, rng: np.random.Generator) -> Picture:
    """Turns a fraction `amount` (0..1) of the pixels white or black, half of them each, all channels alike.

    Example:
        >>> out = salt_and_pepper(np.full((200, 300), 128, np.uint8), 0.1, np.random.default_rng(0))
        >>> round(float((out == 255).mean()), 2), round(float((out == 0).mean()), 2)
        (0.05, 0.05)
    """
    out = image.copy()
    lot = rng.random(image.shape[:2], np.float32)
    out[lot < amount / 2] = 0
    out[(lot >= amount / 2) & (lot < amount)] = 255
    return out
