"""Trying something out on a model without leaving a trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras


@contextmanager
def untouched(model: keras.Model) -> Iterator[None]:
    """Puts all variables of a compiled model and of its optimiser back at the end of the block.

    Example:
        >>> with untouched(model):  # doctest: +SKIP
        ...     model.train_on_batch(x, y)
    """
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    variables = [*model.variables, *model.optimizer.variables]
    before = [variable.numpy() for variable in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, before):
            variable.assign(value)
        model.reset_metrics()
