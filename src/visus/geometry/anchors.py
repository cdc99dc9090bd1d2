"""Boxes that a detector starts from: on a grid, of the scales of SSD, and fitted to a data set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visus.geometry.boxes import to_xyxy

Size = tuple[float, float]


def shapes(areas: Sequence[float], ratios: Sequence[float]) -> NDArray[np.float64]:
    """Every area in every shape.

    Args:
        areas: Square pixels.
        ratios: Height over width.

    Returns:
        float64 `(len(areas) * len(ratios), 2)` of `(width, height)`, area by area.

    Example:
        >>> shapes([128**2], [0.5, 1.0]).round(4).tolist()
        [[181.0193, 90.5097], [128.0, 128.0]]
    """
    return np.array([(math.sqrt(a / r), math.sqrt(a * r)) for a in areas for r in ratios])


def grid(map_size: tuple[int, int], stride: Size | float, sizes: ArrayLike) -> NDArray[np.float64]:
    """Boxes of the given sizes about the centre of every cell of a feature map.

    Args:
        map_size: `(rows, columns)` of the map.
        stride: Pixels of the input for each cell, one number or `(along y, along x)`.
        sizes: `(K, 2)` of `(width, height)`, pixels.

    Returns:
        float64 `(rows * columns * K, 4)` xyxy, row by row, cell by cell.

    Example:
        >>> grid((1, 2), 16, [(10, 20)]).tolist()
        [[3.0, -2.0, 13.0, 18.0], [19.0, -2.0, 29.0, 18.0]]
    """
    rows, columns = map_size
    down, across = stride if isinstance(stride, tuple) else (stride, stride)
    sizes = np.asarray(sizes, np.float64)
    y, x = np.meshgrid((np.arange(rows) + 0.5) * down, (np.arange(columns) + 0.5) * across, indexing="ij")
    centres = np.stack([x, y], axis=-1).reshape(-1, 1, 2)
    boxes = np.concatenate(np.broadcast_arrays(centres, sizes), axis=-1)
    return np.asarray(to_xyxy(boxes.reshape(-1, 4), "cxcywh"))


def ssd_scales(maps: int, smallest: float = 0.2, largest: float = 0.9) -> list[float]:
    """The scale of each feature map as a share of the picture (Liu et al., 2016, equation 4).

    Example:
        >>> [round(s, 2) for s in ssd_scales(6, 0.2, 0.95)]
        [0.2, 0.35, 0.5, 0.65, 0.8, 0.95]
    """
    return np.linspace(smallest, largest, maps).tolist() if maps > 1 else [smallest]


def ssd_shapes(
    scales: Sequence[float],
    ratios: Sequence[Sequence[float]],
    *,
    reduce_lowest: bool = False,
) -> list[NDArray[np.float64]]:
    """The default boxes of each feature map as shares of the picture's width and height.

    Args:
        scales: One for each map; `ssd_scales`.
        ratios: For each map the ratios width over height, 1 among them; to it comes an extra box of ratio 1 and
            the scale sqrt(s_k s_(k+1)), with s = 1 after the last.
        reduce_lowest: The first map has three boxes only: (scale 0.1, ratio 1), (s_1, 2), (s_1, 1/2), as in the
            pipelines of the TensorFlow Object Detection API.

    Returns:
        For each map float64 `(K, 2)` of `(width, height)`, in the order of the ratios, the extra box last.
    """
    result = []
    for k, (scale, wanted) in enumerate(zip(scales, ratios, strict=True)):
        following = scales[k + 1] if k + 1 < len(scales) else 1.0
        boxes = [(scale, ratio) for ratio in wanted] + [(math.sqrt(scale * following), 1.0)]
        if reduce_lowest and k == 0:
            boxes = [(0.1, 1.0), (scale, 2.0), (scale, 0.5)]
        result.append(np.array([(s * math.sqrt(a), s / math.sqrt(a)) for s, a in boxes]))
    return result


@dataclass(frozen=True, eq=False)
class Fitted:
    """Anchors fitted to boxes.

    Attributes:
        sizes: float64 `(k, 2)` of `(width, height)`, by area.
        mean_iou: Mean over the boxes of the IoU with their best anchor, centres together.
    """

    sizes: NDArray[np.float64]
    mean_iou: float


def shape_iou(sizes: ArrayLike, anchors: ArrayLike) -> NDArray[np.float64]:
    """`(N, 2)` and `(M, 2)` of `(width, height)` -> float64 `(N, M)` IoU of the boxes with their centres together."""
    a, b = np.asarray(sizes, np.float64)[:, None], np.asarray(anchors, np.float64)[None]
    common = np.minimum(a, b).prod(axis=-1)
    return np.asarray(common / (a.prod(axis=-1) + b.prod(axis=-1) - common))


def fit(
    sizes: ArrayLike,
    k: int,
    *,
    rng: np.random.Generator | None = None,
    median: bool = False,
    rounds: int = 300,
) -> Fitted:
    """k-means on widths and heights with the distance 1 - IoU (Redmon and Farhadi, 2017).

    A cluster that loses all its boxes starts again from the box that fits worst.

    Args:
        sizes: `(N, 2)` of `(width, height)`, all above 0.
        k: Number of anchors.
        rng: For the first anchors, which are boxes of the data; None: seed 0.
        median: Move anchors to the median of their boxes, not the mean.
        rounds: At most so many; it usually takes some tens.

    Raises:
        ValueError: There are fewer boxes than anchors, or a box has no area.

    Example:
        >>> fit([(10, 10), (12, 12), (11, 9), (50, 60), (55, 50), (52, 58)], 2).sizes.round(2).tolist()
        [[11.0, 10.33], [52.33, 56.0]]
    """
    sizes = np.asarray(sizes, np.float64).reshape(-1, 2)
    if not 1 <= k <= len(sizes):
        raise ValueError(f"k lies in 1..{len(sizes)}, the number of boxes. Received {k}.")
    if not (np.isfinite(sizes) & (sizes > 0)).all():
        raise ValueError("Every box needs a width and a height above 0 for anchors to be fitted to it.")
    rng = rng or np.random.default_rng(0)
    anchors = sizes[rng.choice(len(sizes), k, replace=False)]
    middle = np.median if median else np.mean
    assigned = np.full(len(sizes), -1)
    for _ in range(rounds):
        overlap = shape_iou(sizes, anchors)
        before, assigned = assigned, overlap.argmax(axis=1)
        worst = iter(np.argsort(overlap.max(axis=1), kind="stable"))
        for cluster in np.setdiff1d(np.arange(k), assigned):
            assigned[next(i for i in worst if np.count_nonzero(assigned == assigned[i]) > 1)] = cluster
        if np.array_equal(before, assigned):
            break
        anchors = np.stack([middle(sizes[assigned == cluster], axis=0) for cluster in range(k)])
    anchors = anchors[np.argsort(anchors.prod(axis=1), kind="stable")]
    return Fitted(anchors, float(shape_iou(sizes, anchors).max(axis=1).mean()))
