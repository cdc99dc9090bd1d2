"""A `.keras` file before Keras sees it: which one is meant, and whether it may be loaded.

Keras takes many seconds to import; what is no model is told before.
"""

from __future__ import annotations

import ast
import json
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

from visus.models.entries import MODELS, find
from visus.structures import InputError

MAX_BYTES = 16 << 30
MAX_CONFIG_BYTES = 16 << 20


def model_file(path: str | Path) -> Path:
    """The `.keras` file that a person means: the file itself, the one in a run folder, or a pretrained model's.

    It is a model of visus and of bearable size, as far as its table of contents and its configuration tell; it
    may still be damaged.

    Raises:
        InputError: There is none, there are several, or it is none of visus.

    Example:
        >>> model_file("runs/flowers")                                                # doctest: +SKIP
        PosixPath('runs/flowers/model.keras')
    """
    name, path = str(path), Path(path)
    if path.is_dir():
        path = _only_model(path)
    if not path.is_file():
        try:
            find(name)
        except InputError as error:
            raise InputError(
                f"There is no model at {path}. Expected a .keras file, a run folder that holds one, or the name of "
                f"a pretrained model. {error}"
            ) from None
        from visus.models.published import published_file

        path = published_file(name)
    _check(path)
    return path


def _only_model(folder: Path) -> Path:
    if (folder / "model.keras").is_file():
        return folder / "model.keras"
    found = sorted(p for p in folder.glob("*.keras") if not p.name.startswith("."))
    if len(found) == 1:
        return found[0]
    if not found and (folder / "run.json").is_file():
        raise InputError(
            f"The training in {folder} is not finished, so there is no model yet. Continue it with: "
            f"visus train --resume {folder}"
        )
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
    """The first class in a configuration that is not one of visus's networks, or None.

    Keras looks for a class in several places: by its registered name, by its class name where that is special
    (`function`, `__lambda__`, ...), and at last by importing its module. So all three must name the same class.
    No class of Keras itself may appear: the networks build their layers from plain numbers and names.
    """
    if not isinstance(config, dict):
        return f"a {type(config).__name__}"
    pending: list[Any] = [config]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            if value is config or "class_name" in value or "registered_name" in value:
                name, registered = value.get("class_name"), value.get("registered_name")
                module = _networks().get(name) if isinstance(name, str) else None
                if module is None or value.get("module") != module or registered != f"visus>{name}":
                    return f"{value.get('module')}.{name} ({registered})"[:160]
            # How it was compiled is not read, but only at the top.
            pending.extend(v for key, v in value.items() if not (value is config and key == "compile_config"))
        elif isinstance(value, list):
            pending.extend(value)
    return None if isinstance(config.get("config"), dict) else "a class without its configuration"


@cache
def _networks() -> dict[str, str]:
    """Class name -> module of every registered network, read from the sources: Keras need not be imported."""
    return {
        node.name: f"visus.models.{path.parent.name}.{path.stem}"
        for path in MODELS.glob("*/*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef)
        and {ast.unparse(base) for base in node.bases} & {"Classifier", "Trunk"}
        and any(ast.unparse(d).endswith("register_keras_serializable('visus')") for d in node.decorator_list)
    }
