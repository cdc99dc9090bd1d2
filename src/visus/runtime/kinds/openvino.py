"""OpenVINO on the CPU, in float32.

OpenVINO's wheel depends on `openvino-telemetry`, through which a plain `import openvino` reports itself to a
server, and `openvino.convert_model` each conversion. visus sends nothing anywhere: `import_openvino` hides the
telemetry package while OpenVINO is imported, so that OpenVINO takes its own empty stand-in for it. Nothing else
in visus may import OpenVINO, and a test holds that.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras

PACKAGES = ("openvino",)
PIECE = 1
FILE = "model.xml"


def available() -> bool:
    """Whether OpenVINO is installed."""
    return find_spec("openvino") is not None


def convert(model: keras.Model, folder: Path) -> None:
    """Writes OpenVINO's intermediate representation, `model.xml` and `model.bin`, float32."""
    from visus.runtime.frozen import freeze

    openvino = import_openvino()
    frozen = freeze(model)
    graph = folder / "frozen.pb"
    try:
        graph.write_bytes(frozen.graph_def.SerializeToString())
        converted = openvino.Core().read_model(graph)
        for i, name in enumerate(frozen.output_names):
            converted.output(name).get_tensor().set_names({_output(i)})
        openvino.save_model(converted, folder / FILE, compress_to_fp16=False)
    finally:
        graph.unlink(missing_ok=True)


def load(
    folder: Path, threads: int, model: keras.Model | None = None
) -> Callable[[NDArray[np.float32]], list[Any]]:
    """The compiled model behind a function of one batch."""
    openvino = import_openvino()
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",  # the default is bfloat16 wherever the CPU has it
        "INFERENCE_NUM_THREADS": threads,
    }
    core = openvino.Core()
    graph = core.read_model(folder / FILE)
    compiled: dict[tuple[int, ...], tuple[Any, list[Any]]] = {}

    def request(shape: tuple[int, ...]) -> tuple[Any, list[Any]]:
        if shape not in compiled:
            compiled.clear()  # one size at a time: pictures of many sizes must not pile up compiled models
            graph.reshape(list(shape))
            ready = core.compile_model(graph, "CPU", settings)
            outputs = [ready.output(_output(i)) for i in range(len(ready.outputs))]
            compiled[shape] = ready.create_infer_request(), outputs
        return compiled[shape]

    def run(batch: NDArray[np.float32]) -> list[Any]:
        infer, outputs = request(batch.shape)
        infer.infer({0: batch}, share_inputs=True)
        return [np.array(infer.get_tensor(output).data) for output in outputs]

    return run


def import_openvino() -> Any:
    """The module `openvino`, imported in such a way that it cannot find its telemetry package."""
    if "openvino" in sys.modules:
        return sys.modules["openvino"]
    hidden = "openvino_telemetry"
    kept = sys.modules.get(hidden)
    sys.modules[hidden] = None  # type: ignore[assignment]
    try:
        import openvino
    finally:
        del sys.modules[hidden]
        if kept is not None:
            sys.modules[hidden] = kept
    return openvino


def _output(index: int) -> str:
    return f"output_{index}"
