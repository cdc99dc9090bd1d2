"""Augmentations of tone, colour, noise and sharpness: they change values and move nothing.

They follow all geometry, on the picture in its final size: lengths in pixels are pixels of the model's input.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from visus.data.augment.op import Hazard, Parameters, Picture, PixelOp
from visus.image import blur, noise, photometric

Size = tuple[int, int]


@dataclass(frozen=True)
class Brightness(PixelOp):
    """Adds a number drawn from `[-delta, delta]`, a fraction of the range.

    Attributes:
        delta: The largest change, 0..1.
    """

    delta: float = 0.15

    def draw(self, rng: np.random.Generator, image_size: Size) -> Parameters:
        """`delta`."""
        return {"delta": float(rng.uniform(-self.delta, self.delta))}

    def apply(self, image: Picture, parameters: Parameters) -> Picture:
        """`v + 255 * delta`."""
        return photometric.brightness(image, parameters["delta"])

    def identity(self, image_size: Size) -> Parameters:
        """Nothing added."""
        return {"delta": 0.0}


@dataclass(frozen=True)
class FactorOp(PixelOp):
    """A change by a factor drawn from `[1 - amount, 1 + amount]`; 1 changes nothing."""

    amount: float = 0.3

    def draw(self, rng: np.random.Generator, image_size: Size) -> Parameters:
        """`factor`."""
        return {"factor": _factor(rng, self.amount)}

    def identity(self, image_size: Size) -> Parameters:
        """Factor 1."""
        return {"factor": 1.0}


@dataclass(frozen=True)
class Exposure(FactorOp):
    """Multiplies by a factor drawn from `[1 - amount, 1 + amount]`.

    Attributes:
        amount: The largest change, 0..1.
    """

    def apply(self, image: Picture, parameters: Parameters) -> Picture:
        """`factor * v`."""
        return photometric.exposure(image, parameters["factor"])


@dataclass(frozen=True)
class Contrast(FactorOp):
    """Stretches values about the mean luma by a factor drawn from `[1 - amount, 1 + amount]`.

    Attributes:
        amount: The largest change, 0..1.
    """

    def apply(self, image: Picture, parameters: Parameters) -> Picture:
        """`mean + factor * (v - mean)`."""
        return photometric.contrast(image, parameters["factor"])


@dataclass(frozen=True)
class Saturation(FactorOp):
    """Moves colours away from or towards gray by a factor drawn from `[1 - amount, 1 + amount]`.

    Attributes:
        amount: The largest change, 0..1.
    """

    def apply(self, image: Picture, parameters: Parameters) -> Picture:
        """`luma + factor * (v - luma)`."""
        return photometric.saturation(image, parameters["factor"])

    @property
    def hazards(self) -> frozenset[Hazard]:
        """Taken to the end it leaves no colour."""
        return frozenset({"colour"} if self.amount > 0.8 else ())


@dataclass(frozen=True)
class Hue(PixelOp):
    """Turns the hue by a fraction of the circle drawn from `[-turn, turn]`.

    Attributes:
        turn: The largest turn, 0..0.5; beyond about 0.1 colours get other names.
    """

    turn: float = 0.03

    def draw(self, rng: np.random.Generator, image_size: Size) -> Parameters:
        """`turn`."""
        return {"turn": float(rng.uniform(-self.turn, self.turn))}

    def apply(self, image: Picture, parameters: Parameters) -> Picture:
        """The hue turned in HSV."""
        return photometric.hue(image, parameters["turn"])

    def identity(self, image_size: Size) -> Parameters:
        """No turn."""
        return {"turn": 0.0}

    @property
    def hazards(self) -> frozenset[Hazard]:
        """A large turn gives colours other names."""
        return frozenset({"colour"} if abs(self.turn) > 0.1 else ())


@dataclass(frozen=True)
class Gamma(PixelOp):
    """The power law with an exponent drawn between `1 / ratio` and `ratio` on a log scale.

    Attributes:
        ratio: The largest exponent, at least 1.
    """

    ratio: float = 1.4

    def __post_init__(self) -> None:
        if self.ratio < 1:
            raise ValueError(f"Gamma.ratio is at least 1. Received {self.ratio}.")

    def draw(self, rng: np.random.Generator, image_size: Size) -> Parameters:
        """`exponent`."""
        return {"exponent": float(self.ratio ** rng.uniform(-1, 1))}

    def apply(self, image: Picture, parameters: Parameters) -> Picture:
        """`255 * (v / 255) ** exponent`."""
        return photometric.gamma(image, parameters["exponent"])

    def identity(self, image_size: Size) -> Parameters:
        """Exponent 1."""
        return {"exponent": 1.0}


@dataclass(frozen=True)
class ColorJitter(PixelOp):
    """Exposure, contrast, saturation and hue at once: one matrix, clipped and rounded once.

    Attributes:
        exposure: The largest change of the factor on all values.
        contrast: The largest change of the factor about the mean luma.
        saturation: The largest change of the factor about each pixel's luma.
        hue: The largest turn of the hue, a fraction of the circle; it is turned in YIQ, see `chroma_matrix`.
    """

    exposure: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    hue: float = 0.02

    def draw(self, rng: np.random.Generator, image_size: Size) -> Parameters:
        """`exposure`, `contrast`, `saturation` (factors) and `hue` (turn)."""
        return {
            "exposure": _factor(rng, self.exposure),
            "contrast": _factor(rng, self.contrast),
            "saturation": _factor(rng, self.saturation),
            "hue": float(rng.uniform(-self.hue, self.hue)),
        }

    def apply(self, image: Picture, parameters: Parameters) -> Picture:
        """The joined matrix."""
        exposure, contrast = parameters["exposure"], parameters["contrast"]
        matrix = exposure * contrast * photometric.chroma_matrix(parameters["saturation"], parameters["hue"])
        # Chroma leaves luma as it is, so contrast turns about the exposed mean in whatever order.
        matrix[:, 3] = (1 - contrast) * exposure * photometric.mean_luma(image)
        return photometric.color_matrix(image, matrix)

    def identity(self, image_size: Size) -> Parameters:
        """Factors 1 and no turn."""
        return {"exposure": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.0}

    @property
    def hazards(self) -> frozenset[Hazard]:
        """Those of `Saturation` and `Hue`."""
        return Saturation(self.saturation).hazards | Hue(self.hue).hazards


@dataclass(frozen=True)
class ChannelShift(PixelOp):
    """Adds to each channel a number of its own, drawn from `[-levels, levels]`: another white balance.

    Attributes:
        levels: The largest change, 0..255.
    """

    levels: float = 20.0

    def draw(self, rng: np.random.Generator, image_size: Size) -> Parameters:
        """`shifts`, three numbers."""
        return {"shifts": rng.uniform(-self.levels, self.levels, 3).tolist()}

    def apply(self, image: Picture, parameters: Parameters) -> Picture:
        """`v + shift`, channel by channel."""
        return photometric.channel_shift(image, parameters["shifts"])

    def identity(self, image_size: Size) -> Parameters:
        """Nothing added."""
        return {"shifts": [0.0, 0.0, 0.0]}

    @property
    def hazards(self) -> frozenset[Hazard]:
        """A large shift gives colours other names."""
        return frozenset({"colour"} if self.levels > 60 else ())


@dataclass(frozen=True)
class PcaLighting(PixelOp):
    """AlexNet's lighting noise: along each main colour axis a step of its eigenvalue times N(0, `sigma`).

    Attributes:
        sigma: Deviation of the three random factors; the paper's is 0.1.
        eigenvalues: Of the covariance of RGB values in [0, 1], three numbers; the default is ImageNet's.
        eigenvectors: Three axes `(r, g, b)`, one per eigenvalue.
    """

    sigma: float = 0.1
    eigenvalues: tuple[float, ...] = (0.2175, 0.0188, 0.0045)
    eigenvectors: tuple[tuple[float, ...], ...] = (
        (-0.5675, -0.5808, -0.5836),
        (0.7192, -0.0045, -0.6948),
        (0.4009, -0.8140, 0.4203),
    )

    @classmethod
    def of(cls, pixels: np.ndarray, sigma: float = 0.1) -> PcaLighting:
        """The noise along the colour axes of one's own training pictures.

        Args:
            pixels: uint8 `(..., 3)` RGB, a sample of pixels of the training part.
            sigma: Deviation of the random factors.
        """
        values, vectors = np.linalg.eigh(np.cov(pixels.reshape(-1, 3).T / 255.0))
        order = np.argsort(-values)
        return cls(sigma, tuple(values[order].tolist()), tuple(tuple(v) for v in vectors.T[order].tolist()))

    def draw(self, rng: np.random.Generator, image_size: Size) -> Parameters:
        """`factors`, three numbers."""
        return {"factors": (self.sigma * rng.standard_normal(3)).tolist()}

    def apply(self, image: Picture, parameters: Parameters) -> Picture:
        """Adds `255 * sum(factor * eigenvalue * eigenvector)`."""
        step = np.multiply(parameters["factors"], self.eigenvalues) @ np.array(self.eigenvectors)
        return photometric.channel_shift(image, 255.0 * step)

    def identity(self, image_size: Size) -> Parameters:
        """Factors 0."""
        return {"factors": [0.0, 0.0, 0.0]}


@dataclass(frozen=True)
class GaussianNoise(PixelOp):
    """Sensor noise, its deviation drawn from `[0, sigma]` levels.

    Attributes:
        sigma: The largest deviation, in levels of 0..255.
    """

    sigma: float = 12.0

    def draw(self, rng: np.random.Generator, image_size: Size) -> Parameters:
        """`sigma`, and the `seed` of the noise."""
        return {"sigma": float(rng.uniform(0, self.sigma)), "seed": _seed(rng)}

    def apply(self, image: Picture, parameters: Parameters) -> Picture:
        """`v + N(0, sigma)`."""
        return noise.gaussian_noise(image, parameters["sigma"], np.random.default_rng(parameters["seed"]))

    def identity(self, image_size: Size) -> Parameters:
        """Deviation 0."""
        return {"sigma": 0.0, "seed": 0}


@dataclass(frozen=True)
class SaltAndPepper(PixelOp):
    """White and black dots on a fraction of the pixels drawn from `[0, amount]`.

    Attributes:
        amount: The largest fraction, 0..1.
    """

    amount: float = 0.02

    def draw(self, rng: np.random.Generator, image_size: Size) -> Parameters:
        """`amount`, and the `seed` of the dots."""
        return {"amount": float(rng.uniform(0, self.amount)), "seed": _seed(rng)}

    def apply(self, image: Picture, parameters: Parameters) -> Picture:
        """Half of the dots white, half black."""
        return noise.salt_and_pepper(image, parameters["amount"], np.random.default_rng(parameters["seed"]))

    def identity(self, image_size: Size) -> Parameters:
        """No dots."""
        return {"amount": 0.0, "seed": 0}


@dataclass(frozen=True)
class Blur(PixelOp):
    """Gaussian blur, its deviation drawn from `[0, sigma]` pixels.

    Attributes:
        sigma: The largest deviation in pixels of the model's input.
    """

    sigma: float = 1.5

    def draw(self, rng: np.random.Generator, image_size: Size) -> Parameters:
        """`sigma`."""
        return {"sigma": float(rng.uniform(0, self.sigma))}

    def apply(self, image: Picture, parameters: Parameters) -> Picture:
        """The blurred picture."""
        return blur.gaussian_blur(image, parameters["sigma"])

    def identity(self, image_size: Size) -> Parameters:
        """Deviation 0."""
        return {"sigma": 0.0}


@dataclass(frozen=True)
class MotionBlur(PixelOp):
    """Blur along a line of random direction, as long as drawn from `[1, length]` pixels.

    Attributes:
        length: The longest line in pixels of the model's input, at least 1.
    """

    length: float = 9.0

    def draw(self, rng: np.random.Generator, image_size: Size) -> Parameters:
        """`length` and `degrees`."""
        return {"length": float(rng.uniform(1, self.length)), "degrees": float(rng.uniform(0, 180))}

    def apply(self, image: Picture, parameters: Parameters) -> Picture:
        """The blurred picture."""
        return blur.motion_blur(image, parameters["length"], parameters["degrees"])

    def identity(self, image_size: Size) -> Parameters:
        """A line of one pixel."""
        return {"length": 1.0, "degrees": 0.0}


@dataclass(frozen=True)
class JpegQuality(PixelOp):
    """What a JPEG file of a quality drawn from `[low, high]` leaves of the picture.

    Attributes:
        low: Worst quality, 1..100.
        high: Best quality.
    """

    low: int = 30
    high: int = 95

    def draw(self, rng: np.random.Generator, image_size: Size) -> Parameters:
        """`quality`."""
        return {"quality": int(rng.integers(self.low, self.high, endpoint=True))}

    def apply(self, image: Picture, parameters: Parameters) -> Picture:
        """The picture saved and read again."""
        return photometric.jpeg(image, parameters["quality"])


@dataclass(frozen=True)
class SunFlare(PixelOp):
    """A light in the upper half of the picture that shines into the lens.

    Attributes:
        strength: Brightness of the light, 0..1; drawn between half of it and all.
        radius: Radius of the glow as a fraction of the shorter side; drawn between half of it and all.
    """

    strength: float = 0.8
    radius: float = 0.3

    def draw(self, rng: np.random.Generator, image_size: Size) -> Parameters:
        """`x`, `y` (fractions of the sides), `radius` and `strength`."""
        x, y, radius, strength = rng.random(4)
        return {
            "x": float(x),
            "y": float(y / 2),
            "radius": float(self.radius * (1 + radius) / 2),
            "strength": float(self.strength * (1 + strength) / 2),
        }

    def apply(self, image: Picture, parameters: Parameters) -> Picture:
        """The glow and its ghosts, added by the screen rule."""
        position = parameters["x"], parameters["y"]
        return photometric.sun_flare(image, position, parameters["radius"], parameters["strength"])

    def identity(self, image_size: Size) -> Parameters:
        """A light without strength."""
        return {"x": 0.5, "y": 0.5, "radius": self.radius, "strength": 0.0}


@dataclass(frozen=True)
class Grayscale(PixelOp):
    """The luma in all channels."""

    def draw(self, rng: np.random.Generator, image_size: Size) -> Parameters:
        """Nothing to draw."""
        return {}

    def apply(self, image: Picture, parameters: Parameters) -> Picture:
        """The gray picture, still with three channels."""
        return photometric.grayscale(image)

    @property
    def hazards(self) -> frozenset[Hazard]:
        """It leaves no colour."""
        return frozenset({"colour"})


@dataclass(frozen=True)
class Posterize(PixelOp):
    """Keeps the highest bits of every value, as many as drawn from `[bits, 8]`.

    Attributes:
        bits: The fewest bits, 1..8.
    """

    bits: int = 4

    def draw(self, rng: np.random.Generator, image_size: Size) -> Parameters:
        """`bits`."""
        return {"bits": int(rng.integers(self.bits, 8, endpoint=True))}

    def apply(self, image: Picture, parameters: Parameters) -> Picture:
        """The highest bits."""
        return photometric.posterize(image, parameters["bits"])

    def identity(self, image_size: Size) -> Parameters:
        """All eight bits."""
        return {"bits": 8}


@dataclass(frozen=True)
class Solarize(PixelOp):
    """Inverts all values from a threshold on, drawn from `[threshold, 256]`.

    Attributes:
        threshold: The lowest threshold, 0..256.
    """

    threshold: float = 128.0

    def draw(self, rng: np.random.Generator, image_size: Size) -> Parameters:
        """`threshold`."""
        return {"threshold": float(rng.uniform(self.threshold, 256))}

    def apply(self, image: Picture, parameters: Parameters) -> Picture:
        """`255 - v` where `v >= threshold`."""
        return photometric.solarize(image, parameters["threshold"])

    def identity(self, image_size: Size) -> Parameters:
        """Nothing reaches 256."""
        return {"threshold": 256.0}

    @property
    def hazards(self) -> frozenset[Hazard]:
        """Inverted values have other colours."""
        return frozenset({"colour"})


@dataclass(frozen=True)
class Equalize(PixelOp):
    """Spreads each channel's histogram evenly."""

    def draw(self, rng: np.random.Generator, image_size: Size) -> Parameters:
        """Nothing to draw."""
        return {}

    def apply(self, image: Picture, parameters: Parameters) -> Picture:
        """The equalised picture."""
        return photometric.equalize(image)


