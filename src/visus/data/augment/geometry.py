"""Augmentations that move pixels, and boxes, masks and keypoints with them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from visus.data.augment.moves import Bend, Homography, Move
from visus.data.augment.op import GeometricOp, Hazard, Parameters
from visus.structures import Affine, ImageSpec

Size = tuple[int, int]


@dataclass(frozen=True)
class HorizontalFlip(GeometricOp):
    """The mirror image: left becomes right."""

    def draw(self, rng: np.random.Generator, image_size: Size) -> Parameters:
        """Nothing to draw; how often it happens is the policy's matter."""
        return {}

    def move(self, parameters: Parameters, image_size: Size) -> tuple[Move, Size]:
        """`x -> width - x`."""
        return Affine([[-1, 0, image_size[1]], [0, 1, 0]]), image_size  # type: ignore[arg-type]

    @property
    def hazards(self) -> frozenset[Hazard]:
        """Confuses left with right."""
        return frozenset({"left-right"})


@dataclass(frozen=True)
class VerticalFlip(GeometricOp):
    """Top becomes bottom."""

    def draw(self, rng: np.random.Generator, image_size: Size) -> Parameters:
        """Nothing to draw."""
        return {}

    def move(self, parameters: Parameters, image_size: Size) -> tuple[Move, Size]:
        """`y -> height - y`."""
        return Affine([[1, 0, 0], [0, -1, image_size[0]]]), image_size  # type: ignore[arg-type]

    @property
    def hazards(self) -> frozenset[Hazard]:
        """Confuses up with down."""
        return frozenset({"up-down"})


@dataclass(frozen=True)
class QuarterTurn(GeometricOp):
    """A turn by 0, 90, 180 or 270 degrees, each as likely; no pixel is interpolated."""

    def draw(self, rng: np.random.Generator, image_size: Size) -> Parameters:
        """`turns`: 0..3, counter-clockwise."""
        return {"turns": int(rng.integers(4))}

    def move(self, parameters: Parameters, image_size: Size) -> tuple[Move, Size]:
        """The turned picture; an odd number of turns swaps height and width."""
        height, width = image_size
        matrix = [
            [[1, 0, 0], [0, 1, 0]],
            [[0, 1, 0], [-1, 0, width]],
            [[-1, 0, width], [0, -1, height]],
            [[0, -1, height], [1, 0, 0]],
        ][parameters["turns"]]
        size = (width, height) if parameters["turns"] % 2 else image_size
        return Affine(matrix), size  # type: ignore[arg-type]

    def identity(self, image_size: Size) -> Parameters:
        """No turn."""
        return {"turns": 0}

    @property
    def hazards(self) -> frozenset[Hazard]:
        """Confuses all directions."""
        return frozenset({"left-right", "up-down"})


@dataclass(frozen=True)
class Rotate(GeometricOp):
    """A rotation about the middle by an angle drawn from `[-degrees, degrees]`, counter-clockwise.

    Attributes:
        degrees: The largest angle.
        expand: Whether the picture grows until its corners fit; otherwise they are cut off.
    """

    degrees: float = 15.0
    expand: bool = False

    def draw(self, rng: np.random.Generator, image_size: Size) -> Parameters:
        """`degrees`."""
        return {"degrees": float(rng.uniform(-self.degrees, self.degrees))}

    def move(self, parameters: Parameters, image_size: Size) -> tuple[Move, Size]:
        """The rotation about the middle."""
        height, width = image_size
        turn = Affine.rotation(parameters["degrees"], (width / 2, height / 2))
        if not self.expand:
            return turn, image_size
        c, s = np.abs(turn.matrix[0, :2])
        size = math.ceil(width * s + height * c - 1e-6), math.ceil(width * c + height * s - 1e-6)
        return Affine.translation((size[1] - width) / 2, (size[0] - height) / 2) @ turn, size

    def identity(self, image_size: Size) -> Parameters:
        """No rotation."""
        return {"degrees": 0.0}

    @property
    def hazards(self) -> frozenset[Hazard]:
        """Half a turn, or nearly, confuses all directions."""
        return frozenset({"left-right", "up-down"} if abs(self.degrees) > 90 else ())


