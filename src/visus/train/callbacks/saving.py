"""Models saved while they learn, under names that tell the epoch."""

from __future__ import annotations

import re
import string
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from visus.structures import InputError
from visus.train.callbacks.averaging import averaged_weights
from visus.train.callbacks.logs import never_fatal
from visus.train.callbacks.monitor import Mode, Monitor

_SUFFIXES = (".weights.h5", ".keras", ".h5", ".npz")


class SaveModel(Monitor):
    """Saves the model now and then; a file has its name only when it is complete.

    Two of these, one with `best_only`, keep the best and the last. What an interrupted `visus train` resumes
    from is kept elsewhere (`visus.train.checkpoint`).

    Args:
        path: A template such as `run/cp-{epoch:04d}-{val_loss:.2f}.keras`, with `epoch` (from 1), `step` and all
            figures of the logs. `.keras` is the whole model, `.weights.h5` its weights alone. A name without
            a field is overwritten.
        every: Every so many epochs; 0: not at the end of epochs.
        every_batches: Also every so many batches; 0: never.
        every_seconds: Also at the first batch after so many seconds; 0: never.
        best_only: Save only when `monitor` is better than ever before. Where the optimiser averages the weights
            it is the averaged ones that are saved then.
        monitor: Name of the figure in the logs.
        mode: `min`, `max`, or `auto` by the name.
        threshold: What even the first best has to beat, or None.
        keep: Delete the oldest of the files saved here beyond this number; 0 keeps all.
        initial: Also save the untrained model, as epoch 0.
        clock: Where the time comes from, in seconds.

    Raises:
        ValueError: The suffix is another one.

    Example:
        >>> SaveModel("run/cp-{epoch:04d}.weights.h5", keep=3)  # doctest: +SKIP
    """

    memory: ClassVar[dict[str, Any]] = {"best": None, "saved": []}
    saved: list[str]

    def __init__(
        self,
        path: str | Path,
        *,
        every: int = 1,
        every_batches: int = 0,
        every_seconds: float = 0,
        best_only: bool = False,
        monitor: str = "val_loss",
        mode: Mode = "auto",
        threshold: float | None = None,
        keep: int = 0,
        initial: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(monitor, mode, 0.0)
        if not str(path).endswith((".keras", ".weights.h5")):
            raise ValueError(
                f"A model is saved as .keras, its weights as .weights.h5. Received {str(path)!r}."
            )
        self.path, self.every, self.every_batches, self.every_seconds = (
            str(path),
            every,
            every_batches,
            every_seconds,
        )
        self.best_only, self.threshold, self.keep, self.initial, self.clock = (
            best_only,
            threshold,
            keep,
            initial,
            clock,
        )
        self._epoch = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        resumed = self._restored
        super().on_train_begin(logs)
        self._since, self._batches = self.clock(), 0
        if self.initial and not resumed:
            self._save(0, {})

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        self._batches += 1
        enough = self.every_batches and self._batches % self.every_batches == 0
        if enough or (self.every_seconds and self.clock() - self._since >= self.every_seconds):
            self._since = self.clock()
            self._save(self._epoch + 1, logs or {})

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keras' hook."""
        if self.every and (epoch + 1) % self.every == 0:
            self._save(epoch + 1, logs or {})

    def _save(self, epoch: int, logs: Mapping[str, Any]) -> None:
        if self.best_only and not self._is_best(logs):
            return
        path = checkpoint_name(self.path, epoch=epoch, step=int(self.model.optimizer.iterations), logs=logs)
        partial = path.with_name(f".tmp-{path.name}")
        with never_fatal(path):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                if self.best_only:
                    with averaged_weights(self.model):
                        self._write(partial)
                else:
                    self._write(partial)
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
            self.saved = [*(name for name in self.saved if name != str(path)), str(path)]
            while self.keep and len(self.saved) > self.keep:
                oldest, *self.saved = self.saved
                Path(oldest).unlink(missing_ok=True)

    def _is_best(self, logs: Mapping[str, Any]) -> bool:
        value = self.current(logs)
        if value is None or not self.improves(value, self.threshold if self.best is None else self.best):
            return False
        self.best = value
        return True

    def _write(self, path: Path) -> None:
        if path.name.endswith(".weights.h5"):
            self.model.save_weights(path)
        else:
            self.model.save(path)


def checkpoint_name(template: str | Path, *, epoch: int, step: int, logs: Mapping[str, Any]) -> Path:
    """Fills in a template.

    Args:
        template: With fields in braces, formatted as Python does: `{epoch:04d}`, `{step}`, `{val_loss:.2f}`.
        epoch: Number of the epoch, from 1; 0 is before training.
        step: Number of updates so far.
        logs: Figures.

    Raises:
        InputError: A field is none of these.

    Example:
        >>> str(checkpoint_name("cp-{epoch:04d}-{loss:.1f}.keras", epoch=7, step=70, logs={"loss": 0.25}))
        'cp-0007-0.2.keras'
    """
    values = {**logs, "epoch": epoch, "step": step}
    try:
        return Path(_Plain().vformat(str(template), (), values))
    except (KeyError, IndexError, ValueError) as error:
        raise InputError(
            f"Cannot fill in the file name {str(template)!r} ({error}). Available: {', '.join(values)}."
        ) from error


def latest_checkpoint(where: str | Path) -> Path | None:
    """The newest of several saved models: that with the highest number in its name, whatever the clock says.

    Args:
        where: Their folder; or how their names begin (`run/cp` or, of a certain one, `run/cp-0010`); or their
            template (`run/cp-{epoch:04d}-{val_loss:.2f}.keras`), which is the safest where names have several
            numbers. Otherwise the last whole number of a name counts.

    Returns:
        The file, or None where there is none.

    Example:
        >>> latest_checkpoint("run/cp-{epoch:04d}.weights.h5")  # doctest: +SKIP
        PosixPath('run/cp-0010.weights.h5')
    """
    where = Path(where)
    folder, begin = (where, "") if where.is_dir() else (where.parent, where.name)
    if "{" in begin:
        pattern = _pattern(begin)
        numbers = {p: m for p in _files(folder) if (m := re.fullmatch(pattern, p.name))}
        found = {p: int(m["step"] if "step" in m.groupdict() else m["epoch"]) for p, m in numbers.items()}
    else:
        found = {p: _number(p.name) for p in _files(folder) if p.name.startswith(begin)}
    return max(found, key=lambda path: (found[path], path.name), default=None)


class _Plain(string.Formatter):
    """Without access to attributes and items, which have no place in a file name."""

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        return kwargs[field_name], field_name


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [p for p in folder.iterdir() if p.name.endswith(_SUFFIXES) and not p.name.startswith(".")]


def _number(name: str) -> int:
    stem = next(name.removesuffix(suffix) for suffix in _SUFFIXES if name.endswith(suffix))
    whole = re.findall(r"(?<![\d.])\d+(?!\d|\.\d)", stem)
    return int(whole[-1]) if whole else -1


def _pattern(template: str) -> str:
    out, seen = "", set()
    for text, field, _, _ in string.Formatter().parse(template):
        out += re.escape(text)
        if field in ("epoch", "step") and field not in seen:
            seen.add(field)
            out += rf"(?P<{field}>\d+)"
        elif field is not None:
            out += ".+?"
    if not seen:
        raise InputError(
            f"The template {template!r} has neither {{epoch}} nor {{step}}, so that none is the latest."
        )
    return out
