"""Where the training stands, for people: on stderr, never on stdout."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO

import keras
from rich.console import Console
from rich.text import Text


class Progress(keras.callbacks.Callback):  # type: ignore[misc]
    """One line for each finished epoch, and on a terminal a line that moves meanwhile.

    The moving line has epoch, step, loss and metrics so far, and the time left of the epoch and of the
    training.

    Args:
        title: What is going on, such as the phase.
        epochs: How many there will be; by default what `fit` says.
        stream: Where to write; by default whatever `sys.stderr` is at that time.
        clock: Where the time comes from, in seconds.

    Example:
        >>> model.fit(..., verbose=0, callbacks=[Progress("head")])  # doctest: +SKIP
        head  1/40  loss 0.9121  accuracy 0.7011  val_loss 0.6013  val_accuracy 0.8102  4 s, 2 min left
    """

    def __init__(
        self,
        title: str = "",
        epochs: int | None = None,
        *,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.title, self.epochs, self.clock = title, epochs, clock
        self._line = _Line(stream, clock)
        self._epoch, self._done, self._finished = 0, 0, False
        self._begin = self._first_step = self._last_step = 0.0
        self._after_steps = 0.0  # seconds of an epoch that are not its steps: validation, checkpoints

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        self._epoch, self._done, self._finished = epoch, 0, False
        self._begin = self._first_step = self._last_step = self.clock()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        now, self._done = self.clock(), batch + 1
        if self._done == 1:
            self._first_step = now
        self._last_step = now
        steps = self.params.get("steps")
        if steps:
            self._line.draw(
                self._done / steps, f"{self._head()}  step {self._done}/{steps}", self._tail(logs)
            )
        else:
            self._line.draw(None, f"{self._head()}  step {self._done}", self._tail(logs))

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        if self.params.get("epochs"):
            self._line.draw(None, f"{self._head()}  validating", "")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        now = self.clock()
        self._after_steps, self._finished = now - self._last_step, True
        left = self.seconds_left()
        note = f", {duration(left[1])} left" if left and epoch + 1 < self._total() else ""
        self._line.say(f"{self._head()}  {figures(logs)}  {duration(now - self._begin)}{note}")

    def seconds_left(self) -> tuple[float, float] | None:
        """Of the running epoch and of the training, or None while nothing is known."""
        steps = self.params.get("steps")
        if not steps or self._done < 2:  # the first step compiles
            return None
        each = (self._last_step - self._first_step) / (self._done - 1)
        whole = steps * each + self._after_steps
        epoch = 0.0 if self._finished else (steps - self._done) * each + self._after_steps
        return epoch, epoch + max(0, self._total() - self._epoch - 1) * whole

    @staticmethod
    @contextmanager
    def bar(title: str, total: int, *, stream: TextIO | None = None) -> Iterator[Callable[[int], None]]:
        """The same for any other job.

        Args:
            title: What is going on.
            total: How many things there are to do.
            stream: Where to write; by default `sys.stderr`.

        Yields:
            A function to be called with the number of things done so far.

        Example:
            >>> with Progress.bar("reading", 1000) as done:  # doctest: +SKIP
            ...     done(500)
        """
        line, begin = _Line(stream, time.monotonic), time.monotonic()

        def done(count: int) -> None:
            passed = time.monotonic() - begin
            left = f"{duration(passed / count * (total - count))} left" if count else ""
            line.draw(count / max(total, 1), f"{title}  {count:,}/{total:,}", left)

        try:
            yield done
        finally:
            line.clear()
        line.say(f"{title}: {total:,} in {duration(time.monotonic() - begin)}")

    def _total(self) -> int:
        return self.epochs or self.params.get("epochs") or self._epoch + 1

    def _head(self) -> str:
        number = f"{self._epoch + 1:{len(str(self._total()))}}/{self._total()}"
        return f"{self.title}  {number}" if self.title else number

    def _tail(self, logs: Mapping[str, Any] | None) -> str:
        left = self.seconds_left()
        times = f"epoch {duration(left[0])}, all {duration(left[1])} left  " if left else ""
        return f"{times}{figures(logs)}"


class PrintEvery(keras.callbacks.Callback):  # type: ignore[misc]
    """A line every `every` epochs, and for the last one.

    Example:
        >>> model.fit(..., verbose=0, callbacks=[PrintEvery(10)])  # doctest: +SKIP
        Epoch   10: loss 0.2519  accuracy 0.9243
    """

    def __init__(self, every: int, *, stream: TextIO | None = None) -> None:
        super().__init__()
        if every < 1:
            raise ValueError(f"PrintEvery counts epochs: every is at least 1. Received {every}.")
        self.every, self.stream = every, stream
        self._unsaid = ""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        self._unsaid = f"Epoch {epoch + 1:4d}: {figures(logs)}\n"
        if (epoch + 1) % self.every == 0:
            self._say()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        self._say()

    def _say(self) -> None:
        (self.stream or sys.stderr).write(self._unsaid)
        self._unsaid = ""


def figures(logs: Mapping[str, Any] | None) -> str:
    """The logs as people read them: the loss first, then what is like it in validation.

    Example:
        >>> figures({"accuracy": 0.5, "loss": 0.123456, "learning_rate": 0.00001})
        'loss 0.1235  accuracy 0.5000  learning_rate 1e-05'
    """

    def rank(name: str) -> int:
        if name.startswith(("learning_rate", "peak_memory")):
            return 4
        return 2 * name.startswith("val_") + (name.removeprefix("val_") != "loss")

    def said(value: float) -> str:
        return f"{value:.4f}" if abs(value) >= 1e-3 or not value else f"{value:.4g}"

    return "  ".join(f"{name} {said((logs or {})[name])}" for name in sorted(logs or {}, key=rank))


def duration(seconds: float) -> str:
    """Seconds as people say them.

    Example:
        >>> duration(0.42), duration(42), duration(200), duration(8000)
        ('0.4 s', '42 s', '3 min', '2 h 13 min')
    """
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f} s"
    if seconds < 119.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


class _Line:
    """A line that is drawn over itself, where there is a terminal, and ordinary lines below each other."""

    def __init__(self, stream: TextIO | None, clock: Callable[[], float]) -> None:
        self._console = Console(file=stream, stderr=stream is None, highlight=False, soft_wrap=True)
        self._clock, self._drawn = clock, -1.0

    def draw(self, share: float | None, before: str, after: str, width: int = 16) -> None:
        if not self._console.is_terminal or self._clock() - self._drawn < 0.1:
            return
        self._drawn = self._clock()
        text = Text(f"{before}  ")
        if share is not None:
            full = round(width * min(share, 1.0))
            text.append("━" * full, "green").append("━" * (width - full), "bright_black").append("  ")
        text.append(after)
        text.truncate(self._console.width - 1, overflow="ellipsis")
        self.clear()
        self._console.print(text, end="\r")

    def say(self, line: str) -> None:
        self.clear()
        self._console.print(line, markup=False)

    def clear(self) -> None:
        if self._console.is_terminal:
            self._console.print(" " * (self._console.width - 1), end="\r")
