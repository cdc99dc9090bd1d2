"""Computer vision from the pixel to the deployed model.

`import visus` loads no framework: every room (`visus.image`, `visus.data`, `visus.models`, ...) is imported
when it is first touched.

Example:
    >>> from visus.train import train
    >>> run = train("flowers/", out="runs/flowers")                 # doctest: +SKIP
    >>> from visus.predict import predict
    >>> results = predict("runs/flowers", ["a.jpg", "b.jpg"])       # doctest: +SKIP
"""

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# TensorFlow trains a third to a half faster with oneDNN's kernels, and switches them on by itself only for the newest
# processors. It looks here when it is imported; afterwards it is too late.
if "tensorflow" not in sys.modules:
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

__all__ = [
    "data",
    "draw",
    "evaluate",
    "explain",
    "image",
    "models",
    "predict",
    "runtime",
    "structures",
    "train",
]

if TYPE_CHECKING:
    from visus import data, draw, evaluate, explain, image, models, predict, runtime, structures, train


def __getattr__(name: str) -> Any:
    if name in __all__:
        return importlib.import_module(f"visus.{name}")
    raise AttributeError(f"module 'visus' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
