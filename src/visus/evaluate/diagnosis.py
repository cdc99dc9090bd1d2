"""What the curves of a training say, in one sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Verdict = Literal["diverged", "overfit", "underfit", "stopped", "unfinished", "healthy", "unknown"]


@dataclass(frozen=True)
class Diagnosis:
    """A verdict on a training.

    Attributes:
        verdict: One word; see `diagnose`.
        sentence: The verdict with its figures, for people.
        best: Index into the history of the best epoch, or None.
        gap: Training accuracy minus validation accuracy at the end, NaN where one of them is not known.
    """

    verdict: Verdict
    sentence: str
    best: int | None
    gap: float

    def __str__(self) -> str:
        return self.sentence


def diagnose(history: Sequence[Mapping[str, Any]], *, target: float = 0.8) -> Diagnosis:
    """Judges the last phase of a training by its curves.

    The first rule that holds decides:

    - diverged: a loss is not a finite number, or the last training loss is more than 1.5 times the first one.
    - unknown: fewer than two epochs.
    - overfit: the best epoch is not the last one, and at the end training is more than 5 points of accuracy
      ahead of validation and further ahead than it was at the best epoch; or it is more than 15 points ahead.
    - underfit: at the end both accuracies are below `target`.
    - stopped: over the last third (three epochs at least) the training loss fell by less than 1 % of all it
      fell.
    - unfinished: the last epoch is the best one, and its validation loss is more than 1 % below that of the
      epoch before.
    - healthy: none of these.

    Args:
        history: One mapping for each epoch, in order: `loss`, `accuracy`, `val_loss`, `val_accuracy`, and
            `phase` where there are several; anything may be missing.
        target: The accuracy below which a training counts as underfit.

    Example:
        >>> epochs = [(1.0, 0.6, 1.0, 0.6), (0.5, 0.8, 0.7, 0.75), (0.1, 0.99, 0.9, 0.74)]
        >>> names = ("loss", "accuracy", "val_loss", "val_accuracy")
        >>> diagnose([dict(zip(names, epoch)) for epoch in epochs]).verdict
        'overfit'
    """
    phase = history[-1].get("phase") if history else None
    start = len(history)
    while start and history[start - 1].get("phase") == phase:
        start -= 1
    loss, accuracy, val_loss, val_accuracy = (
        _series(history[start:], name) for name in ("loss", "accuracy", "val_loss", "val_accuracy")
    )
    best = best_epoch(history[start:])
    kept = None if best is None else best + start
    gaps = accuracy - val_accuracy
    gap = float(gaps[-1]) if len(gaps) else math.nan
    where = f" of phase {phase!r}" if start else ""

    def verdict(word: Verdict, sentence: str) -> Diagnosis:
        return Diagnosis(word, sentence, kept, gap)

    given = [epoch.get("loss") for epoch in history[start:]]
    broken = [i for i, raw in enumerate(given) if raw not in (None, "") and not math.isfinite(loss[i])]
    if broken:
        return verdict(
            "diverged", f"Diverged: the loss of epoch {broken[0] + 1}{where} is not a finite number."
        )
    if len(loss) < 2 or np.isnan(loss).any():
        return verdict("unknown", "Too few epochs for a diagnosis.")
    if loss[-1] > 1.5 * loss[0]:
        return verdict(
            "diverged", f"Diverged: the training loss rose from {loss[0]:.3g} to {loss[-1]:.3g}{where}."
        )
    if best is not None and best < len(loss) - 1 and gap > 0.05 and gap > gaps[best]:
        return verdict(
            "overfit",
            f"Overfit: the best epoch{where} is {best + 1} of {len(loss)}; at the end training is "
            f"{100 * gap:.0f} points of accuracy ahead of validation ({accuracy[-1]:.1%} and "
            f"{val_accuracy[-1]:.1%}), {100 * (gap - gaps[best]):.0f} more than then.",
        )
    if gap > 0.15:
        return verdict(
            "overfit",
            f"Overfit: at the end{where} training is {100 * gap:.0f} points of accuracy ahead of validation "
            f"({accuracy[-1]:.1%} and {val_accuracy[-1]:.1%}).",
        )
    if accuracy[-1] < target and (val_accuracy[-1] < target or math.isnan(val_accuracy[-1])):
        seen = "" if math.isnan(val_accuracy[-1]) else f" and {val_accuracy[-1]:.1%} in validation"
        return verdict(
            "underfit",
            f"Underfit: at the end{where} {accuracy[-1]:.1%} are right in training{seen}, "
            f"below {target:.0%}.",
        )
    last = max(3, len(loss) // 3)
    if len(loss) > last and loss[-last - 1] - loss[-last:].min() < 0.01 * (loss.max() - loss.min()):
        return verdict(
            "stopped",
            f"Learning stopped: in the last {last} of {len(loss)} epochs{where} the training loss stayed at "
            f"{loss[-1]:.3g}.",
        )
    if best == len(loss) - 1 and val_loss[-1] < 0.99 * val_loss[-2]:
        return verdict(
            "unfinished",
            f"Still improving: the last epoch{where} is the best one, its validation loss fell from "
            f"{val_loss[-2]:.3g} to {val_loss[-1]:.3g}.",
        )
    held = "" if math.isnan(gap) else f", training {100 * abs(gap):.0f} points "
    held += "" if math.isnan(gap) else "ahead of validation" if gap >= 0 else "behind validation"
    return verdict("healthy", f"Healthy: the loss fell from {loss[0]:.3g} to {loss[-1]:.3g}{where}{held}.")


def best_epoch(history: Sequence[Mapping[str, Any]]) -> int | None:
    """Index of the epoch with the lowest validation loss, else the highest validation accuracy, else lowest
    loss.

    None where none of them is known. Of equal ones the first.

    Example:
        >>> best_epoch([{"val_loss": 0.7}, {"val_loss": 0.5}, {"val_loss": 0.6}])
        1
    """
    for name, sign in (("val_loss", 1.0), ("val_accuracy", -1.0), ("loss", 1.0)):
        values = sign * _series(history, name)
        if np.isfinite(values).any():
            return int(np.argmin(np.where(np.isfinite(values), values, np.inf)))
    return None


def _series(history: Sequence[Mapping[str, Any]], name: str) -> NDArray[np.float64]:
    given = [epoch.get(name) for epoch in history]
    return np.array([math.nan if v is None or v == "" else float(v) for v in given], np.float64)
