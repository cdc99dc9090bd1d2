"""A policy: which augmentations happen to a picture, how often, and which ones its classes do not survive."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from visus.data.augment.moves import then
from visus.data.augment.op import Choice, GeometricOp, Hazard, Op, Parameters, from_dict
from visus.data.augment.render import render
from visus.data.store import decode
from visus.image.prepare import PADDING, placement
from visus.image.warp import Border
from visus.structures import Affine, ImageSpec, InputError, Sample

Domain = Literal["generic", "street", "aerial", "text", "medical", "macro", "faces"]
Drawn = list[tuple[Op, Parameters]]
"""The ops that happen to one picture, with their parameters: everything there is to repeat it."""

PROTECTED: Mapping[str, frozenset[Hazard]] = {
    "street": frozenset({"up-down"}),
    "faces": frozenset({"up-down"}),
    "text": frozenset({"up-down", "left-right"}),
}
"""What the classes of a domain are told by, and no op may therefore confuse."""


@dataclass(frozen=True)
class Policy:
    """Ops with their probabilities, in order, guarded against those that would turn one class into another.

    All geometry comes first, whatever the order: its maps and the resize to the model's input are joined into
    one map, so the picture is cut or interpolated once. Then the ops on values follow, in order, on the
    picture in its final size. Chance is drawn once per picture, and moves the target with it.

    Attributes:
        steps: `(op, probability)` pairs.
        name: What a person calls it.
        domain: What the pictures show; it protects what its classes are told by (`PROTECTED`).
        protect: More that the classes are told by: `left-right` for asymmetric classes, `up-down`, `colour`.
        allow: What may be confused nevertheless.
        border: What pixels show that the moved picture leaves uncovered: `nearest` edge pixel, `reflect`
            (edge pixel repeated), `mirror` (not repeated), `wrap`, or `constant`.
        fill: The value that `constant` uses, 0..255.

    Raises:
        InputError: An op confuses what is protected and not allowed, or a name is unknown.

    Example:
        >>> from visus.data.augment import HorizontalFlip
        >>> from visus.structures import Sample
        >>> mirror = Policy(((HorizontalFlip(), 1.0),))
        >>> picture = np.array([[1, 2, 3]], np.uint8)
        >>> mirror.apply(Sample(picture), np.random.default_rng(0)).image.tolist()
        [[3, 2, 1]]
    """

    steps: tuple[tuple[Op, float], ...] = ()
    name: str = "custom"
    domain: Domain = "generic"
    protect: tuple[Hazard, ...] = ()
    allow: tuple[Hazard, ...] = ()
    border: Border = "nearest"
    fill: int = 114

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", tuple((op, float(chance)) for op, chance in self.steps))
        for field, values, known in (
            ("domain", [self.domain], get_args(Domain)),
            ("border", [self.border], get_args(Border)),
            ("protect", self.protect, get_args(Hazard)),
            ("allow", self.allow, get_args(Hazard)),
        ):
            for value in values:
                if value not in known:
                    raise InputError(f"Policy.{field} knows {', '.join(known)}. Received {value!r}.")
        for op, chance in self.steps:
            if not 0 <= chance <= 1:
                raise InputError(f"The probability of {op} lies in [0, 1]. Received {chance}.")
            harm = op.hazards & self.protected
            if harm:
                raise InputError(
                    f"{op} may turn one class into another: it confuses {' and '.join(sorted(harm))}, "
                    f"by which classes are told here (domain {self.domain!r}"
                    f"{', protected: ' + ', '.join(self.protect) if self.protect else ''}). "
                    f"Leave it out, or say allow={tuple(sorted(harm))} if your classes survive it."
                )

    @property
    def protected(self) -> frozenset[Hazard]:
        """What no op of this policy may confuse."""
        return (PROTECTED.get(self.domain, frozenset()) | frozenset(self.protect)) - frozenset(self.allow)

    def draw(
        self, rng: np.random.Generator, image_size: tuple[int, int], spec: ImageSpec | None = None
    ) -> Drawn:
        """Decides what happens to a picture of `image_size` = `(height, width)`."""
        drawn: Drawn = []
        for op, chance in self.steps:
            if rng.random() >= chance:
                continue
            if isinstance(op, GeometricOp) and spec is not None:
                op = op.for_input(spec, image_size)
            parameters = op.draw(rng, image_size)
            for one, chosen in op.steps(parameters) if isinstance(op, Choice) else [(op, parameters)]:
                if isinstance(one, GeometricOp):
                    image_size = one.move(chosen, image_size)[1]
                drawn.append((one, chosen))
        return drawn

    def apply(self, sample: Sample, rng: np.random.Generator, spec: ImageSpec | None = None) -> Sample:
        """A random version of a sample.

        Args:
            sample: Its image may be a path, which is read.
            rng: Chance; the same state gives the same pixels.
            spec: The model's input; the result then has its size and channels.

        Returns:
            The sample with new image and moved target. Image: uint8 `spec.shape`; without a spec, of the size
            that the ops leave and with the dimensions that the picture has.
        """
        image: Any = sample.image
        if spec is not None or not isinstance(image, np.ndarray):
            image = decode(sample, 3 if spec is None else spec.channels)
        return self.carry_out(sample.replace(image=image), self.draw(rng, image.shape[:2], spec), spec)

    def carry_out(self, sample: Sample, drawn: Drawn, spec: ImageSpec | None = None) -> Sample:
        """What `apply` does once everything is drawn; `sample.image` is an array."""
        image: Any = sample.image
        # A target asks a map only for `apply` and `inverse`, which every Move has: hence Any.
        move: Any = None
        size, framed = image.shape[:2], False
        for op, parameters in drawn:
            if isinstance(op, GeometricOp):
                step, size = op.move(parameters, size)
                move = step if move is None else then(move, step)
                # A letterbox keeps its bars in training, because prediction will show them.
                framed = framed or (op.frames and spec is not None and spec.resize != "letterbox")
        bands = None
        if spec is not None:
            fit = placement(size, spec)
            if framed:
                fit = Affine.scaling(spec.width / size[1], spec.height / size[0])
            elif spec.resize == "letterbox":
                bands = fit.apply([[0, 0], [size[1], size[0]]])
            move, size = fit if move is None else then(move, fit), spec.size
        if move is None:
            move = Affine()
        out = render(
            image,
            move,
            size,
            border=self.border,
            fill=self.fill,
            interpolation=spec.interpolation if spec else "bilinear",
        )
        for op, parameters in drawn:
            if not isinstance(op, GeometricOp):
                out = op.apply(out, parameters)
        if bands is not None:
            _paint_bands(out, bands)  # last: neither light nor noise falls on them in prediction
        if spec is not None and out.ndim == 2:
            out = out[..., None]
        target = sample.target.moved(move, size) if sample.target is not None else None
        return sample.replace(image=out, target=target)

    def replace(self, **changes: Any) -> Policy:
        """A copy with some fields changed, guarded again."""
        return replace(self, **changes)

    def describe(self) -> str:
        """The policy in words, one line for each op."""
        lines = [
            f"Augmentation {self.name!r} for {self.domain} pictures:" + ("" if self.steps else " nothing.")
        ]
        lines += [
            f"  {op}, {'always' if chance == 1 else f'probability {chance:g}'}" for op, chance in self.steps
        ]
        if self.protected:
            lines.append(f"  protected: {', '.join(sorted(self.protected))}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON-ready values; `Policy.from_dict` reads it."""
        return {
            "name": self.name,
            "domain": self.domain,
            "protect": list(self.protect),
            "allow": list(self.allow),
            "border": self.border,
            "fill": self.fill,
            "steps": [{**op.to_dict(), "probability": chance} for op, chance in self.steps],
        }

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> Policy:
        """The policy that `to_dict` described.

        Raises:
            InputError: An op or a field is unknown, or the guard refuses.
        """
        fields = dict(description)
        steps = [dict(step) for step in fields.pop("steps", ())]
        chances = [step.pop("probability", 1.0) for step in steps]
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
        try:
            return cls(tuple((from_dict(step), chance) for step, chance in zip(steps, chances)), **values)
        except TypeError as error:
            raise InputError(f"A policy cannot be made from the fields {sorted(fields)}: {error}.") from error


def drawn_to_dict(drawn: Drawn) -> list[dict[str, Any]]:
    """What happened to a picture, JSON-ready: `{**op, "parameters"}` for each op."""
    return [{**op.to_dict(), "parameters": parameters} for op, parameters in drawn]


def drawn_from_dict(description: Iterable[Mapping[str, Any]]) -> Drawn:
    """The inverse of `drawn_to_dict`: `Policy.carry_out` repeats it."""
    steps = [dict(step) for step in description]
    parameters = [step.pop("parameters") for step in steps]
    return [(from_dict(step), chosen) for step, chosen in zip(steps, parameters)]


def _paint_bands(image: NDArray[np.uint8], inside: NDArray[np.float64]) -> None:
    """The letterbox's gray around `inside` (two corners), which the policy's border mode must not fill."""
    (left, top), (right, bottom) = np.rint(inside).astype(int)
    image[:top] = image[bottom:] = PADDING
    image[:, :left] = image[:, right:] = PADDING
