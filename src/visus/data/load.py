"""One way in: whatever holds pictures becomes a `Dataset`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np

from visus.data import datasets, formats
from visus.data.dataset import Dataset
from visus.data.formats._labels import shortened
from visus.structures import InputError, Sample

Task = Literal["classify"]


def load(
    source: Any, *, format: str | None = None, task: Task | None = "classify", **options: Any
) -> Dataset:
    """Reads a data set and finds out by itself how it is stored. Nothing is decoded.

    Args:
        source: A folder, a file, the name of a known set (`mnist`, see `visus.data.datasets.names()`), a
            `Dataset` (returned as it is), arrays `(images, labels)` or a mapping with the arguments of
            `formats.arrays.from_arrays`, or a list of picture files. A path that exists comes before a known
            set of the same name.
        format: One of `visus.data.formats.names()`, when the source is not to be recognised; `file_names` with its
            pattern after a colon: `file_names:last_underscore`.
        task: `classify`: pictures without labels are an error. None: they are welcome, as for prediction.
        **options: For the format's `read`, the known set's `load`, or `from_arrays`.

    Raises:
        InputError: There is nothing at the source, no format or more than one recognises it, or labels are
            missing.

    Example:
        >>> load("flowers5").splits                                                   # doctest: +SKIP
        ('train', 'val')
        >>> load((np.zeros((2, 4, 6), np.uint8), [0, 1])).num_classes
        2
    """
    dataset = _load(source, format, task, options)
    if task == "classify" and dataset.task == "detect":
        raise InputError(
            f"The pictures of {dataset.name or 'the data'} have boxes, and a classifier learns from one label for each "
            "picture. visus reads such sets (task=None), but does not train detectors yet."
        )
    if task is not None and (bare := [s.source for s in dataset.samples if s.target is None]):
        raise InputError(
            f"{len(bare)} of {len(dataset)} pictures of {dataset.name or 'the data'} have no label, such as "
            f"{bare[0]}. {_HOW_TO_LABEL}"
        )
    return dataset


_HOW_TO_LABEL = (
    "To train or evaluate, sort the pictures into a folder for each class, or list them in a CSV with the "
    "columns path and label; to predict, no labels are needed."
)


def _load(source: Any, format: str | None, task: Task | None, options: Mapping[str, Any]) -> Dataset:
    if isinstance(source, Dataset):
        if format is not None or options:
            raise InputError(
                f"A Dataset is read already; it takes no format and no options ({', '.join(options)})."
            )
        return source

    from visus.data.formats import pictures
    from visus.data.formats.arrays import from_arrays

    if isinstance(source, Mapping):
        return from_arrays(**source, **options)
    if isinstance(source, np.ndarray):
        return from_arrays(source, **options)
    if isinstance(source, tuple) and source and isinstance(source[0], (np.ndarray, list)):
        return from_arrays(*source, **options)
    if (
        isinstance(source, (list, tuple))
        and source
        and all(isinstance(s, (str, Path, Sample)) for s in source)
    ):
        return pictures.read(source, **options)
    if not isinstance(source, (str, Path)):
        raise InputError(
            "A data set is a folder, a file, the name of a known set, a Dataset, arrays (images, labels) or "
            f"a list of files. Received {type(source).__name__}."
        )
    path = Path(source).expanduser()
    if source == "" or not _exists(path):
        if format is None and str(source).replace("-", "_") in datasets.names():
            return datasets.load(str(source), **options)
        if format != "pictures":
            raise InputError(_nothing_there(str(source)))
    name, colon, argument = (format or "").partition(":")
    reader = formats.get(name or _recognise(path, task))
    needed = getattr(reader, "ARGUMENT", None)
    if colon:
        if needed is None:
            raise InputError(f"The format {name} takes nothing after a colon. Received {format!r}.")
        options = {**options, needed: argument}
    if needed is not None and not options.get(needed):
        raise InputError(
            f"The format {name} needs its {needed}, as in {name}:{needed.upper()}. In {name} {reader.DESCRIPTION}."
        )
    return reader.read(path, **options)


def _recognise(path: Path, task: Task | None) -> str:
    """The name of the one format that the path looks like."""
    found = [name for name in formats.names() if formats.get(name).sniff(path)]
    labelled = [name for name in found if name != "pictures"]
    if len(labelled) > 1:
        described = "; ".join(f"{name} ({formats.get(name).DESCRIPTION})" for name in labelled)
        raise InputError(
            f"{path} can be read in {len(labelled)} ways: {described}. Say which with format=... (--format)."
        )
    if labelled:
        return labelled[0]
    if "pictures" in found and task is None:
        return "pictures"
    if "pictures" in found:
        from visus.data.formats._walk import folders, holds_pictures

        only = [f for f in folders(path) if holds_pictures(f, 0)] if path.is_dir() else []
        if len(only) == 1 and not holds_pictures(path, 0) and not _inside(path):
            raise InputError(
                f"{path} has one folder of pictures only, {only[0].name}, and so one class: there is nothing to tell "
                "apart. Expected a folder for each of two or more classes."
            )
        raise InputError(f"{path} holds pictures without labels. {_HOW_TO_LABEL}{_inside(path)}")
    looked_for = "".join(f"\n  {name}: {formats.get(name).DESCRIPTION}" for name in formats.names())
    raise InputError(
        f"{path} is no data set that visus recognises.{_inside(path)}{_content(path)} It looked for"
        f"{looked_for}"
    )


def _content(path: Path) -> str:
    """The first names in a folder, so that the reader of the message sees what was looked at."""
    if not path.is_dir():
        return ""
    names = sorted(ascii(p.name)[1:-1] + ("/" if p.is_dir() else "") for p in islice(path.iterdir(), 1000))
    return f" Found there: {shortened(names)}." if names else " It is empty."


def _inside(path: Path) -> str:
    """A hint when one folder further down is what was meant."""
    if not path.is_dir():
        return ""
    for sub in sorted(p for p in path.iterdir() if p.is_dir() and not p.is_symlink())[:20]:
        if any(formats.get(name).sniff(sub) for name in formats.names() if name != "pictures"):
            return f" Did you mean {sub}?"
    return ""


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _nothing_there(source: str) -> str:
    known = [name.replace("_", "-") for name in datasets.names()]
    message = f"There is no file or folder {source!r}, and no known data set of that name"
    close = difflib.get_close_matches(source.lower().replace("_", "-"), known, 1)
    return f"{message}; did you mean {close[0]}?" if close else f"{message} (known are {', '.join(known)})."
