"""How much one output of a model changes with its input, on each of Keras' backends."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray


def gradient(
    model: keras.Model, inputs: NDArray[np.float32], index: int, output: str = "logits"
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The outputs of a model in inference, and the gradient of one of them with respect to the input.

    Args:
        model: One input; a dict of outputs.
        inputs: float32 `(B, ...)`.
        index: Column of the output that is differentiated.
        output: Name of the output, `(B, K)`.

    Returns:
        float32 `(B, K)` outputs, and float32 `(B, ...)` gradients, row by row.

    Example:
        >>> values, slopes = gradient(head, maps, index=2)      # doctest: +SKIP
    """
    differentiate = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[keras.backend.backend()]
    values, slopes = differentiate(model, inputs, index, output)
    convert = keras.ops.convert_to_numpy
    return np.asarray(convert(values), np.float32), np.asarray(convert(slopes), np.float32)


def _tensorflow(model: keras.Model, inputs: Any, index: int, output: str) -> tuple[Any, Any]:
    import tensorflow as tf

    inputs = tf.convert_to_tensor(inputs)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        values = model(inputs, training=False)[output]
        chosen = tf.reduce_sum(values[:, index])  # rows do not mix, so the sum's gradient holds each row's
    return values, tape.gradient(chosen, inputs)


def _jax(model: keras.Model, inputs: Any, index: int, output: str) -> tuple[Any, Any]:
    import jax

    trainable = [v.value for v in model.trainable_variables]
    fixed = [v.value for v in model.non_trainable_variables]

    def chosen(x: Any) -> tuple[Any, Any]:
        values = model.stateless_call(trainable, fixed, x, training=False)[0][output]
        return values[:, index].sum(), values

    (_, values), slopes = jax.value_and_grad(chosen, has_aux=True)(inputs)
    return values, slopes


def _torch(model: keras.Model, inputs: Any, index: int, output: str) -> tuple[Any, Any]:
    import torch

    inputs = keras.ops.convert_to_tensor(inputs).requires_grad_()
    values = model(inputs, training=False)[output]
    return values.detach(), torch.autograd.grad(values[:, index].sum(), inputs)[0]
