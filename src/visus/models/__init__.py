"""Neural networks: one file per model; the folder says what comes out.

The catalogue is read without loading a framework; Keras is imported when the first model is built or loaded.

Example:
    >>> from visus.models import create
    >>> model = create("efficientnet-lite0", class_names=("cat", "dog"))    # doctest: +SKIP
"""

import importlib
from typing import TYPE_CHECKING, Any

from visus.models.entries import Entry, Pretrained, catalogue, find, imagenet_classes, pareto, pick

if TYPE_CHECKING:
    from visus.models._trunk import Trunk
    from visus.models.building import create, trunk
    from visus.models.classify._base import Classifier, TrunkClassifier
    from visus.models.cost import multiply_adds
    from visus.models.saving import load, save

_LAZY = {
    "Classifier": "classify._base",
    "Trunk": "_trunk",
    "TrunkClassifier": "classify._base",
    "create": "building",
    "load": "saving",
    "multiply_adds": "cost",
    "save": "saving",
    "trunk": "building",
}

__all__ = [
    "Classifier",
    "Entry",
    "Pretrained",
    "Trunk",
    "TrunkClassifier",
    "catalogue",
    "create",
    "find",
    "imagenet_classes",
    "load",
    "multiply_adds",
    "pareto",
    "pick",
    "save",
    "trunk",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f"visus.models.{_LAZY[name]}"), name)
    raise AttributeError(f"module 'visus.models' has no attribute {name!r}")
