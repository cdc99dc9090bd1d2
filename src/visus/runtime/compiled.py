"""`compile`: from a model to the quickest function on this machine that gives the same numbers."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import pkgutil
import sys
import tempfile
import threading
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import visus
from visus.models.archive import model_file
from visus.runtime import cache as disk
from visus.runtime import kinds
from visus.structures import ImageSpec, InputError

if TYPE_CHECKING:
    import keras

ORDER = ("litert", "onnxruntime", "openvino", "keras")
"""The order in which `auto` tries them; see `compile` for the measurements behind it."""

KINDS = tuple(sorted((m.name for m in pkgutil.iter_modules(kinds.__path__)), key=ORDER.index))
"""All runtimes, in the order of `auto`: the files of `visus/runtime/kinds`."""


class Runtime:
    """A compiled model: float32 batches in, named float32 arrays out. Safe to call from many threads.

    Attributes:
        kind: `litert`, `onnxruntime`, `openvino` or `keras`.
        parity: The largest relative difference to Keras that the check found; 0 for `keras` itself.
        notes: Sentences about runtimes that were tried before this one and why they were left.
        input_shape: `(height, width, channels)`; None where any size is taken.
        outputs: Name of each output -> its shape without the batch.
        piece: How many pictures are computed at once.
        image_spec: The model's image spec, or None.
        class_names: The model's class names, or None.
        multi_label: Whether each class is a yes or no of its own.
    """

    def __init__(self, kind: str, session: Any, about: dict[str, Any], notes: tuple[str, ...] = ()) -> None:
        self.kind = kind
        self.parity: float = about["parity"]
        self.notes = notes
        self.piece: int = _kind(kind).PIECE
        self.input_shape: tuple[int | None, ...] = tuple(about["input_shape"])
        self.outputs: dict[str, tuple[int | None, ...]] = {k: tuple(v) for k, v in about["outputs"].items()}
        self.image_spec = None if about["image_spec"] is None else ImageSpec(**about["image_spec"])
        self.class_names: tuple[str, ...] | None = about["class_names"] and tuple(about["class_names"])
        self.multi_label: bool = about["multi_label"]
        self._session = session
        self._lock = threading.Lock()

    def __call__(self, batch: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Computes a batch.

        Args:
            batch: float32 `(B, height, width, channels)`, 0..255 for a model of pictures; B may be 0.

        Returns:
            Name -> float32 `(B, ...)`.

        Raises:
            ValueError: The batch has another type or shape.
        """
        if batch.dtype != np.float32 or batch.ndim != 4 or not _fits(batch.shape[1:], self.input_shape):
            wanted = ", ".join("any" if side is None else str(side) for side in self.input_shape)
            raise ValueError(
                f"This model takes float32 batches of shape (batch, {wanted}). "
                f"Received {batch.dtype} of shape {batch.shape}."
            )
        pieces = []
        for start in range(0, len(batch), self.piece):
            piece = np.ascontiguousarray(batch[start : start + self.piece])
            with self._lock:
                pieces.append(self._session(piece))
        if not pieces:
            return {k: np.zeros((0, *(s or 0 for s in v)), np.float32) for k, v in self.outputs.items()}
        if len(pieces) == 1:
            return {k: np.asarray(v, np.float32) for k, v in zip(self.outputs, pieces[0])}
        return {
            k: np.concatenate(v).astype(np.float32, copy=False) for k, v in zip(self.outputs, zip(*pieces))
        }


