"""Text lists: one picture a line, `path label`, as Caffe, Darknet and many scripts write them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from visus.data.dataset import Dataset
from visus.data.formats._labels import index_labels, shortened
from visus.data.formats._rows import Missing, Row, below, decoded, lines_of, place
from visus.data.formats._walk import SPLITS, is_picture, printable
from visus.structures import Classification, InputError, Sample

DESCRIPTION = "a text file with a line `path label` for each picture"
SUFFIX = ".txt"

_SUFFIXES = (".txt", ".lst", ".list")


def sniff(path: Path) -> bool:
    """Whether it is a text file whose first line is a picture's path and a label."""
    try:
        if path.suffix.lower() not in _SUFFIXES or not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(1 << 16).decode("utf-8-sig", "replace")
        lines = (line.strip() for line in head.splitlines())
        first = next((line for line in lines if line and not line.startswith("#")), "")
        parts = first.rsplit(None, 1)
        return "\0" not in head and len(parts) == 2 and is_picture(parts[0]) and not is_picture(parts[1])
    except (OSError, ValueError):
        return False


def read(
    path: str | Path,
    *,
    separator: str | None = None,
    class_names: Sequence[str] | None = None,
    split: str | None = None,
    comments: bool = True,
    encoding: str | None = None,
    root: str | Path | None = None,
    missing: Missing = "error",
) -> Dataset:
    """Reads a list of `path<separator>label` lines.

    The last separator of a line counts, so paths may contain it. Blank lines are skipped.

    Args:
        path: The text file.
        separator: Between path and label; None for any run of blanks and tabs.
        class_names: The classes in the wanted order; labels are names in it, or positions 0..K-1.
        split: The split that all pictures of this list belong to; by default the file's name where that is
            one (`train.txt`).
        comments: Whether lines that start with `#` are skipped.
        encoding: By default UTF-8, else Windows-1252.
        root: The folder that all paths start from and must stay in; by default the list's own folder.
        missing: `error` lists pictures that do not exist; `skip` leaves them out, with a note.

    Returns:
        Samples in the order of the lines.

    Raises:
        InputError: With file and line number: a line has no label; a picture is missing; a label is unknown.

    Example:
        >>> read("train.txt").splits                                              # doctest: +SKIP
        ('train',)
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"A list of pictures is a text file, and {printable(path)} is none.")
    rows, notes = decoded(path, encoding, lambda chosen: _rows(path, chosen, separator, comments))
    if not rows:
        raise InputError(f"{printable(path)} has no line that names a picture.")
    placed, start, found = place(rows, path.parent, None if root is None else Path(root), missing=missing)
    if not placed:
        raise InputError(f"None of the {len(rows)} pictures listed in {printable(path)} exists.")
    labels, names = index_labels(
        [p.row.label or "" for p in placed], class_names, lambda position: placed[position].row.where
    )
    split = split or SPLITS.get(path.stem.lower())
    samples = tuple(
        Sample(p.path, Classification(label=i), p.source, split=split) for p, i in zip(placed, labels)
    )
    return Dataset(samples, names, name=printable(path.stem), root=start, notes=(*notes, *found))


def write(dataset: Dataset, path: str | Path) -> tuple[str, ...]:
    r"""Writes `path<tab>label` lines; `read(path, separator="\t")` takes them back.

    Args:
        dataset: Samples with a single label whose pictures are files.
        path: The file to write; it must not exist.

    Returns:
        What the list cannot hold, as sentences.

    Raises:
        InputError: The file exists, a sample is an array or has no single label, or a name contains a line
            end.
    """
    target = Path(path)
    if target.exists():
        raise InputError(f"{printable(target)} exists. Name a new file; nothing is overwritten.")
    lines: list[str] = []
    base = os.path.abspath(target.parent)  # noqa: PTH100 - without following links
    for sample in dataset:
        known = sample.target.label if isinstance(sample.target, Classification) else None
        if not isinstance(sample.image, Path) or known is None:
            raise InputError(
                f"A list holds files with one label each; {sample.source} is an array or has no such."
            )
        full = os.path.abspath(sample.image)  # noqa: PTH100
        name = below(full, base) or full
        label = dataset.class_names[known]
        if any(end in name + label for end in "\r\n") or "\t" in label:
            raise InputError(
                f"{printable(name)!r} with label {label!r} does not fit into one line. Write a table."
            )
        lines.append(f"{'./' if name.startswith('#') else ''}{name}\t{label}\n")
    lost = [
        f"The samples' {word} were not written."
        for word, name in (("splits", "split"), ("groups", "group"))
        if any(getattr(s, name) is not None for s in dataset)
    ]
    if any(s.target is not None and s.target.scores is not None for s in dataset):
        lost.append("The annotators' probabilities were not written, only the labels.")
    present = [name for name, n in dataset.counts().items() if n]
    if index_labels(present, None, str)[1] != dataset.class_names:
        lost.append(
            f"The classes ({shortened(dataset.class_names)}) and their order were not written: pass "
            "class_names when you read the list."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        temporary.write_text("".join(lines), encoding="utf-8", errors="surrogateescape", newline="\n")
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return tuple(lost)


def _rows(path: Path, encoding: str, separator: str | None, comments: bool) -> Iterator[Row]:
    for number, line in enumerate(lines_of(path, encoding), 1):
        line = line.strip() if separator is None else line.strip("\r\n")
        if not line.strip() or (comments and line.startswith("#")):
            continue
        where = f"{printable(path.name)}, line {number}"
        parts = line.rsplit(separator, 1)
        if len(parts) != 2 or not parts[1].strip():
            raise InputError(
                f"{where} has no label: expected PATH{separator or ' '}LABEL, received {line[:200]!r}."
            )
        yield Row(where, parts[0].strip(), parts[1].strip())
