"""Boxes to be judged, read from files alone: truths in one place, a detector's answers in another.

Numbers stay as the files have them (float64, nothing cut or repaired), so that figures are those of the reference
tools to the last digit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from visus.data.formats._objects import Entry, Ledger, load_json
from visus.data.formats._walk import path_order, printable
from visus.data.formats.coco import Document
from visus.evaluate.detection import Boxes
from visus.structures import InputError

Pixels = Literal["half-open", "inclusive"]

MAX_LINE = 4096
"""Characters of a line in a text of boxes."""


@dataclass(frozen=True, eq=False)
class Judged:
    """Truths and results of one set of pictures.

    Attributes:
        class_names: K names.
        pictures: The pictures' names, in the order of the indices in the tables.
        truths: The objects.
        results: The detections.
        notes: What was left out, as sentences with counts.
    """

    class_names: tuple[str, ...]
    pictures: tuple[str, ...]
    truths: Boxes
    results: Boxes
    notes: tuple[str, ...]


def read_judged(
    truth: str | Path,
    results: str | Path,
    *,
    class_names: Sequence[str] | None = None,
    pixels: Pixels = "half-open",
) -> Judged:
    """Reads truths and results.

    Args:
        truth: A COCO document (`.json`), or a folder with a text file for each picture, in which each line is
            `class left top right bottom` and may end with `difficult`.
        results: COCO results (a list of `image_id`, `category_id`, `bbox`, `score`), or a folder with a text file for
            each picture, in which each line is `class score left top right bottom`. A class is a name, or a position
            in `class_names`.
        class_names: The classes in order; None: those of the COCO document, or the names in the truth, sorted.
        pixels: In texts, whether `right` and `bottom` are the first pixels outside of the box (`half-open`) or the
            last ones inside (`inclusive`).

    Raises:
        InputError: A file is not such; the message names it and the place.
    """
    if pixels not in ("half-open", "inclusive"):
        raise InputError(f"pixels is half-open or inclusive. Received {pixels!r}.")
    ledger = Ledger()
    truth, results = Path(truth), Path(results)
    for path in (truth, results):
        if not path.exists():
            raise InputError(f"There is no file or folder {printable(path)}.")
    extra = 1.0 if pixels == "inclusive" else 0.0
    objects = _coco_truth(truth, ledger) if truth.is_file() else _texts(truth, extra, scored=False)
    if class_names is None:
        class_names = objects.names or sorted({str(row[1]) for row in objects.rows})
    names = tuple(class_names)
    found = _coco_results(results, objects) if results.is_file() else _texts(results, extra, scored=True)
    return Judged(
        names,
        tuple(objects.pictures),
        _table(objects.rows, objects.pictures, names, truth, ledger),
        _table(
            found.rows, objects.pictures, names, results, ledger, "detections are of pictures without truth"
        ),
        ledger.notes(),
    )


@dataclass(frozen=True, eq=False)
class _Rows:
    """What a file or folder holds: `(picture, class, x, y, width, height, score, area, crowd, ignore)` rows."""

    rows: list[tuple[Any, ...]]
    pictures: dict[str, int]
    names: tuple[str, ...]
    ids: Mapping[Any, str]
    categories: Mapping[Any, str]


def _coco_truth(path: Path, ledger: Ledger) -> _Rows:
    document = Document.load(path, ledger)
    ids = {key: image.text("file_name") for key, image in document.images.items()}
    rows = []
    for key, entries in document.annotations.items():
        for annotation in entries:
            x, y, w, h = annotation.numbers("bbox", 4)
            area = annotation.number("area") if "area" in annotation else w * h
            crowd = bool(annotation.value.get("iscrowd"))
            category = document.names.get(annotation.key("category_id"))
            if category is None:
                raise annotation.wrong("category_id", "the id of a category")
            rows.append((ids[key], category, x, y, w, h, 0.0, area, crowd, crowd))
    # pycocotools goes through the pictures in the order of their ids.
    order = sorted(ids, key=lambda key: (isinstance(key, str), key))
    pictures = {ids[key]: i for i, key in enumerate(order)}
    if len(pictures) < len(ids):
        raise InputError(f"{printable(path)} has two pictures with one file_name. Give each its own.")
    return _Rows(rows, pictures, tuple(document.names.values()), ids, document.names)


def _coco_results(path: Path, truth: _Rows) -> _Rows:
    document = load_json(path)
    listed = document.get("annotations") if isinstance(document, dict) else document
    if not isinstance(listed, list):
        raise InputError(
            f"{printable(path)} holds no results: expected a list of objects with image_id, bbox and score."
        )
    rows = []
    for i, value in enumerate(listed):
        entry = Entry(value, f"{printable(path)}, [{i}]")
        key, category = entry.key("image_id"), entry.key("category_id")
        picture = truth.ids.get(key, str(key))
        name = truth.categories.get(category, str(category) if not truth.categories else None)
        if name is None:
            raise InputError(f"{entry.where}: the truth has no category with the id {category!r}.")
        x, y, w, h = entry.numbers("bbox", 4)
        rows.append((picture, name, x, y, w, h, entry.number("score"), w * h, False, False))
    return _Rows(rows, {}, (), {}, {})


def _texts(folder: Path, extra: float, *, scored: bool) -> _Rows:
    rows = []
    pictures: dict[str, int] = {}
    files = sorted(
        (p for p in folder.iterdir() if p.suffix.lower() == ".txt" and p.is_file()), key=path_order
    )
    if not files:
        raise InputError(f"{printable(folder)} holds no text files (.txt), one for each picture.")
    form = "class score left top right bottom" if scored else "class left top right bottom [difficult]"
    for file in files:
        picture = printable(file.stem)
        pictures[picture] = len(pictures)
        with file.open(encoding="utf-8-sig", errors="replace") as lines:
            for number, line in enumerate(lines, 1):
                if len(line) > MAX_LINE:
                    raise InputError(
                        f"{printable(file)}, line {number} has {len(line):,} characters; boxes take few."
                    )
                words = line.split()
                if not words:
                    continue
                difficult = not scored and len(words) > 5 and words[-1] == "difficult"
                words = words[:-1] if difficult else words
                try:
                    # A name may hold blanks: the numbers are counted from the end.
                    values = [float(word) for word in words[-5 if scored else -4 :]]
                    name = " ".join(words[: -5 if scored else -4])
                except ValueError:
                    values, name = [], ""
                if not name or not np.isfinite(values).all():
                    raise InputError(
                        f"{printable(file)}, line {number}: expected {form!r}. Received {ascii(line.strip())[:80]}."
                    )
                score = values.pop(0) if scored else 0.0
                left, top, right, bottom = values
                w, h = right - left + extra, bottom - top + extra
                if w < 0 or h < 0:
                    raise InputError(
                        f"{printable(file)}, line {number}: right is left of left, or bottom above top."
                    )
                rows.append((picture, name, left, top, w, h, score, w * h, False, difficult))
    return _Rows(rows, pictures, (), {}, {})


def _table(
    rows: Sequence[tuple[Any, ...]],
    pictures: Mapping[str, int],
    names: Sequence[str],
    path: Path,
    ledger: Ledger,
    strange: str = "",
) -> Boxes:
    index: dict[str, int] = {name: i for i, name in enumerate(names)}
    positions = (
        {str(i): i for i in range(len(names))} if not any(str(row[1]) in index for row in rows) else {}
    )
    stems = {Path(name).stem: i for name, i in pictures.items()}
    kept = []
    for row in rows:
        picture = pictures.get(row[0], stems.get(row[0]))
        if picture is None:
            ledger.add(strange, str(row[0]))
            continue
        label = index.get(str(row[1]), positions.get(str(row[1])))
        if label is None:
            ledger.add(f"boxes in {printable(path)} are of classes that are not judged", str(row[1]))
            continue
        kept.append((picture, label, *row[2:]))
    kept.sort(key=lambda row: row[0])
    table = np.array(kept, np.float64).reshape(-1, 10)
    return Boxes(
        image=table[:, 0].astype(np.int64),
        label=table[:, 1].astype(np.int64),
        xywh=table[:, 2:6],
        score=table[:, 6],
        area=table[:, 7],
        crowd=table[:, 8] > 0,
        ignore=table[:, 9] > 0,
    )
