"""Which learning rates a model can take: growing rates, one batch each."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from visus.train.untouched import untouched


@dataclass(frozen=True)
class RangeTest:
    """What `learning_rate_range` saw.

    Attributes:
        rates: The learning rate of each step.
        losses: The loss of the batch of each step, smoothed, before its update.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]

    @property
    def steepest(self) -> float:
        """The rate at which the loss falls fastest: a cautious choice of the peak."""
        slopes = np.gradient(np.asarray(self.losses), np.log(self.rates))
        return self.rates[int(np.argmin(slopes))]


def learning_rate_range(
    model: keras.Model,
    batches: Iterable[tuple[Any, Any]],
    *,
    low: float = 1e-6,
    high: float = 1.0,
    steps: int = 100,
    smoothing: float = 0.9,
) -> RangeTest:
    """Tries growing learning rates, one batch each (Smith 2017, "Cyclical learning rates", section 3.3).

    Ends before `steps` when the loss is no number, or four times the lowest. The weights, the optimiser and
    the rate are put back afterwards.

    Args:
        model: A compiled model whose optimiser has a plain learning rate.
        batches: `(inputs, targets)`; at least one, `steps` of them are used.
        low: Rate of the first step.
        high: Rate of the last step.
        steps: How many, spaced evenly on a logarithmic scale.
        smoothing: Momentum of the moving average of the losses, which is corrected for its start.

    Raises:
        ValueError: There was not a single batch.

    Example:
        >>> learning_rate_range(model, pipeline.epoch(0)).steepest  # doctest: +SKIP
        0.0023
    """
    rates: list[float] = []
    losses: list[float] = []
    average = 0.0
    with untouched(model):
        for rate, (inputs, targets) in zip(np.geomspace(low, high, steps).tolist(), batches):
            model.optimizer.learning_rate = rate
            model.reset_metrics()
            loss = float(model.train_on_batch(inputs, targets, return_dict=True)["loss"])
            average = smoothing * average + (1 - smoothing) * loss
            smooth = average / (1 - smoothing ** (len(losses) + 1))
            if not math.isfinite(smooth) or (losses and smooth > 4 * min(losses)):
                break
            rates.append(rate)
            losses.append(smooth)
    if not losses:
        raise ValueError("The range test saw no batch with a finite loss. Pass batches of (inputs, targets).")
    return RangeTest(tuple(rates), tuple(losses))
