"""What a person names when a command asks for pictures: files, folders, patterns, a list on stdin."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from visus.structures import InputError


@dataclass(frozen=True)
class Named:
    """A picture and the name under which something about it may be written.

    Attributes:
        path: The file.
        name: A relative path without `..`, different for every picture.
    """

    path: Path
    name: Path

    def beside(self, folder: Path) -> Path:
        """The file in `folder` for a picture made from this one, JPEG or PNG; the folders above it are made.

        `claim` the folder first.

        Its name is the picture's, or `x.bmp.png` for `x.bmp`; `x.bmp.png.png` where `x.bmp.png` is a picture, too.
        """
        name = self.name.name
        if self.name.suffix.lower() not in (".jpg", ".jpeg", ".png"):
            name += ".png"
            while self.path.with_name(name).exists():
                name += ".png"
        target = folder / self.name.with_name(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        return target


def claim(folder: Path) -> None:
    """Makes a folder for pictures that visus writes: one that is new, empty, or has been visus' own before.

    Raises:
        InputError: It holds files already, and not by an earlier command.
    """
    from visus.data.formats._walk import MARK

    mark = folder / MARK
    if folder.is_dir() and not mark.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} holds files already, and visus changes none. Name a new or empty folder.")
    folder.mkdir(parents=True, exist_ok=True)
    mark.touch()


def named_pictures(arguments: Sequence[str]) -> Iterator[Named]:
    """The pictures, one at a time; memory does not grow with their number.

    What is wrong with any argument is raised by the call, before the first picture.

    Args:
        arguments: Files; folders, which are searched for pictures; patterns such as `photos/**/*.jpg`; and
            `-` for a list of files on stdin, one in a line.

    Returns:
        An iterator. Files are not opened, and a file that is named but does not exist is yielded too.

    Raises:
        InputError: A folder or a pattern holds no picture.
    """
    for argument in arguments:
        if argument != "-" and next(_files(argument, order=iter), None) is None:
            if Path(argument).is_dir():
                raise InputError(
                    f"The folder {argument} holds no picture. Name a folder with pictures, or files."
                )
            raise InputError(f"No file matches {argument}. Check the pattern and the current folder.")
    base = _base(arguments)
    return (_named(file, base) for argument in arguments for file in _files(argument))


def _files(argument: str, order: Callable[[Iterable[str]], Iterable[str]] = sorted) -> Iterator[Path]:
    """The files that one argument names; those of a pattern in `order`, `iter` to have the first one soon."""
    from visus.data.formats._walk import walk

    path = Path(argument)
    if argument == "-":
        for line in sys.stdin.buffer:
            if text := line.rstrip(b"\r\n"):
                yield Path(os.fsdecode(text))
    elif path.is_dir():
        yield from walk(path)
    elif not path.exists() and glob.has_magic(argument):
        matches = order(glob.iglob(argument, recursive=True))  # noqa: PTH207 - takes absolute patterns
        yield from (match for match in map(Path, matches) if match.is_file())
    else:
        yield path


def shown(path: object) -> str:
    """A path as one line that a terminal prints as it is: what is no printable character is escaped."""
    text = os.fsencode(str(path)).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _base(arguments: Sequence[str]) -> Path | None:
    """The deepest folder that holds everything that was named, or None where there is none (two drives)."""
    folders = []
    for argument in arguments:
        path = Path(argument)
        if argument != "-":
            fixed = Path(*takewhile(lambda part: not glob.has_magic(part), path.parts))
            folders.append(path if path.is_dir() else fixed if fixed != path else path.parent)
    try:
        return Path(os.path.commonpath([_absolute(folder) for folder in folders]))
    except ValueError:
        return None


def _named(path: Path, base: Path | None) -> Named:
    """The name is the path below `base`; elsewhere the whole path."""
    absolute = _absolute(path)
    if base is not None and absolute.is_relative_to(base):
        return Named(path, absolute.relative_to(base))
    return Named(path, absolute.relative_to(absolute.anchor))


def _absolute(path: Path) -> Path:
    """Without `..`, which must not lead out of an output folder; links are not followed."""
    return Path(os.path.abspath(path))  # noqa: PTH100
