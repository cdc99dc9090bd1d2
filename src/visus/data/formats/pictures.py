"""Pictures without labels: files, folders and patterns, for prediction."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from visus.data.dataset import Dataset
from visus.data.formats._walk import LeftOut, folders, holds_pictures, is_picture, printable, walk
from visus.structures import InputError, Sample

DESCRIPTION = "picture files or a folder of them, without labels"
WRITE_REFUSED = "Pictures without labels are already files: copy them with the means of your system."

_WILD = re.compile(r"[*?[]")

Source = str | Path | Sample | np.ndarray


def sniff(path: Path) -> bool:
    """Whether it is a picture, or a folder with pictures that no subfolders sort into classes."""
    try:
        if path.is_file():
            return is_picture(path.name)
        if not path.is_dir():
            return False
        return holds_pictures(path, levels=0) or (len(folders(path)) == 1 and holds_pictures(path))
    except (OSError, ValueError):
        return False


def read(path: Any, *, follow_links: bool = False) -> Dataset:
    """All pictures of the sources as a data set without labels and classes.

    Args:
        path: A source or several; see `iter_pictures`.
        follow_links: Follow symbolic links in folders wherever they lead.

    Raises:
        InputError: There is no picture.
    """
    left_out = LeftOut()
    samples = tuple(iter_pictures(path, follow_links=follow_links, left_out=left_out))
    if not any(not isinstance(s.image, Path) or s.image.is_file() for s in samples):
        raise InputError(f"There is no picture in {_named(path)}. {' '.join(left_out.notes())}".strip())
    root = Path(path) if isinstance(path, (str, Path)) and Path(path).is_dir() else None
    return Dataset(samples, (), name=_named(path), root=root, notes=left_out.notes())


def iter_pictures(
    sources: Source | Iterable[Source], *, follow_links: bool = False, left_out: LeftOut | None = None
) -> Iterator[Sample]:
    """Yields a sample for every picture, one at a time: a million files need no more memory than a thousand.

    Args:
        sources: A file, a folder (searched through all its subfolders), a pattern with `*`, `?`, `[...]` or
            `**`, an array, or any iterable of these, which is itself consumed one at a time.
        follow_links: Follow symbolic links in folders wherever they lead.
        left_out: Where to count the files that were skipped.

    Yields:
        Samples without target. A file that was named is yielded whatever its extension. A source in which no
        picture is found, or that does not exist, is yielded itself: whoever reads it reports it, so that
        every source is accounted for.

    Example:
        >>> for sample in iter_pictures(["a.jpg", "holiday/", "scans/*.tif"]): ...      # doctest: +SKIP
    """
    if isinstance(sources, (str, os.PathLike, Sample, np.ndarray)):
        sources = [sources]
    for number, source in enumerate(sources):
        if isinstance(source, Sample):
            yield source
        elif isinstance(source, np.ndarray):
            yield Sample(source, source=f"array#{number}")
        else:
            yield from _found(str(source), follow_links, left_out)


def _found(text: str, follow_links: bool, left_out: LeftOut | None) -> Iterator[Sample]:
    path = Path(text)
    try:
        if path.is_dir():
            pictures = walk(path, left_out, follow_links=follow_links)
        elif _WILD.search(text) and not path.exists():
            pictures = _matching(text, follow_links, left_out)
        else:
            pictures = iter((path,))
    except (OSError, ValueError):  # a name that no file can have
        pictures = iter((path,))
    empty = True
    for picture in pictures:
        empty = False
        yield Sample(picture, source=printable(picture))
    if empty:
        yield Sample(path, source=printable(path))


def _matching(pattern: str, follow_links: bool, left_out: LeftOut | None) -> Iterator[Path]:
    """The pictures that match a pattern, without listing a folder as a whole as `glob` does."""
    parts = Path(pattern).parts
    fixed = next(i for i, part in enumerate(parts) if _WILD.search(part))
    base = Path(*parts[:fixed]) if fixed else Path()
    rest = parts[fixed:]
    if not base.is_dir():
        return
    depth = None if "**" in rest else len(rest) - 1
    for picture in walk(base, left_out, follow_links=follow_links, depth=depth):
        if _fits(picture.relative_to(base).parts, rest):
            yield picture


def _fits(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Whether a path fits a pattern, part by part; `**` stands for any number of folders."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return _fits(parts, pattern[1:]) or (bool(parts) and _fits(parts[1:], pattern))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])


def _named(source: Any) -> str:
    if isinstance(source, (str, Path)):
        return printable(Path(source).name or Path(source).resolve().name)
    return "the given sources"
