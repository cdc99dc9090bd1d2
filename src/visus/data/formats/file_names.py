r"""Labels in the file names: a regular expression with named groups takes them out.

Example:
    >>> parse("cat.12.jpg", PATTERNS["first_dot"])
    {'label': 'cat'}
    >>> parse("images/yorkshire_terrier_12.jpg", PATTERNS["last_underscore"])
    {'label': 'yorkshire_terrier'}
    >>> parse("01_TUMOR/1A11.tif_Row_601_Col_151.tif", PATTERNS["numbered_folder"])
    {'index': '01', 'label': 'TUMOR'}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from visus.data.dataset import Dataset
from visus.data.formats._labels import index_labels, shortened
from visus.data.formats._rows import split_name
from visus.data.formats._walk import LeftOut, path_order, printable, source_of, walk
from visus.structures import Classification, InputError, Sample

DESCRIPTION = (
    "the label is a part of every file's name (only on request: file_names:PATTERN, such as first_dot)"
)
ARGUMENT = "pattern"
WRITE_REFUSED = (
    "A file's name is its owner's affair, so no labels are written into names: write class_folders or table."
)

PATTERNS: Mapping[str, str] = {
    "first_dot": r"(?:^|/)(?P<label>[^/.]+)\.[^/]*$",
    "last_underscore": r"(?:^|/)(?P<label>[^/]+)_[^/_]*$",
    "numbered_folder": r"(?:^|/)(?P<index>\d+)[_-](?P<label>[^/]+)/[^/]*$",
}


def sniff(path: Path) -> bool:
    """Never: every name could hold a label, so this format is only read on request."""
    return False


def read(
    path: str | Path, *, pattern: str, class_names: Sequence[str] | None = None, follow_links: bool = False
) -> Dataset:
    r"""Reads all pictures under a folder and takes label, group and split out of their paths.

    Args:
        path: The folder.
        pattern: A regular expression, searched in the path relative to `path` (with `/`), or a name in
            `PATTERNS`: `first_dot` (`cat.12.jpg` -> cat), `last_underscore` (`yorkshire_terrier_12.jpg` ->
            yorkshire_terrier), `numbered_folder` (`01_TUMOR/a.tif` -> TUMOR, ordered by the number). Its
            group `label` is needed; `index` (a whole number) orders the classes, `group` and `split` fill
            those fields of the sample; others are free, see `columns`.
        class_names: The classes in the wanted order, else sorted by `index` or byte-wise.
        follow_links: Follow symbolic links wherever they lead.

    Returns:
        Samples sorted byte-wise by path.

    Raises:
        InputError: A picture's path does not match (all such are listed), or the pattern is none.

    Example:
        >>> read("pets", pattern="last_underscore").class_names                       # doctest: +SKIP
        ('Abyssinian', 'Bengal', 'american_bulldog')
    """
    root = Path(path)
    if not root.is_dir():
        raise InputError(f"Labels in file names need a folder of pictures, and {printable(root)} is none.")
    regex = _compiled(pattern)
    if "label" not in regex.groupindex:
        raise InputError(f"The pattern {pattern!r} needs a named group for the label: (?P<label>...).")
    left_out = LeftOut()
    pictures = sorted(walk(root, left_out, follow_links=follow_links), key=path_order)
    if not pictures:
        raise InputError(f"{printable(root)} holds no picture. {' '.join(left_out.notes())}".strip())
    sources = [source_of(p, root) for p in pictures]
    parts = _parse_all(sources, regex)

    if class_names is None and "index" in regex.groupindex:
        class_names = _ordered_by_index(parts)
    indices, names = index_labels([p["label"] for p in parts], class_names, sources.__getitem__)
    samples = tuple(
        Sample(
            picture,
            Classification(label=i),
            source,
            group=found.get("group") or None,
            split=split_name(found.get("split")),
        )
        for picture, i, source, found in zip(pictures, indices, sources, parts)
    )
    return Dataset(samples, names, name=printable(root.resolve().name), root=root, notes=left_out.notes())


def parse(name: str, pattern: str) -> dict[str, str]:
    """The named groups of a pattern in one path; groups that took no part are left out.

    Raises:
        InputError: The path does not match.
    """
    return _parse_all([name], _compiled(pattern))[0]


def columns(dataset: Dataset, pattern: str) -> dict[str, list[str | None]]:
    r"""A table of what a pattern finds in the samples' sources: one list per named group, in sample order.

    Raises:
        InputError: A source does not match.

    Example:
        >>> columns(tiles, r"(?P<slide>[^/]+\.tif)_Row_(?P<row>\d+)_Col_(?P<col>\d+)")       # doctest: +SKIP
    """
    regex = _compiled(pattern)
    parts = _parse_all([s.source for s in dataset], regex)
    return {name: [found.get(name) for found in parts] for name in regex.groupindex}


def group_of(pattern: str) -> Callable[[Sample], str]:
    """A function from a sample to what the pattern finds in its source: group `group`, else the first, else
    all.

    Raises:
        InputError: (by the function) The source does not match.
    """
    regex = _compiled(pattern)

    def find(sample: Sample) -> str:
        match = regex.search(sample.source)
        if match is None:
            raise InputError(f"The pattern {pattern!r} finds no group in {sample.source}.")
        found = match["group"] if "group" in regex.groupindex else match[1] if regex.groups else match[0]
        if found is None:
            raise InputError(f"The pattern {pattern!r} finds an empty group in {sample.source}.")
        return found

    return find


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(PATTERNS.get(pattern, pattern))
    except (re.error, OverflowError, RecursionError) as error:
        raise InputError(
            f"{pattern!r} is neither a regular expression ({error}) nor one of {', '.join(PATTERNS)}."
        ) from None


def _parse_all(names: Sequence[str], regex: re.Pattern[str]) -> list[dict[str, str]]:
    matches = [regex.search(name) for name in names]
    labelled = "label" in regex.groupindex
    missed = [n for n, match in zip(names, matches) if match is None or (labelled and not match["label"])]
    if missed:
        raise InputError(
            f"{len(missed)} of {len(names)} names do not match the pattern {regex.pattern!r}: "
            f"{shortened(missed)}. Widen the pattern, or move these files elsewhere."
        )
    return [{k: v for k, v in match.groupdict().items() if v is not None} for match in matches if match]


def _ordered_by_index(parts: Sequence[Mapping[str, str]]) -> list[str]:
    index: dict[str, int] = {}
    for found in parts:
        try:
            number = int(found.get("index", ""))
        except ValueError:
            raise InputError(
                f"The pattern's group `index` is a whole number. Received {found.get('index')!r}."
            ) from None
        if index.setdefault(found["label"], number) != number:
            raise InputError(
                f"The class {found['label']!r} has the numbers {index[found['label']]} and {number}."
            )
    return sorted(index, key=lambda label: (index[label], label))
