"""Augmentation of whole batches: two pictures become one, and so do their targets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visus.structures import InputError

Batch = NDArray[np.floating]


@dataclass(frozen=True)
class Mix(ABC):
    """Mixes each picture of a batch with a partner from the same batch, each pair with a share of its own.

    Attributes:
        alpha: Parameter of Beta(alpha, alpha), from which each picture's share is drawn.
        probability: Of a batch being mixed at all.
    """

    alpha: float = 1.0
    probability: float = 1.0

    def __post_init__(self) -> None:
        if self.alpha <= 0 or not 0 <= self.probability <= 1:
            raise ValueError(
                f"{type(self).__name__} needs alpha > 0 and a probability in [0, 1]. "
                f"Received alpha {self.alpha}, probability {self.probability}."
            )

    def __call__(self, images: Batch, targets: Batch, rng: np.random.Generator) -> tuple[Batch, Batch]:
        """Mixes a batch.

        Args:
            images: float32 `(B, h, w, c)`, 0..255.
            targets: float32 `(B, K)`, one-hot, multi-hot or probabilities.
            rng: Chance.

        Returns:
            New arrays of the same shapes and types.
        """
        if rng.random() >= self.probability:
            return images, targets
        partner = rng.permutation(len(images))
        shares = rng.beta(self.alpha, self.alpha, len(images))
        mixed, kept = self.mix(images, images[partner], shares, rng)
        kept = kept[:, None].astype(targets.dtype)
        return mixed, kept * targets + (1 - kept) * targets[partner]

    @abstractmethod
    def mix(
        self, images: Batch, partners: Batch, shares: NDArray[np.float64], rng: np.random.Generator
    ) -> tuple[Batch, NDArray[np.float64]]:
        """The mixed pictures, and what part of each, 0..1, comes from `images`.

        Args:
            images: `(B, h, w, c)`.
            partners: The same, each to be mixed with the picture at its place.
            shares: `(B,)`, the wanted part of `images`.
            rng: Chance.
        """

    def to_dict(self) -> dict[str, Any]:
        """`{"mix": name, "alpha", "probability"}`; `mix_from_dict` reads it."""
        return {"mix": type(self).__name__, **asdict(self)}


@dataclass(frozen=True)
class MixUp(Mix):
    """`share * a + (1 - share) * b`, pictures and targets alike (Zhang et al. 2017).

    Example:
        >>> images = np.stack([np.zeros((2, 3, 1)), np.full((2, 3, 1), 200)]).astype(np.float32)
        >>> mixed, targets = MixUp(alpha=0.4)(images, np.eye(2, dtype=np.float32), np.random.default_rng(3))
        >>> bool(np.allclose(mixed[:, 0, 0, 0], 200 * targets[:, 1]))
        True
    """

    alpha: float = 0.2

    def mix(
        self, images: Batch, partners: Batch, shares: NDArray[np.float64], rng: np.random.Generator
    ) -> tuple[Batch, NDArray[np.float64]]:
        """The weighted mean."""
        weights = shares.astype(images.dtype)[:, None, None, None]
        return partners + weights * (images - partners), shares


@dataclass(frozen=True)
class CutMix(Mix):
    """A rectangle of the partner is pasted over the picture; targets are shared by area (Yun et al. 2019).

    The rectangle's middle lies anywhere, so it may be cut by the edge; the share is that of the exact pixels.
    """

    def mix(
        self, images: Batch, partners: Batch, shares: NDArray[np.float64], rng: np.random.Generator
    ) -> tuple[Batch, NDArray[np.float64]]:
        """The pictures with a rectangle of their partners."""
        height, width = images.shape[1:3]
        mixed, kept = images.copy(), np.ones(len(images))
        for i, side in enumerate(np.sqrt(1 - shares)):
            middle = rng.uniform(0, (height, width))
            half = side * np.array([height, width]) / 2
            top, left = np.rint(np.maximum(middle - half, 0)).astype(int)
            bottom, right = np.rint(np.minimum(middle + half, (height, width))).astype(int)
            mixed[i, top:bottom, left:right] = partners[i, top:bottom, left:right]
            kept[i] = 1 - (bottom - top) * (right - left) / (height * width)
        return mixed, kept


def mix_from_dict(description: Mapping[str, Any]) -> Mix:
    """The mix that `to_dict` described.

    Raises:
        InputError: The name is unknown.
    """
    fields = dict(description)
    kinds = {kind.__name__: kind for kind in Mix.__subclasses__()}
    name = fields.pop("mix", None)
    if name not in kinds:
        raise InputError(f"There is no mix named {name!r}. Choose one of {', '.join(sorted(kinds))}.")
    return kinds[name](**fields)
