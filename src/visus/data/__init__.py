"""Data sets: reading, splitting, surveying, augmenting and feeding them."""

from typing import TYPE_CHECKING, Any

from visus.data.dataset import Dataset
from visus.data.load import load
from visus.data.split import split

if TYPE_CHECKING:
    from visus.data.pipeline import Pipeline

__all__ = ["Dataset", "Pipeline", "load", "split"]


def __getattr__(name: str) -> Any:
    if name == "Pipeline":  # loads TensorFlow
        from visus.data.pipeline import Pipeline

        return Pipeline
    raise AttributeError(f"module 'visus.data' has no attribute {name!r}")
