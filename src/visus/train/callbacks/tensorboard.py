"""A training in TensorBoard: curves, distributions of weights, the graph of layers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from visus.train.callbacks.logs import never_fatal
from visus.train.events import EventWriter


class TensorBoard(keras.callbacks.Callback):  # type: ignore[misc]
    """Writes event files; the `tensorboard` package is needed only to look at them.

    `train` and `validation` are runs of their own, so that their curves share a chart; their steps are epochs
    from 1. The learning rate is among the figures of `train`. A resumed training takes back what it repeats.
    To view: `tensorboard --logdir DIR`, then open http://localhost:6006.

    Args:
        folder: The log folder.
        phase: Name of the part of training; its runs lie in a folder of that name.
        steps_every: Every so many batches, figures and learning rate go to the run `steps`, by update; 0:
            never.
        histograms_every: Every so many epochs, the distribution of every weight; 0: never.
        graph: Whether to draw the layers (a functional or sequential model).
        hparams: Settings of this run, for the table of runs.

    Example:
        >>> model.fit(..., callbacks=[TensorBoard("runs/flowers/tensorboard")])  # doctest: +SKIP
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        phase: str | None = None,
        steps_every: int = 0,
        histograms_every: int = 0,
        graph: bool = False,
        hparams: Mapping[str, bool | float | str] | None = None,
    ) -> None:
        super().__init__()
        self.folder = Path(folder) / phase if phase else Path(folder)
        self.steps_every, self.histograms_every = steps_every, histograms_every
        self.graph, self.hparams = graph, hparams
        self._writers: dict[str, EventWriter] = {}
        self._first_epoch: int | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        self._first_epoch = None
        self._first_step = int(self.model.optimizer.iterations) + 1

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        if self._first_epoch is not None:
            return
        self._first_epoch = epoch + 1
        with never_fatal(self.folder):
            if self.graph:
                self._run("train").graph(layer_graph(self.model))
            if self.hparams:
                self._run("train").hparams(self.hparams)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        if not self.steps_every:
            return
        step = int(self.model.optimizer.iterations)
        if step % self.steps_every == 0:
            with never_fatal(self.folder):
                self._run("steps", self._first_step).scalars(
                    {**(logs or {}), **learning_rates(self.model)}, step
                )

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        logs = logs or {}
        train = {**learning_rates(self.model), **{k: v for k, v in logs.items() if not k.startswith("val_")}}
        validation = {k[4:]: v for k, v in logs.items() if k.startswith("val_")}
        with never_fatal(self.folder):
            self._run("train").scalars(train, epoch + 1)
            if validation:
                self._run("validation").scalars(validation, epoch + 1)
            if self.histograms_every and (epoch + 1) % self.histograms_every == 0:
                for weight in self.model.weights:
                    tag = weight.path.removeprefix(f"{self.model.name}/")
                    self._run("train").histogram(tag, weight.numpy(), epoch + 1)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        with never_fatal(self.folder):
            if self.hparams and "train" in self._writers:
                self._writers["train"].finished()
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def _run(self, name: str, first: int | None = None) -> EventWriter:
        if name not in self._writers:
            folder = self.folder / name
            again = any(folder.glob("events.out.tfevents.*"))
            first = self._first_epoch if first is None else first
            self._writers[name] = EventWriter(folder, purge_step=first if again else None)
        return self._writers[name]


def learning_rates(model: keras.Model) -> dict[str, float]:
    """The learning rate as it stands; one for each part where the optimiser has several."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    parts = getattr(optimizer, "optimizers", None)
    if parts is None:
        return {"learning_rate": float(optimizer.learning_rate)}
    return {f"learning_rate_{part.name}": float(part.learning_rate) for part in parts}


def layer_graph(model: keras.Model) -> list[tuple[str, str, list[str]]]:
    """The layers of a functional or sequential model: name, kind, and the layers that it takes input from.

    Raises:
        ValueError: The model is another one, which has no graph of layers.
    """
    functional = getattr(model, "_functional", None) or model
    if not hasattr(functional, "operations"):
        raise ValueError(
            f"{type(model).__name__} {model.name!r} has no graph: it is not functional or sequential."
        )
    known = {id(operation) for operation in functional.operations}
    return [
        (
            operation.name,
            type(operation).__name__,
            [
                tensor._keras_history.operation.name
                for node in operation._inbound_nodes
                for tensor in node.input_tensors
                if id(tensor._keras_history.operation) in known
            ],
        )
        for operation in functional.operations
    ]