@dataclass(frozen=True)
class Shift(GeometricOp):
    """A shift along each axis by a fraction drawn from `[-fraction, fraction]` of that side.

    Attributes:
        fraction: The largest shift.
    """

    fraction: float = 0.1

    def draw(self, rng: np.random.Generator, image_size: Size) -> Parameters:
        """`x` and `y`, fractions of width and height."""
        x, y = rng.uniform(-self.fraction, self.fraction, 2)
        return {"x": float(x), "y": float(y)}

    def move(self, parameters: Parameters, image_size: Size) -> tuple[Move, Size]:
        """The shift by a whole number of pixels, so that nothing is interpolated."""
        height, width = image_size
        return Affine.translation(round(parameters["x"] * width), round(parameters["y"] * height)), image_size

    def identity(self, image_size: Size) -> Parameters:
        """No shift."""
        return {"x": 0.0, "y": 0.0}


@dataclass(frozen=True)
class Zoom(GeometricOp):
    """A magnification about the middle by a factor drawn from `[1 - amount, 1 + amount]`; above 1 enlarges.

    Attributes:
        amount: The largest change, below 1.
        per_axis: Whether each axis has a factor of its own.
    """

    amount: float = 0.2
    per_axis: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.amount < 1:
            raise ValueError(f"Zoom.amount lies in [0, 1). Received {self.amount}.")

    def draw(self, rng: np.random.Generator, image_size: Size) -> Parameters:
        """`x` and `y`, the two factors."""
        x, y = 1.0 + rng.uniform(-self.amount, self.amount, 2)
        return {"x": float(x), "y": float(y if self.per_axis else x)}

    def move(self, parameters: Parameters, image_size: Size) -> tuple[Move, Size]:
        """The magnification about the middle."""
        return _about_middle(np.diag([parameters["x"], parameters["y"]]), image_size), image_size

    def identity(self, image_size: Size) -> Parameters:
        """Magnification 1."""
        return {"x": 1.0, "y": 1.0}


@dataclass(frozen=True)
class Shear(GeometricOp):
    """A slant: rows slide sideways (`x`) and columns slide up or down (`y`) about the middle.

    Attributes:
        x: The largest angle in degrees by which vertical lines lean, below 90.
        y: The largest angle in degrees by which horizontal lines lean.
    """

    x: float = 10.0
    y: float = 0.0

    def draw(self, rng: np.random.Generator, image_size: Size) -> Parameters:
        """`x` and `y` in degrees."""
        return {"x": float(rng.uniform(-self.x, self.x)), "y": float(rng.uniform(-self.y, self.y))}

    def move(self, parameters: Parameters, image_size: Size) -> tuple[Move, Size]:
        """`x + tan(x-angle) y` and `y + tan(y-angle) x`, about the middle."""
        x, y = np.tan(np.deg2rad([parameters["x"], parameters["y"]]))
        return _about_middle(np.array([[1.0, x], [y, 1.0]]), image_size), image_size

    def identity(self, image_size: Size) -> Parameters:
        """No slant."""
        return {"x": 0.0, "y": 0.0}


@dataclass(frozen=True)
class Crop(GeometricOp):
    """A cut at a random place: a fraction of both sides alike, or a fixed size.

    Attributes:
        fraction: Smallest and largest part of each side that is kept.
        size: Fixed `(height, width)` instead; a picture smaller than that keeps its side.
    """

    fraction: tuple[float, float] = (0.8, 1.0)
    size: Size | None = None

    def __post_init__(self) -> None:
        if not 0 < self.fraction[0] <= self.fraction[1] <= 1:
            raise ValueError(
                f"Crop.fraction is (low, high) with 0 < low <= high <= 1. Received {self.fraction}."
            )

    def draw(self, rng: np.random.Generator, image_size: Size) -> Parameters:
        """`top`, `left`, `height`, `width` in pixels."""
        if self.size is None:
            part = rng.uniform(*self.fraction)
            height, width = (max(1, round(part * side)) for side in image_size)
        else:
            height, width = (min(want, have) for want, have in zip(self.size, image_size))
        return _window(rng, height, width, image_size)

    def move(self, parameters: Parameters, image_size: Size) -> tuple[Move, Size]:
        """The cut."""
        return _cut(parameters)

    def identity(self, image_size: Size) -> Parameters:
        """The whole picture."""
        return {"top": 0, "left": 0, "height": image_size[0], "width": image_size[1]}


