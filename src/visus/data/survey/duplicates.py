"""Finds the same picture twice: byte for byte after decoding, or saved again, resized, slightly retouched.

Equal pictures are found by a hash of their pixels. Near-duplicates must pass two tests: difference hashes
(64-bit dHash) that differ in at most 5 bits, and 16 x 16 thumbnails with a correlation of at least 0.999. The
hash alone is not enough: of 70,000 MNIST digits 19 million pairs pass it, and none is the same picture. The
second test decides more sharply, so the search starts there: pictures whose thumbnails correlate lie within a
small ball, also after projection to a few dimensions, and a k-d tree finds those in much less than N * N / 2
comparisons. The result is the same as that of comparing all pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visus.image.hash import hamming

HAMMING = 5
"""At most so many of the 64 bits differ between the dHashes of near-duplicates."""

CORRELATION = 0.999
"""At least so much do their thumbnails correlate.

Measured: copies saved as JPEG of quality 50, halved or doubled reach 0.9992 on flowers, blood cells, solar
cells and faces. Different pictures reach at most 0.9986 (neighbouring solar cells), 0.997 (MNIST) and 0.993
(faces).
"""

FLAT = 2.0
"""Thumbnails with a smaller standard deviation, in gray levels, show nothing that could be compared."""

SIDE = 16
_DIMENSIONS = 8  # fewer give more candidates, more make the tree slow
_MANY = 20_000_000  # candidate pairs; above, only the nearest neighbours of each picture are compared
_NEIGHBOURS = 64


def thumbprint(gray: NDArray[Any]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """The 16 x 16 thumbnail of gray pictures without its brightness and contrast, and the contrast.

    Args:
        gray: `(..., height, width)` gray values 0..255.

    Returns:
        int8 `(..., 256)`: deviation from the mean in 1/31 standard deviations, at most 4 of them; and float32
        `(...)`, the standard deviation in gray levels.
    """
    small = area_average(gray, SIDE, SIDE)
    small = small.reshape(*small.shape[:-2], SIDE * SIDE)
    small = small - small.mean(-1, keepdims=True)
    contrast = small.std(-1, keepdims=True)
    scaled = np.rint(small * (31.0 / np.maximum(contrast, 1e-3)))
    return np.clip(scaled, -127, 127).astype(np.int8), contrast[..., 0].astype(np.float32)


def area_average(gray: NDArray[Any], rows: int, columns: int) -> NDArray[np.float32]:
    """Resizes gray pictures by exact averaging over areas, in floating point.

    Args:
        gray: `(..., height, width)`.
        rows: Height of the result.
        columns: Width of the result.

    Returns:
        float32 `(..., rows, columns)`.

    Example:
        >>> area_average(np.array([[0, 30, 60], [30, 60, 90]]), 1, 2).tolist()
        [[25.0, 65.0]]
    """
    return _strips(_strips(np.asarray(gray, np.float32), columns, -1), rows, -2)


def _strips(values: NDArray[np.float32], count: int, axis: int) -> NDArray[np.float32]:
    """Means over `count` strips of equal width, which cut through pixels where they must."""
    size = values.shape[axis]
    edges = np.linspace(0.0, size, count + 1)
    pixel = np.minimum(edges.astype(np.int64), size - 1)  # the one that each edge cuts
    along = (slice(None), None) if axis == -2 else slice(None)
    cut = values.take(pixel, axis) * (edges - pixel).astype(np.float32)[along]
    whole = np.add.reduceat(values, pixel, axis).take(range(count), axis) * (np.diff(pixel) > 0)[along]
    means: NDArray[np.float32] = (whole + np.diff(cut, axis=axis)) * np.float32(count / size)
    return means


def equal_groups(digests: Sequence[str]) -> list[tuple[int, ...]]:
    """Positions of equal digests, two or more in a group, in order of first appearance.

    Example:
        >>> equal_groups(["a", "b", "a", "c", "b"])
        [(0, 2), (1, 4)]
    """
    seen: dict[str, list[int]] = {}
    for i, digest in enumerate(digests):
        seen.setdefault(digest, []).append(i)
    return [tuple(group) for group in seen.values() if len(group) > 1]


def near_pairs(
    hashes: NDArray[np.uint64], thumbs: NDArray[np.int8], contrasts: NDArray[np.float32]
) -> NDArray[np.int64]:
    """All pairs of near-duplicates. A hundred thousand pictures take seconds.

    Pictures that show nothing (`FLAT`) have no near-duplicates. Where more than twenty million pairs come
    into question (a camera that stands still), each picture is compared with its 64 nearest only.

    Args:
        hashes: `(N,)` from `visus.image.dhash`.
        thumbs: `(N, 256)` from `thumbprint`.
        contrasts: `(N,)` from `thumbprint`.

    Returns:
        int64 `(M, 2)`, positions with first < second, sorted.
    """
    from scipy.spatial import KDTree

    worth = np.flatnonzero(contrasts >= FLAT)
    if len(worth) < 2:
        return np.empty((0, 2), np.int64)
    points = _projected(thumbs, worth)
    # |u - v|^2 = 2 - 2 * correlation for unit vectors, and projections only shorten; 1 % slack for rounding.
    radius = np.sqrt(2.0 - 2.0 * CORRELATION) * 1.01
    tree = KDTree(points)
    sample = points[:: len(points) // 1000 + 1]
    expected = tree.query_ball_point(sample, radius, return_length=True).mean() * len(points) / 2
    if expected <= _MANY:
        candidates = tree.query_pairs(radius, output_type="ndarray")
    else:
        _, neighbours = tree.query(points, min(_NEIGHBOURS, len(points)), distance_upper_bound=radius)
        first = np.repeat(np.arange(len(points)), neighbours.shape[1])
        candidates = np.stack([first, neighbours.ravel()], axis=1)
        candidates = candidates[candidates[:, 1] < len(points)]
        candidates = np.unique(np.sort(candidates[candidates[:, 0] != candidates[:, 1]], axis=1), axis=0)
    kept = [np.empty((0, 2), np.int64)]
    for block in np.array_split(candidates, len(candidates) // 50_000 + 1):
        a, b = worth[block[:, 0]], worth[block[:, 1]]
        close = hamming(hashes[a], hashes[b]) <= HAMMING
        a, b = a[close], b[close]
        alike = np.einsum("ij,ij->i", _unit(thumbs[a]), _unit(thumbs[b])) >= CORRELATION
        kept.append(np.sort(np.stack([a[alike], b[alike]], axis=1), axis=1))
    return np.unique(np.concatenate(kept), axis=0)


def connected(pairs: Iterable[Sequence[int]], count: int) -> list[tuple[int, ...]]:
    """Joins pairs to groups: what is connected, over however many steps, belongs together.

    Example:
        >>> connected([(4, 2), (0, 5), (2, 1)], 6)
        [(0, 5), (1, 2, 4)]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    pairs = np.asarray(list(pairs), np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    members = np.unique(pairs)
    groups: dict[int, list[int]] = {}
    for i in members:
        groups.setdefault(int(component[i]), []).append(int(i))
    return sorted(tuple(group) for group in groups.values())


def _projected(thumbs: NDArray[np.int8], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Unit vectors along the directions in which a sample differs most; any orthonormal basis is right."""
    sample = _unit(thumbs[rows[:: len(rows) // 10_000 + 1]])
    sample = sample - sample.mean(0)
    _, directions = np.linalg.eigh(sample.T @ sample)
    basis = directions[:, -_DIMENSIONS:]
    return np.concatenate(
        [_unit(thumbs[part]) @ basis for part in np.array_split(rows, len(rows) // 8192 + 1)]
    )


def _unit(thumbs: NDArray[np.int8]) -> NDArray[np.float32]:
    vectors: NDArray[np.float32] = thumbs.astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors
