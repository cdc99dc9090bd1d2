"""One record of a data set: a picture, what is known of it, and where it came from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visus.structures.classification import Classification
from visus.structures.detections import Detections


@dataclass(frozen=True, eq=False)
class Sample:
    """A picture with its target: what readers yield and augmentation maps.

    Attributes:
        image: uint8 `(height, width, 3)` RGB or `(height, width)` gray; or a path, which is read when needed.
        target: What is known of the picture, or None: not annotated.
        source: Where it came from, as a person would name it: a path, or `mnist/train#17`.
        group: Pictures of one group (a patient, a video, a slide) never stand on two sides of a split.
        split: `train`, `val`, `test`, or None where no split was given.
    """

    image: NDArray[np.uint8] | Path
    target: Classification | Detections | None = None
    source: str = ""
    group: str | None = None
    split: str | None = None

    def replace(self, **changes: Any) -> Sample:
        """A copy with some fields changed."""
        return replace(self, **changes)
