"""Learning-rate schedules: frozen values that map a step to a rate.

A step is an update of the weights, counted from 0. A schedule is called with the step and returns the rate as
a float; `Scheduled` sets it before every batch, `as_keras` puts the same values into the optimiser's graph.
Because the optimiser counts the steps and is saved with them, a resumed training goes on where it stopped.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import keras
import numpy as np

from visus.structures import InputError


@dataclass(frozen=True)
class Schedule(ABC):
    """A learning rate for every step."""

    @abstractmethod
    def __call__(self, step: int) -> float:
        """The learning rate of the update number `step` (from 0)."""

    def to_dict(self) -> dict[str, Any]:
        """The schedule as JSON-ready values; `from_dict` undoes it."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        plain = {k: v.to_dict() if isinstance(v, Schedule) else v for k, v in values.items()}
        return {"schedule": type(self).__name__, **plain}


@dataclass(frozen=True)
class Constant(Schedule):
    """Always the same rate."""

    rate: float

    def __call__(self, step: int) -> float:
        """See `Schedule`."""
        return self.rate


@dataclass(frozen=True)
class Piecewise(Schedule):
    """`rates[i]` as long as `step <= boundaries[i]`, the last rate after the last boundary.

    Example:
        >>> Piecewise((100, 200), (0.1, 0.01, 0.001))(101)
        0.01
    """

    boundaries: tuple[int, ...]
    rates: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "boundaries", tuple(self.boundaries))
        object.__setattr__(self, "rates", tuple(self.rates))
        if len(self.rates) != len(self.boundaries) + 1 or list(self.boundaries) != sorted(self.boundaries):
            raise ValueError(
                f"Piecewise needs ascending boundaries and one rate more than boundaries. Received "
                f"boundaries {self.boundaries} and rates {self.rates}."
            )

    def __call__(self, step: int) -> float:
        """See `Schedule`."""
        return self.rates[int(np.searchsorted(self.boundaries, step))]


@dataclass(frozen=True)
class Exponential(Schedule):
    """`initial * rate ** (step / steps)`; a staircase rounds the exponent down."""

    initial: float
    steps: int
    rate: float
    staircase: bool = False

    def __call__(self, step: int) -> float:
        """See `Schedule`."""
        return self.initial * math.pow(self.rate, _ratio(step, self.steps, self.staircase))


@dataclass(frozen=True)
class InverseTime(Schedule):
    """`initial / (1 + rate * step / steps)`; with `steps=1` the `decay` argument of old optimisers."""

    initial: float
    rate: float
    steps: int = 1
    staircase: bool = False

    def __call__(self, step: int) -> float:
        """See `Schedule`."""
        return self.initial / (1 + self.rate * _ratio(step, self.steps, self.staircase))


