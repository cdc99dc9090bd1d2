"""What an augmentation is: chance drawn once into parameters, which then move picture and target alike."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from visus.data.augment.moves import Move
from visus.data.augment.render import render
from visus.structures import ImageSpec, InputError

Picture = NDArray[np.uint8]
Parameters = dict[str, Any]
"""What `Op.draw` drew: JSON-ready values by name."""
Hazard = Literal["left-right", "up-down", "colour"]
"""What an op may confuse: a class that is told by it must not be augmented that way."""


@dataclass(frozen=True)
class Op(ABC):
    """One augmentation. Its fields say what may happen, `draw` decides what does, `apply` does it.

    Pictures are uint8 `(h, w)`, `(h, w, 1)` or `(h, w, 3)` RGB. An op never writes into the one it is given.
    """

    @abstractmethod
    def draw(self, rng: np.random.Generator, image_size: tuple[int, int]) -> Parameters:
        """Draws parameters for a picture of `image_size` = `(height, width)`."""

    @abstractmethod
    def apply(self, image: Picture, parameters: Parameters) -> Picture:
        """The picture under the given parameters."""

    def identity(self, image_size: tuple[int, int]) -> Parameters | None:
        """Parameters that change nothing, or None where there are none (a flip, a negative)."""
        return None

    @property
    def hazards(self) -> frozenset[Hazard]:
        """What this op may confuse; see `visus.data.augment.policy.forbidden`."""
        return frozenset()

    def to_dict(self) -> dict[str, Any]:
        """`{"op": name, **fields}`, JSON-ready; `from_dict` reads it."""
        return {"op": type(self).__name__, **asdict(self)}


@dataclass(frozen=True)
class GeometricOp(Op):
    """An augmentation that moves pixels, and with them boxes, masks and keypoints.

    Attributes:
        frames: True where the op itself decides which part of the picture fills the model's input: the resize
            after it is a plain stretch.
    """

    frames: ClassVar[bool] = False

    @abstractmethod
    def move(self, parameters: Parameters, image_size: tuple[int, int]) -> tuple[Move, tuple[int, int]]:
        """The map from the old picture to the new one, and the new `(height, width)`."""

    def for_input(self, spec: ImageSpec, image_size: tuple[int, int]) -> GeometricOp:
        """This op, knowing which input the picture is to fill."""
        return self

    def apply(self, image: Picture, parameters: Parameters) -> Picture:
        """The moved picture; uncovered pixels take the nearest edge pixel."""
        move, size = self.move(parameters, image.shape[:2])
        return render(image, move, size)


@dataclass(frozen=True)
class PixelOp(Op):
    """An augmentation that changes values and moves nothing; the target stays as it is.

    Its parameters never depend on the size of the picture: places and lengths are fractions.
    """


@dataclass(frozen=True)
class Choice(Op):
    """An augmentation that chooses among others."""

    @abstractmethod
    def steps(self, parameters: Parameters) -> list[tuple[Op, Parameters]]:
        """The chosen ops with their parameters, in order."""

    def apply(self, image: Picture, parameters: Parameters) -> Picture:
        """The picture after all chosen ops."""
        for op, chosen in self.steps(parameters):
            image = op.apply(image, chosen)
        return image


def catalogue() -> dict[str, type[Op]]:
    """Every augmentation by name: the classes of this folder, and those that the user derived from `Op`."""
    for module in pkgutil.iter_modules([str(Path(__file__).parent)]):
        importlib.import_module(f"{__package__}.{module.name}")
    found: dict[str, type[Op]] = {}
    queue: list[Any] = [Op]
    while queue:
        kind = queue.pop()
        queue.extend(kind.__subclasses__())
        if not inspect.isabstract(kind):
            found[kind.__name__] = kind
    return dict(sorted(found.items()))


def from_dict(description: Mapping[str, Any]) -> Op:
    """The op that `to_dict` described.

    Raises:
        InputError: The name is unknown or a field does not exist.
    """
    fields = dict(description)
    name = fields.pop("op", None)
    kinds = catalogue()
    if name not in kinds:
        raise InputError(f"There is no augmentation named {name!r}. Choose one of {', '.join(kinds)}.")
    try:
        return kinds[name](**{key: _frozen(v) for key, v in fields.items()})
    except TypeError as error:
        raise InputError(f"The augmentation {name} cannot be made from {fields}: {error}.") from error


def _frozen(value: Any) -> Any:
    """JSON's lists as the tuples that they were."""
    return tuple(_frozen(v) for v in value) if isinstance(value, list | tuple) else value
