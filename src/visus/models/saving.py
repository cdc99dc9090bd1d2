"""Saved models: written at once or not at all, read without running what a file asks for."""

from __future__ import annotations

import importlib
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import keras

from visus.models.classify._base import Classifier
from visus.models.entries import MODELS
from visus.structures import InputError

MAX_BYTES = 16 << 30
MAX_CONFIG_BYTES = 16 << 20


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
    path = Path(path)
    if path.is_dir():
        path = _only_model(path)
    _check(path)
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


def _only_model(folder: Path) -> Path:
    if (folder / "model.keras").is_file():
        return folder / "model.keras"
    found = sorted(p for p in folder.glob("*.keras") if not p.name.startswith("."))
    if len(found) == 1:
        return found[0]
    names = ", ".join(p.name for p in found) or "none"
    raise InputError(
        f"{folder} should hold model.keras, or one .keras file. Found: {names}. Name the file itself."
    )


def _check(path: Path) -> None:
    """Looks into the archive before Keras does.

    Raises:
        InputError: It is no `.keras` file, claims absurd sizes, or names a class that is not of visus.
    """
    if not path.is_file():
        raise InputError(f"There is no model at {path}. Expected a .keras file, or a folder that holds one.")
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {info.filename: info for info in archive.infolist()}
            missing = {"config.json", "model.weights.h5"} - entries.keys()
            if missing:
                raise InputError(f"{path} is a zip file, but no Keras model: it lacks {min(missing)}.")
            if sum(info.file_size for info in archive.infolist()) > MAX_BYTES:
                raise InputError(
                    f"{path} claims to unpack to more than {MAX_BYTES >> 30} GiB and is refused."
                )
            if entries["config.json"].file_size > MAX_CONFIG_BYTES:
                raise InputError(
                    f"{path} has a configuration of over {MAX_CONFIG_BYTES >> 20} MiB and is refused."
                )
            config = json.loads(archive.read("config.json"))
    except InputError:
        raise
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise InputError(f"{path} is not a Keras model, or it is damaged: {error}.") from None
    foreign = _foreign(config)
    if foreign is not None:
        raise InputError(
            f"{path} is a Keras file, but not a model of visus: it is made of {foreign}. Build the "
            "architecture with visus.models.create and give it the weights (`weights=FILE.weights.h5`)."
        )


def _foreign(config: Any) -> str | None:
    """The first class in a configuration that visus did not register, or None."""
    if not isinstance(config, dict):
        return f"a {type(config).__name__}"
    pending: list[Any] = [config]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            if value is config or "class_name" in value or "registered_name" in value:
                name = value.get("registered_name") or value.get("class_name")
                if not isinstance(name, str) or not name.startswith("visus>"):
                    return str(name)[:80]
            pending.extend(value for key, value in value.items() if key != "compile_config")
        elif isinstance(value, list):
            pending.extend(value)
    return None if isinstance(config.get("config"), dict) else "a class without its configuration"