@dataclass(frozen=True)
class Polynomial(Schedule):
    """`(initial - final) * (1 - step / steps) ** power + final`, then `final`."""

    initial: float
    final: float
    steps: int
    power: float = 1.0

    def __call__(self, step: int) -> float:
        """See `Schedule`."""
        left = 1 - min(step, self.steps) / self.steps
        return (self.initial - self.final) * math.pow(left, self.power) + self.final


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine from `initial` to `initial * floor` in `steps` steps, once or again and again.

    Loshchilov and Hutter 2017, "SGDR: stochastic gradient descent with warm restarts".

    Attributes:
        initial: Rate at step 0.
        steps: Length of the (first) period.
        floor: The lowest rate, as a share of `initial`.
        restarts: Whether to begin again after each period.
        lengthen: Each period is so many times as long as the one before.
        lower: Each period rises so many times as high above the floor as the one before.
    """

    initial: float
    steps: int
    floor: float = 0.0
    restarts: bool = False
    lengthen: float = 1.0
    lower: float = 1.0

    def __call__(self, step: int) -> float:
        """See `Schedule`."""
        start, length, height = 0.0, float(self.steps), 1 - self.floor
        while self.restarts and step >= start + length:
            start, length, height = start + length, length * self.lengthen, height * self.lower
        done = min((step - start) / length, 1.0)
        return self.initial * (self.floor + height * (1 + math.cos(math.pi * done)) / 2)


@dataclass(frozen=True)
class WarmUp(Schedule):
    """A straight line up to the first rate of another schedule, which then begins.

    Attributes:
        then: The schedule after the warm-up; its step 0 is the first one after it.
        steps: Length of the warm-up; 0 for none.
        start: Rate at step 0, as a share of the first rate of `then`.

    Example:
        >>> [WarmUp(Constant(1.0), 4)(step) for step in range(6)]
        [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    """

    then: Schedule
    steps: int
    start: float = 0.0

    def __call__(self, step: int) -> float:
        """See `Schedule`."""
        if step >= self.steps:
            return self.then(step - self.steps)
        return self.then(0) * (self.start + (1 - self.start) * step / self.steps)


@dataclass(frozen=True)
class BurnIn(Schedule):
    """Darknet's warm-up: another schedule, times `(step / steps) ** power` while `step < steps`.

    The other schedule's steps are not shifted, unlike with `WarmUp`.
    """

    then: Schedule
    steps: int = 1000
    power: float = 4.0

    def __call__(self, step: int) -> float:
        """See `Schedule`."""
        return self.then(step) * min(1.0, step / self.steps) ** self.power if self.steps else self.then(step)


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Up to the peak and down to almost nothing, both on a half cosine (Smith and Topin 2018).

    Attributes:
        peak: The highest rate; `visus.train.range_test` helps to find it.
        steps: Length of the whole training; the last step has the final rate.
        rise: Share of the steps that go up.
        start: Rate at step 0, as a share of the peak.
        end: Rate at the last step, as a share of the peak.
    """

    peak: float
    steps: int
    rise: float = 0.3
    start: float = 1 / 25
    end: float = 1 / 250_000

    def __call__(self, step: int) -> float:
        """See `Schedule`."""
        top = self.rise * self.steps - 1
        step = min(step, self.steps - 1)
        if step <= top:
            return self.peak * _half_cosine(self.start, 1.0, step / max(top, 1e-9))
        return self.peak * _half_cosine(1.0, self.end, (step - top) / max(self.steps - 1 - top, 1e-9))


@dataclass(frozen=True)
class EpochTable(Schedule):
    """The rate of the last line whose epoch is not after the current one, from a table `epoch: rate`.

    Attributes:
        epochs: Ascending epoch numbers, counted from 0; the first is 0.
        rates: The rate from each of them on.
        steps_per_epoch: Steps in an epoch.
    """

    epochs: tuple[int, ...]
    rates: tuple[float, ...]
    steps_per_epoch: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "epochs", tuple(self.epochs))
        object.__setattr__(self, "rates", tuple(self.rates))

    @classmethod
    def read(cls, path: str | Path, steps_per_epoch: int) -> EpochTable:
        """Reads a text file of lines `epoch: rate`, with `#` before a comment.

        Raises:
            InputError: The file cannot be read, a line is not of this form, or the first epoch is not 0.

        Example:
            The file `0: 0.1 # start` / `30: 0.01` gives 0.1 up to epoch 29 and 0.01 from epoch 30 on.
        """
        try:
            lines = Path(path).read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"Cannot read the learning rates in {path}: {error}.") from error
        table: dict[int, float] = {}
        for number, line in enumerate(lines, 1):
            content = line.split("#")[0].strip()
            if not content:
                continue
            match = re.fullmatch(r"(\d{1,9})\s*:\s*([0-9.eE+-]+)", content)
            try:
                epoch, rate = int(match[1]), float(match[2])  # type: ignore[index]
            except (TypeError, ValueError):
                epoch, rate = -1, math.nan
            if not 0 <= rate < math.inf or (table and epoch <= max(table)) or (not table and epoch != 0):
                raise InputError(
                    f"{path}, line {number}: expected `epoch: rate`, epochs ascending from 0, such as "
                    f"`30: 0.01`. Received {line.strip()!r}."
                )
            table[epoch] = rate
        if not table:
            raise InputError(f"{path} holds no line `epoch: rate`, such as `0: 0.1`.")
        return cls(tuple(table), tuple(table.values()), steps_per_epoch)

    def __call__(self, step: int) -> float:
        """See `Schedule`."""
        epoch = step // self.steps_per_epoch
        return self.rates[int(np.searchsorted(self.epochs, epoch, side="right")) - 1]


