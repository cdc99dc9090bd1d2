"""LiteRT (TensorFlow Lite) with its XNNPACK kernels, or the same interpreter out of TensorFlow."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from visus.runtime.silence import silence

if TYPE_CHECKING:
    import keras

PACKAGES = ("ai-edge-litert",)
PIECE = 1
FILE = "model.tflite"


def available() -> bool:
    """Whether an interpreter is installed."""
    return find_spec("ai_edge_litert") is not None or find_spec("tensorflow") is not None


def convert(model: keras.Model, folder: Path) -> None:
    """Writes `model.tflite`, float32."""
    import tensorflow as tf
    from absl import logging

    from visus.runtime.frozen import freeze

    # Straight from the frozen graph: the documented way through a saved model takes five times as long. The
    # converter calls that deprecated in its log, which is no news for the user.
    level = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        converter = tf.lite.TFLiteConverter.from_concrete_functions([freeze(model).function])
        (folder / FILE).write_bytes(converter.convert())
    finally:
        logging.set_verbosity(level)


def load(
    folder: Path, threads: int, model: keras.Model | None = None
) -> Callable[[NDArray[np.float32]], list[Any]]:
    """The interpreter behind a function of one batch."""
    with warnings.catch_warnings(), silence():  # XNNPACK announces itself
        warnings.simplefilter("ignore", UserWarning)  # TensorFlow's copy announces its end
        interpreter = _interpreter()(str(folder / FILE), num_threads=threads)
        interpreter.allocate_tensors()
    given = interpreter.get_input_details()[0]["index"]
    wanted = [output["index"] for output in interpreter.get_output_details()]
    shape = tuple(interpreter.get_input_details()[0]["shape"])

    def run(batch: NDArray[np.float32]) -> list[Any]:
        nonlocal shape
        if batch.shape != shape:
            interpreter.resize_tensor_input(given, batch.shape)
            interpreter.allocate_tensors()
            shape = batch.shape
        interpreter.set_tensor(given, batch)
        interpreter.invoke()
        return [interpreter.get_tensor(index) for index in wanted]

    return run


def _interpreter() -> Any:
    if find_spec("ai_edge_litert") is not None:
        from ai_edge_litert.interpreter import Interpreter

        return Interpreter
    import tensorflow as tf

    return tf.lite.Interpreter
