"""Callbacks that end a training: no progress any more, time is up, the loss is no number."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import keras
import numpy as np

from visus.train.callbacks.averaging import averaged_weights
from visus.train.callbacks.memory import Remembering
from visus.train.callbacks.monitor import Mode, Monitor


class EarlyStopping(Monitor):
    """Stops when a figure has not improved for `patience` epochs, and puts the best weights back.

    Decides as Keras' callback does, but: the best weights are restored by default, whether or not training
    was stopped early; NaN is no improvement, not even in the first epoch; and the state can be saved. Where
    the optimiser averages the weights, the averaged ones are kept.

    Args:
        monitor: Name of the figure in the logs.
        mode: `min`, `max`, or `auto` by the name.
        min_delta: By how much a value must be better than the best to count.
        patience: So many epochs without improvement end the training (never the first epoch).
        baseline: An epoch counts as progress only if it also beats this value.
        start_from_epoch: Epochs before this one (from 0) are not looked at.
        restore_best: Whether the model has the best weights in the end.
        weights_file: Where the best weights wait (`.npz`, written atomically); None keeps them in memory,
            which a resumed training does not have.

    Example:
        >>> model.fit(..., callbacks=[EarlyStopping("val_accuracy", patience=5)])  # doctest: +SKIP
    """

    memory: ClassVar[dict[str, Any]] = {"best": None, "best_epoch": None, "wait": 0, "stopped_epoch": None}
    best_epoch: int | None
    stopped_epoch: int | None
    wait: int

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        mode: Mode = "auto",
        min_delta: float = 0.0,
        patience: int = 0,
        baseline: float | None = None,
        start_from_epoch: int = 0,
        restore_best: bool = True,
        weights_file: str | Path | None = None,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience, self.baseline, self.start_from_epoch = patience, baseline, start_from_epoch
        self.restore_best = restore_best
        self.weights_file = Path(weights_file) if weights_file is not None else None
        self._weights: list[np.ndarray] | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        if not self._restored:
            self._weights = None
        super().on_train_begin(logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        value = self.current(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        if self.improves(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best:
                self._keep()
            if self.baseline is None or self.improves(value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        if not self.restore_best or self.best_epoch is None:
            return
        weights = self._kept()
        if weights is None:
            warnings.warn(
                f"The best weights, of epoch {self.best_epoch + 1}, were lost when the training was "
                "interrupted; the last ones are kept. Give EarlyStopping a weights_file to keep them.",
                stacklevel=2,
            )
        else:
            self.model.set_weights(weights)

    def _keep(self) -> None:
        with averaged_weights(self.model):
            weights = self.model.get_weights()
        if self.weights_file is None:
            self._weights = weights
            return
        partial = self.weights_file.with_name(f".{self.weights_file.name}.tmp")
        with partial.open("wb") as file:
            np.savez(file, *weights)
        partial.replace(self.weights_file)

    def _kept(self) -> list[np.ndarray] | None:
        if self.weights_file is None:
            return self._weights
        with np.load(self.weights_file, allow_pickle=False) as archive:
            return [archive[name] for name in archive.files]


class TimeBudget(Remembering):
    """Stops when the time is over; the time before an interruption counts.

    Args:
        seconds: How long training may take.
        at: Whether to stop at the end of an `epoch`, after its validation, or of a `batch`.
        clock: Where the time comes from, in seconds.

    Example:
        >>> model.fit(..., callbacks=[TimeBudget(600)])  # doctest: +SKIP
    """

    memory: ClassVar[dict[str, Any]] = {"used": 0.0}
    used: float

    def __init__(
        self,
        seconds: float,
        *,
        at: Literal["epoch", "batch"] = "epoch",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        if at not in ("epoch", "batch"):
            raise ValueError(f"TimeBudget stops at an 'epoch' or a 'batch'. Received at={at!r}.")
        self.seconds, self.at, self.clock = seconds, at, clock
        self._since = 0.0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        super().on_train_begin(logs)
        self._since = self.clock()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        if self.at == "batch":
            self._look()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        self._look()

    def _look(self) -> None:
        now = self.clock()
        self.used, self._since = self.used + now - self._since, now
        if self.used >= self.seconds:
            self.model.stop_training = True


class StopOnNaN(keras.callbacks.Callback):  # type: ignore[misc]
    """Stops at the first batch after which the loss is NaN or infinite, and says which pictures it held.

    Keras' `TerminateOnNaN` prints to stdout and knows only the number of the batch. An update that has been
    made cannot be taken back here: let `EarlyStopping` restore the best weights, or skip such updates by
    wrapping the optimiser in `keras.optimizers.LossScaleOptimizer`.

    Args:
        batch_ids: Called with `(epoch, batch)`, both from 0; returns the names of the batch's samples.
        error: Raise `FloatingPointError` instead of stopping quietly with a warning.

    Attributes:
        reason: The sentence that was said, or None.
    """

    def __init__(
        self, batch_ids: Callable[[int, int], Sequence[str]] | None = None, *, error: bool = False
    ) -> None:
        super().__init__()
        self.batch_ids, self.error = batch_ids, error
        self.reason: str | None = None
        self._epoch = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        self.reason = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss) or self.reason is not None:
            return
        names = ", ".join(self.batch_ids(self._epoch, batch)) if self.batch_ids else ""
        self.reason = (
            f"The loss is {loss} after step {int(self.model.optimizer.iterations)} (epoch {self._epoch + 1}, "
            f"batch {batch + 1}{f', with {names}' if names else ''}). Lower the learning rate, clip the "
            "gradients, or look at these pictures and labels."
        )
        if self.error:
            raise FloatingPointError(self.reason)
        warnings.warn(self.reason, stacklevel=2)
        self.model.stop_training = True
