"""Arrays: `.npz` and `.npy` files, and arrays that are already in memory."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visus.data.dataset import Dataset
from visus.data.formats._labels import check_names, index_labels, shortened
from visus.data.formats._rows import is_file, split_name
from visus.data.formats._walk import printable
from visus.structures import Classification, InputError, Sample

DESCRIPTION = (
    "an .npz file with pictures and labels (x, y or images, labels; also x_train, y_train, x_test, ...)"
)
SUFFIX = ".npz"

# More than this is refused before memory is asked for; a caller who means it passes max_bytes.
MAX_BYTES = 8 << 30

_IMAGES = ("x", "X", "images", "image", "data")
_LABELS = ("y", "labels", "label", "targets", "target")
_SPLIT_NAMES = ("train", "val", "valid", "validation", "test")


def sniff(path: Path) -> bool:
    """Whether it is an `.npz` file with pictures in it, or an `.npy` file of them."""
    try:
        if not path.is_file():
            return False
        if path.suffix == ".npy":
            with path.open("rb") as file:
                shape, dtype = _header(file, str(path))
            return len(shape) in (3, 4) and dtype == np.uint8
        if path.suffix != ".npz":
            return False
        members = _members(path)
        return any(len(members[images][0]) in (3, 4) for _, images, _ in _pairs(members))
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


def read(
    path: str | Path,
    *,
    labels: str | Path | None = None,
    class_names: Sequence[str] | None = None,
    max_bytes: int = MAX_BYTES,
) -> Dataset:
    """Reads pictures and labels from NumPy's files. Pickled objects are never loaded.

    In an `.npz` file the pictures are called `x`, `images` or `data`, the labels `y`, `labels` or `targets`;
    with splits `x_train`, `y_train`, `x_test`, ... or `train_images`, `train_labels`, ... Arrays
    `class_names`, `splits`, `sources`, `groups` and `scores` are understood as `write` writes them.

    Args:
        path: The file.
        labels: For an `.npy` file of pictures: the `.npy` file of their labels.
        class_names: The classes in order; see `from_arrays`.
        max_bytes: Refuse arrays that take more memory than this together.

    Returns:
        Samples that are views on the arrays, in their order, called `NAME#0`, `NAME/train#0`, ...

    Raises:
        InputError: The file is broken, too large or holds pickled objects; or see `from_arrays`.
    """
    path = Path(path)
    if not is_file(path):
        raise InputError(f"{printable(path)} is no .npz or .npy file.")
    try:
        if path.suffix == ".npy":
            images = _load_npy(path, max_bytes)
            truth = None if labels is None else _load_npy(Path(labels), max_bytes)
            return replace(
                from_arrays(images, truth, class_names, name=printable(path.stem)), root=path.parent
            )
        return _read_npz(path, class_names, max_bytes)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, MemoryError, NotImplementedError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{printable(path)} cannot be read as NumPy arrays: {error}.") from None


def from_arrays(
    images: ArrayLike,
    labels: ArrayLike | None = None,
    class_names: Sequence[str] | None = None,
    *,
    split: str | None = None,
    name: str = "arrays",
) -> Dataset:
    """A data set of pictures that are in memory; nothing is copied.

    Args:
        images: uint8 `(N, height, width)`, `(N, height, width, 1)` or `(N, height, width, 3)` RGB, or a list
            of N single pictures of any sizes.
        labels: None (unlabelled); `(N,)` whole numbers, positions in `class_names`; `(N,)` texts, names; `(N,
            1)` like `(N,)`; `(N, K)` of 0 and 1: one-hot when every row holds a single 1, else several labels
            per picture; `(N, K)` of probabilities that sum to 1: soft labels, the best class is the label.
        class_names: The classes in order. By default `"0"` to the largest label, or the sorted names.
        split: The split that all of them belong to.
        name: What a person calls the set.

    Raises:
        InputError: The lengths differ, pictures are not uint8 (nothing rescales silently), or a label is
            unknown.

    Example:
        >>> data = from_arrays(np.zeros((2, 4, 6), np.uint8), [1, 0], ("cat", "dog"))
        >>> [data.class_names[s.target.label] for s in data]
        ['dog', 'cat']
    """
    pictures = _pictures(images)
    if labels is None:
        targets: list[Classification | None] = [None] * len(pictures)
        names = () if class_names is None else check_names(class_names)
    else:
        truth = np.asarray(labels)
        if truth.ndim == 0 or len(truth) != len(pictures):
            raise InputError(
                f"Every picture needs a label: received {len(pictures)} pictures, labels {truth.shape}."
            )
        targets, names = _targets(truth, class_names)
    prefix = name if split is None else f"{name}/{split}"
    return Dataset(
        tuple(
            Sample(picture, target, f"{prefix}#{i}", split=split)
            for i, (picture, target) in enumerate(zip(pictures, targets))
        ),
        names,
        name=name,
    )


def from_iterable(
    source: Iterable[Any] | Callable[[], Iterable[Any]],
    class_names: Sequence[str] | None = None,
    *,
    limit: int | None = None,
    max_bytes: int = MAX_BYTES,
    name: str = "arrays",
) -> Dataset:
    """A data set of what a generator yields, kept in memory, so that every epoch sees all of it.

    Args:
        source: Yields samples, `(picture, label)` pairs, or pictures; or a function that returns such an
            iterable.
        class_names: See `from_arrays`.
        limit: Take only so many; needed for a source that never ends.
        max_bytes: Refuse more than this.
        name: What a person calls the set.

    Raises:
        InputError: Nothing was yielded, or more than `max_bytes`; or see `from_arrays`.

    Example:
        >>> pairs = ((np.full((4, 6), i, np.uint8), i % 2) for i in range(10))
        >>> len(from_iterable(pairs, limit=5))
        5
    """
    items: list[Any] = []
    size = 0
    for item in islice(source() if callable(source) else source, limit):
        picture = item.image if isinstance(item, Sample) else item[0] if isinstance(item, tuple) else item
        size += getattr(picture, "nbytes", 0)
        if size > max_bytes:
            raise InputError(
                f"The source yielded more than {max_bytes:,} bytes in {len(items)} pictures. Pass limit for "
                "a source that never ends, or a larger max_bytes."
            )
        items.append(item)
    if not items:
        raise InputError(
            "The source yielded nothing. An iterator is used up after one pass: pass a fresh one."
        )
    if all(isinstance(item, Sample) for item in items):
        return Dataset(tuple(items), () if class_names is None else check_names(class_names), name=name)
    if all(isinstance(item, tuple) and len(item) == 2 for item in items):
        return from_arrays([i[0] for i in items], np.asarray([i[1] for i in items]), class_names, name=name)
    return from_arrays(items, None, class_names, name=name)


def write(dataset: Dataset, path: str | Path) -> tuple[str, ...]:
    """Writes one compressed `.npz` file with `images`, `labels`, `class_names` and what else the samples
    carry.

    Args:
        dataset: Samples whose pictures all have one size; files are decoded.
        path: The file to write; it must not exist.

    Returns:
        What the file cannot hold: nothing, unless some samples have a label and others none.

    Raises:
        InputError: The file exists, its name does not end in `.npz`, or the pictures differ in size.
    """
    target = Path(path)
    if target.exists():
        raise InputError(f"{printable(target)} exists. Name a new file; nothing is overwritten.")
    if target.suffix != ".npz":
        raise InputError(
            f"Arrays are written to a file whose name ends in .npz. Received {printable(target.name)}."
        )
    if dataset.task == "detect":
        raise InputError("Arrays hold labels of whole pictures, no boxes. Write these as coco.")
    pictures = [_decoded(sample) for sample in dataset]
    shapes = {p.shape for p in pictures}
    if len(shapes) > 1:
        raise InputError(
            f"One array holds pictures of one size, and these have {len(shapes)}: "
            f"{shortened(sorted(map(str, shapes)))}. Resize them first, or write class_folders."
        )
    arrays: dict[str, Any] = {"images": np.stack(pictures) if pictures else np.zeros((0, 1, 1), np.uint8)}
    lost: list[str] = []
    labelled = [s for s in dataset if s.target is not None]
    if labelled and len(labelled) < len(dataset):
        raise InputError(
            f"{len(dataset) - len(labelled)} of {len(dataset)} samples have no label: write them apart."
        )
    if labelled:
        multi = dataset.task == "multi"
        arrays["labels"] = dataset.targets().astype(np.uint8) if multi else dataset.labels()
        if any(s.target is not None and s.target.scores is not None for s in dataset):
            arrays["scores"] = dataset.targets(soft=True)
    if dataset.class_names:
        arrays["class_names"] = np.array(dataset.class_names)
    arrays["sources"] = np.array([s.source for s in dataset])
    for key, values in (("splits", [s.split for s in dataset]), ("groups", [s.group for s in dataset])):
        if any(values):
            arrays[key] = np.array([value or "" for value in values])
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return tuple(lost)


def _pictures(images: ArrayLike) -> list[NDArray[np.uint8]]:
    if isinstance(images, (list, tuple)):
        return [_picture(np.asarray(picture), i) for i, picture in enumerate(images)]
    stack = np.asarray(images)
    if stack.ndim not in (3, 4):
        raise InputError(
            f"Pictures are (N, height, width) or (N, height, width, channels). Received {stack.shape}."
        )
    if len(stack):
        _picture(stack[0], 0)  # one stands for all
    return list(stack[..., 0] if stack.ndim == 4 and stack.shape[3] == 1 else stack)


def _picture(picture: NDArray[Any], position: int) -> NDArray[np.uint8]:
    where = f"Picture {position} has the shape {picture.shape} and dtype {picture.dtype}"
    if picture.dtype != np.uint8:
        raise InputError(
            f"{where}; pictures are uint8 0..255, and nothing rescales silently. For floats in [0, 1] pass "
            "(255 * images).round().astype('uint8')."
        )
    if picture.ndim == 3 and picture.shape[2] == 1:
        picture = picture[:, :, 0]
    if picture.ndim == 3 and picture.shape[2] != 3:
        hint = (
            "Pass images.transpose(0, 2, 3, 1)."
            if picture.shape[0] in (1, 3)
            else "Drop the others, say alpha."
        )
        raise InputError(f"{where}; the last axis has 3 channels (RGB) or 1. {hint}")
    if picture.ndim not in (2, 3) or 0 in picture.shape:
        raise InputError(f"{where}; a picture is (height, width) or (height, width, 3) and not empty.")
    return picture


def _targets(
    truth: NDArray[Any], class_names: Sequence[str] | None
) -> tuple[list[Classification | None], tuple[str, ...]]:
    if truth.ndim == 2 and truth.shape[1] == 1:
        truth = truth[:, 0]
    if truth.ndim == 2:
        return _vector_targets(truth, class_names)
    if truth.ndim != 1:
        raise InputError(f"Labels are (N,) or (N, K). Received the shape {truth.shape}.")
    if truth.dtype.kind in "US":
        texts = [
            t.decode("utf-8", "backslashreplace") if isinstance(t, bytes) else str(t) for t in truth.tolist()
        ]
        indices, names = index_labels(texts, class_names, lambda i: f"Picture {i}")
        return _one_each(np.array(indices), names), names
    if truth.dtype.kind == "f" and np.all(truth == np.floor(truth)):
        truth = truth.astype(np.int64)
    if truth.dtype.kind not in "iub":
        raise InputError(f"Labels are whole numbers or names. Received dtype {truth.dtype}.")
    top = int(truth.max(initial=0))
    names = (
        check_names(class_names) if class_names is not None else tuple(map(str, range(min(top, 1 << 20) + 1)))
    )
    bad = np.flatnonzero((truth < 0) | (truth >= len(names)))
    if len(bad):
        raise InputError(
            f"Picture {bad[0]} has the label {truth[bad[0]]}, and labels lie in 0..{len(names) - 1} for "
            f"these {len(names)} classes ({len(bad)} such labels)."
        )
    return _one_each(truth, names), names


def _one_each(labels: NDArray[Any], names: Sequence[str]) -> list[Classification | None]:
    kinds = [Classification(label=i) for i in range(len(names))]  # values: the samples of a class share one
    return [kinds[int(i)] for i in labels.tolist()]


def _vector_targets(
    truth: NDArray[Any], class_names: Sequence[str] | None
) -> tuple[list[Classification | None], tuple[str, ...]]:
    k = truth.shape[1]
    names = tuple(map(str, range(k))) if class_names is None else check_names(class_names)
    if len(names) != k:
        raise InputError(f"The labels have {k} columns and class_names {len(names)} names.")
    if truth.dtype.kind not in "iubf" or not np.all((truth >= 0) & (truth <= 1)):
        raise InputError(f"Labels of shape (N, K) lie in [0, 1]. Received dtype {truth.dtype}, some outside.")
    if np.all((truth == 0) | (truth == 1)):
        if np.all(truth.sum(1) == 1):
            return [Classification(label=int(row.argmax())) for row in truth], names
        return [Classification(labels=row.astype(np.uint8)) for row in truth], names
    if not np.allclose(truth.sum(1), 1, atol=1e-3):
        raise InputError("Probabilities of shape (N, K) sum to 1 in every row; these do not.")
    return [Classification(label=int(row.argmax()), scores=row.astype(np.float32)) for row in truth], names


def _read_npz(path: Path, class_names: Sequence[str] | None, max_bytes: int) -> Dataset:
    members = _members(path)
    total = sum(int(np.prod(shape, dtype=object)) * dtype.itemsize for shape, dtype in members.values())
    if total > max_bytes:
        raise InputError(
            f"{printable(path)} holds {total:,} bytes, over the limit of {max_bytes:,} (max_bytes)."
        )
    pairs = list(_pairs(members))
    if not pairs:
        raise InputError(
            f"{printable(path)} holds no pictures: expected x and y, images and labels, or x_train, y_train, "
            f"... Received {shortened(sorted(members))}."
        )
    name = printable(path.stem)
    with np.load(path, allow_pickle=False) as file:
        if class_names is None and "class_names" in members:
            class_names = check_names([str(n) for n in file["class_names"].ravel()])
        # One common naming over all splits, so that a class absent from one of them keeps its place.
        loaded = [(split, file[images], file[truth] if truth else None) for split, images, truth in pairs]
        numbers = [
            t
            for _, _, t in loaded
            if t is not None and t.size and t.dtype.kind in "iu" and t.shape[-1:] != ()
        ]
        if class_names is None and numbers and all(t.ndim == 1 or t.shape[1] == 1 for t in numbers):
            class_names = tuple(map(str, range(min(max(int(t.max()) for t in numbers), 1 << 20) + 1)))
        texts = [t for _, _, t in loaded if t is not None and t.dtype.kind == "U"]
        if class_names is None and texts:
            class_names = index_labels([str(x) for t in texts for x in t.ravel()], None, str)[1]
        parts = [from_arrays(x, y, class_names, split=split_name(split), name=name) for split, x, y in loaded]
        samples = [sample for part in parts for sample in part]
        extra = {k: file[k] for k in ("splits", "sources", "groups", "scores") if k in members}
    for key, values in extra.items():
        if len(values) != len(samples):
            raise InputError(f"{printable(path)} has {len(samples)} pictures but {len(values)} {key}.")
    samples = [_with_extra(sample, {k: v[i] for k, v in extra.items()}) for i, sample in enumerate(samples)]
    return Dataset(tuple(samples), parts[0].class_names, name=name, root=path.parent)


def _with_extra(sample: Sample, extra: Mapping[str, Any]) -> Sample:
    changes: dict[str, Any] = {
        field: str(extra[key]) or None
        for field, key in (("split", "splits"), ("group", "groups"), ("source", "sources"))
        if key in extra
    }
    if "scores" in extra and sample.target is not None:
        changes["target"] = replace(sample.target, scores=np.asarray(extra["scores"], np.float32))
    return sample.replace(**changes) if changes else sample


def _pairs(keys: Iterable[str]) -> Iterator[tuple[str | None, str, str | None]]:
    """Split, key of the pictures and key of the labels, for every pair in a file, train first."""
    present = set(keys)
    for split in (None, *_SPLIT_NAMES):
        forms = ["{}"] if split is None else [f"{{}}_{split}", f"{split}_{{}}"]
        for form in forms:
            images = next((form.format(k) for k in _IMAGES if form.format(k) in present), None)
            if images is not None:
                yield (
                    split,
                    images,
                    next((form.format(k) for k in _LABELS if form.format(k) in present), None),
                )
                break


def _members(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Name -> shape and dtype of the arrays in an `.npz` file, from their headers."""
    members = {}
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if not info.filename.endswith(".npy"):
                continue
            with archive.open(info) as file:
                shape, dtype = _header(file, f"{printable(path)}: {info.filename}")
            size = int(np.prod(shape, dtype=object)) * dtype.itemsize
            if size > info.file_size:
                raise InputError(
                    f"{printable(path)}: {info.filename} claims {size:,} bytes of values and holds "
                    f"{info.file_size:,}."
                )
            members[info.filename.removesuffix(".npy")] = (shape, dtype)
    return members


def _header(file: IO[bytes], where: str) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(file)
    reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = reader(file)
    if dtype.hasobject:
        raise InputError(
            f"{where} holds pickled Python objects, which could run code: they are never loaded."
        )
    return shape, dtype


def _load_npy(path: Path, max_bytes: int) -> NDArray[Any]:
    with path.open("rb") as file:
        shape, dtype = _header(file, printable(path))
        size, held = int(np.prod(shape, dtype=object)) * dtype.itemsize, path.stat().st_size - file.tell()
    if size > held:
        raise InputError(f"{printable(path)} claims {size:,} bytes of values and holds {held:,}.")
    if size > max_bytes:
        raise InputError(
            f"{printable(path)} holds {size:,} bytes, over the limit of {max_bytes:,} (max_bytes)."
        )
    return cast(NDArray[Any], np.load(path, allow_pickle=False))


def _decoded(sample: Sample) -> NDArray[np.uint8]:
    if not isinstance(sample.image, Path):
        return sample.image
    from visus.image.io import read as read_picture

    return read_picture(sample.image)
