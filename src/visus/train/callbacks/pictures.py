"""What a training looks like, after every epoch: its curves, and the model's opinion of some pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from visus.draw import plots
from visus.train.callbacks.averaging import averaged_weights
from visus.train.callbacks.logs import never_fatal
from visus.train.callbacks.memory import Remembering
from visus.train.events import EventWriter


class LiveCurves(Remembering):
    """Draws loss and metrics so far into a PNG file after every epoch (see `visus.draw.plots.curves`).

    Args:
        path: The file; a picture viewer that watches it shows the training live.

    Example:
        >>> model.fit(..., callbacks=[LiveCurves("run/curves.png")])  # doctest: +SKIP
    """

    memory: ClassVar[dict[str, Any]] = {"history": []}
    history: list[dict[str, float]]

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self.path = Path(path)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        shown = {name: float(value) for name, value in (logs or {}).items() if name != "peak_memory_mb"}
        self.history = [*self.history, shown]
        losses = plots.series(self.history, "val_loss")
        best = int(np.nanargmin(losses)) if np.isfinite(losses).any() else None
        with never_fatal(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            plots.save(plots.curves(self.history, best=best), self.path, dpi=100)


class PredictionGrid(keras.callbacks.Callback):  # type: ignore[misc]
    """Shows what the model thinks of some pictures after every epoch, in TensorBoard.

    Above each picture stands the predicted class with its probability, green where it is right, and the true
    class where it is not.

    Args:
        folder: The log folder; the pictures go to its run `pictures`.
        images: Prepared pictures `(N, h, w, 3|1)`, uint8 or float32 0..255; a dozen is enough.
        class_names: Name of class 0, 1, ...
        labels: True classes `(N,)`, or None.
        every: Every so many epochs.
        predict: Maps images to class probabilities `(N, K)`; by default the model does, by its `decode` where
            it has one, else its output is taken for probabilities.

    Example:
        >>> grid = PredictionGrid("run/tensorboard", x_val[:12], names, y_val[:12])  # doctest: +SKIP
        >>> model.fit(..., callbacks=[grid])  # doctest: +SKIP
    """

    def __init__(
        self,
        folder: str | Path,
        images: Any,
        class_names: Sequence[str],
        labels: Sequence[int] | None = None,
        *,
        every: int = 1,
        predict: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__()
        self.folder, self.images, self.class_names = (
            Path(folder) / "pictures",
            np.asarray(images),
            class_names,
        )
        self.labels, self.every, self.predict = labels, every, predict
        self._writer: EventWriter | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        if (epoch + 1) % self.every:
            return
        with never_fatal(self.folder):
            if self._writer is None:
                again = any(self.folder.glob("events.out.tfevents.*"))
                self._writer = EventWriter(self.folder, purge_step=epoch + 1 if again else None)
            self._writer.images("predictions", self.draw(), epoch + 1)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def draw(self) -> NDArray[np.uint8]:
        """The grid as it stands, uint8 `(height, width, 3)`."""
        scores = np.asarray((self.predict or self._predict)(self.images))
        columns = min(len(self.images), 4)
        rows = -(-len(self.images) // columns)
        height, width = self.images.shape[1:3]
        figure = Figure(figsize=(2.2 * columns, (2.2 * height / width + 0.5) * rows), layout="constrained")
        for i, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
            axes.axis("off")
            if i < len(self.images):
                axes.imshow(np.clip(self.images[i], 0, 255).astype(np.uint8), cmap="gray", vmin=0, vmax=255)
                text, color = self._caption(i, scores[i])
                axes.set_title(text, color=color, fontsize="small", parse_math=False)
        canvas: Any = FigureCanvasAgg(figure)
        canvas.draw()
        return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])

    def _caption(self, i: int, scores: NDArray[np.float32]) -> tuple[str, str]:
        best = int(np.argmax(scores))
        said = f"{self.class_names[best]} {scores[best]:.2f}"
        if self.labels is None:
            return said, "black"
        if best == self.labels[i]:
            return said, "green"
        return f"{said}\nis {self.class_names[self.labels[i]]}", "red"

    def _predict(self, images: Any) -> Any:
        with averaged_weights(self.model):
            outputs = self.model.predict_on_batch(images.astype("float32"))
        if hasattr(self.model, "decode"):
            return np.stack([result.scores for result in self.model.decode(outputs)])
        return outputs
