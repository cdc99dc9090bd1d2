"""IDX files, as MNIST comes: `train-images-idx3-ubyte[.gz]`, `train-labels-idx1-ubyte[.gz]`, `t10k-...`.

Reference: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits": big-endian magic number
(0, 0, type, dimensions), one 32-bit size per dimension, then the values.
"""

from __future__ import annotations

import gzip
import re
import struct
import tempfile
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from visus.data.dataset import Dataset
from visus.data.formats._labels import check_names, read_names
from visus.data.formats._walk import is_hidden, printable
from visus.data.formats.arrays import from_arrays
from visus.structures import InputError

DESCRIPTION = "MNIST's idx files, also as .gz: train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-..."
SUFFIX = ""

# MNIST takes 47 MB; more than this is refused before memory is asked for.
MAX_BYTES = 4 << 30

_IMAGES = re.compile(r"(?P<prefix>.*?)(?P<split>train|t10k|test|val)?[-_.]?images[-.]idx3[-.]ubyte(\.gz)?")
_NAMES = ("labels.txt", "classes.txt", "names.txt")


def sniff(path: Path) -> bool:
    """Whether it is an idx file of pictures, or a folder with one (by name and the first bytes)."""
    try:
        files = _image_files(path)
        return bool(files) and all(_looks_like_images(file) for file in files)
    except (OSError, ValueError, EOFError, zlib.error):
        return False


def read(
    path: str | Path,
    *,
    class_names: Sequence[str] | None = None,
    name: str | None = None,
    max_bytes: int = MAX_BYTES,
) -> Dataset:
    """Reads idx files of pictures and their labels.

    Args:
        path: A folder with `train-images...` and `t10k-images...` (or `test-`, `val-`), which become the
            splits train, test and val; or one file of pictures, whose labels lie beside it.
        class_names: The classes in order; by default the lines of a `labels.txt` beside the files, else the
            digits.
        name: What the set and its samples are called; by default like the folder.
        max_bytes: Refuse files that unpack to more.

    Returns:
        Samples with uint8 `(height, width)` pictures, views on one array, called `mnist/train#17`.

    Raises:
        InputError: A file is missing, is no idx file, or its header does not fit its content.

    Example:
        >>> read("mnist").split("test").counts()["7"]                                # doctest: +SKIP
        1028
    """
    path = Path(path)
    files = _image_files(path)
    if not files:
        raise InputError(
            f"{printable(path)} holds no idx pictures: expected a file such as train-images-idx3-ubyte.gz."
        )
    folder = path if path.is_dir() else path.parent
    loaded = []
    for file in files:
        labels = file.with_name(file.name.replace("images", "labels").replace("idx3", "idx1"))
        if not labels.is_file():  # one of the two may be packed
            labels = labels.with_name(
                labels.name.removesuffix(".gz") if labels.suffix == ".gz" else labels.name + ".gz"
            )
        if not labels.is_file():
            raise InputError(f"{printable(file)} has no labels beside it: expected {printable(labels.name)}.")
        split = cast(re.Match[str], _IMAGES.fullmatch(file.name))["split"]
        split = "test" if split == "t10k" else split
        loaded.append((split, read_array(file, 3, max_bytes), read_array(labels, 1, max_bytes)))
    names = (
        check_names(class_names)
        if class_names is not None
        else _names(folder, [labels for _, _, labels in loaded])
    )
    name = name or printable(folder.resolve().name)
    parts = [from_arrays(x, y, names, split=split, name=name) for split, x, y in loaded]
    return replace(parts[0], samples=tuple(s for part in parts for s in part), root=folder)


def write(dataset: Dataset, path: str | Path) -> tuple[str, ...]:
    """Writes idx files, one pair per split, and `labels.txt` with the class names.

    Args:
        dataset: Grey pictures of one size with a single label each, at most 256 classes.
        path: A folder that does not exist yet, or is empty.

    Returns:
        What the files cannot hold, as sentences.

    Raises:
        InputError: The folder is not empty, or the samples do not fit.
    """
    target = Path(path)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(
            f"{printable(target)} exists and is not empty. Name a new folder; nothing is overwritten."
        )
    labels = dataset.labels()
    if (labels < 0).any() or dataset.num_classes > 256:
        raise InputError("Idx files hold one label per picture and at most 256 classes.")
    pictures = [_gray(s.image, s.source) for s in dataset]
    if len({p.shape for p in pictures}) != 1:
        raise InputError("Idx files hold pictures of one size. Resize them first, or write class_folders.")
    lost = []
    if any(s.group is not None for s in dataset):
        lost.append("The samples' groups were not written.")
    if any(s.target is not None and s.target.scores is not None for s in dataset):
        lost.append("The annotators' probabilities were not written, only the labels.")
    splits: dict[str, list[int]] = {}
    for i, sample in enumerate(dataset):
        splits.setdefault(sample.split or "", []).append(i)
    if unknown := sorted(set(splits) - {"", "train", "val", "test"}):
        raise InputError(f"Idx files know the splits train, val and test. Received {', '.join(unknown)}.")

    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as temporary:
        staged = Path(temporary) / "data"
        staged.mkdir()
        for split, indices in splits.items():
            prefix = {"": "", "test": "t10k-"}.get(split, f"{split}-")
            _write_array(staged / f"{prefix}images-idx3-ubyte", np.stack([pictures[i] for i in indices]))
            _write_array(staged / f"{prefix}labels-idx1-ubyte", labels[indices].astype(np.uint8))
        (staged / "labels.txt").write_text("\n".join(dataset.class_names) + "\n", encoding="utf-8")
        if target.exists():
            target.rmdir()
        staged.replace(target)
    return tuple(lost)


