"""Looks through folders for pictures: in a fixed order, inside the folder, counting what it leaves out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path

from visus.image.io import EXTENSIONS

MARK = ".visus"
"""An empty file of this name marks a folder that visus wrote: its pictures are no data."""

# A folder's names are sorted this many at a time, so that a folder of ten million needs no more memory.
CHUNK = 65_536

_JUNK = {"thumbs.db", "desktop.ini", "__macosx", "@eadir"}
SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}


@dataclass
class LeftOut:
    """What a walk did not return, counted."""

    hidden: int = 0
    other: int = 0
    own: int = 0
    links: int = 0
    unreadable: int = 0

    def notes(self) -> tuple[str, ...]:
        """One sentence for each kind that occurred."""
        sentences = {
            "hidden": "hidden files and folders were skipped",
            "other": "files that are no pictures (by their extension) were skipped",
            "own": "folders that visus wrote itself (runs, heat maps, annotated pictures) were skipped",
            "links": "symbolic links that lead to a folder or out of the data's folder were not followed",
            "unreadable": "folders or files could not be opened (permission, name or a special file)",
        }
        counts = {f.name: getattr(self, f.name) for f in fields(self)}
        return tuple(f"{n} {sentences[kind]}." for kind, n in counts.items() if n)


def is_picture(name: str) -> bool:
    """Whether the name ends like a picture's; the content is asked only when it is read."""
    return os.path.splitext(name)[1].lower() in EXTENSIONS  # noqa: PTH122 - called a million times


def is_hidden(name: str) -> bool:
    """Dot files, and what Windows, macOS and network drives leave behind."""
    return name.startswith(".") or name.lower() in _JUNK


def is_own(folder: str | Path) -> bool:
    """Whether visus wrote the folder."""
    return os.path.exists(os.path.join(folder, MARK))  # noqa: PTH110, PTH118 - called for every folder


def printable(name: str | Path) -> str:
    r"""A file name as text that can be printed and stored: bytes that are no UTF-8 become `\xe9`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def source_of(path: Path, root: Path) -> str:
    """The name of a picture below `root`, as `Sample.source` says it: relative, with `/`, printable."""
    prefix = root.as_posix()
    text = path.as_posix()  # by hand, because `relative_to` takes half of the time of reading a large set
    return printable(text if prefix == "." else text.removeprefix(prefix.rstrip("/") + "/"))


def path_order(path: Path) -> bytes:
    """The sort key of paths: their bytes, the same on every machine and in every locale."""
    return os.fsencode(path.as_posix())


def walk(
    folder: Path,
    left_out: LeftOut | None = None,
    *,
    follow_links: bool = False,
    within: Path | None = None,
    depth: int | None = None,
) -> Iterator[Path]:
    """The pictures under a folder, one at a time, with bounded memory.

    A folder's own pictures come first, byte-wise sorted, then its subfolders in the same order. (In a folder
    of more than 65,536 entries the order holds within blocks of so many.)

    Args:
        folder: Where to start.
        left_out: Where to count what is skipped.
        follow_links: Follow symbolic links wherever they lead, entering no folder twice. Otherwise a link to
            a folder is never entered, and a link to a file only counts when the file lies under `within`.
        within: The folder that links must not lead out of; by default `folder`.
        depth: How many levels of subfolders to enter; None for all.

    Yields:
        Paths that start with `folder`.
    """
    left_out = LeftOut() if left_out is None else left_out
    inside = os.path.realpath(within or folder)
    entered: set[tuple[int, int]] = set()
    pending: list[tuple[Path, int]] = [(folder, 0)]
    while pending:
        here, level = pending.pop()
        if follow_links:
            try:
                stat = here.stat()
            except OSError:
                left_out.unreadable += 1
                continue
            if (stat.st_dev, stat.st_ino) in entered:
                continue
            entered.add((stat.st_dev, stat.st_ino))
        subfolders: list[Path] = []
        for entry in _entries(here, left_out):
            if is_hidden(entry.name):
                left_out.hidden += 1
                continue
            try:
                link, is_folder, is_file = entry.is_symlink(), entry.is_dir(), entry.is_file()
            except OSError:
                left_out.unreadable += 1
                continue
            if link and not follow_links and (is_folder or not _lies_in(entry.path, inside)):
                left_out.links += 1
            elif is_folder:
                if is_own(entry.path):
                    left_out.own += 1
                elif depth is None or level < depth:
                    subfolders.append(Path(entry.path))
            elif not is_file:
                left_out.unreadable += 1
            elif is_picture(entry.name):
                yield Path(entry.path)
            else:
                left_out.other += 1
        subfolders.sort(key=path_order, reverse=True)
        pending.extend((sub, level + 1) for sub in subfolders)


def folders(folder: Path) -> list[Path]:
    """The real, visible subfolders, byte-wise sorted.

    Raises:
        OSError: The folder cannot be listed.
    """
    with os.scandir(folder) as entries:
        found = [
            Path(e.path)
            for e in entries
            if not is_hidden(e.name) and e.is_dir(follow_symlinks=False) and not is_own(e.path)
        ]
    return sorted(found, key=path_order)


def holds_pictures(folder: Path, levels: int = 2) -> bool:
    """Whether a picture lies in the folder or up to `levels` below; a quick look, not a search."""
    below: list[Path] = []
    try:
        with os.scandir(folder) as entries:
            for entry in islice(entries, 2_000):
                if is_hidden(entry.name):
                    continue
                if is_picture(entry.name) and entry.is_file():
                    return True
                if entry.is_dir(follow_symlinks=False) and not is_own(entry.path):
                    below.append(Path(entry.path))
    except OSError:
        return False
    return levels > 0 and any(holds_pictures(sub, levels - 1) for sub in below[:200])


def _entries(folder: Path, left_out: LeftOut) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            while block := list(islice(entries, CHUNK)):
                block.sort(key=lambda e: os.fsencode(e.name))
                yield from block
    except OSError:
        left_out.unreadable += 1


def _lies_in(path: str, folder: str) -> bool:
    return os.path.realpath(path).startswith(folder.rstrip(os.sep) + os.sep)
