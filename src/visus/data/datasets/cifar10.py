"""CIFAR-10: 60,000 tiny colour pictures of ten kinds of things."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from visus.data.dataset import Dataset
from visus.data.datasets._download import File
from visus.data.datasets._locate import inside, locate
from visus.data.formats._labels import read_names
from visus.data.formats.arrays import from_arrays
from visus.structures import InputError

DESCRIPTION = "small photos, 32 x 32 RGB, 10 classes, 50,000 train + 10,000 test, 170 MB"
LICENCE = "none stated; free for research with citation"
CITATION = "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009"
HOMEPAGE = "https://www.cs.toronto.edu/~kriz/cifar.html"
LAYOUT = (
    "cifar-10-batches-bin/ with data_batch_1.bin to data_batch_5.bin, test_batch.bin and batches.meta.txt"
)
FILES = (
    File(
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        170_052_171,
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        "as published by TensorFlow Datasets",
    ),
)

RECORD = 1 + 3 * 32 * 32


def load(folder: str | Path | None = None) -> Dataset:
    """CIFAR-10 with its splits train and test; pictures are uint8 `(32, 32, 3)` RGB.

    Raises:
        InputError: It is not here and cannot be downloaded, or a file is no whole number of records.
    """
    found = locate(sys.modules[__name__], folder, ("cifar-10",))
    root = inside(found, "cifar-10-batches-bin")
    if not (root / "batches.meta.txt").is_file():
        raise InputError(f"{root} has no batches.meta.txt. Expected there: {LAYOUT}.")
    names = read_names(root / "batches.meta.txt")
    parts = [
        from_arrays(*_records(sorted(root.glob(pattern))), names, split=split, name="cifar10")
        for split, pattern in (("train", "data_batch_*.bin"), ("test", "test_batch.bin"))
    ]
    return Dataset(tuple(s for part in parts for s in part), names, name="cifar10", root=root)


def _records(files: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Records of one label byte and three planes of 32 x 32: red, green, blue."""
    blocks = []
    for file in files:
        values = np.fromfile(file, np.uint8)
        if values.size % RECORD or not values.size:
            raise InputError(
                f"{file} has {values.size:,} bytes, which is no whole number of {RECORD}-byte records."
            )
        blocks.append(values.reshape(-1, RECORD))
    if not blocks:
        raise InputError(f"There are no records: expected {LAYOUT}.")
    records = np.concatenate(blocks)
    pictures = np.ascontiguousarray(records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    return pictures, records[:, 0].astype(np.int64)