@dataclass(frozen=True)
class RandomResizedCrop(GeometricOp):
    """A cut of random area and aspect that is stretched over the whole input (Szegedy et al. 2015).

    The aspect is drawn about that of the input where the spec crops, and about that of the picture where it
    stretches or pads, so that training sees things in the proportions, and with the bars, of prediction.

    Attributes:
        scale: Smallest and largest area of the cut, as a fraction of the picture's.
        ratio: Smallest and largest width over height of the cut, relative to `aspect`; drawn on a log scale.
        aspect: Width over height about which `ratio` lies; a policy sets it for its picture and input.
    """

    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    aspect: float = 1.0
    frames: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise ValueError(
                f"RandomResizedCrop.scale is (low, high) with 0 < low <= high <= 1. Received {self.scale}."
            )
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise ValueError(
                f"RandomResizedCrop.ratio is (low, high) with 0 < low <= high. Received {self.ratio}."
            )

    def for_input(self, spec: ImageSpec, image_size: Size) -> RandomResizedCrop:
        """This op with the `aspect` that looks like prediction."""
        height, width = spec.size if spec.resize == "crop" else image_size
        return replace(self, aspect=width / height)

    def draw(self, rng: np.random.Generator, image_size: Size) -> Parameters:
        """`top`, `left`, `height`, `width` in pixels; after ten misses the largest middle cut that fits."""
        low, high = (math.log(r * self.aspect) for r in self.ratio)
        area = image_size[0] * image_size[1]
        for _ in range(10):
            target = area * rng.uniform(*self.scale)
            aspect = math.exp(rng.uniform(low, high))
            height, width = round(math.sqrt(target / aspect)), round(math.sqrt(target * aspect))
            if 0 < height <= image_size[0] and 0 < width <= image_size[1]:
                return _window(rng, height, width, image_size)
        aspect = min(max(image_size[1] / image_size[0], math.exp(low)), math.exp(high))
        width = max(1, min(image_size[1], round(image_size[0] * aspect)))
        height = max(1, min(image_size[0], round(image_size[1] / aspect)))
        top, left = (image_size[0] - height) // 2, (image_size[1] - width) // 2
        return {"top": top, "left": left, "height": height, "width": width}

    def move(self, parameters: Parameters, image_size: Size) -> tuple[Move, Size]:
        """The cut; the resize to the input follows."""
        return _cut(parameters)

    def identity(self, image_size: Size) -> Parameters:
        """The whole picture."""
        return {"top": 0, "left": 0, "height": image_size[0], "width": image_size[1]}


@dataclass(frozen=True)
class ShorterSideJitter(GeometricOp):
    """VGG's scale jitter: resize until the shorter side is S, drawn from `[low, high]`, then cut at random.

    Where the model's input is not `size`, S scales with it, so that the cut shows as much of the picture.

    Attributes:
        low: Smallest shorter side, at least the cut's longer side.
        high: Largest shorter side.
        size: `(height, width)` of the cut.
    """

    low: float = 256.0
    high: float = 512.0
    size: Size = (224, 224)
    frames: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not max(self.size) <= self.low <= self.high:
            raise ValueError(
                f"ShorterSideJitter needs {max(self.size)} (the longer side of its cut) <= low <= high. "
                f"Received low {self.low}, high {self.high}."
            )

    def for_input(self, spec: ImageSpec, image_size: Size) -> ShorterSideJitter:
        """This op with the spec's size, S scaled alike."""
        grow = max(spec.size) / max(self.size)
        return replace(self, low=self.low * grow, high=self.high * grow, size=spec.size)

    def draw(self, rng: np.random.Generator, image_size: Size) -> Parameters:
        """`top`, `left`, `height`, `width` in pixels of the picture before the resize."""
        shrink = min(image_size) / rng.uniform(self.low, self.high)
        height, width = (min(have, max(1, round(side * shrink))) for side, have in zip(self.size, image_size))
        return _window(rng, height, width, image_size)

    def move(self, parameters: Parameters, image_size: Size) -> tuple[Move, Size]:
        """The cut, resized to `size`."""
        cut, (height, width) = _cut(parameters)
        return Affine.scaling(self.size[1] / width, self.size[0] / height) @ cut, self.size

    def identity(self, image_size: Size) -> Parameters | None:
        """None: the picture always takes another size."""
        return None


