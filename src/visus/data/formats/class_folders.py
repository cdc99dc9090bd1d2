"""Class folders: `root/CLASS/pictures`, or `root/{train,val,test}/CLASS/pictures`."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from visus.data.dataset import Dataset
from visus.data.formats._labels import check_names, shortened
from visus.data.formats._walk import (
    SPLITS,
    LeftOut,
    folders,
    holds_pictures,
    is_picture,
    path_order,
    printable,
    source_of,
    walk,
)
from visus.structures import Classification, InputError, Sample

DESCRIPTION = "a folder for each class, with or without train/val/test folders above them"
SUFFIX = ""

# Folders so named are parts of a set annotated otherwise, not classes.
_PARTS = re.compile(
    r"(jpeg|png)?images?|img|imgs|pictures|photos|labels?|annotations?|anno|masks?|pedmasks|trimaps?|imagesets"
    r"|segmentation(class|object)?|xmls?|json|(train|val|valid|validation|test|trainval)\d*",
    re.IGNORECASE,
)


def sniff(path: Path) -> bool:
    """Whether two or more subfolders hold pictures, and are not named like parts of another kind of set."""
    try:
        if _split_folders(path):
            return True
        holding = [f.name for f in folders(path) if holds_pictures(f)]
        return len(holding) >= 2 and not all(_PARTS.fullmatch(name) for name in holding)
    except (OSError, ValueError, InputError):
        return False


def read(
    path: str | Path, *, class_names: Sequence[str] | None = None, follow_links: bool = False
) -> Dataset:
    """Reads class folders without opening a picture.

    A class's index is its position among the byte-wise sorted folder names, or in `class_names`. Pictures in
    subfolders of a class belong to it. Hidden files and files that are no pictures are skipped and counted in
    the notes, never touched.

    Args:
        path: The folder.
        class_names: The classes in the wanted order. A name without a folder is a class without samples (with
            a note); a folder that is not listed is an error.
        follow_links: Follow symbolic links wherever they lead. Otherwise links to folders, and to files
            outside of `path`, are skipped and counted.

    Returns:
        Samples in the order train, val, test; within them by class, then by the bytes of the path. Sources
        are relative to `path`.

    Raises:
        InputError: It is no folder, has no class folders, holds no picture, or a folder is not in
            `class_names`.

    Example:
        >>> read("flowers5").counts()                                                # doctest: +SKIP
        {'daisy': 250, 'dandelion': 250, 'roses': 250, 'sunflowers': 250, 'tulips': 250}
    """
    root = Path(path)
    if not root.is_dir():
        raise InputError(f"Class folders need a folder to lie in, and {printable(root)} is none.")
    left_out = LeftOut()
    notes: list[str] = []
    parts: dict[str | None, Path] = dict(_split_folders(root)) or {None: root}
    if None not in parts:
        others = [f.name for f in folders(root) if f not in parts.values() and holds_pictures(f)]
        if others:
            notes.append(f"Folders beside {', '.join(map(str, parts))} were skipped: {shortened(others)}.")

    class_paths = {split: _class_folders(folder, follow_links) for split, folder in parts.items()}
    found = sorted({name for named in class_paths.values() for name in named}, key=os.fsencode)
    if not found:
        raise InputError(_no_classes(root))
    if class_names is None:
        names, index = tuple(map(printable, found)), {name: i for i, name in enumerate(found)}
    else:
        names = check_names(class_names)
        index = {name: names.index(printable(name)) for name in found if printable(name) in names}
        if unlisted := [printable(name) for name in found if name not in index]:
            raise InputError(
                f"{printable(root)} has folders that class_names does not list: {shortened(unlisted)}. "
                "List them, or move them elsewhere."
            )

    samples: list[Sample] = []
    for split in sorted(class_paths, key=("train", "val", "test", None).index):
        loose = sum(is_picture(p.name) for p in parts[split].iterdir() if p.is_file())
        if loose:
            notes.append(
                f"{loose} pictures in {printable(parts[split])} lie in no class folder and were skipped."
            )
        for name in sorted(class_paths[split], key=index.__getitem__):
            found_here = walk(class_paths[split][name], left_out, follow_links=follow_links, within=root)
            pictures = sorted(found_here, key=path_order)
            target = Classification(label=index[name])
            samples.extend(Sample(p, target, source=source_of(p, root), split=split) for p in pictures)
    if not samples:
        raise InputError(
            f"{printable(root)} has {len(found)} class folders ({shortened(names)}) but no picture in them. "
            + " ".join(left_out.notes())
        )

    dataset = Dataset(tuple(samples), names, name=printable(root.resolve().name), root=root)
    counted = dataset.counts()
    if empty := [name for name, n in counted.items() if n == 0]:
        notes.append(f"{len(empty)} classes have no picture: {shortened(empty)}.")
    if "train" in dataset.splits:
        trained = dataset.split("train").counts()
        if unseen := [name for name, n in trained.items() if n == 0 and counted[name]]:
            notes.append(f"{len(unseen)} classes have pictures but none in train: {shortened(unseen)}.")
    return replace(dataset, notes=(*notes, *left_out.notes()))


def write(dataset: Dataset, path: str | Path) -> tuple[str, ...]:
    """Copies the pictures into class folders, below train/val/test where the samples say so.

    Files are copied byte for byte; arrays become PNG.

    Args:
        dataset: Samples with a single label.
        path: A folder that does not exist yet, or is empty.

    Returns:
        What the folders cannot hold, as sentences: groups, probabilities, the order of the classes.

    Raises:
        InputError: The folder is not empty, or a sample has no single label.
    """
    target = Path(path)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(
            f"{printable(target)} exists and is not empty. Name a new folder; nothing is overwritten."
        )
    labels = dataset.labels()
    if bad := [dataset[i].source for i in np.flatnonzero(labels < 0)]:
        raise InputError(f"Class folders hold one label per picture. Without one: {shortened(bad)}.")
    lost: list[str] = []
    folder_names = _folder_names(dataset.class_names, lost)
    if any(s.group is not None for s in dataset):
        lost.append("The samples' groups were not written.")
    if any(s.target is not None and s.target.scores is not None for s in dataset):
        lost.append("The annotators' probabilities were not written, only the labels.")
    if len({s.split is None for s in dataset}) == 2:
        lost.append("Samples without a split were written to train.")
    splits = dataset.splits

    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as temporary:
        staged = Path(temporary) / "data"
        taken: Counter[Path] = Counter()
        for name in folder_names:
            (staged / (splits[0] if splits else "") / name).mkdir(parents=True, exist_ok=True)
        for i, sample in enumerate(dataset):
            folder = staged / ((sample.split or "train") if splits else "") / folder_names[labels[i]]
            folder.mkdir(parents=True, exist_ok=True)
            _copy(sample, folder, i, taken)
        if target.exists():
            target.rmdir()
        staged.replace(target)
    return tuple(lost)


def _split_folders(root: Path) -> dict[str | None, Path]:
    """Split name -> folder, when the folders below `root` are splits that hold class folders."""
    below = folders(root)
    found: dict[str | None, Path] = {}
    for folder in below:
        split = SPLITS.get(folder.name.lower())
        if split is None or not any(holds_pictures(sub) for sub in folders(folder)):
            continue
        if split in found:
            raise InputError(
                f"{printable(root)} has both {found[split].name} and {folder.name}, which mean the same "
                "split. Keep one of them."
            )
        found[split] = folder
    alone = all(f in found.values() or not holds_pictures(f) for f in below)
    return found if "train" in found or alone else {}


def _class_folders(folder: Path, follow_links: bool) -> dict[str, Path]:
    if not follow_links:
        return {f.name: f for f in folders(folder)}
    return {f.name: f for f in folder.iterdir() if f.is_dir() and not f.name.startswith(".")}


def _no_classes(root: Path) -> str:
    message = f"{printable(root)} has no class folders: expected {printable(root)}/CLASS/picture.jpg."
    if any(p.is_symlink() for p in root.iterdir()):
        message += " Symbolic links to folders are not followed unless you pass follow_links=True."
    return message


def _folder_names(class_names: Sequence[str], lost: list[str]) -> list[str]:
    """A folder name for each class: its own where a folder can be called so."""
    names: list[str] = []
    for class_name in class_names:
        name = re.sub(r'[/\\:*?"<>|\x00-\x1f]', "_", class_name).strip() or "_"
        name = f"_{name}" if name[0] == "." else name
        while name.lower() in (other.lower() for other in names):
            name += "_"
        if name != class_name:
            lost.append(f"The class {class_name!r} was written as the folder {name!r}.")
        names.append(name)
    if names != sorted(names, key=os.fsencode):
        lost.append("The order of the classes was not written: pass class_names when you read the folders.")
    return names


def _copy(sample: Sample, folder: Path, position: int, taken: Counter[Path]) -> None:
    """Writes one sample under a name that is free."""
    if isinstance(sample.image, Path):
        stem, suffix = sample.image.stem.lstrip(".") or f"{position:06d}", sample.image.suffix
    else:
        stem, suffix = (
            re.sub(r"[^\w.#-]+", "_", sample.source)[-100:].strip("._") or f"{position:06d}",
            ".png",
        )
    target = folder / (stem + suffix)
    while target.exists():
        taken[folder / (stem + suffix)] += 1
        target = folder / f"{stem}-{taken[folder / (stem + suffix)] + 1}{suffix}"
    if isinstance(sample.image, Path):
        shutil.copyfile(sample.image, target)
    else:
        from visus.image.io import write as write_picture

        write_picture(target, sample.image)
