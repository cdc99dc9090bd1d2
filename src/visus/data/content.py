"""Which files are the same, whatever they are called."""

from __future__ import annotations

import contextlib
import hashlib
import os
import zlib
from pathlib import Path

from visus.data.dataset import Dataset
from visus.structures import Sample

_PIECE = 32 << 10


def content(sample: Sample) -> str:
    """What tells a file from another of its name: its size, and a checksum of its beginning and end; empty for none.

    At most 64 KiB are read. The file's time is not looked at: a copy is the same picture.
    """
    if not isinstance(sample.image, Path):
        return ""
    try:
        with sample.image.open("rb") as file:
            begin = file.read(_PIECE)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(len(begin), size - _PIECE))
            return f"{size}-{zlib.crc32(file.read(_PIECE), zlib.crc32(begin)):08x}"
    except OSError:
        return ""


def copies(dataset: Dataset) -> list[tuple[int, ...]]:
    """Positions of samples whose files are equal byte for byte, two or more in a group.

    Only files of equal size are read. Pictures that look alike without being equal are found by `visus check`.
    """
    from visus.data.survey.duplicates import equal_groups

    sizes: dict[int, list[tuple[int, Path]]] = {}
    for i, sample in enumerate(dataset):
        if isinstance(sample.image, Path):
            with contextlib.suppress(OSError):  # whoever reads the picture will say so
                sizes.setdefault(sample.image.stat().st_size, []).append((i, sample.image))
    positions, digests = [], []
    for i, path in (each for size, alike in sizes.items() if size and len(alike) > 1 for each in alike):
        with contextlib.suppress(OSError), path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
            positions.append(i)
    return [tuple(positions[i] for i in group) for group in equal_groups(digests)]
