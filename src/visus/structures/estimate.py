"""A measured figure with its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A figure and the interval that it comes with (95 % unless said otherwise).

    Attributes:
        value: The figure itself; NaN where it is not defined.
        low: Lower end of the interval, or NaN.
        high: Upper end of the interval, or NaN.
    """

    value: float
    low: float = math.nan
    high: float = math.nan

    def to_dict(self) -> dict[str, float | None]:
        """`{"value", "low", "high"}`, with None for NaN because JSON knows no NaN."""
        return {k: None if math.isnan(v) else float(v) for k, v in vars(self).items()}

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "n/a"
        if math.isnan(self.low):
            return f"{self.value:.4f}"
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"