def compile(
    model: keras.Model | str | Path,
    *,
    kind: str = "auto",
    tolerance: float = 1e-3,
    cache_dir: str | Path | None = None,
    threads: int | None = None,
    pictures: NDArray[np.float32] | None = None,
) -> Runtime:
    """Compiles a model for this machine and makes sure that it still gives the same numbers.

    The conversion takes seconds; it is done once and kept on disk under the SHA-256 of the architecture, the
    weights, the runtime's name and all versions involved. Given a file, its bytes are what is hashed, and a
    file that was compiled before runs without loading Keras at all.

    A new conversion is checked on the spot: a fixed batch (noise, coarse shades, black, white) goes through
    Keras and through the conversion, and for each output the largest absolute difference, divided by that
    output's largest magnitude, must not exceed `tolerance`. Otherwise `auto` goes on to the next runtime and
    says so in `Runtime.notes`.

    `auto` means: Keras itself where it has a GPU or TPU; else the first installed of LiteRT, ONNX Runtime and
    OpenVINO that passes the check; else Keras, that is a `tf.function` (a jitted function under JAX, `no_grad`
    under Torch). The order is measured, in milliseconds of processor time for one picture of 224 x 224 on two
    cores of an AMD EPYC with AVX2 (`python -m benchmarks.predictor`; `model.predict` adds 40 to 60 of its own):

    | | LiteRT | ONNX Runtime | OpenVINO | Keras |
    |---|---|---|---|---|
    | MobileNetV2 | 10.8 | 13.0 | 14.1 | 34.0 |
    | EfficientNet-Lite0 | 16.1 | 15.3 | 19.5 | 32.9 |
    | EfficientNet-B0 | 22.1 | 21.3 | 28.3 | 52.3 |
    | ResNet-50 | 100 | 123 | 119 | 158 |

    Between LiteRT and ONNX Runtime the conversion decides, which takes LiteRT half as long; and LiteRT can do
    without its package, because TensorFlow has it inside.

    Args:
        model: A Keras model with one input `(B, height, width, channels)`; or a `.keras` file that visus
            wrote, or a run folder. The result is a snapshot: train on, and compile again.
        kind: `auto`, `litert`, `onnxruntime`, `openvino` or `keras`.
        tolerance: The largest relative difference that is accepted.
        cache_dir: Instead of `$VISUS_CACHE` or `~/.cache/visus`.
        threads: Threads of one call; None means as many as the process may use.
        pictures: float32 `(B, height, width, channels)`, real pictures that join the check.

    Raises:
        InputError: The runtime named by `kind` is unknown, not installed, cannot run this model, or differs
            too much.

    Example:
        >>> from visus.models import create
        >>> model = create("efficientnet-lite0", class_names=("cat", "dog"))    # doctest: +SKIP
        >>> compile(model)(batch)["logits"].shape                                # doctest: +SKIP
        (8, 2)
    """
    if kind != "auto" and kind not in KINDS:
        raise InputError(f"There is no runtime {kind!r}. Choose auto, {', '.join(KINDS)}.")
    source = _Source(model)
    threads = threads or usable_cores()
    notes: list[str] = []
    for name in _candidates() if kind == "auto" else [kind]:
        try:
            if not _kind(name).available():
                raise _Unusable("it is not installed")
            session, about = _session(source, name, tolerance, disk.folder(cache_dir), threads, pictures)
        except _Unusable as reason:
            sentence = f"The runtime {name} was not used: {reason}."
            if kind != "auto":
                raise InputError(f"{sentence} Use runtime auto, which takes what works.") from None
            if reason.worth_telling:
                notes.append(sentence)
            continue
        return Runtime(name, session, about, tuple(notes))
    raise InputError(" ".join(notes))


