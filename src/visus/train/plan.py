"""How much training fits: decided once, before anything is learned, from times measured on this machine."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from visus.train.callbacks.progress import duration
from visus.train.settings import Settings

DEFAULT_EPOCHS = 6
"""Epochs of tuning when nobody says how many."""
SCRATCH_EPOCHS = 30
"""Epochs of a net without pretrained weights when nobody says how many."""
MOST_EPOCHS = 30
"""More than this a budget in minutes does not buy."""
MOST_TOP_EPOCHS = 6
"""Likewise for the last stage alone."""
SECONDS_TO_FINISH = 20.0
"""For saving, compiling, Grad-CAM and the report, whatever the number of pictures."""
SECONDS_WORTH_MEASURING = 40.0
"""To time a step of the whole net takes some 15 s: too much of a budget in which less than this is left."""


@dataclass(frozen=True)
class Plan:
    """What will be done, and how long it should take.

    Attributes:
        variants: Views of each training picture in the feature cache; 0 without a frozen trunk.
        top_epochs: Epochs of the last stage alone, on cached maps, where the budget does not buy two of the whole net.
        epochs: Epochs of the whole net.
        steps: Batches in such an epoch: a whole pass, or less where the budget does not buy one.
        step_seconds: Measured: one step of the whole net.
        view_seconds: Measured: one picture through the frozen trunk.
        top_step_seconds: Measured: one step of the last stage; 0 where that was not asked.
        head_seconds: Expected for the features and the head.
        top_seconds: Expected for the last stage.
        tune_seconds: Expected for the whole net.
    """

    variants: int
    top_epochs: int
    epochs: int
    steps: int
    step_seconds: float
    view_seconds: float
    top_step_seconds: float
    head_seconds: float
    top_seconds: float
    tune_seconds: float

    def __str__(self) -> str:
        parts = []
        if self.variants:
            parts.append(
                f"{duration(self.head_seconds)} for {self.variants} views of each picture and the head"
            )
        if self.top_epochs:
            steps = f"{self.top_epochs} epochs of {self.steps} steps at {self.top_step_seconds:.2f} s"
            parts.append(f"{duration(self.top_seconds)} for the last stage, {steps}")
        if self.epochs:
            steps = f"{self.epochs} epochs of {self.steps} steps at {self.step_seconds:.2f} s"
            parts.append(f"{duration(self.tune_seconds)} for the whole net, {steps}")
        return f"Expected: {duration(self.seconds)} ({'; '.join(parts)})."

    @property
    def seconds(self) -> float:
        """Expected for all phases together."""
        return self.head_seconds + self.top_seconds + self.tune_seconds

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON-ready values."""
        return asdict(self)


def make_plan(
    settings: Settings,
    *,
    train: int,
    val: int,
    judged: int,
    step_seconds: float,
    view_seconds: float | None,
    elapsed: float,
    top_step_seconds: float | None = None,
) -> Plan:
    """Fits the schedule into the budget, if there is one.

    Args:
        settings: What was asked for.
        train: Number of pictures to learn from.
        val: Number of pictures to validate on.
        judged: Number of pictures of the final judgement.
        step_seconds: One training step of the whole net; 0 where it is not going to learn.
        view_seconds: One picture through the frozen trunk, or None where there is no pretrained trunk.
        elapsed: Seconds of the budget that are gone already.
        top_step_seconds: One training step of the last stage on cached maps, or None where that cannot be had.

    Example:
        >>> plan = make_plan(Settings(minutes=10), train=1600, val=160, judged=400, step_seconds=1.0,
        ...                  view_seconds=0.01, elapsed=30.0)
        >>> plan.variants, plan.epochs, plan.steps
        (4, 4, 100)

    An epoch of the last stage costs much less than one of the whole net; in a small budget it is what learns:

        >>> plan = make_plan(Settings(minutes=4), train=1600, val=160, judged=400, step_seconds=1.0,
        ...                  view_seconds=0.01, elapsed=30.0, top_step_seconds=0.2)
        >>> plan.variants, plan.top_epochs, plan.epochs
        (1, 6, 0)
    """
    steps = -(-train // settings.batch_size)
    forward = step_seconds / settings.batch_size / 3  # forward is about a third of a step
    top_epoch = (steps + val / settings.batch_size / 3) * (top_step_seconds or 0.0)
    variants = settings.variants if view_seconds is not None else 0
    top_epochs = 0
    epochs = settings.epochs
    if epochs is None:
        epochs = SCRATCH_EPOCHS if view_seconds is None else DEFAULT_EPOCHS
        epochs = epochs if step_seconds else 0

    def head_seconds() -> float:
        if view_seconds is None:
            return 0.0
        rows = variants * train
        return view_seconds * (rows + val) + settings.head_epochs * (0.05 + 5e-5 * train)

    if settings.minutes is not None:
        finish = judged * max(view_seconds or 0.0, forward) + SECONDS_TO_FINISH
        left = 0.9 * (60 * settings.minutes - elapsed - finish)
        if view_seconds is not None:
            affordable = 0.5 * left / (view_seconds * train)
            variants = int(np.clip(affordable, 1, variants))
            left -= head_seconds()
        if settings.epochs is None and step_seconds:
            epochs = int(np.clip(left / (steps * step_seconds + val * forward), 0, MOST_EPOCHS))
            if epochs < 2 and top_step_seconds is not None:
                # A hurried pass over the whole net makes it worse: its last stage learns more in that time.
                # One view is enough for that, and leaves time for more epochs.
                left += head_seconds()
                variants, epochs = 1, 0
                left -= head_seconds()
                top_epochs = int(np.clip(left / top_epoch, 0, MOST_TOP_EPOCHS))
            elif epochs == 0 and (view_seconds is None or left > 30 * step_seconds):
                # Without pretrained weights something must be learned, even if it takes longer than was asked.
                epochs, steps = 1, min(steps, max(30, int((left - val * forward) / step_seconds)))
    return Plan(
        variants=variants,
        top_epochs=top_epochs,
        epochs=epochs,
        steps=steps,
        step_seconds=step_seconds,
        view_seconds=view_seconds or 0.0,
        top_step_seconds=top_step_seconds or 0.0,
        head_seconds=head_seconds(),
        top_seconds=top_epochs * top_epoch,
        tune_seconds=epochs * (steps * step_seconds + val * forward),
    )
