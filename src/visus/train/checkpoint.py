"""The exact state of a training, written so that a killed process never leaves half a file as the newest.

A checkpoint is one uncompressed `.npz` archive (no pickle; every entry with its CRC-32): all variables of the model,
random states included, all variables of the optimiser, moments and moving averages included, and a JSON
record: phase, epoch, and what the callbacks remember.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np

from visus.structures import InputError
from visus.train.callbacks import Remembering, averaged_weights, states

_RECORD = "record"
_NAME = re.compile(r"state-(\d+)\.npz")
_COUNT = re.compile(r"_\d+(?=[/_]|$)")


def variables(model: keras.Model) -> list[Any]:
    """Every variable that the next epoch depends on, in a fixed order, each once.

    Weights, random states of dropout layers, and all of the optimiser; metrics are left out, for an epoch starts by
    resetting them.
    """
    optimizer = getattr(model, "optimizer", None)
    metrics = {id(v) for v in model.metrics_variables}
    found = [*model.variables, *(optimizer.variables if optimizer is not None else [])]
    return list({id(v): v for v in found if id(v) not in metrics}.values())


def named(found: Iterable[Any]) -> list[tuple[str, Any]]:
    """`(name, variable)` pairs whose names do not depend on what else the process has built."""
    # Keras numbers layers by how many the process has made, so `dense_7` may be `dense` in the next process.
    return [(f"{i:05d} {_COUNT.sub('', v.path)}", v) for i, v in enumerate(found)]


def capture(model: keras.Model) -> dict[str, np.ndarray]:
    """Name -> copy of the value, for every variable of `variables(model)`."""
    return {name: np.array(keras.ops.convert_to_numpy(v)) for name, v in named(variables(model))}


def restore(model: keras.Model, state: dict[str, np.ndarray]) -> None:
    """Puts captured values back, bit for bit.

    Raises:
        InputError: The state belongs to another model; nothing is changed then.
    """
    targets = named(variables(model))
    expected = [(name, tuple(v.shape)) for name, v in targets]
    received = [(name, value.shape) for name, value in state.items()]
    if expected != received:
        first = next(
            (pair for pair in zip(expected, received) if pair[0] != pair[1]), (len(expected), len(received))
        )
        raise InputError(
            f"This checkpoint belongs to another model: expected {first[0]}, received {first[1]}. Resume with the "
            "code and the arguments that the run was started with, or start a new run."
        )
    for (_, variable), value in zip(targets, state.values()):
        variable.assign(value)


def save(path: Path, state: dict[str, np.ndarray], record: dict[str, Any]) -> None:
    """Writes a checkpoint: first under a temporary name, then renamed.

    Raises:
        OSError: The disk is full or cannot be written; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.part")
    text = np.frombuffer(json.dumps(record).encode(), np.uint8)
    try:
        with partial.open("wb") as file:
            np.savez(file, **{_RECORD: text, **state})  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def load(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The state and the record of a checkpoint.

    Raises:
        InputError: The file is broken.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            record = json.loads(archive[_RECORD].tobytes())
            return {name: archive[name] for name in archive.files if name != _RECORD}, record
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"The checkpoint {path} is broken ({error}).") from error


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a folder, newest first: by the number in the name, never by the clock."""
    found = [(int(m[1]), p) for p in folder.glob("state-*.npz") if (m := _NAME.fullmatch(p.name))]
    return [path for _, path in sorted(found, reverse=True)]


def latest(
    folder: Path, report: Callable[[str], object] = print
) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """The newest checkpoint that can be read, or None; a broken one is reported and passed over."""
    found = checkpoints(folder)
    for i, path in enumerate(found, 1):
        try:
            return load(path)
        except InputError as error:
            report(
                f"{error} {'Falling back to the one before it.' if i < len(found) else 'Training starts again.'}"
            )
    return None


class Checkpoint(keras.callbacks.Callback):  # type: ignore[misc]
    """Writes the state at the end of each epoch, and keeps the newest two.

    Must stand last in the list of callbacks, so that what the others remember is up to date.

    Args:
        folder: Where `state-000012.npz` goes.
        phase: Name of the phase of training, for the record.
        number: Number of the first checkpoint of this phase; each later one counts up.
        remember: The callbacks that have `state()`; their states go into the record under their class names.
        report: Called with a sentence when a checkpoint cannot be written (a full disk does not end a training).
        keep: How many to keep.
    """

    def __init__(
        self,
        folder: Path,
        phase: str,
        number: int,
        remember: Iterable[Any] = (),
        report: Callable[[str], object] = print,
        keep: int = 2,
    ):
        super().__init__()
        self.folder, self.phase, self.number, self.report, self.keep = folder, phase, number, report, keep
        self.remember = list(remember)

    def write(self, next_epoch: int) -> None:
        """Writes the state as it is now; training would go on with `next_epoch`."""
        record = {
            "number": self.number,
            "phase": self.phase,
            "next_epoch": next_epoch,
            "stopped": bool(getattr(self.model, "stop_training", False)),
            "callbacks": states(self.remember),
        }
        try:
            save(self.folder / f"state-{self.number:06d}.npz", capture(self.model), record)
        except OSError as error:
            self.report(
                f"The checkpoint could not be written ({error}). Training goes on; the one before is kept."
            )
            return
        self.number += 1
        for old in checkpoints(self.folder)[self.keep :]:
            old.unlink(missing_ok=True)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        self.write(epoch + 1)


class KeepBest(Remembering):
    """Keeps the weights of the best epoch in a file, as they were validated: with a moving average, that one.

    Args:
        file: Where the best weights go.
        monitor: A key of the logs, smaller is better; None keeps the weights of the last epoch.
        report: Called with a sentence when the file cannot be written.

    Attributes:
        value: The best value so far, or None.
        epoch: Its epoch, from 0, or None.
    """

    memory: ClassVar[dict[str, Any]] = {"value": None, "epoch": None}
    value: float | None
    epoch: int | None

    def __init__(self, file: Path, monitor: str | None = "val_loss", report: Callable[[str], object] = print):
        super().__init__()
        self.file, self.monitor, self.report = file, monitor, report

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        value = 0.0 if self.monitor is None else float((logs or {}).get(self.monitor, float("nan")))
        if self.monitor is not None and not value < (float("inf") if self.value is None else self.value):
            return
        with averaged_weights(self.model):
            self.keep(epoch, value)

    def begin_with(self, model: keras.Model, value: float) -> None:
        """Makes the weights before the next `fit` a candidate, with the value that they reach, as epoch -1."""
        self.set_model(model)
        self.keep(-1, value)
        self.restore(self.state())  # so that the beginning of training does not forget it

    def keep(self, epoch: int, value: float) -> None:
        """Writes the weights as they are now."""
        weights = {name: np.array(keras.ops.convert_to_numpy(v)) for name, v in named(self.model.weights)}
        try:
            save(self.file, weights, {"epoch": epoch, "value": value})
        except OSError as error:
            self.report(f"The best weights could not be written ({error}). Training goes on.")
            return
        self.value, self.epoch = value, epoch

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a remembered state, as far as the file of the best weights still holds them."""
        super().restore(state)
        if self.epoch is not None and self._best() is None:
            self.value = self.epoch = None

    def _best(self) -> dict[str, np.ndarray] | None:
        try:
            return load(self.file)[0]
        except InputError as error:
            self.report(
                f"{error} The best weights so far are lost; the best of the epochs from here on are kept."
            )
            return None

    def restore_best(self, model: keras.Model) -> None:
        """Gives the model the best weights; without any, it keeps those it has."""
        weights = None if self.epoch is None else self._best()
        if weights is None:
            return
        for variable, value in zip(model.weights, weights.values(), strict=True):
            variable.assign(value)
