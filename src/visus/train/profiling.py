"""Where the time of a training step goes: waiting for data, and each operation."""

from __future__ import annotations

import importlib
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import keras

from visus.train.untouched import untouched


@dataclass(frozen=True)
class Operation:
    """An operation of the compiled step.

    Attributes:
        name: Its place in the graph, which begins with the layer's path.
        kind: Its type, such as `Conv2DBackpropFilter`.
        calls: How often it ran.
        seconds: In all.
    """

    name: str
    kind: str
    calls: int
    seconds: float


@dataclass(frozen=True)
class StepProfile:
    """The measured steps; printed, the most expensive operations.

    Attributes:
        steps: How many were measured.
        seconds: Their duration, waiting included.
        waiting: Seconds of it spent waiting for the next batch.
        operations: The most expensive first; empty on other backends than TensorFlow. Operations run side by
            side, so that together they may take longer than the step.
    """

    steps: int
    seconds: float
    waiting: float
    operations: tuple[Operation, ...]

    @property
    def waiting_share(self) -> float:
        """Share of the time spent waiting for data, 0..1. Above a tenth, the input pipeline is worth a look."""
        return self.waiting / self.seconds if self.seconds else 0.0

    def __str__(self) -> str:
        each = 1000 / max(self.steps, 1)
        lines = [f"{self.seconds * each:.1f} ms a step, {self.waiting_share:.0%} of it waiting for data"]
        lines += [f"{o.seconds * each:9.2f} ms  {o.kind:28.28}  {o.name}" for o in self.operations[:15]]
        return "\n".join(lines)


def profile_steps(
    model: keras.Model,
    batches: Iterable[tuple[Any, Any]],
    *,
    steps: int = 5,
    warm_up: int = 2,
    folder: str | Path | None = None,
) -> StepProfile:
    """Measures a few training steps; the model is left as it was.

    Args:
        model: A compiled model.
        batches: `(inputs, targets)`, from wherever training takes them.
        steps: How many to measure; a trace of many is large.
        warm_up: Steps before, which compile.
        folder: Where to leave the trace for TensorBoard's profile plug-in, or None.

    Raises:
        ValueError: There are not enough batches.

    Example:
        >>> print(profile_steps(model, pipeline.epoch(0)))  # doctest: +SKIP
        312.4 ms a step, 3% of it waiting for data
            61.20 ms  Conv2DBackpropFilter          gradient_tape/...
    """
    iterator = iter(batches)
    waited: list[float] = []
    worked: list[float] = []
    with untouched(model), ExitStack() as stack:
        for batch in islice(iterator, warm_up):
            model.train_on_batch(*batch, return_dict=True)
        trace = Path(folder or stack.enter_context(tempfile.TemporaryDirectory()))
        operations = stack.enter_context(_traced(trace))
        begin = time.perf_counter()
        for batch in islice(iterator, steps):
            ready = time.perf_counter()
            model.train_on_batch(*batch, return_dict=True)
            waited.append(ready - begin)
            begin = time.perf_counter()
            worked.append(begin - ready)
    if len(worked) < steps:
        raise ValueError(f"A profile of {steps} steps needs {warm_up + steps} batches. There were fewer.")
    return StepProfile(steps, sum(waited) + sum(worked), sum(waited), tuple(operations))


@contextmanager
def _traced(folder: Path) -> Iterator[list[Operation]]:
    """Records what TensorFlow does within the block; the list is filled at its end."""
    operations: list[Operation] = []
    if keras.backend.backend() != "tensorflow":
        yield operations
        return
    import tensorflow as tf

    tf.profiler.experimental.start(str(folder))
    try:
        yield operations
    finally:
        tf.profiler.experimental.stop()
    operations += _operations(folder)


def _operations(folder: Path) -> list[Operation]:
    newest = max(folder.glob("plugins/profile/*/*.xplane.pb"))
    space = importlib.import_module("tensorflow.tsl.profiler.protobuf.xplane_pb2").XSpace()
    space.ParseFromString(newest.read_bytes())
    calls: Counter[tuple[str, str]] = Counter()
    picoseconds: Counter[tuple[str, str]] = Counter()
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                # An operation is `path/in/the/graph:Type`; everything else is the machinery around it.
                match = re.fullmatch(r"([\w./-]+):([A-Z_]\w*)", plane.event_metadata[event.metadata_id].name)
                if match:
                    kind = (
                        match[2].removeprefix("_Mkl").removeprefix("Native")
                    )  # oneDNN's have these in front
                    key = (match[1], kind)
                    calls[key] += 1
                    picoseconds[key] += event.duration_ps
    return [Operation(*key, calls[key], time / 1e12) for key, time in picoseconds.most_common()]