@dataclass(frozen=True)
class Autocontrast(PixelOp):
    """Stretches each channel to the whole range."""

    def draw(self, rng: np.random.Generator, image_size: Size) -> Parameters:
        """Nothing to draw."""
        return {}

    def apply(self, image: Picture, parameters: Parameters) -> Picture:
        """The stretched picture."""
        return photometric.autocontrast(image)


@dataclass(frozen=True)
class Sharpness(FactorOp):
    """Sharpens or smooths by a factor drawn from `[1 - amount, 1 + amount]`.

    Attributes:
        amount: The largest change.
    """

    amount: float = 0.5

    def apply(self, image: Picture, parameters: Parameters) -> Picture:
        """`smooth + factor * (v - smooth)`."""
        return blur.sharpness(image, parameters["factor"])


@dataclass(frozen=True)
class Invert(PixelOp):
    """The negative."""

    def draw(self, rng: np.random.Generator, image_size: Size) -> Parameters:
        """Nothing to draw."""
        return {}

    def apply(self, image: Picture, parameters: Parameters) -> Picture:
        """`255 - v`."""
        return photometric.invert(image)

    @property
    def hazards(self) -> frozenset[Hazard]:
        """A negative has other colours."""
        return frozenset({"colour"})


def _factor(rng: np.random.Generator, amount: float) -> float:
    return float(rng.uniform(1 - amount, 1 + amount))


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))
