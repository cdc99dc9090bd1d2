"""YOLO text: a file for each picture, a line for each object, in shares of the picture; names in `data.yaml`."""

from __future__ import annotations

import math
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visus.data.dataset import Dataset
from visus.data.formats._labels import check_names, read_names, shortened
from visus.data.formats._objects import Ledger, common_root, free_stem, repaired, size_of
from visus.data.formats._walk import SPLITS, LeftOut, folders, path_order, printable, source_of, walk
from visus.geometry.boxes import from_xyxy, to_xyxy
from visus.image.io import ImageError
from visus.structures import Detections, InputError, Mask, Sample

DESCRIPTION = "a text file for each picture with a line `class x y width height` for each object (YOLO)"
SUFFIX = ""
OPENS_PICTURES = True
"""Their headers, for the sizes that shares are of."""

MAX_BYTES = 2**24
"""Bytes that the labels of one picture may have."""

_NUMBER = rb"[-+.0-9eE]+"
_LINE = re.compile(rb"\s*\d+(\s+" + _NUMBER + rb"){4,}\s*")
_LISTS = ("train.txt", "val.txt", "valid.txt", "test.txt")
_NOT_LABELS = (*_LISTS, "classes.txt", "readme.txt")


def sniff(path: Path) -> bool:
    """Whether text files with lines of numbers stand in the folder, or up to three below."""
    try:
        return path.is_dir() and any(_looks(file) for file in _texts(path, 3))
    except (OSError, ValueError, InputError):
        return False


def _texts(folder: Path, levels: int) -> list[Path]:
    """A few label files of the folder and of each below it."""
    with os.scandir(folder) as entries:
        names = sorted(e.name for e in entries if e.name.endswith(".txt") and e.is_file())
    found = [folder / name for name in names[:200] if name.lower() not in _NOT_LABELS][:3]
    if levels:
        for sub in folders(folder)[:20]:
            found += _texts(sub, levels - 1)
    return found


def _looks(file: Path) -> bool:
    with file.open("rb") as stream:
        line = stream.readline(4096)
    return bool(_LINE.fullmatch(line))


def read(
    path: str | Path, *, class_names: Sequence[str] | None = None, names: str | Path | None = None
) -> Dataset:
    """Reads pictures and their label files; of a picture only the header, because the numbers are shares of its size.

    The labels of `.../images/a.jpg` are looked for in `.../labels/a.txt`, beside the picture, and then by their name
    anywhere in the folder. An empty file says that there is nothing; a picture without a file is not annotated. A line
    has a class, then a box (`x y width height`, its centre first), or a box and a score, or three or more corners of an
    outline. Boxes are repaired, and what was repaired is counted in the notes.

    Args:
        path: The folder.
        class_names: The classes in order; without it they are looked for in `data.yaml`, `*.names` and `classes.txt`.
        names: The file that names the classes, if it is another.

    Returns:
        Samples with `Detections`, in the order of their paths. Splits come from folders named train, val and test, or
        from lists of pictures `train.txt`, `val.txt` and `test.txt`.

    Raises:
        InputError: There are no pictures or no labels, or a line is none; the message names the file and the line.
    """
    root = Path(path)
    if not root.is_dir():
        raise InputError(f"YOLO text needs a folder of pictures and labels, and {printable(root)} is none.")
    ledger, left_out = Ledger(), LeftOut()
    pictures = sorted(walk(root, left_out), key=path_order)
    labels = {
        p: p.stem for p in sorted(root.rglob("*.txt"), key=path_order) if p.name.lower() not in _NOT_LABELS
    }
    by_stem: dict[str, list[Path]] = {}
    for file, stem in labels.items():
        by_stem.setdefault(stem, []).append(file)
    if not pictures:
        raise InputError(f"{printable(root)} holds no pictures. " + " ".join(left_out.notes()))
    given = check_names(class_names) if class_names is not None else _names(root, names)
    splits = _splits(root)
    used: set[Path] = set()
    rows: list[tuple[Path, Path | None, str | None]] = []
    for picture in pictures:
        found = _labels_of(picture, labels, by_stem)
        if found is None:
            ledger.add("pictures have no label file: they count as not annotated", printable(picture))
        else:
            used.add(found)
        rows.append((picture, found, splits.get(picture.stem) or _split_of(picture, root)))
    if not used:
        raise InputError(
            f"None of the {len(pictures)} pictures in {printable(root)} has a label file (.txt)."
        )
    parsed = {file: _lines(file) for file in sorted(used, key=path_order)}
    highest = max((int(line[0]) for lines in parsed.values() for line in lines), default=-1)
    if given is None:
        given = tuple(str(i) for i in range(highest + 1))
        ledger.add(
            "classes have no names (data.yaml, *.names, classes.txt); their numbers serve", "", len(given)
        )
    base = common_root(pictures, root)
    samples = []
    for picture, found, split in rows:
        try:
            target = (
                None if found is None else _objects(parsed[found], found, size_of(picture), given, ledger)
            )
        except ImageError as error:
            ledger.add("pictures cannot be read and were left out", str(error))
            continue
        samples.append(Sample(picture, target, source_of(picture, base), split=split))
    ledger.add("label files belong to no picture", "", sum(_looks(file) for file in labels.keys() - used))
    return replace(
        Dataset(tuple(samples), given, name=printable(root.resolve().name), root=base), notes=ledger.notes()
    )


