"""Lowering the learning rate when a figure stands still."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from visus.train.callbacks.monitor import Mode, Monitor


class ReduceLROnPlateau(Monitor):
    """Multiplies the learning rate by `factor` after `patience` epochs without improvement.

    Decides as Keras' callback does, but NaN is no improvement and the state can be saved. Cannot be used with
    a schedule, which would overwrite the rate.

    Args:
        monitor: Name of the figure in the logs.
        factor: In (0, 1).
        patience: So many epochs without improvement lower the rate, and are counted anew afterwards.
        mode: `min`, `max`, or `auto` by the name.
        min_delta: By how much a value must be better than the best to count.
        cooldown: So many epochs after a reduction do not count.
        min_lr: The rate never falls below it.

    Example:
        >>> model.fit(..., callbacks=[ReduceLROnPlateau(patience=3)])  # doctest: +SKIP
    """

    memory: ClassVar[dict[str, Any]] = {"best": None, "wait": 0, "cooling": 0}
    wait: int
    cooling: int

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        factor: float = 0.1,
        patience: int = 10,
        mode: Mode = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        if not 0 < factor < 1:
            raise ValueError(f"ReduceLROnPlateau needs a factor between 0 and 1. Received {factor}.")
        self.factor, self.patience, self.cooldown, self.min_lr = factor, patience, cooldown, min_lr

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        optimizers = getattr(self.model.optimizer, "optimizers", [self.model.optimizer])
        rates = [float(optimizer.learning_rate) for optimizer in optimizers]
        if logs is not None:
            logs["learning_rate"] = rates[-1]
        value = self.current(logs)
        if value is None:
            return
        if self.cooling:
            self.cooling -= 1
            self.wait = 0
        if self.improves(value, self.best):
            self.best, self.wait = value, 0
        elif not self.cooling:
            self.wait += 1
            if self.wait >= self.patience and max(rates) > np.float32(self.min_lr):
                for optimizer, rate in zip(optimizers, rates):
                    optimizer.learning_rate = max(rate * self.factor, self.min_lr)
                self.cooling, self.wait = self.cooldown, 0
