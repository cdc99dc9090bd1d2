"""What lists of pictures share: from lines that name files to paths, and to a data set."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from visus.data.formats._labels import shortened
from visus.data.formats._walk import SPLITS, printable
from visus.structures import InputError

# A list of pictures has short lines; one longer line means that this is no such list.
MAX_LINE = 1 << 20

Missing = Literal["error", "skip"]
_Parsed = TypeVar("_Parsed")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a list, as text.

    Attributes:
        where: `labels.csv, line 7`.
        path: The picture as the line names it.
        label: The label's text, or None.
        flags: One 0 or 1 per class, or None.
        scores: One probability per class, or None.
        split: As the line names it, or None.
        group: The group's text, or None.
    """

    where: str
    path: str
    label: str | None = None
    flags: tuple[int, ...] | None = None
    scores: tuple[float, ...] | None = None
    split: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """A row whose picture was found, and the name by which a person knows it."""

    row: Row
    path: Path
    source: str


def place(
    rows: Sequence[Row], base: Path, root: Path | None = None, *, missing: Missing = "error"
) -> tuple[list[Placed], Path, list[str]]:
    """Finds the picture of every row.

    A relative path starts at `root`, or at `base`, the list's own folder. Where the first picture is not
    there but exactly one subfolder of `base` has it, paths start at that subfolder. Without `root` a path may
    lead anywhere: the list is the user's own; the notes say how many lead out. With `root` no path may.

    Args:
        rows: The lines, in order.
        base: The folder of the list.
        root: The folder that all paths must stay in, or None.
        missing: What to do about pictures that are not there.

    Returns:
        The rows whose pictures exist, each picture once; the folder that sources are relative to; notes.

    Raises:
        InputError: A picture is missing, leads out of `root`, is a web address, or is listed twice with
            another label, split or group.
    """
    notes: list[str] = []
    start = Path(root) if root is not None else base
    if root is None and rows and (subfolder := _only_subfolder_with(rows[0].path, base)):
        start = subfolder
        notes.append(f"The paths start at the subfolder {printable(subfolder.name)}.")
    placed: list[Placed] = []
    absent: list[str] = []
    seen: dict[Path, Row] = {}
    outside = repeated = 0
    anchor = os.path.abspath(start)  # noqa: PTH100 - without following links
    for row in rows:
        path = _locate(row, start)
        full = os.path.abspath(start / row.path if path is None else path)  # noqa: PTH100
        relative = below(full, anchor)
        if root is not None and (relative is None or not _really_inside(full, anchor)):
            raise InputError(
                f"{row.where}: {row.path!r} leads out of {printable(root)}, where all paths must stay."
            )
        if path is None:
            absent.append(f"{row.where}: {printable(row.path)}")
            continue
        outside += relative is None
        if (earlier := seen.setdefault(Path(full), row)) is not row:
            if (earlier.label, earlier.flags, earlier.scores, earlier.split, earlier.group) != (
                row.label,
                row.flags,
                row.scores,
                row.split,
                row.group,
            ):
                raise InputError(
                    f"{row.where} lists {printable(row.path)} again, with another label, split or group than "
                    f"{earlier.where}. Keep one of the lines."
                )
            repeated += 1
            continue
        placed.append(Placed(row, path, printable(relative or Path(full).as_posix())))
    if absent and missing == "error":
        raise InputError(
            f"{len(absent)} of {len(rows)} pictures do not exist under {printable(start)}: "
            f"{shortened(absent)}. Put the list where its paths start from; or, in Python, name that folder "
            "(root=...) or leave them out (missing='skip')."
        )
    if absent:
        notes.append(f"{len(absent)} pictures do not exist and were left out: {shortened(absent, 3)}.")
    if outside:
        notes.append(f"{outside} pictures lie outside of {printable(start)}.")
    if repeated:
        notes.append(
            f"{repeated} lines list a picture again, with the same label; each picture was taken once."
        )
    return placed, start, notes


