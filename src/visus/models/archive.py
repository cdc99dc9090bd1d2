"""A `.keras` file before Keras sees it: which one is meant, and whether it may be loaded.

Keras takes many seconds to import; what is no model is told before.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from visus.structures import InputError

MAX_BYTES = 16 << 30
MAX_CONFIG_BYTES = 16 << 20


def model_file(path: str | Path) -> Path:
    """The `.keras` file that a person means: the file itself, or the one in a run folder.

    It is a model of visus and of bearable size, as far as its table of contents and its configuration tell; it
    may still be damaged.

    Raises:
        InputError: There is none, there are several, or it is none of visus.

    Example:
        >>> model_file("runs/flowers")                                                # doctest: +SKIP
        PosixPath('runs/flowers/model.keras')
    """
    path = Path(path)
    if path.is_dir():
        path = _only_model(path)
    if not path.is_file():
        raise InputError(
            f"There is no model at {path}. Expected a .keras file, or a run folder that holds one."
        )
    _check(path)
    return path


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
