"""ONNX Runtime on the CPU."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras

PACKAGES = ("onnxruntime", "tf2onnx")
PIECE = 1
FILE = "model.onnx"
OPSET = 18


def available() -> bool:
    """Whether ONNX Runtime and the converter are installed."""
    return find_spec("onnxruntime") is not None and find_spec("tf2onnx") is not None


def convert(model: keras.Model, folder: Path) -> None:
    """Writes `model.onnx`, float32."""
    import tf2onnx

    from visus.runtime.frozen import freeze

    frozen = freeze(model)
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)  # tf2onnx uses old functions of TensorFlow, and of NumPy
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tf2onnx.convert.from_graph_def(
                frozen.graph_def,
                input_names=[frozen.input_name],
                output_names=list(frozen.output_names),
                opset=OPSET,
                output_path=str(folder / FILE),
            )
    finally:
        logger.setLevel(level)


def load(
    folder: Path, threads: int, model: keras.Model | None = None
) -> Callable[[NDArray[np.float32]], list[Any]]:
    """The session behind a function of one batch."""
    import onnxruntime

    onnxruntime.disable_telemetry_events()  # which its builds for Windows have
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Its threads would go on spinning after each call, and take the cores from those that decode the next pictures.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(folder / FILE), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda batch: session.run(None, {name: batch})
