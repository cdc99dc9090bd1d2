"""Tables: a CSV or TSV file that names a picture and its label, or labels, in every line."""

from __future__ import annotations

import csv
import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from visus.data.dataset import Dataset
from visus.data.formats._labels import check_names, index_labels, shortened
from visus.data.formats._rows import Missing, Row, below, decoded, lines_of, place, split_name
from visus.data.formats._walk import SPLITS, is_hidden, is_picture, printable
from visus.structures import Classification, InputError, Sample

DESCRIPTION = (
    "a CSV or TSV file with columns path, label[, split][, group], or such files for train, val and test"
)
SUFFIX = ".csv"

MAX_COLUMNS = 10_000
Column = str | int

_PATH = (
    "path",
    "file",
    "filename",
    "file_name",
    "filepath",
    "image",
    "image_path",
    "img",
    "picture",
    "source",
)
_LABEL = ("label", "class", "category", "class_name", "target")
_LABELS = ("labels", "tags", "classes")
_SPLIT = ("split", "set", "subset", "partition")
_GROUP = ("group", "patient", "patient_id", "subject", "slide", "video")
_BOXES = {"xmin", "ymin", "xmax", "ymax"}
_PREFIX = re.compile(r"(label|probability):", re.IGNORECASE)
_FLAGS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1}


def sniff(path: Path) -> bool:
    """Whether it is a CSV or TSV file that lists pictures, or a folder with such a table."""
    try:
        return bool(_tables(Path(path)))
    except (OSError, ValueError, UnicodeError, csv.Error):
        return False


def read(
    path: str | Path,
    *,
    path_column: Column | None = None,
    label_column: Column | None = None,
    split_column: Column | None = None,
    group_column: Column | None = None,
    label_columns: Sequence[Column] | None = None,
    label_separator: str | None = None,
    probability: Column | None = None,
    probability_columns: Sequence[Column] | None = None,
    threshold: float = 0.5,
    default_label: str | None = None,
    class_names: Sequence[str] | None = None,
    header: bool | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    root: str | Path | None = None,
    missing: Missing = "error",
) -> Dataset:
    """Reads a table of pictures and labels, one picture a line.

    Columns are given by name or position (from 0), or recognised: the path by its name (`path`, `file`,
    `image`, ...) or by a value that ends like a picture's name; the label by its name (`label`, `class`, ...)
    or as the only column left; `split` and `group` by name. What a line says of its picture:

    - one label, in `label_column`: a name or a number (see `class_names`);
    - several labels, in `label_columns` (0 or 1 in each; recognised when named `label:NAME`, or when all
      columns left hold 0 and 1 only, and then as one label if every line has a single 1), or in one column
      with `label_separator` between them (recognised when the column is called `labels`, `tags` or `classes`:
      `|`); an empty cell there means no label applies;
    - soft labels: `probability` of the second of two classes (label 1 above `threshold`), or
      `probability_columns` with one probability per class (recognised when named `probability:NAME`). Rows
      that sum to 1 get their best class as the label, others several labels above `threshold`. A label column
      beside them has precedence for the label. They become `Classification.scores`.

    Relative paths start at `root`, or at the table's own folder, or at its one subfolder that has the first
    picture. Absolute paths, and paths that lead out of the table's folder, are accepted from the user's own
    list and counted in the notes; with `root` given, every path must stay inside.

    Args:
        path: The file; or a folder with one such file, or with several that are named after splits.
        path_column: The column of the picture's path.
        label_column: The column of the label.
        split_column: The column of the split; `training`, `valid`, ... become `train`, `val`, `test`.
        group_column: The column of the group.
        label_columns: The columns of a multi-label table.
        label_separator: What separates several labels in one cell.
        probability: The column with the probability of the second class.
        probability_columns: One column of probabilities per class.
        threshold: Above it a probability is a label.
        default_label: For lines whose label is empty; without it such a line is an error.
        class_names: The classes in the wanted order; labels are names in it, or positions 0..K-1.
        header: Whether the first line names the columns; recognised by default.
        delimiter: Comma, semicolon, tab, `|`; by default the most frequent in the first line.
        encoding: By default UTF-8 (with or without mark) or UTF-16 by its mark, else Windows-1252 (with a
            note).
        root: The folder that all paths start from and must stay in.
        missing: `error` lists pictures that do not exist; `skip` leaves them out, with a note.

    Returns:
        Samples in the order of the lines.

    Raises:
        InputError: With file and line number: a value is missing or not what its column holds; a picture is
            missing or listed twice with different labels; the columns cannot be told.

    Example:
        >>> read("labels.csv", probability="p", class_names=("functional", "defective"))   # doctest: +SKIP
    """
    path = Path(path)
    files = _tables(path) or ([(path, None)] if path.is_file() else [])
    if not files:
        raise InputError(
            f"{printable(path)} is no table of pictures: expected a CSV or TSV file whose lines name picture "
            "files, or a folder with one."
        )
    chosen = {
        "path": path_column,
        "label": label_column,
        "split": split_column,
        "group": group_column,
        "flags": label_columns,
        "probability": probability,
        "probabilities": probability_columns,
    }
    rows: list[Row] = []
    notes: list[str] = []
    names: tuple[str, ...] | None = None if class_names is None else check_names(class_names)
    kind: str | None = None
    for file, split in files:
        table = _Table.open(file, header, delimiter, encoding)
        columns = _Columns.choose(table, chosen, label_separator, names)
        if kind not in (None, columns.kind):
            raise InputError(f"{printable(file)} holds {columns.kind}, the tables beside it {kind}.")
        kind, names = columns.kind, names or columns.class_names
        rows.extend(columns.rows(table, split, default_label, names))
        notes += table.notes
    if not rows:
        raise InputError(f"{printable(path)} has no line that names a picture.")

    folder = path if path.is_dir() else path.parent
    placed, start, found = place(rows, folder, None if root is None else Path(root), missing=missing)
    if not placed:
        raise InputError(f"None of the {len(rows)} pictures listed in {printable(path)} exists.")
    rows = [p.row for p in placed]
    if columns.guessed and all(sum(row.flags or ()) == 1 for row in rows):
        kind = "one class of several columns"
        notes.append(
            "The columns of 0 and 1 have a single 1 in every line: they were read as one label each."
        )
    targets, names = _targets(rows, kind or "", names, label_separator or "|", threshold)
    samples = tuple(
        Sample(p.path, target, p.source, group=p.row.group or None, split=split_name(p.row.split))
        for p, target in zip(placed, targets)
    )
    return Dataset(samples, names, name=printable(path.stem), root=start, notes=(*notes, *found))


