"""Tone and colour: what light, lens and file format do to the values of a picture, never to its geometry.

Every function takes a uint8 picture `(h, w)`, `(h, w, 1)` or `(h, w, 3)` RGB and returns a new one of the
same shape, clipped to 0..255 (never wrapped) and rounded. A gray picture has no colour: functions that change
only colour return a copy of it. Luma is BT.601, `0.299 R + 0.587 G + 0.114 B`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

LUMA = np.array([0.299, 0.587, 0.114])
_LEVELS = np.arange(256, dtype=np.float64)
_TO_YIQ = np.array([LUMA, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])
_FROM_YIQ = np.linalg.inv(_TO_YIQ)


def brightness(image: Picture, delta: float) -> Picture:
    """Adds `delta` (a fraction of the range, -1..1) to every value: `v + 255 * delta`.

    Example:
        >>> brightness(np.array([[10, 250]], np.uint8), 0.1).tolist()
        [[36, 255]]
    """
    return _by_table(image, _LEVELS + 255.0 * delta)


def exposure(image: Picture, factor: float) -> Picture:
    """Multiplies every value: `factor * v`, as a longer or shorter exposure does (PIL calls it brightness).

    Example:
        >>> exposure(np.array([[10, 250]], np.uint8), 2.0).tolist()
        [[20, 255]]
    """
    return _by_table(image, _LEVELS * factor)


def contrast(image: Picture, factor: float) -> Picture:
    """Stretches the values about the picture's mean luma m: `m + factor * (v - m)`.

    Example:
        >>> contrast(np.array([[100, 120]], np.uint8), 2.0).tolist()
        [[90, 130]]
    """
    mean = mean_luma(image)
    return _by_table(image, mean + factor * (_LEVELS - mean))


def gamma(image: Picture, exponent: float) -> Picture:
    """The power law `255 * (v / 255) ** exponent`; an exponent below 1 brightens the shadows.

    Raises:
        ValueError: The exponent is not positive.

    Example:
        >>> gamma(np.array([[64, 255]], np.uint8), 0.5).tolist()
        [[128, 255]]
    """
    if exponent <= 0:
        raise ValueError(f"gamma needs an exponent above 0. Received {exponent}.")
    return _by_table(image, 255.0 * (_LEVELS / 255.0) ** exponent)


def saturation(image: Picture, factor: float) -> Picture:
    """Moves every colour away from (factor > 1) or towards (< 1) the gray of its own luma; 0 gives gray.

    Example:
        >>> saturation(np.array([[[100, 100, 200]]], np.uint8), 0.0).tolist()
        [[[111, 111, 111]]]
    """
    return color_matrix(image, chroma_matrix(factor))


def chroma_matrix(factor: float, turn: float = 0.0) -> NDArray[np.float64]:
    """The matrix `(3, 4)` that scales the chroma of a colour and turns it about the gray axis; luma stays.

    Without a turn it is `saturation`. The turn happens in YIQ, so it is linear and keeps luma, where that of
    `hue` in HSV keeps the largest channel; it moves colours about as far along the colour circle.

    Args:
        factor: On the chroma; 0 gives gray.
        turn: Fraction of the circle; positive from red towards green.

    Example:
        >>> chroma_matrix(0.0)[0].round(3).tolist()
        [0.299, 0.587, 0.114, 0.0]
    """
    c, s = factor * math.cos(2 * math.pi * turn), factor * math.sin(2 * math.pi * turn)
    scaled = np.array([[1.0, 0.0, 0.0], [0.0, c, s], [0.0, -s, c]])
    return np.hstack([_FROM_YIQ @ scaled @ _TO_YIQ, np.zeros((3, 1))])


def color_matrix(image: Picture, matrix: NDArray[np.floating]) -> Picture:
    """Multiplies every colour `(r, g, b, 1)` by `matrix` `(3, 4)`; a gray picture counts as r = g = b.

    Example:
        >>> swap = np.eye(3, 4)[[2, 1, 0]]
        >>> color_matrix(np.array([[[1, 2, 3]]], np.uint8), swap).tolist()
        [[[3, 2, 1]]]
    """
    matrix = np.asarray(matrix, np.float64)
    if not _is_color(image):
        gain, bias = LUMA @ matrix[:, :3].sum(axis=1), LUMA @ matrix[:, 3]
        return _by_table(image, gain * _LEVELS + bias)
    return np.asarray(cv2.transform(image, matrix.astype(np.float32)), np.uint8)


def hue(image: Picture, turn: float) -> Picture:
    """Turns the hue in HSV by `turn`, a fraction of the circle; +1/3 makes red green.

    Saturation and value stay. Computed with eight bits per HSV component, several times faster than exactly:
    off by half a level on average, by 10 at most.

    Example:
        >>> hue(np.array([[[255, 0, 0]]], np.uint8), 1 / 3).tolist()
        [[[0, 255, 0]]]
    """
    steps = round(turn * 256) % 256
    if not _is_color(image) or steps == 0:
        return image.copy()
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL)
    hsv[..., 0] += np.uint8(steps)  # the circle has 256 steps here, so wrapping is what is meant
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL), np.uint8)


def channel_shift(image: Picture, shifts: Sequence[float]) -> Picture:
    """Adds `shifts` (three numbers in levels, -255..255) to R, G and B; a gray picture gets their mean luma.

    Example:
        >>> channel_shift(np.array([[[10, 10, 10]]], np.uint8), (5, -20, 250)).tolist()
        [[[15, 0, 255]]]
    """
    return color_matrix(image, np.column_stack([np.eye(3), np.asarray(shifts, np.float64)]))


def grayscale(image: Picture) -> Picture:
    """The luma of a colour picture in all three channels.

    Example:
        >>> grayscale(np.array([[[255, 0, 0]]], np.uint8)).tolist()
        [[[76, 76, 76]]]
    """
    if not _is_color(image):
        return image.copy()
    return np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)


def invert(image: Picture) -> Picture:
    """The negative, `255 - v`."""
    return ~image


def posterize(image: Picture, bits: int) -> Picture:
    """Keeps the `bits` highest bits (1..8) of every value.

    Raises:
        ValueError: `bits` lies outside 1..8.

    Example:
        >>> posterize(np.array([[0b10110111]], np.uint8), 2).tolist()
        [[128]]
    """
    if not 1 <= bits <= 8:
        raise ValueError(f"posterize keeps 1 to 8 bits. Received {bits}.")
    return image & np.uint8(256 - (1 << (8 - bits)))


def solarize(image: Picture, threshold: float) -> Picture:
    """Inverts the values at or above `threshold` (0..256; 256 changes nothing).

    Example:
        >>> solarize(np.array([[10, 200]], np.uint8), 128).tolist()
        [[10, 55]]
    """
    return _by_table(image, np.where(threshold <= _LEVELS, 255.0 - _LEVELS, _LEVELS))


def equalize(image: Picture) -> Picture:
    """Spreads each channel's histogram evenly over 0..255."""
    if not _is_color(image):
        return np.asarray(cv2.equalizeHist(image), np.uint8).reshape(image.shape)
    return np.asarray(cv2.merge([cv2.equalizeHist(channel) for channel in cv2.split(image)]), np.uint8)


