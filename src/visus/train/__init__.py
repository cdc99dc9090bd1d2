"""Training: from a folder of pictures to a judged model, resumable at any moment."""

import importlib
from typing import TYPE_CHECKING, Any

__all__ = ["Run", "Settings", "resume", "train"]

_HOME = {"Run": "run", "Settings": "settings", "resume": "training", "train": "training"}

if TYPE_CHECKING:
    from visus.train.run import Run
    from visus.train.settings import Settings
    from visus.train.training import resume, train


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"visus.train.{_HOME[name]}"), name)
    raise AttributeError(f"module 'visus.train' has no attribute {name!r}")
