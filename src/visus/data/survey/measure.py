"""What a data set's pictures are like, measured once for each: a few hundred bytes stay, the pixels go.

Everything but the hash of the pixels is measured on a copy of at most 256 pixels a side, filtered against
aliasing: close to what a model sees, comparable between pictures of all sizes, and quick.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visus.data.survey.duplicates import thumbprint
from visus.image import header
from visus.image.color import converted, rgb_to_gray
from visus.image.hash import dhash, digest
from visus.image.io import ImageError, probe, read
from visus.image.resize import resize
from visus.structures import Sample

Progress = Callable[[int, int], None]
"""Called with the number of pictures done and the number of all."""

SIDE = 256
_TASK = 64  # pictures that a thread takes at a time; arrays of equal size are measured together


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """What was measured of one picture, or why it could not be read.

    Attributes:
        problem: Empty, or the kind of trouble as `ImageError.problem` names it: then nothing below is known.
        reason: The trouble in words.
        format: `JPEG`, `PNG`, ..., or `array`.
        height: Rows, upright.
        width: Columns, upright.
        channels: As stored; a palette counts as its colours.
        bits: Bits per sample as stored.
        frames: Frames of an animation.
        orientation: EXIF orientation 1..8.
        size: Of the file or array, bytes.
        whole: Whether the structure of the file is as it should be; asked of JPEG only, whose decoders fill in
            what is missing without a word.
        colour: Whether any pixel is not gray.
        digest: `visus.image.digest` of the RGB pixels.
        dhash: `visus.image.dhash`, 64 bits.
        thumb: int8 `(256,)`, see `visus.data.survey.duplicates.thumbprint`.
        contrast: Standard deviation of the thumbnail, in gray levels.
        mean: Of red, green and blue, float32 `(3,)`, 0..255.
        std: Standard deviation of red, green and blue.
        brightness: Mean luma, 0..255.
        spread: Standard deviation of the luma.
        sharpness: Standard deviation of the luma's Laplacian.
        border: Median red, green and blue along the four sides: the background, where there is one.
    """

    problem: str = ""
    reason: str = ""
    format: str = ""
    height: int = 0
    width: int = 0
    channels: int = 0
    bits: int = 0
    frames: int = 1
    orientation: int = 1
    size: int = 0
    whole: bool = True
    colour: bool = False
    digest: str = ""
    dhash: int = 0
    thumb: NDArray[np.int8] = field(default_factory=lambda: np.zeros(256, np.int8))
    contrast: float = 0.0
    mean: NDArray[np.float32] = field(default_factory=lambda: np.zeros(3, np.float32))
    std: NDArray[np.float32] = field(default_factory=lambda: np.zeros(3, np.float32))
    brightness: float = 0.0
    spread: float = 0.0
    sharpness: float = 0.0
    border: NDArray[np.float32] = field(default_factory=lambda: np.zeros(3, np.float32))


def measure(sample: Sample) -> Picture:
    """Measures one picture; whatever is wrong with it is in the result, not an exception.

    Example:
        >>> measure(Sample(np.full((20, 30, 3), 90, np.uint8))).brightness
        90.0
    """
    return _block([sample])[0]


def measure_all(
    samples: Sequence[Sample], *, workers: int | None = None, progress: Progress | None = None
) -> list[Picture]:
    """Measures pictures in threads, in their order, with bounded memory.

    Args:
        samples: The pictures.
        workers: Number of threads; by default one per processor, at most 8.
        progress: Called from this thread now and then.
    """
    workers = workers or min(8, os.cpu_count() or 1)
    blocks = (samples[i : i + _TASK] for i in range(0, len(samples), _TASK))
    done: list[Picture] = []
    running: deque[Future[list[Picture]]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="survey")
    try:
        for block in blocks:
            running.append(pool.submit(_block, block))
            if len(running) >= 4 * workers:
                done += running.popleft().result()
                if progress is not None:
                    progress(len(done), len(samples))
        while running:
            done += running.popleft().result()
            if progress is not None:
                progress(len(done), len(samples))
    finally:
        pool.shutdown(cancel_futures=True)
    return done


def _block(samples: Sequence[Sample]) -> list[Picture]:
    done: list[Picture] = []
    for shape, run in groupby(samples, lambda s: None if isinstance(s.image, Path) else s.image.shape):
        if shape is None:
            done += [_attempt(_file, [s.image])[0] for s in run]
        else:
            done += _attempt(_arrays, [s.image for s in run])
    return done


def _attempt(function: Callable[[list[Any]], list[Picture]], images: list[Any]) -> list[Picture]:
    """One bad picture never ends the survey, whatever a library makes of it."""
    try:
        return function(images)
    except ImageError as error:
        return [Picture(problem=error.problem, reason=error.reason)] * len(images)
    except Exception as error:
        return [Picture(problem="damaged", reason=f"{type(error).__name__}: {error}"[:300])] * len(images)


def _file(paths: list[Path]) -> list[Picture]:
    info = probe(paths[0])
    stored = {
        "format": info.format,
        "channels": info.channels,
        "bits": info.bits,
        "frames": info.frames,
        "orientation": info.orientation,
        "size": info.bytes,
        "whole": info.format != "JPEG" or _whole(paths[0].read_bytes()),
    }
    return _measured([read(paths[0])], stored)


def _whole(data: bytes) -> bool:
    """Whether a JPEG ends where its data ends; of arithmetic-coded, 12-bit and CMYK files nothing is known."""
    known = header.jpeg(data)
    return known is None or known.quick is not None or known.bits != 8 or known.channels not in (1, 3)


def _arrays(images: list[NDArray[np.uint8]]) -> list[Picture]:
    channels = 1 if images[0].ndim == 2 else images[0].shape[2]
    stored = {"format": "array", "channels": channels, "bits": 8, "size": images[0].nbytes}
    return _measured([converted(image, 3) for image in images], stored)


def _measured(images: list[NDArray[np.uint8]], stored: dict[str, Any]) -> list[Picture]:
    """Measures pictures of one size together.

    Args:
        images: uint8 `(height, width, 3)` RGB.
        stored: What is known of them as stored.
    """
    height, width = images[0].shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    small = np.stack([resize(image, size) for image in images])
    planes = np.ascontiguousarray(np.moveaxis(small, 3, 1))
    colour = ((planes[:, 1] != planes[:, 0]) | (planes[:, 2] != planes[:, 0])).any((1, 2))
    gray = np.stack([rgb_to_gray(s) if c else p[0] for s, p, c in zip(small, planes, colour)])
    channels = planes.reshape(len(images), 3, -1).astype(np.float32)
    luma = gray.reshape(len(images), -1).astype(np.float32)
    thumbs, contrasts = thumbprint(gray)
    columns = {
        "colour": colour.tolist(),
        "digest": [digest(image) for image in images],
        "dhash": [dhash(g) for g in gray],
        "thumb": thumbs,
        "contrast": contrasts.tolist(),
        "mean": channels.mean(-1),
        "std": channels.std(-1),
        "brightness": luma.mean(-1).tolist(),
        "spread": luma.std(-1).tolist(),
        "sharpness": _sharpness(gray).tolist(),
        "border": _border(planes),
    }
    rows = (dict(zip(columns, values)) for values in zip(*columns.values()))
    return [Picture(height=height, width=width, **stored, **row) for row in rows]


def _sharpness(gray: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Standard deviation of the Laplacian (Pech-Pacheco et al. 2000, there squared)."""
    if min(gray.shape[1:]) < 3:
        return np.zeros(len(gray), np.float32)
    g = gray.astype(np.int16)
    laplacian = g[:, :-2, 1:-1] + g[:, 2:, 1:-1] + g[:, 1:-1, :-2] + g[:, 1:-1, 2:] - 4 * g[:, 1:-1, 1:-1]
    deviation: NDArray[np.float32] = laplacian.reshape(len(g), -1).astype(np.float32).std(-1)
    return deviation


def _border(planes: NDArray[np.uint8]) -> NDArray[np.float32]:
    rows, columns = (max(1, side // 20) for side in planes.shape[2:])
    sides = (
        planes[:, :, :rows],
        planes[:, :, -rows:],
        planes[:, :, :, :columns],
        planes[:, :, :, -columns:],
    )
    pixels = np.concatenate([s.reshape(*s.shape[:2], -1) for s in sides], axis=-1)
    median: NDArray[np.float32] = np.median(pixels, axis=-1).astype(np.float32)
    return median