def _labels_of(picture: Path, labels: dict[Path, str], by_stem: dict[str, list[Path]]) -> Path | None:
    parts = list(picture.parts)
    for i in range(len(parts) - 2, -1, -1):
        if parts[i].lower() in ("images", "jpegimages"):
            for name in ("labels", "Labels", "annotations", "Annotations"):
                moved = Path(*parts[:i], name, *parts[i + 1 : -1], f"{picture.stem}.txt")
                if moved in labels:
                    return moved
            break
    beside = picture.with_suffix(".txt")
    if beside in labels:
        return beside
    found = by_stem.get(picture.stem, [])
    return found[0] if len(found) == 1 else None


def _split_of(picture: Path, root: Path) -> str | None:
    for part in picture.relative_to(root).parts[:-1]:
        for word in re.findall(r"[a-z]+", part.lower()):
            if word in SPLITS:
                return SPLITS[word]
    return None


def _splits(root: Path) -> dict[str, str]:
    """Stem of a picture -> split, from lists of pictures."""
    found: dict[str, str] = {}
    for name in _LISTS:
        for file in sorted(root.rglob(name))[:1]:
            if file.stat().st_size > 2**28 or _looks(file):
                continue
            stems = [
                Path(line.strip().replace("\\", "/")).stem
                for line in file.read_text("utf-8", "replace").splitlines()
            ]
            found.update((stem, SPLITS[file.stem]) for stem in stems if stem)
    return found


def _names(root: Path, names: str | Path | None) -> tuple[str, ...] | None:
    """The class names, from the file given or from one that lies in the folder or one above its pictures."""
    files = [Path(names)] if names is not None else []
    if not files:
        for pattern in ("data.yaml", "dataset.yaml", "*.yaml", "*.yml", "*.names", "classes.txt"):
            files += sorted(root.glob(pattern)) + sorted(root.glob(f"*/{pattern}"))
    for file in files:
        if file.suffix.lower() in (".yaml", ".yml"):
            found = _yaml_names(file)
            if found is not None:
                return found
        else:
            return read_names(file)
    return None


def _yaml_names(file: Path) -> tuple[str, ...] | None:
    import yaml

    if file.stat().st_size > 2**20:
        raise InputError(f"{printable(file)} has more than {2**20:,} bytes, too many for a list of classes.")
    text = file.read_text("utf-8", "replace")
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise InputError(
                f"{printable(file)} uses aliases (*name), which a list of classes does not need."
            )
        document = yaml.safe_load(text)
    except InputError:
        raise
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise InputError(f"{printable(file)}{line}: this is no YAML.") from None
    names: Any = document.get("names") if isinstance(document, dict) else None
    if names is None:
        return None
    if isinstance(names, dict):
        if sorted(names, key=str) != sorted(range(len(names)), key=str):
            raise InputError(
                f"{printable(file)}: the classes in names are numbered 0, 1, ... Received {list(names)[:10]}."
            )
        names = [names[i] for i in range(len(names))]
    if not isinstance(names, list):
        raise InputError(f"{printable(file)}: names is a list of class names. Received {ascii(names)[:60]}.")
    return check_names([str(name) for name in names])


def _lines(file: Path) -> list[list[float]]:
    """The numbers of each line.

    Raises:
        InputError: A line is none of a label file.
    """
    if file.stat().st_size > MAX_BYTES:
        raise InputError(f"{printable(file)} has more than {MAX_BYTES:,} bytes, too many for one picture.")
    rows = []
    for number, line in enumerate(file.read_text("utf-8-sig", "replace").splitlines(), 1):
        if not line.strip():
            continue
        try:
            values = [float(word) for word in line.split()]
        except ValueError:
            values = []
        whole = (
            len(values) >= 5
            and values[0] >= 0
            and values[0] == int(values[0] if math.isfinite(values[0]) else -1)
        )
        if not whole or not all(map(math.isfinite, values)) or (len(values) > 6 and len(values) % 2 == 0):
            raise InputError(
                f"{printable(file)}, line {number}: expected a class and a box (class x y width height), a box and a "
                f"score, or corners of an outline. Received {ascii(line.strip())[:80]}."
            )
        rows.append(values)
    return rows