def write(dataset: Dataset, path: str | Path) -> tuple[str, ...]:
    """Writes `path, label, split, group` as CSV (TSV when the name ends in `.tsv`); `read` takes it back.

    A multi-label set gets one column `label:NAME` per class, probabilities one column `probability:NAME` per
    class. Paths are relative to the table where a picture lies below it.

    Args:
        dataset: Samples whose pictures are files.
        path: The file to write; it must not exist.

    Returns:
        What the table cannot hold, as sentences.

    Raises:
        InputError: The file exists, a sample is an array, or has no label.
    """
    target = Path(path)
    if target.exists():
        raise InputError(f"{printable(target)} exists. Name a new file; nothing is overwritten.")
    if arrays := [s.source for s in dataset if not isinstance(s.image, Path)]:
        raise InputError(f"A table names files, and {len(arrays)} samples are arrays: {shortened(arrays)}.")
    if bare := [s.source for s in dataset if s.target is None]:
        raise InputError(f"A table needs a label in every line. Without one: {shortened(bare)}.")
    multi = dataset.task == "multi"
    soft = any(s.target is not None and s.target.scores is not None for s in dataset)
    lost: list[str] = []
    counts = dataset.counts()
    if not multi and not soft:
        inferred = index_labels([n for n in dataset.class_names if counts[n]], None, str)[1]
        if inferred != dataset.class_names:
            lost.append("The order of the classes was not written: pass class_names when you read the table.")

    fields = ["path", *([] if multi else ["label"])]
    fields += [name for name in ("split", "group") if any(getattr(s, name) is not None for s in dataset)]
    fields += [f"label:{name}" for name in dataset.class_names] if multi else []
    fields += [f"probability:{name}" for name in dataset.class_names] if soft else []
    base = os.path.abspath(target.parent)  # noqa: PTH100 - without following links
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            writer = csv.writer(
                file, "excel-tab" if target.suffix == ".tsv" else "excel", lineterminator="\n"
            )
            writer.writerow(fields)
            hard, fuzzy = dataset.targets(), dataset.targets(soft=True)
            for i, sample in enumerate(dataset):
                full = os.path.abspath(str(sample.image))  # noqa: PTH100
                row = [below(full, base) or full]
                row += [] if multi else [dataset.class_names[int(hard[i].argmax())]]
                row += [getattr(sample, name) or "" for name in ("split", "group") if name in fields]
                row += [str(int(v)) for v in hard[i]] if multi else []
                row += [repr(float(v)) for v in fuzzy[i]] if soft else []
                writer.writerow(row)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return tuple(lost)


