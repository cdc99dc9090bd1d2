"""Augmentations that hide a part, so that a model learns to look at more than one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from visus.data.augment.op import Parameters, Picture, PixelOp

Size = tuple[int, int]


@dataclass(frozen=True)
class RandomErasing(PixelOp):
    """Hides a rectangle of random area and aspect that lies inside the picture (Zhong et al. 2017).

    Attributes:
        scale: Smallest and largest area, as a fraction of the picture's.
        ratio: Smallest and largest height over width, both relative to the picture's sides; on a log scale.
        fill: What covers it: `noise` (random values), `mean` (the picture's mean colour) or a level 0..255.
    """

    scale: tuple[float, float] = (0.02, 0.33)
    ratio: tuple[float, float] = (0.3, 3.3)
    fill: Literal["noise", "mean"] | int = "noise"

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1] < 1:
            raise ValueError(
                f"RandomErasing.scale is (low, high) with 0 < low <= high < 1. Received {self.scale}."
            )
        _check_fill(self.fill)

    def draw(self, rng: np.random.Generator, image_size: Size) -> Parameters:
        """`top`, `left`, `height`, `width` as fractions of the sides, and the `seed` of the noise."""
        area = rng.uniform(*self.scale)
        # A rectangle longer than the picture cannot lie inside it.
        low, high = max(self.ratio[0], area), min(self.ratio[1], 1 / area)
        ratio = math.exp(rng.uniform(math.log(low), math.log(max(low, high))))
        height, width = min(1.0, math.sqrt(area * ratio)), min(1.0, math.sqrt(area / ratio))
        top, left = rng.uniform(0, 1 - height), rng.uniform(0, 1 - width)
        return {
            "top": float(top),
            "left": float(left),
            "height": height,
            "width": width,
            "seed": int(rng.integers(2**31)),
        }

    def apply(self, image: Picture, parameters: Parameters) -> Picture:
        """The picture with the rectangle covered."""
        return _cover(image, parameters, self.fill)

    def identity(self, image_size: Size) -> Parameters:
        """A rectangle without area."""
        return {"top": 0.0, "left": 0.0, "height": 0.0, "width": 0.0, "seed": 0}


@dataclass(frozen=True)
class Cutout(PixelOp):
    """Hides a square whose middle lies anywhere in the picture, so that part may fall outside (DeVries 2017).

    Attributes:
        side: Side of the square as a fraction of each side of the picture; the paper's on CIFAR-10 is 0.5.
        fill: `noise`, `mean` or a level 0..255; the paper's is the mean.
    """

    side: float = 0.25
    fill: Literal["noise", "mean"] | int = "mean"

    def __post_init__(self) -> None:
        _check_fill(self.fill)

    def draw(self, rng: np.random.Generator, image_size: Size) -> Parameters:
        """`top`, `left`, `height`, `width` as fractions of the sides, and the `seed` of the noise."""
        top, left = rng.uniform(0, 1, 2) - self.side / 2
        return {
            "top": float(top),
            "left": float(left),
            "height": self.side,
            "width": self.side,
            "seed": int(rng.integers(2**31)),
        }

    def apply(self, image: Picture, parameters: Parameters) -> Picture:
        """The picture with the square covered."""
        return _cover(image, parameters, self.fill)

    def identity(self, image_size: Size) -> Parameters:
        """A square without area."""
        return {"top": 0.0, "left": 0.0, "height": 0.0, "width": 0.0, "seed": 0}


def _cover(image: Picture, parameters: Parameters, fill: str | int) -> Picture:
    height, width = image.shape[:2]
    top, left = round(parameters["top"] * height), round(parameters["left"] * width)
    bottom, right = top + round(parameters["height"] * height), left + round(parameters["width"] * width)
    out = image.copy()
    hidden = out[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
    if fill == "noise":
        rng = np.random.default_rng(parameters["seed"])
        hidden[...] = rng.integers(0, 256, hidden.shape, np.uint8)
    elif fill == "mean":
        hidden[...] = np.rint(image.mean(axis=(0, 1)))
    else:
        hidden[...] = fill
    return out


def _check_fill(fill: str | int) -> None:
    if fill not in ("noise", "mean") and not (isinstance(fill, int) and 0 <= fill <= 255):
        raise ValueError(f"fill is 'noise', 'mean' or a level 0..255. Received {fill!r}.")
