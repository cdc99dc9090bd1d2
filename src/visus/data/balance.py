"""Unequal classes: weights, resampling, and what always guessing the largest class would score.

Done after splitting, on train only.
"""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visus.data.dataset import Dataset
from visus.structures import InputError

Scheme = Literal["balanced", "inverse", "effective"]
Resampling = Literal["over", "under"]


def class_weights(
    counts: ArrayLike | Dataset, scheme: Scheme = "balanced", *, beta: float = 0.999
) -> NDArray[np.float64]:
    """A weight per class for the loss, larger for rarer classes.

    - `balanced`: n / (k * n_c); the mean weight of a sample is 1.
    - `inverse`: proportional to 1 / n_c, normalised to sum k.
    - `effective`: proportional to (1 - beta) / (1 - beta ** n_c), normalised to sum k.

    Here k counts the classes that occur; a class without samples gets the weight 0, with a warning.

    Args:
        counts: `(K,)` samples per class, or a data set.
        scheme: See above.
        beta: For `effective`, in [0, 1): 0 gives equal weights, towards 1 they approach `inverse`.

    Returns:
        float64 `(K,)`.

    Raises:
        InputError: No class has a sample, or the scheme is none.

    Reference:
        Y. Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019, arXiv:1901.05555.

    Example:
        >>> class_weights([990, 10]).round(5).tolist()
        [0.50505, 50.0]
    """
    n = _counts(counts)
    present = n > 0
    weights = np.zeros(len(n))
    k = int(present.sum())
    if scheme == "balanced":
        weights[present] = n.sum() / (k * n[present])
    elif scheme == "inverse":
        weights[present] = 1 / n[present]
    elif scheme == "effective":
        if not 0 <= beta < 1:
            raise InputError(f"beta lies in [0, 1). Received {beta}.")
        # expm1 and log1p keep the digits that 1 - beta**n loses when beta is near 1.
        weights[present] = (1 - beta) / -np.expm1(n[present] * np.log1p(beta - 1)) if beta else 1.0
    else:
        raise InputError(f"Class weights are balanced, inverse or effective. Received {scheme!r}.")
    if scheme != "balanced":
        weights *= k / weights.sum()
    if k < len(n):
        absent = ", ".join(str(i) for i in np.flatnonzero(~present)[:10])
        warnings.warn(f"{len(n) - k} classes have no sample and get the weight 0: {absent}.", stacklevel=2)
    return weights


def median_frequency(pixels: ArrayLike) -> NDArray[np.float64]:
    """Weights for the classes of pixels: the median frequency over the class's own.

    A class's frequency is its pixels over all pixels of the pictures that contain it.

    Args:
        pixels: `(N, K)`: pixels of each class in each picture.

    Returns:
        float64 `(K,)`; 0 for a class that never occurs.

    Reference:
        D. Eigen, R. Fergus, Predicting Depth, Surface Normals and Semantic Labels, ICCV 2015,
        arXiv:1411.4734.

    Example:
        >>> median_frequency([[60, 40, 0], [80, 10, 10]]).round(5).tolist()
        [0.35714, 1.0, 2.5]
    """
    pixels = np.asarray(pixels, np.float64)
    if pixels.ndim != 2 or (pixels < 0).any() or not pixels.any():
        raise InputError(f"Pixel counts are (pictures, classes) and not negative. Received {pixels.shape}.")
    total = ((pixels > 0) * pixels.sum(1, keepdims=True)).sum(0)
    present = total > 0
    frequency = pixels.sum(0)[present] / total[present]
    weights = np.zeros(pixels.shape[1])
    weights[present] = np.median(frequency) / frequency
    return weights


def resample(labels: ArrayLike, how: Resampling = "over", *, rng: np.random.Generator) -> NDArray[np.int64]:
    """Positions of samples such that every class occurs equally often.

    Args:
        labels: int `(N,)` class of each sample; -1 (unlabelled) is left out.
        how: `over` repeats samples up to the largest class: each of a class's samples occurs as often as any
            other, or once more. `under` leaves out samples down to the smallest class.
        rng: The source of chance.

    Returns:
        int64 positions, shuffled.

    Reference:
        M. Buda et al., A systematic study of the class imbalance problem, arXiv:1710.05381: oversampling is
        best.

    Example:
        >>> positions = resample([0, 0, 0, 1], rng=np.random.default_rng(0))
        >>> sorted(positions.tolist())
        [0, 1, 2, 3, 3, 3]
    """
    labels = _labels(labels)
    members = [np.flatnonzero(labels == c) for c in np.unique(labels[labels >= 0])]
    if how not in ("over", "under"):
        raise InputError(f"Samples are resampled over or under. Received {how!r}.")
    size = max(map(len, members)) if how == "over" else min(map(len, members))
    chosen = []
    for own in members:
        whole, rest = divmod(size, len(own))
        chosen += [own] * whole + [rng.permutation(own)[:rest]]
    return rng.permutation(np.concatenate(chosen))


