"""TensorBoard event files, written without the `tensorboard` package.

An event file is a sequence of records (`visus.data.records`), each of them an `Event` protocol buffer. The
few messages that are needed are encoded here by hand, after event.proto and summary.proto of TensorBoard.
To view: `tensorboard --logdir DIR`, then open http://localhost:6006.
"""

from __future__ import annotations

import io
import os
import re
import socket
import struct
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from visus.data.records import frame

_PREFIX = "events.out.tfevents"
_FLOAT32, _FLOAT64, _STRING = 1, 2, 7  # DataType of a TensorProto
_TENSOR, _BLOBS = 2, 3  # DataClass of a summary


class EventWriter:
    """Appends events to a new file in a run's folder.

    Every event is handed to the operating system before its method returns, so that a killed process leaves
    only whole events behind. Steps may count epochs, batches or anything else, but one kind within a folder:
    a resumed run takes back what came after its `purge_step`, whatever the tag.

    Args:
        folder: The run's folder; runs side by side under one folder become curves in one chart.
        purge_step: The step at which a resumed run begins: TensorBoard drops what older files of the folder
            say of this step and later ones. None for a new run, or to add to an old one.

    Example:
        >>> with EventWriter("runs/flowers/tensorboard/train") as events:  # doctest: +SKIP
        ...     events.scalar("loss", 0.25, step=1)
    """

    def __init__(self, folder: str | Path, *, purge_step: int | None = None) -> None:
        self.path, first = _new_path(Path(folder))
        self._file = self.path.open("xb")
        self._write(0, _bytes(3, b"brain.Event:2"))
        # A SessionLog "START" after another one means a restart at its step: so the first file needs one, too.
        if first or purge_step is not None:
            self._write(purge_step or 0, _bytes(7, _int(1, 1)))

    def scalar(self, tag: str, value: float, step: int) -> None:
        """One point of a curve."""
        self.scalars({tag: value}, step)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """One point of several curves, by tag."""
        self._summary(step, *(_bytes(1, tag.encode()) + _float(2, float(v)) for tag, v in values.items()))

    def images(self, tag: str, images: Any, step: int, *, max_images: int = 3) -> None:
        """Pictures, side by side under one tag.

        Args:
            tag: Name of the strip.
            images: uint8 0..255 or float 0..1, `(N, h, w, 1|3|4)` or one picture `(h, w)`, `(h, w, 1|3|4)`.
            step: Position on the slider.
            max_images: How many of the first ones are written.

        Raises:
            ValueError: The shape or the range of values is another one.
        """
        batch = _as_uint8(np.asarray(images))[:max_images]
        height, width = batch.shape[1:3]
        strings = [str(width).encode(), str(height).encode(), *map(_png, batch)]
        self._tensor(tag, step, "images", _string_tensor(strings), _BLOBS)

    def histogram(self, tag: str, values: Any, step: int, *, bins: int = 30) -> None:
        """The distribution of an array's values; NaN and infinities are left out.

        Args:
            tag: Name, for instance a variable's path.
            values: Any array of numbers.
            step: Position in the stack of distributions.
            bins: Number of equal intervals between the smallest and the largest value.
        """
        values = np.asarray(values, np.float64).ravel()
        counts, edges = np.histogram(values[np.isfinite(values)], bins)
        rows = np.stack([edges[:-1], edges[1:], counts], axis=1)
        self._tensor(tag, step, "histograms", _tensor_of(rows, _FLOAT64), _TENSOR)

    def text(self, tag: str, markdown: str, step: int = 0) -> None:
        """A text in Markdown."""
        self._tensor(tag, step, "text", _string_tensor([markdown.encode()]), _TENSOR)

    def pr_curve(self, tag: str, truth: Any, scores: Any, step: int, *, thresholds: int = 127) -> None:
        """Precision and recall of a binary decision at evenly spaced thresholds.

        Args:
            tag: Name, for instance a class.
            truth: `(N,)` of 0 and 1.
            scores: `(N,)`, probabilities 0..1 of being 1; a sample is called positive from its threshold on.
            step: Position on the slider.
            thresholds: How many, from 0 to 1 inclusive.
        """
        truth = np.asarray(truth).astype(bool)
        limits = np.linspace(0.0, 1.0, thresholds)
        positives = np.sort(np.asarray(scores, np.float64)[truth])
        negatives = np.sort(np.asarray(scores, np.float64)[~truth])
        fn, tn = np.searchsorted(positives, limits), np.searchsorted(negatives, limits)
        tp, fp = len(positives) - fn, len(negatives) - tn
        precision, recall = tp / np.maximum(tp + fp, 1), tp / max(len(positives), 1)
        table = _tensor_of(np.stack([tp, fp, tn, fn, precision, recall]), _FLOAT32)
        self._tensor(tag, step, "pr_curves", table, _TENSOR, content=_int(2, thresholds))

    def hparams(self, values: Mapping[str, bool | float | str], *, group: str = "") -> None:
        """The settings of this run, for the table of runs (HParams).

        Args:
            values: By name: numbers, booleans or strings; anything else is written as its `str`.
            group: Runs of one group are repetitions of one setting.
        """
        entries = (_bytes(1, _bytes(1, k.encode()) + _bytes(2, _value(v))) for k, v in values.items())
        start = b"".join(entries) + _bytes(4, group.encode()) + _double(5, time.time())
        self._hparams("session_start_info", _bytes(3, start))

    def finished(self, success: bool = True) -> None:
        """Marks the run of `hparams` as finished."""
        self._hparams("session_end_info", _bytes(4, _int(1, 1 if success else 2) + _double(2, time.time())))

    def graph(self, nodes: Iterable[tuple[str, str, Sequence[str]]]) -> None:
        """A graph.

        Args:
            nodes: `(name, kind, names of its inputs)` of each node; a name `a/b` lies in the box `a`.
        """
        encoded = (
            _bytes(1, _bytes(1, name.encode()) + _bytes(2, kind.encode()) + _strings(3, inputs))
            for name, kind, inputs in nodes
        )
        self._write(0, _bytes(4, b"".join(encoded)))

    def close(self) -> None:
        """Closes the file; closing twice does no harm."""
        self._file.close()

    def __enter__(self) -> EventWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _hparams(self, name: str, data: bytes) -> None:
        tag = f"_hparams_/{name}"
        self._tensor(tag, 0, "hparams", _tensor_of(np.zeros(0), _FLOAT32), _TENSOR, content=data)

    def _tensor(
        self, tag: str, step: int, plugin: str, tensor: bytes, data_class: int, content: bytes = b""
    ) -> None:
        metadata = _bytes(1, _bytes(1, plugin.encode()) + _bytes(2, content)) + _int(4, data_class)
        self._summary(step, _bytes(1, tag.encode()) + _bytes(9, metadata) + _bytes(8, tensor))

    def _summary(self, step: int, *values: bytes) -> None:
        self._write(step, _bytes(5, b"".join(_bytes(1, value) for value in values)))

    def _write(self, step: int, what: bytes) -> None:
        self._file.write(frame(_double(1, time.time()) + _int(2, step) + what))
        self._file.flush()