def below(path: str | Path, folder: str | Path) -> str | None:
    """The path relative to a folder above it, with `/`; None where it is not below. Follows no link."""
    try:
        relative = os.path.relpath(path, folder)
    except ValueError:  # another drive
        return None
    return None if relative.startswith(os.pardir + os.sep) else Path(relative).as_posix()


def split_name(text: str | None) -> str | None:
    """`Training` -> `train`, `valid` -> `val`, ...; other names stay as they are; empty is None."""
    if text is None or not text.strip():
        return None
    return SPLITS.get(text.strip().lower(), text.strip())


def lines_of(path: Path, encoding: str) -> Iterator[str]:
    """The lines of a text file, with their ends, each of bounded length.

    Raises:
        InputError: A line is too long, or holds a NUL byte.
        UnicodeDecodeError: The file has another encoding.
    """
    with path.open(encoding=encoding, newline="") as file:
        number = 0
        while line := file.readline(MAX_LINE):
            number += 1
            if len(line) == MAX_LINE:
                raise InputError(f"{printable(path)}, line {number} is longer than {MAX_LINE:,} characters.")
            if "\0" in line:
                raise InputError(f"{printable(path)}, line {number} holds a NUL byte: this is no text file.")
            yield line


def decoded(
    path: Path, given: str | None, parse: Callable[[str], Iterable[_Parsed]]
) -> tuple[list[_Parsed], list[str]]:
    """What `parse(encoding)` makes of a text file in the first encoding that fits, and a note if it is not UTF-8.

    Raises:
        InputError: There is no encoding of the given name, or none fits.
    """
    candidates = _encodings(path, given)
    for candidate in candidates:
        try:
            parsed = list(parse(candidate))
        except UnicodeError:
            continue
        except LookupError:
            raise InputError(f"There is no encoding named {given!r}.") from None
        if candidate == candidates[0]:
            return parsed, []
        return parsed, [f"{printable(path.name)} is not UTF-8; it was read as {candidate}."]
    raise InputError(f"{printable(path)} cannot be read as {', '.join(candidates)}. Pass its encoding.")


def _encodings(path: Path, given: str | None) -> tuple[str, ...]:
    """The encodings to try, in order: the given one; that of the byte order mark; UTF-8, Windows, Latin-1."""
    if given is not None:
        return (given,)
    with path.open("rb") as file:
        head = file.read(4)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return ("utf-16",)
    return ("utf-8-sig", "cp1252", "latin-1")


def _locate(row: Row, start: Path) -> Path | None:
    """The file that a row names: as written, with Windows separators, or in another encoding's bytes."""
    if "\0" in row.path:
        raise InputError(f"{row.where}: the path {row.path!r} holds a NUL byte.")
    if re.match(r"[a-z][a-z0-9+.-]+://", row.path, re.IGNORECASE):
        raise InputError(
            f"{row.where}: {row.path} is a web address. Download the pictures and list the files."
        )
    path = start / row.path
    if is_file(path):
        return path
    others = [row.path.replace("\\", "/")] if "\\" in row.path else []
    if not row.path.isascii():
        others += [os.fsdecode(other.encode("latin-1", "ignore")) for other in [row.path, *others]]
    return next((start / other for other in others if is_file(start / other)), None)


def is_file(path: Path) -> bool:
    """Whether it is a plain file; False for a name that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _really_inside(full: str, anchor: str) -> bool:
    return os.path.realpath(full).startswith(os.path.realpath(anchor).rstrip(os.sep) + os.sep)


def _only_subfolder_with(first: str, base: Path) -> Path | None:
    if "\0" in first or is_file(base / first) or Path(first).is_absolute():
        return None
    try:
        having = [f for f in sorted(base.iterdir()) if f.is_dir() and is_file(f / first)]
    except OSError:
        return None
    return having[0] if len(having) == 1 else None
