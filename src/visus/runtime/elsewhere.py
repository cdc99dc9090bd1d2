"""Conversion in a second process, because the converters need Keras on TensorFlow, not on JAX or Torch."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def convert(name: str, model: keras.Model, folder: Path) -> None:
    """What `convert(model, folder)` of the runtime `name` does, under TensorFlow.

    Raises:
        RuntimeError: The other process failed; the message is its last line.
    """
    with tempfile.TemporaryDirectory(prefix="visus-") as temporary:
        file = Path(temporary) / "model.keras"
        model.save(file)
        quiet = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
        done = subprocess.run(
            [sys.executable, "-m", "visus.runtime.elsewhere", name, str(file), str(folder)],
            env={**os.environ, **quiet},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise RuntimeError(lines[-1])


def _main(name: str, file: str, folder: str) -> None:
    import keras

    from visus.models.entries import MODELS

    for source in sorted(MODELS.glob("*/[!_]*.py")):  # registers their classes
        importlib.import_module(f"visus.models.{source.parent.name}.{source.stem}")
    model = keras.saving.load_model(file, compile=False)
    importlib.import_module(f"visus.runtime.kinds.{name}").convert(model, Path(folder))


if __name__ == "__main__":
    _main(*sys.argv[1:])
