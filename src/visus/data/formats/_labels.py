"""From the labels that a file spells out to class indices, and class names from a file."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from visus.data.dataset import distinct
from visus.structures import InputError

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")


def index_labels(
    labels: Sequence[str], class_names: Sequence[str] | None, where: Callable[[int], str]
) -> tuple[list[int], tuple[str, ...]]:
    """Class index of every label, and the class names in the order of the indices.

    Without `class_names` the different labels are the classes: sorted as numbers when all are whole numbers
    (so 10 comes after 9), else byte-wise. With `class_names` a label is one of the names, or, when none is,
    every label is a position 0..K-1 in them.

    Args:
        labels: One label per sample, as text.
        class_names: The classes in order, or None.
        where: Position in `labels` -> the words that name the place in the file, for the error.

    Raises:
        InputError: A label is not among `class_names`, or lies outside 0..K-1; or two of the names are equal.
    """
    if class_names is None:
        found = set(labels)
        if all(_INTEGER.fullmatch(label) for label in found):
            ordered = sorted(found, key=lambda label: (int(label), label))
        else:
            ordered = sorted(found, key=lambda label: label.encode("utf-8", "surrogateescape"))
        index = {label: i for i, label in enumerate(ordered)}
        return [index[label] for label in labels], tuple(ordered)

    class_names = check_names(class_names)
    index = {label: i for i, label in enumerate(class_names)}
    if labels and not any(label in index for label in labels) and _INTEGER.fullmatch(labels[0]):
        index = {str(i): i for i in range(len(class_names))}
        labels = [str(int(label)) if _INTEGER.fullmatch(label) else label for label in labels]
    for position, label in enumerate(labels):
        if label not in index:
            raise InputError(
                f"{where(position)} has the label {label!r}, which is neither one of the {len(class_names)} "
                f"class names ({shortened(class_names)}) nor, throughout, a position "
                f"0..{len(class_names) - 1} in them. Correct the label or the class names."
            )
    return [index[label] for label in labels], class_names


def check_names(class_names: Sequence[str]) -> tuple[str, ...]:
    """The class names as a tuple.

    Raises:
        InputError: There are none, one is empty, or two are equal.
    """
    if isinstance(class_names, str):
        raise InputError(f"class_names is a sequence of names. Received the single text {class_names!r}.")
    names = tuple(str(name) for name in class_names)
    if not names or not all(names):
        raise InputError("class_names needs at least one name, and none of them empty.")
    return distinct(names)


def read_names(path: Path) -> tuple[str, ...]:
    """Class names from a text file: one a line, line 1 is class 0, blank lines at the end do not count.

    Raises:
        InputError: The file is no such list.
    """
    text = path.read_bytes()[: 1 << 20].decode("utf-8-sig", "backslashreplace")
    try:
        return check_names([line.strip() for line in text.strip().splitlines()])
    except InputError as error:
        raise InputError(f"{path} is no list of class names (one a line). {error}") from None


def shortened(items: Sequence[object], limit: int = 10) -> str:
    """The first few items, and how many more there are."""
    shown = ", ".join(str(item) for item in items[:limit])
    return shown if len(items) <= limit else f"{shown} ... ({len(items)} in all)"
