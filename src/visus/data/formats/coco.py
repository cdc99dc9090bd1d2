"""COCO JSON: images, annotations and categories in one document; boxes, outlines or runs, keypoints, crowds."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visus.data.dataset import Dataset
from visus.data.formats._labels import check_names, shortened
from visus.data.formats._objects import (
    Entry,
    Ledger,
    Pictures,
    common_root,
    load_json,
    repaired,
    size_of,
)
from visus.data.formats._rows import below
from visus.data.formats._walk import SPLITS, folders, holds_pictures, path_order, printable, source_of
from visus.structures import Detections, InputError, Mask, Sample

DESCRIPTION = "a JSON document with images, annotations and categories (COCO), or a folder with such"
SUFFIX = ".json"

_HEAD = 1 << 16


def sniff(path: Path) -> bool:
    """Whether the file's beginning speaks of images and categories, or such files stand in the folder."""
    try:
        return bool(_documents(path))
    except (OSError, ValueError, InputError):
        return False


def _documents(path: Path) -> list[Path]:
    """The COCO documents that the path means."""
    if path.is_file():
        return [path] if path.suffix.lower() == ".json" and _looks(path) else []
    if not path.is_dir():
        return []
    places = [path, *(folder for folder in folders(path)[:50])]
    return [
        file
        for place in places
        for file in sorted(place.iterdir(), key=path_order)[:200]
        if file.suffix.lower() == ".json" and file.is_file() and _looks(file)
    ]


def _looks(file: Path) -> bool:
    with file.open("rb") as stream:
        head = stream.read(_HEAD)
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - _HEAD))
        tail = stream.read()
    if not head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return False
    seen = [
        f'"{key}"'.encode() in head or f'"{key}"'.encode() in tail
        for key in ("images", "annotations", "categories")
    ]
    # Panoptic documents speak of segments, keypoint and instance documents of single objects.
    return sum(seen) >= 2 and (seen[1] or seen[2]) and b'"segments_info"' not in head + tail


def read(
    path: str | Path, *, images: str | Path | None = None, class_names: Sequence[str] | None = None
) -> Dataset:
    """Reads COCO documents; no picture is opened.

    Classes stand in the order of the category ids, whose gaps are closed. A picture without annotations is one
    without objects. Boxes are repaired (corners in order, cut at the border, those without area left out); objects
    with outlines only get their box from them. What was repaired or not understood is counted in the notes.

    Args:
        path: A document; or a folder with documents in it or in a subfolder, whose names tell the splits:
            `annotations/instances_train2017.json`.
        images: The folder of the pictures. Without it, they are looked for in and beside the document's folder.
        class_names: The classes in the wanted order; a category that is not among them is an error.

    Returns:
        Samples in the order of the documents' images, with `Detections`; a picture whose file cannot be found is
        left out and counted.

    Raises:
        InputError: It is no COCO document; the message names the file and the place in it.

    Example:
        >>> read("coco128").counts()["person"]                                          # doctest: +SKIP
        259
    """
    start = Path(path)
    documents = [start] if start.is_file() else _documents(start)
    if not documents:
        raise InputError(f"{printable(start)} is no COCO document (.json), and no folder that holds one.")
    ledger = Ledger()
    loaded = [Document.load(file, ledger) for file in documents]
    named: dict[str, None] = {}
    for document in loaded:
        named.update(dict.fromkeys(document.names.values()))
    names = tuple(named) if class_names is None else check_names(class_names)
    if unlisted := [name for name in named if name not in names]:
        raise InputError(
            f"{printable(start)} has categories that class_names does not list: {shortened(unlisted)}. List them."
        )
    if images is not None and not Path(images).is_dir():
        raise InputError(f"The folder of the pictures, {printable(Path(images))}, is no folder.")
    pictures = Pictures([Path(images)] if images is not None else _places(documents))
    found: list[tuple[Path, Document, Entry]] = []
    for document in loaded:
        for image in document.images.values():
            file = pictures.find(image.text("file_name"))
            if file is None:
                ledger.add(
                    "pictures were not found (or more than one has the name) and were left out",
                    image.text("file_name"),
                )
            else:
                found.append((file, document, image))
    if not found:
        raise InputError(
            f"{printable(start)} names {sum(len(d.images) for d in loaded)} pictures, and none of them lies in "
            f"{shortened([printable(r) for r in pictures.roots]) or 'a folder beside it'}. Say where with images=..."
        )
    root = common_root([file for file, _, _ in found], start)
    samples, seen = [], set()
    for file, document, image in found:
        if file in seen:
            ledger.add("pictures occur more than once; the first was taken", printable(file))
            continue
        seen.add(file)
        split = image.value.get("split") or document.split
        group = image.value.get("group")
        target = document.objects(image, names, ledger)
        samples.append(
            Sample(
                file,
                target,
                source_of(file, root),
                group if isinstance(group, str) else None,
                split if isinstance(split, str) else None,
            )
        )
    dataset = Dataset(tuple(samples), names, name=printable(start.resolve().stem), root=root)
    ledger.add("pictures lie outside of the folder", "", pictures.outside)
    ledger.add("pictures beside them are not named in any document", "", len(pictures.unused()))
    return replace(dataset, notes=ledger.notes())


