"""From logits to probabilities, in NumPy: for every runtime the same, and without loading Keras."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def probabilities(logits: NDArray[Any], multi_label: bool = False) -> NDArray[np.float64]:
    """Probabilities of logits, without overflow: a softmax over the classes, or a sigmoid for each.

    Args:
        logits: `(B, K)`.
        multi_label: Each class is a yes or no of its own.

    Returns:
        float64 `(B, K)`.

    Example:
        >>> probabilities(np.array([[0.0, 0.0]])).tolist()
        [[0.5, 0.5]]
    """
    logits = np.asarray(logits, np.float64)
    if multi_label:
        return np.asarray(np.exp(-np.logaddexp(0.0, -logits)))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