def _objects(
    lines: list[list[float]], file: Path, size: tuple[int, int], names: Sequence[str], ledger: Ledger
) -> Detections:
    """The objects of one picture of `size` `(height, width)`."""
    if not lines:
        return Detections.none(size)
    if beyond := [int(line[0]) for line in lines if line[0] >= len(names)]:
        raise InputError(
            f"{printable(file)} has an object of the class {beyond[0]}, and there are {len(names)} classes, "
            f"0..{len(names) - 1} ({shortened(names)})."
        )
    boxes, masks = [], []
    for line in lines:
        outline = np.array(line[1:]).reshape(-1, 2) * size[::-1] if len(line) > 6 else None
        masks.append(None if outline is None else Mask(size, outlines=[outline]))
        if outline is not None:
            boxes.append([*outline.min(0), *outline.max(0)])
        else:
            boxes.append(to_xyxy(line[1:5], "cxcywh", relative_to=size))
    inside, kept = repaired(boxes, size, ledger, printable(file))
    scored = [len(line) == 6 for line in lines]
    if any(scored) and not all(scored):
        raise InputError(f"{printable(file)}: some lines have a score and others have none.")
    return Detections(
        inside.astype(np.float32),
        np.array([int(line[0]) for line in lines], np.int32)[kept],
        scores=np.array([line[5] for line in lines], np.float32)[kept] if all(scored) else None,
        masks=tuple(masks[i] for i in kept) if any(m is not None for m in masks) else None,
        image_size=size,
    )


def write(dataset: Dataset, path: str | Path) -> tuple[str, ...]:
    """Writes `images` (copies of the pictures), `labels` and `data.yaml`, below them a folder for each split.

    An object with outlines is written as its outline if it has one part, else as its box. Numbers have 6 decimals.

    Args:
        dataset: Pictures in files, with `Detections`; without a target, a picture gets no label file.
        path: A folder that does not exist yet, or is empty.

    Returns:
        What the lines cannot hold, as sentences with counts.

    Raises:
        InputError: The folder is not empty, or a picture is an array or has a label instead of objects.
    """
    import yaml

    target = Path(path)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(
            f"{printable(target)} exists and is not empty. Name a new folder; nothing is overwritten."
        )
    for sample in dataset:
        if not isinstance(sample.image, Path):
            raise InputError(
                f"YOLO text stands beside picture files; {sample.source} is an array. Write its file first."
            )
        if sample.target is not None and not isinstance(sample.target, Detections):
            raise InputError(
                f"YOLO text holds objects with boxes; {sample.source} has a label for the whole picture."
            )
    ledger = Ledger()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as temporary:
        staged = Path(temporary) / "data"
        taken: set[str] = set()
        parts: dict[str, None] = {}
        for sample in dataset:
            assert isinstance(sample.image, Path)
            part = re.sub(r"[^\w-]+", "_", sample.split or "")
            parts[part] = None
            stem = free_stem(sample.image, taken)
            for name in ("images", "labels"):
                (staged / name / part).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(sample.image, staged / "images" / part / (stem + sample.image.suffix))
            if sample.group is not None:
                ledger.add("groups of pictures have no place in YOLO text", sample.source)
            if isinstance(sample.target, Detections):
                text = _text(sample.target, sample, ledger)
                (staged / "labels" / part / f"{stem}.txt").write_text(text, "utf-8")
        splits = {part or "train": f"images/{part}".rstrip("/") for part in parts}
        document = {"path": ".", **splits, "nc": dataset.num_classes, "names": list(dataset.class_names)}
        (staged / "data.yaml").write_text(
            yaml.safe_dump(document, sort_keys=False, allow_unicode=True), "utf-8"
        )
        if target.exists():
            target.rmdir()
        staged.replace(target)
    return ledger.notes()


def _text(objects: Detections, sample: Sample, ledger: Ledger) -> str:
    assert isinstance(sample.image, Path)
    size = objects.image_size or size_of(sample.image)
    for what, values in (
        ("keypoints", objects.keypoints),
        ("track numbers", objects.track_ids),
        ("objects with attributes, which", [said for said in objects.attributes or () if said] or None),
        (
            "marks of difficult objects",
            None if objects.difficult is None else np.flatnonzero(objects.difficult),
        ),
    ):
        if values is not None:
            ledger.add(f"{what} have no place in YOLO text", sample.source, len(values))
    if objects.crowd is not None:
        ledger.add("crowd regions were written as single objects", sample.source, int(objects.crowd.sum()))
    shares: NDArray[np.float64] = from_xyxy(objects.boxes, "cxcywh", relative_to=size)
    lines = []
    for i, numbers in enumerate(shares):
        mask = objects.masks[i] if objects.masks is not None else None
        if (
            mask is not None
            and mask.outlines is not None
            and len(mask.outlines) == 1
            and objects.scores is None
        ):
            numbers = (mask.outlines[0] / size[::-1]).ravel()
        elif mask is not None:
            ledger.add("masks of several parts or of runs were left out, their boxes written", sample.source)
        words = [str(int(objects.labels[i])), *(f"{value:.6f}" for value in numbers)]
        lines.append(" ".join(words + ([] if objects.scores is None else [f"{objects.scores[i]:.6f}"])))
    return "".join(line + "\n" for line in lines)