def _places(documents: Sequence[Path]) -> list[Path]:
    """Where the pictures of documents may lie: beside them, or in a folder beside theirs."""
    here = list(dict.fromkeys(file.parent for file in documents))
    above = [folder.parent for folder in here if not holds_pictures(folder)]
    return [*here, *above]


@dataclass(frozen=True, eq=False)
class Document:
    """One COCO document, checked so far that its parts refer to each other."""

    file: Path
    split: str | None
    names: dict[int | str, str]
    images: dict[int | str, Entry]
    annotations: dict[int | str, list[Entry]]

    @classmethod
    def load(cls, file: Path, ledger: Ledger) -> Document:
        """Reads a document and checks that its parts refer to each other."""
        top = Entry(load_json(file), printable(file))
        if not isinstance(top.value.get("images"), list) or not isinstance(top.value.get("categories"), list):
            raise InputError(
                f"{top.where} is no COCO document: expected the lists images, annotations and categories."
            )
        names: dict[int | str, str] = {}
        for category in top.entries("categories"):
            key, name = category.key("id"), category.text("name")
            if key in names or name in names.values():
                raise InputError(f"{category.where}: the category {key!r}, {name!r}, occurs twice.")
            names[key] = name
        ordered = sorted(names, key=lambda key: (isinstance(key, str), key))
        images: dict[int | str, Entry] = {}
        for image in top.entries("images"):
            if (key := image.key("id")) in images:
                raise InputError(f"{image.where}: the image id {key!r} occurs twice.")
            image.text("file_name")
            images[key] = image
        annotations: dict[int | str, list[Entry]] = {key: [] for key in images}
        for annotation in top.entries("annotations"):
            owner = annotation.key("image_id")
            if owner not in images:
                ledger.add("annotations belong to no picture and were left out", annotation.where)
            else:
                annotations[owner].append(annotation)
        return cls(file, _split_of(file), {key: names[key] for key in ordered}, images, annotations)

    def objects(self, image: Entry, names: Sequence[str], ledger: Ledger) -> Detections:
        """The objects of one picture."""
        size: tuple[int, int] | None = None
        if "height" in image and "width" in image:
            size = round(image.number("height")), round(image.number("width"))
            if min(size) < 1:
                raise InputError(
                    f"{image.where}: a picture is at least 1 x 1. Received {size[0]} x {size[1]}."
                )
        rows = []
        for annotation in self.annotations[image.key("id")]:
            key = annotation.key("category_id")
            if key not in self.names:
                raise InputError(f"{annotation.where}: there is no category with the id {key!r}.")
            mask = _mask(annotation, size)
            if "bbox" in annotation:
                x, y, w, h = annotation.numbers("bbox", 4)
                box = [x, y, x + w, y + h]
            elif mask is not None:
                box = mask.box().tolist()
            else:
                ledger.add(
                    "annotations have neither a box nor an outline and were left out", annotation.where
                )
                continue
            area = (
                annotation.number("area") if "area" in annotation else (box[2] - box[0]) * (box[3] - box[1])
            )
            crowd = bool(annotation.value.get("iscrowd"))
            said = annotation.value.get("attributes")
            said = said if isinstance(said, dict) else {}
            rows.append((box, names.index(self.names[key]), mask, area, crowd, _keypoints(annotation), said))
        if not rows:
            return Detections.none(size)
        boxes, labels, masks, areas, crowd, keypoints, said = zip(*rows)
        inside, kept = repaired(boxes, size, ledger, image.text("file_name"))
        points = _aligned(keypoints, ledger, image.where)
        return Detections(
            inside.astype(np.float32),
            np.array(labels, np.int32)[kept],
            masks=tuple(masks[i] for i in kept) if any(m is not None for m in masks) else None,
            keypoints=None if points is None else points[kept],
            crowd=np.array(crowd)[kept] if any(crowd) else None,
            areas=np.array(areas, np.float32)[kept],
            attributes=tuple(said[i] for i in kept) if any(said) else None,
            image_size=size,
        )