def read_array(path: Path, dimensions: int, max_bytes: int = MAX_BYTES) -> NDArray[np.uint8]:
    """One idx file of unsigned bytes, unpacked when it is gzip.

    Args:
        path: The file.
        dimensions: 3 for pictures `(N, height, width)`, 1 for labels `(N,)`.
        max_bytes: Refuse more.

    Raises:
        InputError: It is no such file, or holds fewer or more values than its header says.
    """
    where = printable(path)
    try:
        with _opened(path) as file:
            head = file.read(4 + 4 * dimensions)
            if len(head) < 4 + 4 * dimensions or head[:4] != bytes((0, 0, 8, dimensions)):
                raise InputError(
                    f"{where} is no idx file of {'pictures' if dimensions == 3 else 'labels'}: expected the "
                    f"magic number 0x{0x800 + dimensions:08x}, received 0x{head[:4].hex()}."
                )
            shape = struct.unpack(f">{dimensions}I", head[4:])
            size = int(np.prod(shape, dtype=object))
            if size > max_bytes:
                raise InputError(
                    f"{where} claims {shape} values, over the limit of {max_bytes:,} bytes (max_bytes)."
                )
            values = bytearray()
            while len(values) <= size and (block := file.read(min(1 << 22, size + 1 - len(values)))):
                values += block
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise InputError(f"{where} cannot be unpacked: {error}.") from None
    if len(values) != size:
        held = "more" if len(values) > size else f"{len(values):,}"
        raise InputError(f"{where} says it holds {shape} = {size:,} values and holds {held}.")
    return np.frombuffer(bytes(values), np.uint8).reshape(shape)


def _image_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if _IMAGES.fullmatch(path.name) else []
    if not path.is_dir():
        return []
    found = [f for f in path.iterdir() if _IMAGES.fullmatch(f.name) and not is_hidden(f.name) and f.is_file()]
    packed = {f.name for f in found}
    found = [
        f for f in found if f.name.removesuffix(".gz") == f.name or f.name.removesuffix(".gz") not in packed
    ]

    def order(file: Path) -> tuple[int, str]:
        split = cast(re.Match[str], _IMAGES.fullmatch(file.name))["split"]
        return ("train", "val", "test", "t10k", None).index(split), file.name

    found.sort(key=order)
    prefixes = {cast(re.Match[str], _IMAGES.fullmatch(f.name))["prefix"] for f in found}
    if len(prefixes) > 1:
        raise InputError(
            f"{printable(path)} holds several sets ({', '.join(sorted(prefixes))}). Name one file."
        )
    return found


def _opened(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return cast(IO[bytes], gzip.open(path, "rb")) if packed else path.open("rb")


def _looks_like_images(path: Path) -> bool:
    with _opened(path) as file:
        return file.read(4) == bytes((0, 0, 8, 3))


def _names(folder: Path, labels: Sequence[NDArray[np.uint8]]) -> tuple[str, ...]:
    top = max(int(values.max(initial=0)) for values in labels)
    for name in _NAMES:
        if (folder / name).is_file():
            names = read_names(folder / name)
            if len(names) <= top:
                raise InputError(
                    f"{printable(folder / name)} names {len(names)} classes, and a label is {top}."
                )
            return names
    return tuple(str(i) for i in range(top + 1))


def _gray(image: NDArray[np.uint8] | Path, source: str) -> NDArray[np.uint8]:
    if isinstance(image, Path):
        from visus.image.io import read as read_picture

        return read_picture(image, channels=1)
    if image.ndim != 2:
        raise InputError(f"Idx files hold grey pictures, and {source} has the shape {image.shape}.")
    return image


def _write_array(path: Path, values: NDArray[np.uint8]) -> None:
    header = bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape)
    path.write_bytes(header + values.tobytes())
