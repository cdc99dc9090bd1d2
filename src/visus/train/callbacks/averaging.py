"""The moving average of the weights, in the place of the weights.

The optimiser keeps the average (`use_ema=True`): it is updated in the compiled step and saved with the
optimiser. Keras' `SwapEMAWeights` puts it into the model by additions, which rounds the weights anew at every
evaluation, and after an early stop its `swap_on_epoch` leaves the raw weights in the model. Here values are
exchanged exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import keras


@contextmanager
def averaged_weights(model: keras.Model) -> Iterator[None]:
    """Within the block the model has its averaged weights; without an average it stays as it is.

    Normalisation statistics are not exchanged: they are moving averages already.

    Example:
        >>> with averaged_weights(model):  # doctest: +SKIP
        ...     model.save("averaged.keras")
    """
    pairs = _pairs(model)
    _exchange(pairs)
    try:
        yield
    finally:
        _exchange(pairs)


class EvaluateAverage(keras.callbacks.Callback):  # type: ignore[misc]
    """Validates, and predicts, with the averaged weights; training goes on with the raw ones.

    Keras itself leaves the averaged weights in the model when `fit` ends.

    Example:
        >>> model.compile(keras.optimizers.AdamW(use_ema=True, ema_momentum=0.999), ...)  # doctest: +SKIP
        >>> model.fit(..., callbacks=[EvaluateAverage()])  # doctest: +SKIP
    """

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        self._stack.enter_context(averaged_weights(self.model))

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        self._stack.close()

    on_predict_begin = on_test_begin
    on_predict_end = on_test_end


def _pairs(model: keras.Model) -> list[tuple[Any, Any]]:
    optimizer = getattr(model, "optimizer", None)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    pairs: list[tuple[Any, Any]] = []
    for one in getattr(optimizer, "optimizers", [optimizer]):
        # Before the first step the averages are zeros.
        if getattr(one, "use_ema", False) and one.built and int(one.iterations) > 0:
            pairs += zip(one._trainable_variables, one._model_variables_moving_average)
    return [(variable, average) for variable, average in pairs if average is not None]


def _exchange(pairs: list[tuple[Any, Any]]) -> None:
    for variable, average in pairs:
        value = variable.numpy()
        variable.assign(average.numpy())
        average.assign(value)