def _split_of(file: Path) -> str | None:
    """`instances_train2017.json`, `train/_annotations.coco.json` -> train."""
    for text in (file.stem, file.parent.name):
        for word in re.findall(r"[a-z]+", text.lower()):
            if word in SPLITS:
                return SPLITS[word]
    return None


def _mask(annotation: Entry, size: tuple[int, int] | None) -> Mask | None:
    value = annotation.value.get("segmentation")
    if not value:
        return None
    if isinstance(value, dict):
        runs = Entry(value, f"{annotation.where}, segmentation")
        height, width = (int(v) for v in runs.numbers("size", 2))
        counts = value.get("counts")
        lengths = (
            decode_runs(counts, runs.where)
            if isinstance(counts, str)
            else runs.numbers("counts").astype(np.int64)
        )
        if size is not None and (height, width) != size:
            raise InputError(
                f"{runs.where}: its size is {height} x {width}, the picture's {size[0]} x {size[1]}."
            )
        try:
            return Mask((height, width), runs=lengths)
        except ValueError as error:
            raise InputError(f"{runs.where}: {error}") from None
    if not isinstance(value, list) or size is None:
        return None
    parts = Entry(dict(enumerate(value)), f"{annotation.where}, segmentation")
    outlines = [parts.numbers(i) for i in range(len(value))]  # type: ignore[arg-type]
    if odd := [i for i, part in enumerate(outlines) if len(part) % 2 or len(part) < 6]:
        raise InputError(
            f"{parts.where}[{odd[0]}]: an outline has three or more corners, x and y in turn. "
            f"Received {len(outlines[odd[0]])} numbers."
        )
    return Mask(size, outlines=[part.reshape(-1, 2) for part in outlines])


def _keypoints(annotation: Entry) -> NDArray[np.float64] | None:
    if "keypoints" not in annotation:
        return None
    values = annotation.numbers("keypoints")
    if len(values) % 3:
        raise annotation.wrong("keypoints", "x, y and visibility in turn")
    return values.reshape(-1, 3)


def _aligned(
    keypoints: Sequence[NDArray[np.float64] | None], ledger: Ledger, where: str
) -> NDArray[np.float32] | None:
    """Keypoints of all objects as one array; objects without any have all of them unlabelled."""
    counts = {len(points) for points in keypoints if points is not None}
    if not counts:
        return None
    if len(counts) > 1:
        ledger.add("pictures have objects with different numbers of keypoints; these were left out", where)
        return None
    blank = np.zeros((counts.pop(), 3))
    return np.stack([blank if points is None else points for points in keypoints]).astype(np.float32)


def decode_runs(text: str, where: str = "The text of runs") -> NDArray[np.int64]:
    """Run lengths from COCO's compressed text: 5 bits a character, from the fourth on as differences.

    Raises:
        InputError: It is no such text.

    Example:
        >>> decode_runs("232").tolist()
        [2, 3, 2]
    """
    lengths: list[int] = []
    at = 0
    while at < len(text):
        value = shift = 0
        more = True
        while more:
            code = ord(text[at]) - 48 if at < len(text) else -1
            if not 0 <= code < 64 or shift > 60:
                raise InputError(
                    f"{where}: character {min(at, len(text))} does not belong into a text of runs."
                )
            value |= (code & 31) << shift
            shift += 5
            more = bool(code & 32)
            at += 1
        if code & 16:
            value -= 1 << shift
        lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
    return np.array(lengths, np.int64)


