"""Pascal VOC: an XML file for each picture, with its objects and their boxes; `ImageSets/Main` says the splits."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from visus.data.dataset import Dataset
from visus.data.formats._labels import check_names, shortened
from visus.data.formats._objects import Ledger, Pictures, common_root, free_stem, repaired, size_of
from visus.data.formats._walk import SPLITS, folders, holds_pictures, path_order, printable, source_of
from visus.structures import Detections, InputError, Sample

DESCRIPTION = "an XML file for each picture with its objects (Pascal VOC, LabelImg), beside or in Annotations"
SUFFIX = ""

MAX_BYTES = 2**24
"""Bytes that the XML of one picture may have."""

_FLAGS = ("truncated", "occluded")


def sniff(path: Path) -> bool:
    """Whether XML files of objects stand in the folder or one below."""
    try:
        return path.is_dir() and any(_looks(file) for file in _first(path))
    except (OSError, ValueError, InputError):
        return False


def _first(root: Path) -> Iterator[Path]:
    """The first XML file of the folder and of those below it."""
    for folder in (root, *folders(root)[:20]):
        files = sorted((p for p in folder.iterdir() if p.suffix.lower() == ".xml"), key=path_order)
        yield from files[:1]


def _looks(file: Path) -> bool:
    with file.open("rb") as stream:
        head = stream.read(4096)
    # The old LabelMe writes <annotation>, too, but polygons of points.
    parts = (b"<size>", b"<object>", b"<filename>")
    return (
        bool(re.search(rb"<annotation[\s>]", head))
        and b"<polygon>" not in head
        and any(p in head for p in parts)
    )


def read(
    path: str | Path,
    *,
    images: str | Path | None = None,
    class_names: Sequence[str] | None = None,
    one_based: bool = False,
) -> Dataset:
    """Reads the XML files of a folder and of those below it; no picture is opened.

    Tags are found by name, in any order. `truncated`, `occluded` and `pose` become attributes of the objects. Boxes are
    repaired (corners in order, cut at the border, those without area left out) and what was repaired is counted.

    Args:
        path: The folder.
        images: The folder of the pictures. Without it they are looked for below `path`.
        class_names: The classes in the wanted order; without it their names, sorted.
        one_based: The left upper pixel is (1, 1), as in Pascal's own files; most tools begin at 0.

    Returns:
        Samples in the order of the XML files, with `Detections`. Splits come from `ImageSets/Main/train.txt`, `val.txt`
        and `test.txt`, or from folders named so.

    Raises:
        InputError: There is no such file, or one is damaged; the message names it and the line.
    """
    root = Path(path)
    if not root.is_dir():
        raise InputError(f"Pascal VOC needs a folder of XML files, and {printable(root)} is none.")
    files = sorted((p for p in root.rglob("*.[xX][mM][lL]") if p.is_file() and _looks(p)), key=path_order)
    if not files:
        raise InputError(f"{printable(root)} holds no XML file with objects.")
    if images is not None and not Path(images).is_dir():
        raise InputError(f"The folder of the pictures, {printable(Path(images))}, is no folder.")
    ledger = Ledger()
    places = [root] if holds_pictures(root) else [root, root.parent]
    pictures = Pictures([Path(images)] if images is not None else places)
    splits = _splits(root)
    found: list[tuple[Path, Path, _Annotation]] = []
    for file in files:
        annotation = _Annotation(file)
        picture = pictures.find_beside(file, annotation.name)
        if picture is None:
            ledger.add(
                "pictures were not found (or more than one has the name) and were left out", printable(file)
            )
        elif any(picture == other for _, other, _ in found[-1:]):
            ledger.add("pictures have more than one XML file; the first was taken", printable(file))
        else:
            found.append((file, picture, annotation))
    if not found:
        raise InputError(
            f"None of the pictures of the {len(files)} XML files in {printable(root)} was found."
        )
    occurring = sorted({name for _, _, annotation in found for name in annotation.names})
    names = tuple(occurring) if class_names is None else check_names(class_names)
    if unlisted := [name for name in occurring if name not in names]:
        raise InputError(
            f"{printable(root)} has objects of classes that class_names does not list: {shortened(unlisted)}."
        )
    base = common_root([picture for _, picture, _ in found], root)
    samples = []
    for file, picture, annotation in found:
        split = splits.get(file.stem) or splits.get(picture.stem) or SPLITS.get(file.parent.name.lower())
        objects = annotation.objects(names, one_based, ledger)
        samples.append(Sample(picture, objects, source_of(picture, base), split=split))
    ledger.add("pictures lie outside of the folder", "", pictures.outside)
    ledger.add("pictures beside them have no XML file", "", len(pictures.unused()))
    return replace(
        Dataset(tuple(samples), names, name=printable(root.resolve().name), root=base), notes=ledger.notes()
    )


def _splits(root: Path) -> dict[str, str]:
    """Stem of a picture -> split, from `ImageSets/Main`."""
    found: dict[str, str] = {}
    for name in ("train", "val", "test"):
        for file in sorted(root.rglob(f"ImageSets/Main/{name}.txt"))[:1]:
            lines = file.read_text("utf-8", "replace").splitlines()
            found.update((line.split()[0], name) for line in lines if line.split())
    return found


class _Annotation:
    """One XML file, asked by the names of its tags.

    Raises:
        InputError: It is no XML, or too large, or defines entities.
    """

    def __init__(self, file: Path):
        self.file = file
        data = file.read_bytes() if file.stat().st_size <= MAX_BYTES else b""
        if not data:
            raise InputError(f"{printable(file)} is empty or has more than {MAX_BYTES:,} bytes.")
        if b"<!ENTITY" in data or b"<!DOCTYPE" in data:
            raise InputError(
                f"{printable(file)} defines entities, which no annotation needs. Remove its <!DOCTYPE>."
            )
        try:
            self.tree = ElementTree.fromstring(data)  # noqa: S314 - what makes it dangerous was refused
        except (ElementTree.ParseError, ValueError, LookupError) as error:
            line = getattr(error, "position", ("?",))[0]
            raise InputError(f"{printable(file)}, line {line}: this is no XML ({error}).") from None
        self.name = self._text(self.tree, "filename") or file.stem
        self.names = [self._class(tag) for tag in self.tree.iter("object")]

    def objects(self, names: Sequence[str], one_based: bool, ledger: Ledger) -> Detections:
        """The objects of the picture."""
        tags = list(self.tree.iter("object"))
        boxes = [self._box(tag, one_based) for tag in tags]
        size = self._size()
        inside, kept = repaired(boxes, size, ledger, printable(self.file))
        if not len(kept):
            return Detections.none(size)
        flagged = [self._flag(tag, "difficult") for tag in tags]
        said = [self._said(tag) for tag in tags]
        return Detections(
            inside.astype(np.float32),
            np.array([names.index(self._class(tag)) for tag in tags], np.int32)[kept],
            difficult=np.array(flagged)[kept] if any(flagged) else None,
            attributes=tuple(said[i] for i in kept) if any(said) else None,
            image_size=size,
        )

    def _size(self) -> tuple[int, int] | None:
        size = self.tree.find("size")
        if size is None or size.find("height") is None or size.find("width") is None:
            return None
        height, width = (round(self._number(size, name)) for name in ("height", "width"))
        return (height, width) if height > 0 and width > 0 else None

    def _class(self, tag: ElementTree.Element) -> str:
        name = self._text(tag, "name")
        if not name:
            raise InputError(f"{printable(self.file)}: an object has no <name>.")
        return name

    def _box(self, tag: ElementTree.Element, one_based: bool) -> list[float]:
        box = tag.find("bndbox")
        if box is None:
            raise InputError(f"{printable(self.file)}: the object {self._class(tag)!r} has no <bndbox>.")
        x1, y1, x2, y2 = (self._number(box, name) for name in ("xmin", "ymin", "xmax", "ymax"))
        return [x1 - one_based, y1 - one_based, x2, y2]

    def _said(self, tag: ElementTree.Element) -> dict[str, Any]:
        said: dict[str, Any] = {flag: True for flag in _FLAGS if self._flag(tag, flag)}
        pose = self._text(tag, "pose")
        return said | ({"pose": pose} if pose and pose != "Unspecified" else {})

    def _flag(self, tag: ElementTree.Element, name: str) -> bool:
        return self._text(tag, name).lower() in ("1", "true", "yes")

    def _number(self, tag: ElementTree.Element, name: str) -> float:
        text = self._text(tag, name)
        try:
            value = float(text)
        except ValueError:
            value = np.nan
        if not np.isfinite(value):
            raise InputError(
                f"{printable(self.file)}: <{name}> in <{tag.tag}> is a number. Received {ascii(text)[:40]}."
            )
        return value

    @staticmethod
    def _text(tag: ElementTree.Element, name: str) -> str:
        return (tag.findtext(name) or "").strip()


def write(dataset: Dataset, path: str | Path, *, one_based: bool = False) -> tuple[str, ...]:
    """Writes `Annotations`, `JPEGImages` (copies of the pictures) and `ImageSets/Main`.

    Args:
        dataset: Pictures in files, with `Detections`.
        path: A folder that does not exist yet, or is empty.
        one_based: The left upper pixel is (1, 1), as in Pascal's own files.

    Returns:
        What XML files cannot hold, as sentences with counts.

    Raises:
        InputError: The folder is not empty, or a picture is an array or has a label instead of objects.
    """
    target = Path(path)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(
            f"{printable(target)} exists and is not empty. Name a new folder; nothing is overwritten."
        )
    for sample in dataset:
        if not isinstance(sample.image, Path):
            raise InputError(
                f"XML files name picture files, and {sample.source} is an array. Write its file first."
            )
        if sample.target is not None and not isinstance(sample.target, Detections):
            raise InputError(
                f"XML files hold objects with boxes; {sample.source} has a label for the whole picture."
            )
    ledger = Ledger()
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as temporary:
        staged = Path(temporary) / "data"
        for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
            (staged / name).mkdir(parents=True)
        sets: dict[str, list[str]] = {}
        taken: set[str] = set()
        for sample in dataset:
            assert isinstance(sample.image, Path)
            if not isinstance(sample.target, Detections):
                ledger.add("pictures that nobody annotated were left out", sample.source)
                continue
            stem = free_stem(sample.image, taken)
            shutil.copyfile(sample.image, staged / "JPEGImages" / (stem + sample.image.suffix))
            text = _xml(sample, stem + sample.image.suffix, dataset.class_names, one_based, ledger)
            (staged / "Annotations" / f"{stem}.xml").write_text(text, "utf-8")
            if sample.split is not None:
                sets.setdefault(re.sub(r"[^\w-]+", "_", sample.split), []).append(stem)
            if sample.group is not None:
                ledger.add("groups of pictures have no place in XML files", sample.source)
        for name, stems in sets.items():
            (staged / "ImageSets" / "Main" / f"{name}.txt").write_text("\n".join(stems) + "\n", "utf-8")
        if target.exists():
            target.rmdir()
        staged.replace(target)
    used = sorted({dataset.class_names[int(k)] for s in dataset for k in getattr(s.target, "labels", ())})
    if used != list(dataset.class_names):
        ledger.add("classes were written; their order was not: pass class_names when you read", "", len(used))
    return ledger.notes()


def _xml(sample: Sample, name: str, class_names: Sequence[str], one_based: bool, ledger: Ledger) -> str:
    objects = sample.target
    assert isinstance(objects, Detections) and isinstance(sample.image, Path)
    for what, values in (
        ("masks", objects.masks),
        ("keypoints", objects.keypoints),
        ("track numbers", objects.track_ids),
    ):
        if values is not None:
            ledger.add(
                f"{what} have no place in XML files", sample.source, sum(v is not None for v in values)
            )
    if objects.crowd is not None:
        ledger.add("crowd regions were written as single objects", sample.source, int(objects.crowd.sum()))
    if objects.scores is not None:
        ledger.add("scores have no place in XML files", sample.source, len(objects))
    top = ElementTree.Element("annotation")
    _add(top, "folder", "JPEGImages")
    _add(top, "filename", name)
    height, width = objects.image_size or size_of(sample.image)
    size = _add(top, "size")
    for tag, value in (("width", width), ("height", height), ("depth", 3)):
        _add(size, tag, str(value))
    _add(top, "segmented", "0")
    for i, (x1, y1, x2, y2) in enumerate(objects.boxes):
        said = dict(objects.attributes[i]) if objects.attributes is not None else {}
        one = _add(top, "object")
        _add(one, "name", class_names[int(objects.labels[i])])
        _add(one, "pose", str(said.pop("pose", "Unspecified")))
        for flag in _FLAGS:
            _add(one, flag, str(int(bool(said.pop(flag, False)))))
        _add(one, "difficult", str(int(objects.difficult is not None and bool(objects.difficult[i]))))
        if said:
            ledger.add(
                "attributes other than pose, truncated and occluded were left out", sample.source, len(said)
            )
        box = _add(one, "bndbox")
        corners = (x1 + one_based, y1 + one_based, x2, y2)
        for side, edge in zip(("xmin", "ymin", "xmax", "ymax"), corners):
            _add(box, side, np.format_float_positional(np.float32(edge), trim="-"))
    ElementTree.indent(top)
    return ElementTree.tostring(top, encoding="unicode") + "\n"


def _add(parent: ElementTree.Element, name: str, text: str | None = None) -> ElementTree.Element:
    child = ElementTree.SubElement(parent, name)
    # XML has no way to hold control characters.
    child.text = None if text is None else re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "?", text)
    return child
