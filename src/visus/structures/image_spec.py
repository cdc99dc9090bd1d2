"""What a model expects of a picture's size: the only preprocessing knowledge outside its graph."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Resize = Literal["stretch", "letterbox", "crop"]
Interpolation = Literal["bilinear", "bicubic", "nearest"]


@dataclass(frozen=True)
class ImageSpec:
    """Size and resize rule of a model's input; saved with the model.

    Values need no rule: batches are float32 0..255 RGB (or gray) and normalisation is the model's first layer.

    Attributes:
        height: Rows of the prepared picture.
        width: Columns of the prepared picture.
        channels: 3 for RGB, 1 for gray.
        resize: `stretch` ignores the aspect ratio, `letterbox` keeps it and pads with gray (114), `crop` keeps
            it and cuts the centre.
        crop_fraction: Only for `crop`: the side of the cut over the side of the resized picture, in (0, 1];
            0.875 is ImageNet's 224 out of 256.
        interpolation: Used when enlarging; a picture that shrinks is always filtered against aliasing.
    """

    height: int
    width: int
    channels: int = 3
    resize: Resize = "stretch"
    crop_fraction: float = 1.0
    interpolation: Interpolation = "bilinear"

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise ValueError(
                f"ImageSpec needs a size of at least 1 x 1. Received {self.height} x {self.width}."
            )
        if self.channels < 1:
            raise ValueError(f"ImageSpec needs at least 1 channel. Received {self.channels}.")
        if self.resize not in get_args(Resize):
            raise ValueError(f"ImageSpec.resize is one of {get_args(Resize)}. Received {self.resize!r}.")
        if self.interpolation not in get_args(Interpolation):
            raise ValueError(
                f"ImageSpec.interpolation is one of {get_args(Interpolation)}. Received {self.interpolation!r}."
            )
        if not 0.0 < self.crop_fraction <= 1.0:
            raise ValueError(f"ImageSpec.crop_fraction lies in (0, 1]. Received {self.crop_fraction}.")

    @property
    def size(self) -> tuple[int, int]:
        """`(height, width)`."""
        return self.height, self.width

    @property
    def shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)`."""
        return self.height, self.width, self.channels

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON-ready values; `ImageSpec(**spec.to_dict()) == spec`."""
        return asdict(self)
