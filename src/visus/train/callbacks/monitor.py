"""Watching one figure of the logs: its value, the better direction, what counts as an improvement."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping
from typing import Any, Literal

from visus.train.callbacks.memory import Remembering

Mode = Literal["auto", "min", "max"]

_LOSSES = re.compile(r"loss|error|mape", re.IGNORECASE)
_SCORES = re.compile(
    r"acc|auc|iou|f1|map|precision|recall|dice|kappa|psnr|ssim|(^|_)ap\d*(_|$)", re.IGNORECASE
)


def look_up(logs: Mapping[str, Any] | None, name: str) -> float | None:
    """A figure of the logs by name, where `acc` and `accuracy` mean the same; None where it is missing.

    Example:
        >>> look_up({"val_accuracy": 0.9}, "val_acc")
        0.9
    """
    words = name.split("_")
    swap = {"acc": "accuracy", "accuracy": "acc"}
    alias = "_".join(swap.get(word, word) for word in words)
    for key in (name, alias):
        if logs and logs.get(key) is not None:
            return float(logs[key])
    return None


def direction(name: str, mode: Mode = "auto") -> Literal["min", "max"]:
    """Whether lower or higher is better.

    `auto` knows scores by their names (accuracy, AUC, IoU, F1, mAP, AP50, precision, recall, Dice, kappa,
    PSNR, SSIM: higher); everything else, and whatever is called a loss or an error, is better when lower.

    Raises:
        ValueError: The mode is none of auto, min, max.

    Example:
        >>> direction("val_mean_iou"), direction("val_dice_loss"), direction("lr")
        ('max', 'min', 'min')
    """
    if mode not in ("auto", "min", "max"):
        raise ValueError(f"mode is auto, min or max. Received {mode!r}.")
    if mode != "auto":
        return mode
    return "max" if _SCORES.search(name) and not _LOSSES.search(name) else "min"


class Monitor(Remembering):
    """A callback that watches one figure; an improvement beats the best by more than `min_delta`.

    NaN and infinity never improve anything. A figure that is missing is reported once, with those there are.

    Args:
        monitor: Name of the figure in the logs, such as `val_loss`.
        mode: `min`, `max`, or `auto` by the name (see `direction`).
        min_delta: By how much a value must be better.
    """

    best: float | None

    def __init__(self, monitor: str, mode: Mode, min_delta: float) -> None:
        super().__init__()
        self.monitor, self.mode, self.min_delta = monitor, direction(monitor, mode), abs(min_delta)
        self._warned = False

    def current(self, logs: Mapping[str, Any] | None) -> float | None:
        """The figure as it stands, or None with a warning."""
        value = look_up(logs, self.monitor)
        if value is None and not self._warned:
            self._warned = True
            warnings.warn(
                f"{type(self).__name__} watches {self.monitor!r}, which is not logged. Available: "
                f"{', '.join(logs or {}) or 'nothing'}.",
                stacklevel=2,
            )
        return value

    def improves(self, value: float, best: float | None) -> bool:
        """Whether a value is better than the best so far."""
        if not math.isfinite(value):
            return False
        if best is None:
            return True
        return value < best - self.min_delta if self.mode == "min" else value > best + self.min_delta
