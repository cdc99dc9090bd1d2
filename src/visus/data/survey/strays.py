"""Accounts for the files that lie in a data set's folders and do not belong to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from visus.data.dataset import Dataset
from visus.data.formats._walk import is_hidden, is_picture, printable
from visus.image import header
from visus.image.io import ImageError, probe

Kind = Literal["picture", "disguised", "hidden", "link", "other", "closed"]


@dataclass(frozen=True, slots=True)
class Stray:
    """A file or folder that no sample comes from.

    Attributes:
        source: Its path, relative to the data set's folder where it lies inside; a folder ends with `/`.
        kind: `picture`: by its suffix. `disguised`: a picture by content, whatever the suffix says. `hidden`:
            a dot file, or what operating systems leave behind; of a hidden folder the folder alone is told.
            `link`: a symbolic link that is not followed. `closed`: it could not be opened. `other`: the rest.
    """

    source: str
    kind: Kind


def strays(dataset: Dataset, folder: Path | None = None) -> list[Stray]:
    """Finds what was left out, and why.

    Args:
        dataset: The samples that are accounted for.
        folder: Looks through everything below it. Without it, only into the folders that samples lie in: a
            list of pictures may stand in a home directory.

    Returns:
        In the order of their paths; nothing for arrays, which lie in no file of their own.
    """
    known = {os.path.abspath(s.image) for s in dataset.samples if isinstance(s.image, Path)}  # noqa: PTH100
    if not known:
        return []
    base = os.path.abspath(folder or dataset.root or ".")  # noqa: PTH100
    found = _below(base, known) if folder else _beside(known)
    listed = [Stray(_shown(path, base), kind) for path, kind in found]
    return sorted(listed, key=lambda s: s.source)


def _below(folder: str, known: set[str]) -> Iterator[tuple[str, Kind]]:
    pending = [folder]
    while pending:
        here = pending.pop()
        for path, kind in _in(here, known):
            if kind is None:
                pending.append(path)
            else:
                yield path, kind


def _beside(known: set[str]) -> Iterator[tuple[str, Kind]]:
    for folder in sorted({os.path.dirname(path) for path in known}):  # noqa: PTH120
        for path, kind in _in(folder, known):
            if kind is not None:
                yield path, kind


def _in(folder: str, known: set[str]) -> Iterator[tuple[str, Kind | None]]:
    """What lies in one folder; a folder to look into has no kind."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.path in known:
                    continue
                try:
                    yield entry.path + os.sep * entry.is_dir(), _kind(entry)
                except OSError:
                    yield entry.path, "closed"
    except OSError:
        yield folder + os.sep, "closed"


def _kind(entry: os.DirEntry[str]) -> Kind | None:
    if is_hidden(entry.name):
        return "hidden"
    if entry.is_symlink():
        return "link"
    if entry.is_dir():
        return None
    if not entry.is_file():
        return "closed"
    if is_picture(entry.name):
        return "picture"
    return "disguised" if _holds_picture(entry.path) else "other"


def _holds_picture(path: str) -> bool:
    with open(path, "rb") as file:  # noqa: PTH123
        if header.sniff(file.read(header.HEAD)) is None:
            return False
    try:
        probe(path)
    except ImageError:  # two bytes may look like a picture by chance
        return False
    return True


def _shown(path: str, base: str) -> str:
    inside = path.startswith(base + os.sep)
    return printable(path[len(base) + 1 :] if inside else path)
