"""What the readers of boxes share: JSON that may be anything, boxes that may be odd, pictures that must be found."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visus.data.formats._walk import is_picture, printable, walk
from visus.structures import InputError

MAX_BYTES = 2**31
"""Bytes that an annotation file may have."""


@dataclass
class Ledger:
    """Everything that reading or writing repaired, left out or could not hold: counted and named, never silent."""

    counts: dict[str, int] = field(default_factory=dict)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, what: str, where: str = "", number: int = 1) -> None:
        """Counts something; `what` is the end of a sentence that begins with the number."""
        if number:
            self.counts[what] = self.counts.get(what, 0) + number
            self.first.setdefault(what, where)

    def notes(self) -> tuple[str, ...]:
        """A sentence for each kind, in the order in which they were first met."""
        return tuple(
            f"{number} {what}" + (f" (the first: {self.first[what]})." if self.first[what] else ".")
            for what, number in self.counts.items()
        )


def load_json(path: Path) -> Any:
    """The document in a JSON file.

    Raises:
        InputError: It is too large, no UTF-8 text, or no JSON; the message names the line.
    """
    name = printable(path)
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{name} has more than {MAX_BYTES:,} bytes. Split it into several files.")
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError(
            f"{name} is no text in UTF-8: byte {error.start} is {error.object[error.start]:#x}."
        ) from None
    except json.JSONDecodeError as error:
        raise InputError(f"{name}, line {error.lineno}: this is no JSON ({error.msg}).") from None
    except (RecursionError, ValueError) as error:
        raise InputError(f"{name} is no JSON that can be read: {type(error).__name__}.") from None


class Entry:
    """An object of a JSON document, whose fields are asked for with the type that they must have.

    Args:
        value: The object.
        where: How an error names it: the file and the place in it.

    Raises:
        InputError: It is no object.
    """

    def __init__(self, value: Any, where: str):
        if not isinstance(value, Mapping):
            raise InputError(f"{where}: expected an object {{...}}. Received {_shown(value)}.")
        self.value, self.where = value, where

    def __contains__(self, key: str) -> bool:
        return self.value.get(key) is not None

    def text(self, key: str) -> str:
        """A field that is a text that is not empty."""
        value = self.value.get(key)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(key, "a text")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """A field that is a finite number; a text of digits counts."""
        value = self.value.get(key, default)
        try:
            result = float(value) if not isinstance(value, bool) else math.nan
        except (TypeError, ValueError, OverflowError):
            result = math.nan
        if not math.isfinite(result):
            raise self.wrong(key, "a finite number")
        return result

    def key(self, key: str) -> int | str:
        """A field that identifies something: a whole number or a text."""
        value = self.value.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            raise self.wrong(key, "a whole number or a text")
        return value

    def numbers(self, key: str, count: int | None = None) -> NDArray[np.float64]:
        """A field that is a list of finite numbers, of `count` if given."""
        values = self.value.get(key)
        wanted = "numbers" if count is None else f"{count} numbers"
        if not isinstance(values, Sequence) or isinstance(values, str) or count not in (None, len(values)):
            raise self.wrong(key, f"a list of {wanted}")
        try:
            result = np.array(values, np.float64)
        except (TypeError, ValueError, OverflowError):
            raise self.wrong(key, f"a list of {wanted}") from None
        if result.ndim != 1 or not np.isfinite(result).all():
            raise self.wrong(key, f"a list of {wanted}, all finite")
        return result

    def entries(self, key: str) -> Iterator[Entry]:
        """A field that is a list of objects."""
        values = self.value.get(key, [])
        if not isinstance(values, list):
            raise self.wrong(key, "a list")
        for i, value in enumerate(values):
            yield Entry(value, f"{self.where}, {key}[{i}]")

    def wrong(self, key: str, expected: str) -> InputError:
        """The error that says that a field is missing or another thing."""
        received = _shown(self.value[key]) if key in self.value else "no such field"
        return InputError(f"{self.where}: expected {expected} as {key!r}. Received {received}.")


def _shown(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def repaired(
    boxes: Any, size: tuple[int, int] | None, ledger: Ledger, where: str
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Boxes as they can be learned: corners in order, inside the picture, with an area.

    Args:
        boxes: `(N, 4)` xyxy, finite.
        size: `(height, width)` of the picture, or None: then nothing is cut.
        ledger: Where repairs are counted.
        where: How the ledger names the picture.

    Returns:
        float64 `(M, 4)` boxes and int64 `(M,)` which of the given ones they are.
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    upright = np.concatenate(
        [np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])], axis=1
    )
    ledger.add(
        "boxes had their corners exchanged; they were put in order",
        where,
        int((upright != boxes).any(1).sum()),
    )
    inside = upright
    if size is not None:
        inside = np.clip(upright, 0, [size[1], size[0], size[1], size[0]])
        # Half a pixel beyond is rounding, as of shares with six digits.
        beyond = (np.abs(inside - upright) > 0.5).any(axis=1)
        ledger.add(
            "boxes reached beyond their picture and were cut off at its border", where, int(beyond.sum())
        )
    full = ((inside[:, 2:] - inside[:, :2]) > 0).all(axis=1)
    ledger.add("boxes without area (or outside of their picture) were left out", where, int((~full).sum()))
    return inside[full], np.flatnonzero(full)


class Pictures:
    """The picture files of a set, by the names that its annotations use.

    A name is looked for as a path from the roots, then by its last part, then without its suffix: annotation files
    rarely stand where they stood when they were written.

    Attributes:
        outside: How many names led out of the roots, as absolute paths do, to a picture that is there.

    Args:
        roots: Folders to look in, in this order.
    """

    def __init__(self, roots: Sequence[Path]):
        self.roots = [root for root in dict.fromkeys(roots) if root.is_dir()]
        self.outside = 0
        self._used: set[Path] = set()
        self._by_name: dict[str, list[Path]] | None = None

    def find(self, name: str) -> Path | None:
        """The file of a name, or None if there is none or more than one."""
        text = name.replace("\\", "/").strip()
        if not text or "\0" in text:
            return None
        parts = [part for part in text.split("/") if part not in ("", ".")]
        for root in self.roots:
            path = Path(os.path.normpath(root / text))  # an absolute name stands for itself
            if is_picture(path.name) and _is_file(path):
                self.outside += not any(path.is_relative_to(os.path.normpath(r)) for r in self.roots)
                return self._take(path)
        index = self._index()
        last = parts[-1] if parts else ""
        for key in (last, os.path.splitext(last)[0] if is_picture(last) else last):  # noqa: PTH122
            found = index.get(key, [])
            if len(found) == 1:
                return self._take(found[0])
            if len(found) > 1:
                alike = [p for p in found if p.as_posix().endswith("/" + "/".join(parts))]
                return self._take(alike[0]) if len(alike) == 1 else None
        return None

    def find_beside(self, annotation: Path, name: str) -> Path | None:
        """The picture of an annotation file: beside it, or as `find` finds its name or the file's own stem."""
        last = name.replace("\\", "/").rsplit("/", 1)[-1]
        if is_picture(last) and "\0" not in last:
            beside = annotation.with_name(last)
            if beside.is_file() and any(beside.is_relative_to(root) for root in self.roots):
                return self._take(beside)
        return self.find(name) or self.find(annotation.stem)

    def unused(self) -> list[Path]:
        """The pictures that no name has asked for, below the folder that holds all of those that one has."""
        root = common_root(sorted(self._used), Path())
        return [path for path in walk(root) if path not in self._used] if self._used else []

    def _take(self, path: Path) -> Path:
        self._used.add(path)
        return path

    def _index(self) -> dict[str, list[Path]]:
        """Pictures by file name, and by file name without suffix."""
        if self._by_name is None:
            self._by_name = {}
            seen: set[Path] = set()
            for root in self.roots:
                for path in walk(root):
                    if path in seen:
                        continue
                    seen.add(path)
                    for key in dict.fromkeys((path.name, path.stem)):
                        self._by_name.setdefault(key, []).append(path)
        return self._by_name


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that the system refuses
        return False


def common_root(paths: Sequence[Path], fallback: Path) -> Path:
    """The folder that sources are named from: the deepest that holds all the files."""
    if not paths:
        return fallback
    return Path(os.path.commonpath([path.parent for path in paths]))


def free_stem(picture: Path, taken: set[str]) -> str:
    """A plain name without suffix for a copy of the picture, and no other's; `taken` remembers it."""
    stem = re.sub(r"[^\w.-]+", "_", picture.stem).strip("._") or "picture"
    name, number = stem, 1
    while name.lower() in taken:
        number += 1
        name = f"{stem}-{number}"
    taken.add(name.lower())
    return name


def size_of(file: Path) -> tuple[int, int]:
    """`(height, width)` of a picture, from its header.

    Raises:
        ImageError: It cannot be read.
    """
    from visus.image.io import probe

    info = probe(file)
    return info.height, info.width