def draw(
    labels: ArrayLike, n: int, *, rng: np.random.Generator, weights: ArrayLike | None = None
) -> NDArray[np.int64]:
    """Draws `n` positions with replacement: the class by its weight, then one of its samples.

    Args:
        labels: int `(N,)` class of each sample; -1 is never drawn.
        n: How many.
        rng: The source of chance.
        weights: `(K,)` not negative; by default every class that occurs is equally likely.

    Returns:
        int64 `(n,)`.
    """
    labels = _labels(labels)
    known = np.flatnonzero(labels >= 0)
    counts = np.bincount(labels[known])
    if weights is None:
        weights = np.ones(len(counts))
    share = np.asarray(weights, np.float64)[: len(counts)] / np.maximum(counts, 1)
    chance = share[labels[known]]
    if not (chance >= 0).all() or chance.sum() <= 0:
        raise InputError(
            "Weights of classes are not negative, and at least one class that occurs has more than 0."
        )
    return rng.choice(known, n, p=chance / chance.sum())


def smote(
    features: ArrayLike, labels: ArrayLike, *, rng: np.random.Generator, k: int = 5
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """SMOTE: new samples of the rare classes between neighbours of one class, in feature space.

    x + u (x_nn - x) with u uniform in [0, 1) and x_nn one of the k nearest of the same class.

    Args:
        features: float `(N, D)`.
        labels: int `(N,)`.
        rng: The source of chance.
        k: Neighbours, fewer where the class is smaller.

    Returns:
        Features `(M, D)` and labels `(M,)`: all samples, then the new ones; every class as large as the
        largest.

    Raises:
        InputError: A class has a single sample and so no neighbour.

    Reference:
        N. V. Chawla et al., SMOTE: Synthetic Minority Over-sampling Technique, JAIR 16, 2002.
    """
    from sklearn.neighbors import NearestNeighbors

    features, labels = np.asarray(features, np.float64), _labels(labels)
    counts = np.bincount(labels)
    new_features, new_labels = [features], [labels]
    for c in np.flatnonzero((counts > 0) & (counts < counts.max())):
        own = features[labels == c]
        if len(own) < 2:
            raise InputError(f"SMOTE needs two samples of every class. Class {c} has one.")
        near = NearestNeighbors(n_neighbors=min(k, len(own) - 1)).fit(own).kneighbors(return_distance=False)
        more = int(counts.max() - len(own))
        base = rng.integers(len(own), size=more)
        other = near[base, rng.integers(near.shape[1], size=more)]
        new_features.append(own[base] + rng.random((more, 1)) * (own[other] - own[base]))
        new_labels.append(np.full(more, c, np.int64))
    return np.concatenate(new_features), np.concatenate(new_labels)


def majority_baseline(counts: ArrayLike | Dataset) -> tuple[int, float]:
    """The largest class, and the accuracy of always answering it.

    Example:
        >>> majority_baseline([990, 10])
        (0, 0.99)
    """
    n = _counts(counts)
    return int(n.argmax()), float(n.max() / n.sum())


def report(before: Dataset, after: Dataset) -> str:
    """Samples per class before and after, and the accuracy of the always-majority answer, as text."""
    old, new = before.counts(), after.counts()
    width = max(map(len, old), default=0)
    lines = [f"{name:<{width}}  {n:>8,} -> {new.get(name, 0):>8,}" for name, n in old.items()]
    majority = " -> ".join(f"{majority_baseline(each)[1]:.1%}" for each in (before, after))
    return "\n".join([*lines, f"always the largest class: {majority}"])


def _counts(counts: ArrayLike | Dataset) -> NDArray[np.int64]:
    n = np.asarray(list(counts.counts().values()) if isinstance(counts, Dataset) else counts)
    if n.ndim != 1 or not n.size or (n < 0).any() or not n.any():
        raise InputError(f"Samples per class are (K,), not negative and not all 0. Received {n!r}.")
    return n.astype(np.int64)


def _labels(labels: ArrayLike) -> NDArray[np.int64]:
    array = np.asarray(labels)
    if array.ndim != 1 or array.dtype.kind not in "iu" or not (array >= 0).any():
        raise InputError(
            f"Labels are whole numbers (N,), not all of them -1. Received {array.dtype} {array.shape}."
        )
    return array.astype(np.int64)
