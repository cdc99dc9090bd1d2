"""Known public sets: one file per set, found by looking into this folder.

Every module offers the same names:

- `DESCRIPTION`, `LICENCE`, `CITATION`, `HOMEPAGE`: one line each.
- `LAYOUT`: what the set's folder holds.
- `FILES`: address, size and SHA-256 of what is downloaded; empty when the set must be fetched by hand.
- `load(folder=None, **options) -> Dataset`: looks in `folder`, else in `$VISUS_DATA`, in an installed package
  that carries the set, in the cache (`$VISUS_CACHE`, by default `~/.cache/visus`), and downloads it last.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Any, Protocol, cast

from visus.data.dataset import Dataset
from visus.data.datasets._download import File
from visus.structures import InputError

__all__ = ["KnownSet", "get", "known", "load", "names"]


class KnownSet(Protocol):
    """What every module of this folder offers."""

    __name__: str
    DESCRIPTION: str
    LICENCE: str
    CITATION: str
    HOMEPAGE: str
    LAYOUT: str
    FILES: tuple[File, ...]

    def load(self, folder: str | Path | None = None, **options: Any) -> Dataset:
        """The set."""


def names() -> tuple[str, ...]:
    """The names of all known sets, sorted.

    Example:
        >>> "fashion_mnist" in names()
        True
    """
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")))


def get(name: str) -> KnownSet:
    """The module of a set; `fashion-mnist` means `fashion_mnist`.

    Raises:
        InputError: There is no such set.
    """
    wanted = name.lower().replace("-", "_")
    if wanted not in names():
        raise InputError(f"There is no known set named {name!r}. Known are {', '.join(names())}.")
    return cast(KnownSet, importlib.import_module(f"{__name__}.{wanted}"))


def known() -> dict[str, KnownSet]:
    """All sets by name, for a catalogue or to print a licence.

    Example:
        >>> known()["elpv"].LICENCE
        'CC BY-NC-SA 4.0 (not for commercial use)'
    """
    return {name: get(name) for name in names()}


def load(name: str, folder: str | Path | None = None, **options: Any) -> Dataset:
    """Finds or downloads a known set and reads it.

    Args:
        name: One of `names()`.
        folder: Where the set lies, when it is not to be searched for.
        **options: For the set's own `load`.

    Raises:
        InputError: The set is not here and cannot be downloaded; the message says where to get it.

    Example:
        >>> load("fashion_mnist").class_names[0]                                     # doctest: +SKIP
        'T-shirt/top'
    """
    return get(name).load(folder, **options)