@dataclass
class _Table:
    """The records of one file, and the names of its columns."""

    file: Path
    records: list[tuple[int, list[str]]]
    names: list[str] | None
    notes: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, file: Path, header: bool | None, delimiter: str | None, encoding: str | None) -> _Table:
        """Reads a file in the first encoding that fits."""
        records, notes = decoded(file, encoding, lambda chosen: _records(file, chosen, delimiter))
        if not records:
            raise InputError(f"{printable(file)} is empty.")
        if header is None:
            first = [cell.strip() for cell in records[0][1]]
            header = any(cell.lower() in _PATH for cell in first) or not any(map(is_picture, first))
        names = [cell.strip() for cell in records.pop(0)[1]] if header else None
        return cls(file, records, names, notes)

    def column(self, wanted: Column) -> int:
        """The position of a column.

        Raises:
            InputError: There is no such column, or two of that name.
        """
        width = len(self.names or (self.records[0][1] if self.records else []))
        if isinstance(wanted, int):
            if not -width <= wanted < width:
                raise InputError(
                    f"{printable(self.file)} has {width} columns. Received the position {wanted}."
                )
            return wanted % width
        if self.names is None:
            raise InputError(f"{printable(self.file)} has no header. Give columns by position, from 0.")
        if self.names.count(wanted) != 1:
            raise InputError(
                f"{printable(self.file)} has {self.names.count(wanted)} columns named {wanted!r}; its "
                f"columns are {shortened(self.names)}."
            )
        return self.names.index(wanted)


