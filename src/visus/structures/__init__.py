"""The shared vocabulary: frozen dataclasses of NumPy arrays that every room speaks.

Each is imported when it is first touched: the command line needs only `InputError`, and no NumPy for it.
"""

import importlib
from typing import TYPE_CHECKING, Any

__all__ = ["Affine", "Classification", "Detections", "Estimate", "ImageSpec", "InputError", "Mask", "Sample"]

if TYPE_CHECKING:
    from visus.structures.affine import Affine
    from visus.structures.classification import Classification
    from visus.structures.detections import Detections
    from visus.structures.errors import InputError
    from visus.structures.estimate import Estimate
    from visus.structures.image_spec import ImageSpec
    from visus.structures.mask import Mask
    from visus.structures.sample import Sample

_LAZY = {
    "Affine": "affine",
    "Classification": "classification",
    "Detections": "detections",
    "Estimate": "estimate",
    "ImageSpec": "image_spec",
    "InputError": "errors",
    "Mask": "mask",
    "Sample": "sample",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"visus.structures.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'visus.structures' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
