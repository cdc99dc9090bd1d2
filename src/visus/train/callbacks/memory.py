"""What a callback remembers, in a form that fits into a checkpoint's JSON record."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import keras

from visus.structures import InputError


class Remembering(keras.callbacks.Callback):  # type: ignore[misc]
    """A callback whose memory can be saved and restored, so that training resumes exactly.

    A new training begins with the fields of `memory` as they stand in the class; a restored one keeps what it
    was given.
    """

    memory: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        super().__init__()
        self._restored = False
        self._forget()

    def _forget(self) -> None:
        for name, value in self.memory.items():
            setattr(self, name, copy.copy(value))

    def state(self) -> dict[str, Any]:
        """What it remembers, JSON-ready."""
        return {name: copy.copy(getattr(self, name)) for name in self.memory}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a remembered state, at the next `fit`.

        Raises:
            InputError: The state belongs to another kind of callback.
        """
        if set(state) != set(self.memory):
            raise InputError(
                f"{type(self).__name__} remembers {', '.join(self.memory)}. Received {', '.join(state)}: the "
                "checkpoint was written with other callbacks. Resume with the same ones."
            )
        for name, value in state.items():
            setattr(self, name, copy.copy(value))
        self._restored = True

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        if not self._restored:
            self._forget()
        self._restored = False


def states(callbacks: Iterable[Any]) -> dict[str, dict[str, Any]]:
    """The states of all callbacks that have one, by class name; a second one of a class is `Name:2`.

    Example:
        >>> states([EarlyStopping("val_loss")])["EarlyStopping"]["wait"]  # doctest: +SKIP
        0
    """
    return {name: callback.state() for name, callback in _named(callbacks)}


def restore_states(callbacks: Iterable[Any], remembered: dict[str, dict[str, Any]]) -> None:
    """Gives every callback back what `states` took; callbacks without a record begin anew."""
    for name, callback in _named(callbacks):
        if name in remembered:
            callback.restore(remembered[name])


def _named(callbacks: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    counts: dict[str, int] = {}
    for callback in callbacks:
        if hasattr(callback, "state") and hasattr(callback, "restore"):
            name = type(callback).__name__
            counts[name] = counts.get(name, 0) + 1
            yield name if counts[name] == 1 else f"{name}:{counts[name]}", callback