@dataclass
class _Columns:
    """Which column holds what; `flags` (perhaps guessed) and `probabilities` are one column per class."""

    path: int
    label: int | None = None
    split: int | None = None
    group: int | None = None
    probability: int | None = None
    flags: list[int] = field(default_factory=list)
    probabilities: list[int] = field(default_factory=list)
    listed: bool = False
    guessed: bool = False
    class_names: tuple[str, ...] | None = None

    @property
    def kind(self) -> str:
        """What the lines say of their pictures."""
        if self.flags:
            return "several labels per picture"
        if self.listed:
            return "lists of labels"
        return "one label per picture" if self.label is not None else "probabilities"

    @classmethod
    def choose(
        cls, table: _Table, chosen: dict[str, Any], separator: str | None, class_names: tuple[str, ...] | None
    ) -> _Columns:
        """Takes the columns that were asked for and recognises the others."""
        names = [name.lower() for name in table.names or []]
        if set(names) >= _BOXES and chosen["label"] is None:
            raise InputError(
                f"{printable(table.file)} holds boxes (xmin, ymin, xmax, ymax), not labels of pictures."
            )
        width = len(names or (table.records[0][1] if table.records else []))
        first = table.records[0][1] if table.records else []

        def known(role: str, words: Sequence[str]) -> int | None:
            if chosen[role] is not None:
                return table.column(chosen[role])
            return next((names.index(word) for word in words if word in names), None)

        path = known("path", _PATH)
        if path is None:
            path = next((i for i, cell in enumerate(first) if is_picture(cell.strip())), None)
        if path is None:
            raise InputError(
                f"{printable(table.file)} has no column that names pictures"
                f"{': ' + shortened(table.names) if table.names else ''}. Say which it is (path_column=...)."
            )
        found = cls(path, known("label", _LABEL), known("split", _SPLIT), known("group", _GROUP))
        found.probability = known("probability", ("probability",))
        found.flags = [table.column(c) for c in chosen["flags"] or ()]
        found.probabilities = [table.column(c) for c in chosen["probabilities"] or ()]
        if not found.flags and chosen["label"] is None:
            found.flags = [i for i, name in enumerate(names) if name.startswith("label:")]
        if not found.probabilities:
            found.probabilities = [i for i, name in enumerate(names) if name.startswith("probability:")]

        taken = {found.path, found.label, found.split, found.group, found.probability}
        taken |= {*found.flags, *found.probabilities}
        left = [i for i in range(width) if i not in taken and (not names or names[i])]
        if found.split is None and not names:
            found.split = next((i for i in left if first[i].strip().lower() in SPLITS), None)
            left = [i for i in left if i != found.split]
        if found.label is None and not found.flags and found.probability is None and not found.probabilities:
            plural = [i for i in left if names and names[i] in _LABELS]
            if plural or len(left) == 1 or (left and not names):
                found.label = (plural or left)[0]
                found.listed = bool(plural)
            elif len(left) > 1 and _all_flags(table, left):
                found.flags, found.guessed = left, True
            else:
                raise InputError(
                    f"{printable(table.file)} has no column that is clearly the label"
                    f"{': ' + shortened(table.names) if table.names else ''}. Say which it is "
                    "(label_column=...)."
                )
        found.listed = found.listed or separator is not None
        found.class_names = found._names_of_classes(table, class_names)
        return found

    def _names_of_classes(self, table: _Table, given: tuple[str, ...] | None) -> tuple[str, ...] | None:
        per_class = self.flags or self.probabilities
        if per_class:
            if given is None and table.names is None:
                raise InputError(f"{printable(table.file)} has no header, so its classes need class_names.")
            heads = [table.names[i] for i in per_class] if table.names else []
            names = given or check_names([_PREFIX.sub("", head).strip() for head in heads])
            if len(names) != len(per_class):
                raise InputError(
                    f"{printable(table.file)} has {len(per_class)} columns of classes and {len(names)} class "
                    "names."
                )
            return names
        if self.probability is not None:
            names = given or ("negative", "positive")
            if len(names) != 2:
                raise InputError(f"One probability tells two classes apart. Received class_names {names}.")
            return names
        return given

    def rows(
        self, table: _Table, split: str | None, default_label: str | None, names: tuple[str, ...] | None
    ) -> Iterator[Row]:
        """The lines as text, each value checked."""
        width = len(table.names) if table.names else None
        for line, cells in table.records:
            where = f"{printable(table.file.name)}, line {line}"
            if width is not None and any(cell.strip() for cell in cells[width:]):
                raise InputError(f"{where} has {len(cells)} cells where the header names {width} columns.")

            def cell(i: int | None, cells: list[str] = cells) -> str | None:
                return None if i is None else cells[i].strip() if i < len(cells) else ""

            path = cell(self.path)
            if not path:
                raise InputError(f"{where} names no picture.")
            label = cell(self.label)
            if label == "" and not self.listed:
                if default_label is None:
                    raise InputError(f"{where} has no label. Fill it in, or pass default_label.")
                label = default_label
            flags = tuple(_flag(cell(i), where) for i in self.flags) or None
            scores = tuple(_probability(cell(i), where) for i in self.probabilities) or None
            if scores is None and self.probability is not None:
                positive = _probability(cell(self.probability), where)
                scores = (1.0 - positive, positive)
            yield Row(where, path, label, flags, scores, cell(self.split) or split, cell(self.group))


