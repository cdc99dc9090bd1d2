"""Whether a list of callbacks can work."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import keras

from visus.train.callbacks.plateau import ReduceLROnPlateau
from visus.train.schedules import Scheduled


def check_callbacks(callbacks: Iterable[Any]) -> list[keras.callbacks.Callback]:
    """The callbacks as a list, after a look at each of them.

    Raises:
        TypeError: One is a class instead of an object of it, or no callback at all.
        ValueError: Two of them would set the learning rate against each other.

    Example:
        >>> check_callbacks([EarlyStopping])  # doctest: +SKIP
        TypeError: callbacks[0] is the class EarlyStopping. Pass an object: EarlyStopping(...).
    """
    found = list(callbacks)
    for i, callback in enumerate(found):
        if inspect.isclass(callback):
            raise TypeError(
                f"callbacks[{i}] is the class {callback.__name__}. Pass an object: {callback.__name__}(...)."
            )
        if not isinstance(callback, keras.callbacks.Callback):
            raise TypeError(
                f"callbacks[{i}] is no keras.callbacks.Callback. Received {callback!r}; a function becomes "
                "one with keras.callbacks.LambdaCallback(on_epoch_end=function)."
            )
    scheduled = (Scheduled, keras.callbacks.LearningRateScheduler)
    plateau = (ReduceLROnPlateau, keras.callbacks.ReduceLROnPlateau)
    if any(isinstance(c, scheduled) for c in found) and any(isinstance(c, plateau) for c in found):
        raise ValueError(
            "A schedule and ReduceLROnPlateau both set the learning rate, and the schedule would undo every "
            "reduction. Keep one of them."
        )
    return found
