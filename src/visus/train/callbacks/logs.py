"""Records of a training for other programs: CSV, JSON lines, the loss of every batch, memory."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
import warnings
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import keras

from visus.train.callbacks.memory import Remembering


class EpochLog(keras.callbacks.Callback):  # type: ignore[misc]
    """A file with one row for each epoch, complete after every epoch.

    The file is replaced as a whole (written beside it, then renamed), so there is never half a row. A resumed
    training drops the rows of the epochs it repeats, with all that follow them.

    Args:
        path: The file.
        phase: Name of the part of training; it becomes a column, and rows of earlier phases stay.
        append: Keep every row that is there already.
    """

    def __init__(self, path: str | Path, *, phase: str | None = None, append: bool = False) -> None:
        super().__init__()
        self.path, self.phase, self.append = Path(path), phase, append
        self._rows: list[dict[str, Any]] | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        self._rows = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        if self._rows is None:
            self._rows = self._earlier(epoch + 1)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        rows = self._rows if self._rows is not None else []
        phase = {} if self.phase is None else {"phase": self.phase}
        rows.append({**phase, "epoch": epoch + 1, **{k: float(v) for k, v in (logs or {}).items()}})
        with never_fatal(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            partial = self.path.with_name(f".{self.path.name}.tmp")
            partial.write_text(self._text(rows), "utf-8", newline="")
            partial.replace(self.path)

    def _earlier(self, first: int) -> list[dict[str, Any]]:
        try:
            rows = self._parse(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return []
        if self.append:
            return rows
        for i, row in enumerate(rows):
            if row.get("phase") == self.phase and int(row.get("epoch", 0)) >= first:
                return rows[:i]
        return rows

    @abstractmethod
    def _parse(self, text: str) -> list[dict[str, Any]]: ...

    @abstractmethod
    def _text(self, rows: list[dict[str, Any]]) -> str: ...


class CSVLog(EpochLog):
    """`epoch` (from 1) and every figure of the logs, as comma-separated values.

    Unlike Keras' `CSVLogger` a figure that first appears in a later epoch gets its column, too.

    Example:
        >>> model.fit(..., callbacks=[CSVLog("run/metrics.csv")])  # doctest: +SKIP
    """

    def _parse(self, text: str) -> list[dict[str, Any]]:
        rows = csv.DictReader(io.StringIO(text, newline=""))
        return [{k: v for k, v in row.items() if v not in ("", None)} for row in rows]

    def _text(self, rows: list[dict[str, Any]]) -> str:
        columns = list(dict.fromkeys(name for row in rows for name in row))
        out = io.StringIO(newline="")
        writer = csv.DictWriter(out, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return out.getvalue()


class JSONLinesLog(EpochLog):
    """`epoch` (from 1) and every figure of the logs, one JSON object a line; NaN and infinities become null.

    Example:
        >>> model.fit(..., callbacks=[JSONLinesLog("run/metrics.jsonl")])  # doctest: +SKIP
    """

    def _parse(self, text: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in text.splitlines()]

    def _text(self, rows: list[dict[str, Any]]) -> str:
        finite = (
            {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
            for row in rows
        )
        return "".join(json.dumps(row) + "\n" for row in finite)


class BatchLosses(Remembering):
    """The loss after every batch.

    Keras reports the mean since the epoch began, weighted by batch size.

    Attributes:
        running: That mean, after every batch of every epoch.
        epochs: The epoch (from 0) of every entry.

    Example:
        >>> losses = BatchLosses()  # doctest: +SKIP
        >>> model.fit(x, y, callbacks=[losses])  # doctest: +SKIP
        >>> losses.each()[:2]  # doctest: +SKIP
        [2.31, 2.17]
    """

    memory: ClassVar[dict[str, Any]] = {"running": [], "epochs": []}
    running: list[float]
    epochs: list[int]
    _epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        self.running.append(float((logs or {}).get("loss", math.nan)))
        self.epochs.append(self._epoch)

    def each(self) -> list[float]:
        """The loss of each batch alone, taken out of the means as if all batches were of one size."""
        losses: list[float] = []
        count = 0
        for i, (mean, epoch) in enumerate(zip(self.running, self.epochs)):
            count = count + 1 if i and epoch == self.epochs[i - 1] else 1
            losses.append(count * mean - (count - 1) * self.running[i - 1] if count > 1 else mean)
        return losses


class MemoryReport(keras.callbacks.Callback):  # type: ignore[misc]
    """Adds `peak_memory_mb` to the logs of every epoch: the most memory the process has held so far.

    Place it before the callbacks that write the logs. Windows does not tell; there it adds nothing.

    Example:
        >>> model.fit(..., callbacks=[MemoryReport(), CSVLog("metrics.csv")])  # doctest: +SKIP
    """

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        peak = peak_memory()
        if peak is not None and logs is not None:
            logs["peak_memory_mb"] = peak / 2**20


def peak_memory() -> int | None:
    """The most memory this process has held, in bytes, or None where the system does not tell."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@contextmanager
def never_fatal(what: Any) -> Iterator[None]:
    """A full disk must not end a training: what cannot be written becomes a warning."""
    try:
        yield
    except OSError as error:
        warnings.warn(f"Could not write {what} ({error}). Training goes on without it.", stacklevel=3)