def usable_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Unusable(Exception):
    """Why a runtime cannot run this model."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.worth_telling = "not installed" not in reason


class _Source:
    """A model that is loaded only when somebody needs it."""

    def __init__(self, model: keras.Model | str | Path) -> None:
        self.file = model_file(model) if isinstance(model, (str, Path)) else None
        self._model = None if self.file else model

    @property
    def model(self) -> keras.Model:
        if self._model is None:
            from visus.models import load

            assert self.file is not None
            self._model = load(self.file)
        return self._model

    @property
    def digest(self) -> str:
        """SHA-256 of the file; of a model in memory: of its configuration and its weights."""
        if self.file is not None:
            return disk.file_hash(self.file)
        from keras import ops, saving

        config = saving.serialize_keras_object(self.model)
        config.pop("compile_config", None)  # how it learns is not what it computes
        digest = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode())
        for variable in self.model.weights:
            value = np.ascontiguousarray(ops.convert_to_numpy(variable))
            digest.update(f"{value.shape} {value.dtype}".encode())
            digest.update(value.data)
        return digest.hexdigest()


@cache
def _kind(name: str) -> ModuleType:
    return importlib.import_module(f"visus.runtime.kinds.{name}")


def _candidates() -> tuple[str, ...]:
    return ("keras",) if _accelerated() else KINDS


def _accelerated() -> bool:
    """Whether Keras computes on a GPU or TPU; TensorFlow is not loaded to find out."""
    if "keras" in sys.modules:
        backend = sys.modules["keras"].backend.backend()
    else:
        backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if backend == "jax":
        return bool(importlib.import_module("jax").default_backend() != "cpu")
    if backend == "torch":
        torch = importlib.import_module("torch")
        return bool(torch.cuda.is_available() or torch.backends.mps.is_available())
    return "tensorflow" in sys.modules and bool(sys.modules["tensorflow"].config.list_physical_devices("GPU"))


def _session(
    source: _Source,
    name: str,
    tolerance: float,
    root: Path,
    threads: int,
    pictures: NDArray[np.float32] | None,
) -> tuple[Any, dict[str, Any]]:
    """The compiled function and what is known about it."""
    if name == "keras":
        about = _checked_about(source.model)
        return _kind(name).load(Path(), threads, source.model), {**about, "parity": 0.0}

    def fill(folder: Path) -> dict[str, Any]:
        if find_spec("tensorflow") is None:
            raise _Unusable("TensorFlow, which converts models, is not installed")
        about = _checked_about(source.model)
        try:
            _convert(name, source.model, folder)
            session = _kind(name).load(folder, threads)
            return {**about, "parity": _parity(session, source.model, about, None)}
        except (OSError, ImportError, MemoryError):
            raise
        except Exception as error:  # whatever a converter makes of an unusual model; kept, not tried again
            return {**about, "parity": None, "failed": _first_line(error)}

    key = hashlib.sha256(repr((name, source.digest, _versions(name), _code())).encode()).hexdigest()
    with tempfile.TemporaryDirectory(prefix="visus-", ignore_cleanup_errors=True) as temporary:
        try:
            folder, about = disk.find(root, key) or disk.add(root, key, fill)
        except OSError:  # no cache folder can be written: convert for this process alone
            folder = Path(temporary)
            about = fill(folder)
        if about["parity"] is None:
            raise _Unusable(f"it could not convert the model ({about['failed']})")
        session = _kind(name).load(folder, threads)
    if pictures is not None:
        about["parity"] = max(about["parity"], _parity(session, source.model, about, pictures))
    if not about["parity"] <= tolerance:
        raise _Unusable(
            f"its results differ from Keras by {about['parity']:.1e} of their magnitude, "
            f"more than the tolerance of {tolerance:.1e}"
        )
    return session, about


def _convert(name: str, model: keras.Model, folder: Path) -> None:
    from keras import backend

    if backend.backend() == "tensorflow":
        _kind(name).convert(model, folder)
    else:
        from visus.runtime.elsewhere import convert

        convert(name, model, folder)


def _checked_about(model: keras.Model) -> dict[str, Any]:
    """What a runtime must know of its model once the model itself is gone."""
    from visus.runtime.frozen import as_input, input_shape, named

    try:
        shape = input_shape(model)
        tensors = named(model.compute_output_spec(as_input(model, model.inputs[0])))
        outputs = {name: tuple(tensor.shape[1:]) for name, tensor in tensors.items()}
    except (ValueError, AttributeError) as error:
        raise InputError(str(error)) from None
    spec = getattr(model, "image_spec", None)
    return {
        "input_shape": shape,
        "outputs": outputs,
        "image_spec": spec and spec.to_dict(),
        "class_names": getattr(model, "class_names", None),
        "multi_label": bool(getattr(model, "multi_label", False)),
    }


def _parity(
    session: Any, model: keras.Model, about: dict[str, Any], pictures: NDArray[np.float32] | None
) -> float:
    """The largest difference of any output, relative to that output's largest magnitude."""
    from keras import ops

    from visus.runtime.frozen import infer

    batch = _fixed_batch(about) if pictures is None else pictures
    truth = infer(model, batch).values()
    given = zip(*(session(batch[i : i + 1]) for i in range(len(batch))))
    worst = 0.0
    for pieces, output in zip(given, truth):
        ours, theirs = np.concatenate(pieces), ops.convert_to_numpy(output).astype(np.float64)
        if ours.shape != theirs.shape:
            return float("inf")
        scale = np.abs(theirs).max(initial=0.0)
        difference = np.abs(ours - theirs).max(initial=0.0) / (scale or 1.0)
        worst = max(worst, float(difference)) if np.isfinite(difference) else float("inf")
    return worst


def _fixed_batch(about: dict[str, Any]) -> NDArray[np.float32]:
    """Four pictures in 0..255: noise, coarse shades, black, white."""
    spec = about["image_spec"] or {"height": 64, "width": 96}
    height, width, channels = about["input_shape"]
    height, width, channels = height or spec["height"], width or spec["width"], channels or 3
    rng = np.random.default_rng(0)
    coarse = rng.uniform(0, 255, (5, 5, channels))
    shades = coarse[np.arange(height) * 5 // height][:, np.arange(width) * 5 // width]
    noise = rng.uniform(0, 255, (height, width, channels))
    return np.stack([noise, shades, np.zeros_like(noise), np.full_like(noise, 255)]).astype(np.float32)


def _versions(name: str) -> dict[str, str | None]:
    def version(package: str) -> str | None:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            return None

    packages = ("keras", "tensorflow", "tensorflow-cpu", *_kind(name).PACKAGES)
    return {"visus": visus.__version__, **{package: version(package) for package in packages}}


@cache
def _code() -> str:
    """SHA-256 of the code that gives a configuration its meaning."""
    digest = hashlib.sha256()
    root = Path(visus.__file__).parent
    for room in ("models", "nn", "runtime"):
        for file in sorted((root / room).rglob("*.py")):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return all(side is None or side == given for given, side in zip(shape, wanted))


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:200]}"
