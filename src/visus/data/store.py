"""Decoded pictures, kept in memory or in one memory-mapped file, so that every epoch after the first skips decoding.

What is kept is the picture *before* any random augmentation: freezing one random version of each picture is the
classic mistake of caching, and cannot be made here.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visus.data.dataset import Dataset
from visus.image.color import rgb_to_gray
from visus.image.io import ImageError, read
from visus.image.resize import resize
from visus.structures import Sample


def decode(sample: Sample, channels: int = 3, at_least: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """The picture of a sample.

    Args:
        sample: Its image may be a path or an array.
        channels: 3 for RGB, 1 for gray.
        at_least: `(height, width)` that is enough: a JPEG file may then be decoded at a reduced scale, which is
            several times faster.

    Returns:
        uint8 `(height, width, 3)` RGB, or `(height, width)` gray.

    Raises:
        ImageError: The file cannot be read.
    """
    if isinstance(sample.image, Path):
        return read(sample.image, channels=channels, at_least=at_least)
    picture = sample.image
    if picture.ndim == 3 and picture.shape[2] == 1:
        picture = picture[..., 0]
    if channels == 3 and picture.ndim == 2:
        return np.repeat(picture[..., None], 3, axis=2)
    if channels == 1 and picture.ndim == 3:
        return rgb_to_gray(picture)
    return picture


def shrink(picture: NDArray[np.uint8], shorter_side: int) -> NDArray[np.uint8]:
    """The picture with its shorter side reduced to `shorter_side` (area filter), or itself if it is small enough."""
    height, width = picture.shape[:2]
    scale = shorter_side / min(height, width)
    if scale >= 1:
        return picture
    return resize(picture, (max(1, round(height * scale)), max(1, round(width * scale))))


@dataclass(frozen=True, eq=False)
class PictureStore(Sequence[NDArray[np.uint8]]):
    """The decoded pictures of a data set, by position; made by `PictureStore.build`.

    Attributes:
        dataset: The samples that could be read, in their order.
        problems: Source -> reason, for those that could not.
    """

    dataset: Dataset
    problems: dict[str, str]
    _pictures: Sequence[NDArray[np.uint8]] = field(repr=False)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: Any) -> Any:
        return self._pictures[index]

    @property
    def nbytes(self) -> int:
        """Bytes of all pictures together."""
        return sum(p.nbytes for p in self._pictures)

    @classmethod
    def build(
        cls,
        dataset: Dataset,
        *,
        channels: int = 3,
        shorter_side: int | None = None,
        folder: Path | None = None,
        workers: int | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> PictureStore:
        """Decodes every picture once.

        Args:
            dataset: What to read.
            channels: 3 for RGB, 1 for gray.
            shorter_side: Larger pictures are kept with their shorter side reduced to this, see `shrink`.
            folder: None keeps the pictures in memory. Otherwise they go to one file in this folder, keyed by the
                data set's fingerprint and these arguments; a finished file is used again, a stale one is not.
            workers: Threads; by default one for each core.
            progress: Called with the number of pictures done.

        Returns:
            The store. A picture that cannot be read is left out and named in `problems`.
        """

        def one(sample: Sample) -> NDArray[np.uint8] | str:
            try:
                if shorter_side is None:
                    return decode(sample, channels)
                return shrink(decode(sample, channels, (shorter_side, shorter_side)), shorter_side)
            except (ImageError, OSError) as error:
                return str(error)

        def decoded() -> Iterator[NDArray[np.uint8] | str]:
            with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
                # In blocks, so that memory stays bounded however far the disk lags behind.
                for start in range(0, len(dataset), 256):
                    for i, result in enumerate(
                        pool.map(one, dataset.samples[start : start + 256]), start + 1
                    ):
                        if progress is not None:
                            progress(i)
                        yield result

        if folder is not None:
            key = hashlib.sha256(f"{dataset.fingerprint()} {channels} {shorter_side}".encode()).hexdigest()[
                :16
            ]
            return _on_disk(dataset, Path(folder) / f"pictures-{key}", decoded)
        results = list(decoded())
        good = [i for i, r in enumerate(results) if not isinstance(r, str)]
        problems = {dataset[i].source: r for i, r in enumerate(results) if isinstance(r, str)}
        return cls(dataset.subset(good), problems, [r for r in results if not isinstance(r, str)])


def _on_disk(
    dataset: Dataset, path: Path, decoded: Callable[[], Iterator[NDArray[np.uint8] | str]]
) -> PictureStore:
    index_file, blob_file = path.with_suffix(".json"), path.with_suffix(".raw")
    if not index_file.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = blob_file.with_suffix(".part")
        shapes: list[list[int]] = []
        problems: dict[str, str] = {}
        good: list[int] = []
        with partial.open("wb") as blob:
            for i, result in enumerate(decoded()):
                if isinstance(result, str):
                    problems[dataset[i].source] = result
                else:
                    blob.write(np.ascontiguousarray(result).data)
                    shapes.append(list(result.shape))
                    good.append(i)
            blob.flush()
            os.fsync(blob.fileno())
        partial.replace(blob_file)
        partial = index_file.with_suffix(".part")
        partial.write_text(json.dumps({"shapes": shapes, "good": good, "problems": problems}))
        partial.replace(index_file)  # the index comes last: it says that the pictures are complete
    index = json.loads(index_file.read_text())
    return PictureStore(
        dataset.subset(np.asarray(index["good"], np.int64)),
        index["problems"],
        _Mapped(blob_file, [tuple(shape) for shape in index["shapes"]]),
    )


class _Mapped(Sequence[NDArray[np.uint8]]):
    """Pictures of different sizes that lie one behind the other in a memory-mapped file."""

    def __init__(self, file: Path, shapes: list[tuple[int, ...]]):
        sizes = [math.prod(shape) for shape in shapes]
        self.shapes = shapes
        self.offsets = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        self.blob = np.memmap(file, np.uint8, "r") if sizes and self.offsets[-1] else np.zeros(0, np.uint8)

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < len(self.shapes):
            raise IndexError(index)
        return self.blob[self.offsets[index] : self.offsets[index + 1]].reshape(self.shapes[index])