def _targets(
    rows: Sequence[Row], kind: str, names: tuple[str, ...] | None, separator: str, threshold: float
) -> tuple[list[Classification], tuple[str, ...]]:
    scores = [None if row.scores is None else np.array(row.scores, np.float32) for row in rows]
    if kind == "several labels per picture":
        assert names is not None
        flags = [np.array(row.flags, np.uint8) for row in rows]
        return [Classification(labels=f, scores=s) for f, s in zip(flags, scores)], names
    if kind == "one class of several columns":
        assert names is not None
        return [Classification(label=(row.flags or ()).index(1)) for row in rows], names
    if kind == "lists of labels":
        pieces = [[part.strip() for part in (row.label or "").split(separator)] for row in rows]
        pieces = [[part for part in parts if part] for parts in pieces]
        owners = [i for i, parts in enumerate(pieces) for _ in parts]
        indices, names = index_labels(
            [part for parts in pieces for part in parts], names, lambda position: rows[owners[position]].where
        )
        if not names:
            raise InputError(f"{rows[0].where} and all lines after it have no label.")
        vectors = np.zeros((len(rows), len(names)), np.uint8)
        vectors[owners, indices] = 1
        return [Classification(labels=v, scores=s) for v, s in zip(vectors, scores)], names
    if kind == "one label per picture":
        indices, names = index_labels([row.label or "" for row in rows], names, lambda i: rows[i].where)
        return [Classification(label=i, scores=s) for i, s in zip(indices, scores)], names
    assert names is not None
    values = np.array([row.scores for row in rows])
    if len(names) == 2 and np.allclose(values.sum(1), 1, atol=1e-3):
        labels = (values[:, 1] > threshold).astype(int)
        return [Classification(label=int(i), scores=s) for i, s in zip(labels, scores)], names
    if np.allclose(values.sum(1), 1, atol=1e-3):
        return [Classification(label=int(v.argmax()), scores=s) for v, s in zip(values, scores)], names
    return [
        Classification(labels=(v > threshold).astype(np.uint8), scores=s) for v, s in zip(values, scores)
    ], names


def _tables(path: Path) -> list[tuple[Path, str | None]]:
    """The table that `path` is or holds, or its tables named after splits; empty when that is not clear."""
    if path.is_file():
        return [(path, None)] if path.suffix.lower() in (".csv", ".tsv") and _lists_pictures(path) else []
    if not path.is_dir():
        return []
    files = sorted(
        f
        for f in path.iterdir()
        if f.suffix.lower() in (".csv", ".tsv") and not is_hidden(f.name) and f.is_file()
    )
    files = [f for f in files if _lists_pictures(f, in_folder=True)]
    splits = [SPLITS.get(f.stem.lower()) for f in files]
    if len(files) > 1 and all(splits) and len(set(splits)) == len(splits):
        return list(zip(files, splits))
    return [(files[0], None)] if len(files) == 1 else []


def _lists_pictures(file: Path, in_folder: bool = False) -> bool:
    """Whether one of the first two lines has a cell that ends like a picture's name."""
    with file.open("rb") as opened:
        head = opened.read(1 << 16)
    text = head.decode("utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig", "replace")
    lines = [line for line in text.splitlines() if line.strip()][:2]
    if not lines or "\0" in text:
        return False
    if in_folder and lines[0].replace('"', "").startswith("source,label,split"):
        return False  # a split file that visus.data.split wrote: it belongs to a set, it is none
    cells = [row[:MAX_COLUMNS] for row in csv.reader(lines, delimiter=_delimiter(lines[0]))]
    return any(is_picture(cell.strip()) for row in cells for cell in row)


def _records(file: Path, encoding: str, delimiter: str | None) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of every line that is not blank."""
    lines = lines_of(file, encoding)
    first = next(lines, "")

    def all_lines() -> Iterator[str]:
        yield first
        yield from lines

    reader = csv.reader(all_lines(), delimiter=delimiter or _delimiter(first), strict=True)
    try:
        for cells in reader:
            if len(cells) > MAX_COLUMNS:
                raise InputError(
                    f"{printable(file)} has {len(cells):,} columns; at most {MAX_COLUMNS:,} are read."
                )
            if any(cell.strip() for cell in cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise InputError(
            f"{printable(file)}, line {reader.line_num} is no CSV ({error}). Check the quotes, or pass "
            "delimiter."
        ) from None


def _delimiter(line: str) -> str:
    return max(",;\t|", key=line.count)


def _all_flags(table: _Table, columns: Sequence[int]) -> bool:
    return all(
        i < len(cells) and cells[i].strip().lower() in _FLAGS for _, cells in table.records for i in columns
    )


def _flag(text: str | None, where: str) -> int:
    if (text or "").lower() not in _FLAGS:
        raise InputError(f"{where} has {text!r} in a column of a class, where 0 or 1 stands.")
    return _FLAGS[(text or "").lower()]


def _probability(text: str | None, where: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not 0.0 <= value <= 1.0:
        raise InputError(f"{where} has {text!r} where a probability in [0, 1] stands.")
    return value