def encode_runs(lengths: Sequence[int] | NDArray[np.int64]) -> str:
    """Undoes `decode_runs`."""
    text = []
    for i, length in enumerate(int(n) for n in lengths):
        value = length - (int(lengths[i - 2]) if i > 2 else 0)
        more = True
        while more:
            code, value = value & 31, value >> 5
            more = value != (-1 if code & 16 else 0)
            text.append(chr(code + (32 if more else 0) + 48))
    return "".join(text)


def write(dataset: Dataset, path: str | Path) -> tuple[str, ...]:
    """Writes one document; pictures stay where they are and are named from the document's folder.

    Splits and groups go into fields of their own beside `file_name`, which other readers pass over.

    Args:
        dataset: Pictures in files, with `Detections`.
        path: The document to write, `.json`.

    Returns:
        What it could not hold, as sentences with counts.

    Raises:
        InputError: The file exists, or a picture is an array or has a label instead of objects.
    """
    target = Path(path)
    if target.exists():
        raise InputError(f"{printable(target)} exists. Name a new file; nothing is overwritten.")
    ledger = Ledger()
    base = os.path.abspath(target.parent)  # noqa: PTH100 - without following links
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for sample in dataset:
        if not isinstance(sample.image, Path):
            raise InputError(
                f"A COCO document names picture files, and {sample.source} is an array. Write its file first."
            )
        if sample.target is None:
            ledger.add("pictures that nobody annotated were left out", sample.source)
            continue
        if not isinstance(sample.target, Detections):
            raise InputError(
                f"A COCO document holds objects with boxes; {sample.source} has a label for the whole."
            )
        full = os.path.abspath(sample.image)  # noqa: PTH100
        height, width = sample.target.image_size or size_of(sample.image)
        image: dict[str, Any] = {"id": len(images) + 1, "file_name": below(full, base) or full}
        image |= {"height": height, "width": width}
        image |= {k: v for k, v in (("split", sample.split), ("group", sample.group)) if v is not None}
        images.append(image)
        annotations += _annotations(sample, image["id"], len(annotations), ledger)
    document = {
        "info": {"description": dataset.name, "version": "1.0"},
        "images": images,
        "annotations": annotations,
        "categories": [
            {"id": i, "name": name, "supercategory": ""} for i, name in enumerate(dataset.class_names, 1)
        ],
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.part")
    temporary.write_text(json.dumps(document), "utf-8")
    temporary.replace(target)
    return ledger.notes()


def _annotations(sample: Sample, image_id: int, before: int, ledger: Ledger) -> list[dict[str, Any]]:
    objects = sample.target
    assert isinstance(objects, Detections)
    if objects.difficult is not None:
        ledger.add(
            "marks of difficult objects have no place in COCO", sample.source, int(objects.difficult.sum())
        )
    if objects.track_ids is not None:
        ledger.add("track numbers have no place in COCO", sample.source, len(objects))
    out = []
    for i, (x1, y1, x2, y2) in enumerate(objects.boxes.astype(float).tolist()):
        row: dict[str, Any] = {
            "id": before + i + 1,
            "image_id": image_id,
            "category_id": int(objects.labels[i]) + 1,
        }
        row |= {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)}
        if objects.areas is not None:
            row["area"] = float(objects.areas[i])
        row["iscrowd"] = int(objects.crowd is not None and objects.crowd[i])
        mask = objects.masks[i] if objects.masks is not None else None
        if mask is None:
            row["segmentation"] = []
        elif mask.outlines is not None:
            row["segmentation"] = [part.ravel().tolist() for part in mask.outlines]
        else:
            row["segmentation"] = {"size": list(mask.size), "counts": encode_runs(mask.to_runs())}
        if objects.keypoints is not None:
            points = objects.keypoints[i].astype(float)
            row |= {"keypoints": points.ravel().tolist(), "num_keypoints": int((points[:, 2] > 0).sum())}
        if objects.attributes is not None and objects.attributes[i]:
            row["attributes"] = dict(objects.attributes[i])
        if objects.scores is not None:
            row["score"] = float(objects.scores[i])
        out.append(row)
    return out
