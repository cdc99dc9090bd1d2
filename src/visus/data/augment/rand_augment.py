"""Augmentation without a search: a few ops drawn from a fixed list, all at one strength."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from visus.data.augment.color import (
    Autocontrast,
    Contrast,
    Equalize,
    Exposure,
    Posterize,
    Saturation,
    Sharpness,
    Solarize,
)
from visus.data.augment.geometry import Rotate, Shear, Shift
from visus.data.augment.op import Choice, Hazard, Op, Parameters


@dataclass(frozen=True)
class _Chosen(Choice):
    """What was drawn stands in `chosen`: names and parameters of ops, `{}` for none."""

    def steps(self, parameters: Parameters) -> list[tuple[Op, Parameters]]:
        """The chosen ops."""
        return [(_OPS[c["op"]], c["parameters"]) for c in parameters["chosen"] if c]

    def identity(self, image_size: tuple[int, int]) -> Parameters:
        """No op."""
        return {"chosen": []}


@dataclass(frozen=True)
class RandAugment(_Chosen):
    """`count` ops of 14, each as likely, all at one magnitude (Cubuk et al. 2019), the sign drawn for each.

    PIL's names in the paper: Color is `Saturation` here, Brightness is `Exposure`, Translate is `Shift`.

    Attributes:
        count: How many ops follow each other, N in the paper.
        magnitude: 0 (nothing) to 10 (all), M in the paper.
    """

    count: int = 2
    magnitude: float = 9.0

    def __post_init__(self) -> None:
        if self.count < 0 or not 0 <= self.magnitude <= 10:
            raise ValueError(
                "RandAugment needs count >= 0 and a magnitude in 0..10. "
                f"Received count {self.count}, magnitude {self.magnitude}."
            )

    def draw(self, rng: np.random.Generator, image_size: tuple[int, int]) -> Parameters:
        """`chosen`: the ops with their parameters."""
        chosen = [_choose(rng, _NARROW, self.magnitude / 10) for _ in range(self.count)]
        return {"chosen": chosen}

    @property
    def hazards(self) -> frozenset[Hazard]:
        """Solarize inverts colours, Saturation takes them away."""
        return frozenset({"colour"})


@dataclass(frozen=True)
class TrivialAugment(_Chosen):
    """One op of 14 at a magnitude drawn anew for each picture (Müller and Hutter 2021); nothing to tune.

    Attributes:
        wide: Whether the ranges are the paper's wide ones, with rotations to 135 degrees, or RandAugment's.
    """

    wide: bool = True

    def draw(self, rng: np.random.Generator, image_size: tuple[int, int]) -> Parameters:
        """`chosen`: the op with its parameters."""
        magnitude = int(rng.integers(31)) / 30
        return {"chosen": [_choose(rng, _WIDE if self.wide else _NARROW, magnitude)]}

    @property
    def hazards(self) -> frozenset[Hazard]:
        """Solarize inverts colours, and the wide rotations pass 90 degrees."""
        return frozenset({"colour", "left-right", "up-down"} if self.wide else {"colour"})


@dataclass(frozen=True)
class _Space:
    """The values that the ops reach at full magnitude."""

    slope: float  # of shear
    shift: float  # fraction of a side
    degrees: float
    factor: float  # distance from 1
    bits: int  # that posterize takes away


_NARROW = _Space(slope=0.3, shift=150 / 331, degrees=30, factor=0.9, bits=4)
_WIDE = _Space(slope=0.99, shift=32 / 224, degrees=135, factor=0.99, bits=6)

_OPS: Mapping[str, Op] = {
    type(op).__name__: op
    for op in (
        *(
            Autocontrast(),
            Equalize(),
            Solarize(),
            Saturation(),
            Posterize(),
            Contrast(),
            Exposure(),
            Sharpness(),
        ),
        *(Rotate(), Shear(), Shift()),
    )
}


def _choose(rng: np.random.Generator, space: _Space, magnitude: float) -> dict[str, Any]:
    """One of the papers' 14 entries: an op's name and parameters."""
    sign = 1.0 if rng.random() < 0.5 else -1.0
    slope = sign * math.degrees(math.atan(space.slope * magnitude))
    shift = sign * space.shift * magnitude
    factor = {"factor": 1 + sign * space.factor * magnitude}
    entries: tuple[tuple[str, Parameters] | None, ...] = (
        None,  # the papers' Identity
        ("Autocontrast", {}),
        ("Equalize", {}),
        ("Rotate", {"degrees": sign * space.degrees * magnitude}),
        ("Solarize", {"threshold": 256 * (1 - magnitude)}),
        ("Saturation", factor),
        ("Posterize", {"bits": 8 - round(space.bits * magnitude)}),
        ("Contrast", factor),
        ("Exposure", factor),
        ("Sharpness", factor),
        ("Shear", {"x": slope, "y": 0.0}),
        ("Shear", {"x": 0.0, "y": slope}),
        ("Shift", {"x": shift, "y": 0.0}),
        ("Shift", {"x": 0.0, "y": shift}),
    )
    entry = entries[int(rng.integers(len(entries)))]
    return {} if entry is None else {"op": entry[0], "parameters": entry[1]}