def _new_path(folder: Path) -> tuple[Path, bool]:
    """A name that sorts after those already there, as TensorBoard reads them; and whether there are none."""
    folder.mkdir(parents=True, exist_ok=True)
    times = [int(m[1]) for path in folder.glob(f"{_PREFIX}.*") if (m := re.match(r"(\d+)", path.name[20:]))]
    now = max([int(time.time()), *(t + 1 for t in times)])
    return folder / f"{_PREFIX}.{now:010d}.{socket.gethostname()}.{os.getpid()}", not times


def _as_uint8(images: np.ndarray) -> np.ndarray:
    """`(N, h, w, c)` uint8."""
    if images.ndim == 2:
        images = images[..., None]
    if images.ndim == 3:
        images = images[None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3, 4) or 0 in images.shape:
        raise ValueError(
            f"Pictures have the shape (N, h, w, 1|3|4), (h, w, 1|3|4) or (h, w). Received {images.shape}."
        )
    if images.dtype == np.uint8:
        return images
    if not np.issubdtype(images.dtype, np.floating) or not (images.min() >= 0 and images.max() <= 1):
        raise ValueError(
            f"Pictures are uint8 0..255 or floats 0..1. Received {images.dtype} of {images.min()}.."
            f"{images.max()}. Convert them first; nothing is rescaled silently."
        )
    return np.round(images * 255).astype(np.uint8)


def _png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, "PNG")
    return buffer.getvalue()


# Protocol buffers: a field is its number and wire type, then its value.


def _varint(value: int) -> bytes:
    out = bytearray()
    value &= (1 << 64) - 1
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _int(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(int(value))


def _double(number: int, value: float) -> bytes:
    return _varint(number << 3 | 1) + struct.pack("<d", value)


def _float(number: int, value: float) -> bytes:
    return _varint(number << 3 | 5) + np.float32(value).tobytes()


def _bytes(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _strings(number: int, values: Iterable[str]) -> bytes:
    return b"".join(_bytes(number, value.encode()) for value in values)


def _shape(shape: Iterable[int]) -> bytes:
    return _bytes(2, b"".join(_bytes(2, _int(1, size)) for size in shape))


def _tensor_of(array: np.ndarray, dtype: int) -> bytes:
    raw = np.ascontiguousarray(array, "<f4" if dtype == _FLOAT32 else "<f8").tobytes()
    return _int(1, dtype) + _shape(array.shape) + _bytes(4, raw)


def _string_tensor(strings: list[bytes]) -> bytes:
    return _int(1, _STRING) + _shape([len(strings)]) + b"".join(_bytes(8, s) for s in strings)


def _value(value: bool | float | str) -> bytes:
    """google.protobuf.Value."""
    if isinstance(value, bool):
        return _int(4, value)
    if isinstance(value, int | float | np.number):
        return _double(2, float(value))
    return _bytes(3, str(value).encode())
