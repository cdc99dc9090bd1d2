"""Saved models: written at once or not at all, read without running what a file asks for."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import keras

from visus.models.archive import model_file
from visus.models.classify._base import Classifier
from visus.models.entries import MODELS
from visus.structures import InputError


def save(model: Classifier, path: str | Path) -> Path:
    """Writes a `.keras` file: weights, configuration, class names and image spec.

    It is written beside the target under another name and moved into place, so that a reader or a full disk
    never leaves half a model.

    Args:
        model: A model of visus.
        path: The file, ending in `.keras`; replaced if it exists.

    Returns:
        The path.

    Raises:
        InputError: The name does not end in `.keras`.
    """
    path = Path(path)
    if path.suffix != ".keras":
        raise InputError(f"A model is saved to a file that ends in .keras. Received {path}.")
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial.keras")
    try:
        model.save(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def load(path: str | Path) -> Classifier:
    """Reads a model that `save` or Keras wrote: equal predictions, class names and image spec.

    Only classes of visus are built, whatever the file asks for, and nothing is unpickled. The model is not
    compiled.

    Args:
        path: A `.keras` file, or a run folder: its `model.keras`, or the only one in it.

    Raises:
        InputError: The file is missing, damaged, or holds something else than a model of visus.

    Example:
        >>> load("runs/flowers/model.keras").class_names     # doctest: +SKIP
        ('daisy', 'dandelion', 'roses', 'sunflowers', 'tulips')
    """
    path = model_file(path)
    for file in sorted(MODELS.glob("*/[!_]*.py")):  # registers their classes
        importlib.import_module(f"visus.models.{file.parent.name}.{file.stem}")
    try:
        model: Classifier = keras.saving.load_model(path, compile=False, safe_mode=True)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except Exception as error:  # whatever zipfile, h5py and Keras make of a damaged file
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(f"{path} is damaged, or was changed after it was written: {reason[0]}") from None
    return model
