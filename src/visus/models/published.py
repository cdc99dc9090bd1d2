"""Pretrained models as files: the published net under its name, with the thousand classes that it was trained for."""

from __future__ import annotations

import hashlib
import importlib.util
from importlib import metadata
from pathlib import Path

from visus.data.cache import cache_folder
from visus.models.entries import Entry, find
from visus.structures import InputError


def published_file(name: str) -> Path:
    """The `.keras` file of a pretrained model, written at first use.

    Everything that takes a file takes the name: `visus predict classify/efficientnet-lite0 photo.jpg`.

    Args:
        name: A name of the catalogue, such as `classify/efficientnet-lite0` or `efficientnet-lite0`.

    Returns:
        The file, below `$VISUS_CACHE` or `~/.cache/visus`.

    Raises:
        InputError: There is no such model, or it has no published weights.

    Example:
        >>> published_file("efficientnet-lite0").suffix                               # doctest: +SKIP
        '.keras'
    """
    entry = find(name)
    if entry.weights is None:
        raise InputError(
            f"{entry.name} has no published weights, so it knows no classes yet. Teach it yours: "
            f"visus train FOLDER --model {entry.name}"
        )
    file = cache_folder() / "models" / f"{entry.variant}-{_key(entry)}.keras"
    if not file.is_file():
        from visus.models import create, save

        file.parent.mkdir(parents=True, exist_ok=True)
        save(create(entry.name), file)
    return file


def _key(entry: Entry) -> str:
    """Changes with the weights, the code that builds the net and the library that writes the file."""
    spec = importlib.util.find_spec(entry.module)
    assert spec is not None and spec.origin is not None
    digest = hashlib.sha256(Path(spec.origin).read_bytes())
    digest.update(repr((entry, metadata.version("keras"), metadata.version("visus"))).encode())
    return digest.hexdigest()[:12]
