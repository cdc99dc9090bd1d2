"""Readers and writers of data sets: one file per format, found by looking into this folder.

Every module offers the same names, and `tests/conformance/test_formats.py` asks every one of them for it:

- `DESCRIPTION`: one line, what the format looks like.
- `sniff(path) -> bool`: whether that file or folder looks like it. Cheap, reads no pixel, never raises.
- `read(path, **options) -> Dataset`: everything else that needs saying is an option.
- `write(dataset, path) -> tuple[str, ...]`: never overwrites; returns, as sentences, what the format could
  not hold. `SUFFIX`: how the written file's name ends, empty for a folder. Or, instead of both,
  `WRITE_REFUSED`: the sentence that says why there is no writer.
- `OPENS_PICTURES = True`, where reading needs the pictures' headers.
- `ARGUMENT`, where `read` cannot do without an option: its name; `format:VALUE` gives it.

A file whose name starts with an underscore is a part that several formats share, not a format.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Any, Protocol, cast

from visus.data.dataset import Dataset
from visus.structures import InputError

__all__ = ["Format", "get", "names"]


class Format(Protocol):
    """What every module of this folder offers, besides `write` or `WRITE_REFUSED`."""

    DESCRIPTION: str

    def sniff(self, path: Path) -> bool:
        """Whether the path looks like this format."""

    def read(self, path: Any, **options: Any) -> Dataset:
        """The data set at the path."""


def names() -> tuple[str, ...]:
    """The names of all formats, sorted.

    Example:
        >>> "class_folders" in names()
        True
    """
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")))


def get(name: str) -> Format:
    """The module of a format; `class-folders` means `class_folders`.

    Raises:
        InputError: There is no such format.
    """
    wanted = name.replace("-", "_")
    if wanted not in names():
        raise InputError(f"There is no format named {name!r}. The formats are {', '.join(names())}.")
    return cast(Format, importlib.import_module(f"{__name__}.{wanted}"))