@dataclass(frozen=True)
class Perspective(GeometricOp):
    """A look from another place: a random four-cornered part of the picture is pulled out to the whole.

    Attributes:
        amount: How far inwards a corner of that part may lie, as a fraction of half the side, in [0, 1).
    """

    amount: float = 0.2

    def __post_init__(self) -> None:
        if not 0 <= self.amount < 1:
            raise ValueError(f"Perspective.amount lies in [0, 1). Received {self.amount}.")

    def draw(self, rng: np.random.Generator, image_size: Size) -> Parameters:
        """`corners`: how far inwards (x, y) they lie, clockwise from top left, as fractions of the sides."""
        return {"corners": rng.uniform(0.0, self.amount / 2, (4, 2)).tolist()}

    def move(self, parameters: Parameters, image_size: Size) -> tuple[Move, Size]:
        """The projective map that takes the four corners of the part to those of the picture."""
        height, width = image_size
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
        inwards = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * (width, height)
        return Homography.between(corners + parameters["corners"] * inwards, corners), image_size

    def identity(self, image_size: Size) -> Parameters:
        """No corner moves."""
        return {"corners": [[0.0, 0.0]] * 4}


@dataclass(frozen=True)
class Elastic(GeometricOp):
    """A smooth random bend, as of paper or tissue (Simard et al. 2003; on a coarse grid as U-Net, 2015).

    Attributes:
        amount: Standard deviation of the displacement as a fraction of the shorter side; at most
            0.1 / grid, beyond which the bend might fold the picture over.
        grid: Number of spline cells along each side; more make it finer.
    """

    amount: float = 0.02
    grid: int = 4

    def __post_init__(self) -> None:
        if self.grid < 1 or not 0 <= self.amount * self.grid <= 0.1:
            raise ValueError(
                f"Elastic needs grid >= 1 and 0 <= amount * grid <= 0.1, or it folds the picture over. "
                f"Received amount {self.amount}, grid {self.grid}."
            )

    def draw(self, rng: np.random.Generator, image_size: Size) -> Parameters:
        """`amount`, and the `seed` of the grid's displacements."""
        return {"amount": self.amount, "seed": int(rng.integers(2**31))}

    def move(self, parameters: Parameters, image_size: Size) -> tuple[Move, Size]:
        """The bend."""
        chance = np.random.default_rng(parameters["seed"]).standard_normal((self.grid + 3, self.grid + 3, 2))
        # A cubic B-spline averages its grid: the factor 2 restores the deviation at the grid points. Clipping
        # the rare far ones keeps the promise that nothing folds.
        reach = 2.0 * parameters["amount"] * min(image_size)
        return Bend(image_size, reach * np.clip(chance, -2, 2)), image_size

    def identity(self, image_size: Size) -> Parameters:
        """No displacement."""
        return {"amount": 0.0, "seed": 0}


def _about_middle(linear: np.ndarray, image_size: Size) -> Affine:
    middle = np.array([image_size[1], image_size[0]]) / 2
    return Affine(np.column_stack([linear, middle - linear @ middle]))


def _window(rng: np.random.Generator, height: int, width: int, image_size: Size) -> Parameters:
    top = int(rng.integers(image_size[0] - height + 1))
    left = int(rng.integers(image_size[1] - width + 1))
    return {"top": top, "left": left, "height": height, "width": width}


def _cut(parameters: Parameters) -> tuple[Affine, Size]:
    shift = Affine.translation(-parameters["left"], -parameters["top"])
    return shift, (parameters["height"], parameters["width"])
