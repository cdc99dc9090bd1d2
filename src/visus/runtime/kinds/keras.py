"""Keras itself: the model's call as one function of its backend. Always there, and the one for GPUs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from visus.runtime.frozen import as_input, infer, input_shape, named

PACKAGES = ("keras",)
PIECE = 32


def available() -> bool:
    """Always."""
    return True


def convert(model: keras.Model, folder: Path) -> None:
    """Nothing: the model runs as it is."""


def load(
    folder: Path, threads: int, model: keras.Model | None = None
) -> Callable[[NDArray[np.float32]], list[Any]]:
    """The model behind a function of one batch; how many threads it takes is the backend's own setting."""
    if model is None:
        raise ValueError("The keras runtime runs a model, and received none.")
    return {"tensorflow": _tensorflow, "jax": _jax}.get(keras.backend.backend(), _eager)(model)


def _tensorflow(model: keras.Model) -> Callable[[NDArray[np.float32]], list[Any]]:
    import tensorflow as tf

    signature = [tf.TensorSpec((None, *input_shape(model)), tf.float32)]
    call = tf.function(lambda image: list(infer(model, image).values()), signature, autograph=False)
    return lambda batch: [output.numpy() for output in call(batch)]


def _jax(model: keras.Model) -> Callable[[NDArray[np.float32]], list[Any]]:
    import jax

    def call(trainable: Any, fixed: Any, image: Any) -> Any:
        outputs, _ = model.stateless_call(trainable, fixed, as_input(model, image), training=False)
        return list(named(outputs).values())

    compiled = jax.jit(call)

    def run(batch: NDArray[np.float32]) -> list[Any]:
        # JAX compiles for every new shape: batches are filled up to a power of two, so there are only a few.
        size = len(batch)
        full = 1 << (size - 1).bit_length()
        padded = np.concatenate([batch, np.zeros((full - size, *batch.shape[1:]), np.float32)])
        trainable = [v.value for v in model.trainable_variables]
        fixed = [v.value for v in model.non_trainable_variables]
        return [np.asarray(output)[:size] for output in compiled(trainable, fixed, padded)]

    return run


def _eager(model: keras.Model) -> Callable[[NDArray[np.float32]], list[Any]]:
    import torch

    def run(batch: NDArray[np.float32]) -> list[Any]:
        with torch.no_grad():
            outputs = infer(model, keras.ops.convert_to_tensor(batch))
        return [keras.ops.convert_to_numpy(output) for output in outputs.values()]

    return run
