"""One formula for two kinds of arrays: NumPy's own functions, or Keras' of the same names."""

from __future__ import annotations

from typing import Any

import numpy as np


def functions(*values: Any) -> Any:
    """The module whose functions fit the values: `numpy` for arrays, numbers and lists, else `keras.ops`.

    Keras is imported only when a tensor asks for it.

    Example:
        >>> functions(np.zeros(3), 1.0).__name__
        'numpy'
    """
    if all(isinstance(value, (np.ndarray, np.generic, int, float, list, tuple)) for value in values):
        return np
    from keras import ops

    return ops


def real(value: Any) -> Any:
    """A float64 array of anything that NumPy understands; a tensor stays as it is.

    Boxes are stored as float32; measuring them in float64 keeps a quotient such as 0.6 on its side of a threshold.
    """
    return np.asarray(value, np.float64) if functions(value) is np else value