def autocontrast(image: Picture) -> Picture:
    """Stretches each channel so that its darkest value becomes 0 and its brightest 255.

    Example:
        >>> autocontrast(np.array([[50, 90, 150]], np.uint8)).tolist()
        [[0, 102, 255]]
    """
    channels = image.reshape(*image.shape[:2], -1)
    low = channels.min(axis=(0, 1)).astype(np.float64)
    high = channels.max(axis=(0, 1)).astype(np.float64)
    flat = high == low
    gain = 255.0 / np.where(flat, 255.0, high - low)
    return _by_table(image, gain * (_LEVELS[:, None] - np.where(flat, 0.0, low)))


def jpeg(image: Picture, quality: int) -> Picture:
    """The picture after it was saved as a JPEG file of `quality` 1..100 (4:2:0 colour) and read again.

    Raises:
        ValueError: `quality` lies outside 1..100.
    """
    if not 1 <= quality <= 100:
        raise ValueError(f"JPEG quality lies in 1..100. Received {quality}.")
    color = _is_color(image)
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if color else image
    _, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    out = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB if color else cv2.IMREAD_GRAYSCALE)
    return np.asarray(out, np.uint8).reshape(image.shape)


def sun_flare(
    image: Picture, position: tuple[float, float], radius: float = 0.3, strength: float = 0.8
) -> Picture:
    """Light that shines into the lens: a glow at `position` and faint ghosts on the line through the middle.

    The light is added by the screen rule, `255 - (255 - v) * (255 - light) / 255`, so it never wraps.

    Args:
        image: The picture.
        position: `(x, y)` of the light as fractions of width and height, also outside 0..1.
        radius: Radius of the glow (where it falls to 1/e) as a fraction of the shorter side.
        strength: Brightness of the glow's centre, 0..1; 0 changes nothing.
    """
    height, width = image.shape[:2]
    side = min(height, width)
    rows = (np.arange(height, dtype=np.float32) + np.float32(0.5))[:, None]
    cols = np.arange(width, dtype=np.float32) + np.float32(0.5)
    middle = np.array([width, height]) / 2
    light = np.array(position) * (width, height)

    def spot(centre: NDArray[np.float64], size: float, power: int) -> NDArray[np.float32]:
        distance = np.hypot(rows - np.float32(centre[1]), cols - np.float32(centre[0]))
        return np.asarray(np.exp(-((distance / np.float32(size * side)) ** power)), np.float32)

    channels = 3 if _is_color(image) else 1
    glow = strength * spot(light, radius, 2)[..., None] * np.ones(channels, np.float32)
    # A ghost is a reflection inside the lens: (place on the line, size, strength, tint).
    for along, size, weight, tint in (
        (0.6, 0.05, 0.20, (1.0, 0.8, 0.5)),
        (1.3, 0.09, 0.12, (0.5, 1.0, 0.7)),
        (1.9, 0.14, 0.10, (0.6, 0.7, 1.0)),
    ):
        ghost = spot(light + along * (middle - light), size, 8)[..., None]
        glow += strength * weight * ghost * np.array(tint[:channels], np.float32)
    dark = (255.0 - image.reshape(height, width, channels)) * (1.0 - np.minimum(glow, 1.0))
    return np.rint(255.0 - dark).astype(np.uint8).reshape(image.shape)


def mean_luma(image: Picture) -> float:
    """The mean luma of a picture, 0..255.

    Example:
        >>> round(mean_luma(np.full((2, 3, 3), 7, np.uint8)), 6)
        7.0
    """
    means = cv2.mean(image)
    return float(LUMA @ means[:3]) if _is_color(image) else float(means[0])


def _is_color(image: Picture) -> bool:
    return image.ndim == 3 and image.shape[2] == 3


def _by_table(image: Picture, values: NDArray[np.floating]) -> Picture:
    """The value that `values` `(256,)` or `(256, channels)` gives for each value of the picture."""
    table = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    if table.ndim == 2:
        table = table[None] if table.shape[1] > 1 else table[:, 0]
    return np.asarray(cv2.LUT(image, table), np.uint8).reshape(image.shape)