def warm_up_cosine(peak: float, steps: int, *, warm_up: int | None = None, floor: float = 0.0) -> Schedule:
    """The default of visus: a short straight way up, then half a cosine down to the end of training.

    Args:
        peak: The highest rate.
        steps: Length of the whole training.
        warm_up: Steps of the way up; by default a tenth of all, but at most 500.
        floor: Rate at the end, as a share of the peak.

    Example:
        >>> rate = warm_up_cosine(0.1, 100)
        >>> rate(5), rate(10), round(rate(55), 6), rate(100)
        (0.05, 0.1, 0.05, 0.0)
    """
    warm_up = min(steps // 10, 500) if warm_up is None else warm_up
    return WarmUp(Cosine(peak, max(1, steps - warm_up), floor), warm_up)


def from_dict(values: dict[str, Any]) -> Schedule:
    """The schedule that `to_dict` described.

    Raises:
        InputError: There is no such schedule.

    Example:
        >>> from_dict({"schedule": "Constant", "rate": 0.1})
        Constant(rate=0.1)
    """
    known = {kind.__name__: kind for kind in Schedule.__subclasses__()}
    arguments = {k: from_dict(v) if isinstance(v, dict) else v for k, v in values.items() if k != "schedule"}
    try:
        return known[values["schedule"]](**arguments)
    except (KeyError, TypeError) as error:
        raise InputError(
            f"Not a schedule of visus: {values}. Known are {', '.join(sorted(known))}."
        ) from error


class Scheduled(keras.callbacks.Callback):  # type: ignore[misc]
    """Sets the optimiser's learning rate before every batch, and logs it at the end of the epoch.

    The step is the optimiser's own count, so there is nothing else to remember. `ReduceLROnPlateau` cannot be
    used beside it. On the JAX backend `as_keras` is quicker, because there a changed rate has to be carried
    into the compiled step each time.

    Args:
        schedule: Any function of the step.

    Example:
        >>> model.fit(x, y, callbacks=[Scheduled(warm_up_cosine(1e-3, 500))])  # doctest: +SKIP
    """

    def __init__(self, schedule: Callable[[int], float]) -> None:
        super().__init__()
        self.schedule = schedule
        self.rate = math.nan

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        if hasattr(self.model, "jax_state_sync"):
            self.model.jax_state_sync()
        optimizer = self.model.optimizer
        self.rate = float(self.schedule(int(optimizer.iterations)))
        optimizer.learning_rate = self.rate

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        if logs is not None and not math.isnan(self.rate):
            logs["learning_rate"] = self.rate


@keras.saving.register_keras_serializable("visus")
class TabledSchedule(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """A schedule of visus in the form that Keras' optimisers take as `learning_rate`.

    Holds the rates of all steps (4 bytes each), so that every backend sees the very same values.
    """

    def __init__(self, schedule: dict[str, Any], steps: int) -> None:
        self.schedule, self.steps = schedule, steps
        rate = from_dict(schedule)
        self._table = np.array([rate(step) for step in range(steps + 1)], np.float32)

    def __call__(self, step: Any) -> Any:
        """The rate at a step, a tensor."""
        index = keras.ops.minimum(keras.ops.cast(step, "int32"), self.steps)
        return keras.ops.take(keras.ops.convert_to_tensor(self._table), index)

    def get_config(self) -> dict[str, Any]:
        """Keras' configuration."""
        return {"schedule": self.schedule, "steps": self.steps}


def as_keras(schedule: Schedule, steps: int) -> TabledSchedule:
    """A schedule as `learning_rate` of a Keras optimiser.

    Args:
        schedule: One of this file.
        steps: Length of the training; later steps keep the rate of step number `steps`.

    Example:
        >>> optimizer = keras.optimizers.Adam(as_keras(warm_up_cosine(1e-3, 500), 500))  # doctest: +SKIP
    """
    return TabledSchedule(schedule.to_dict(), steps)


def _ratio(step: int, steps: int, staircase: bool) -> float:
    return step // steps if staircase else step / steps


def _half_cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2
