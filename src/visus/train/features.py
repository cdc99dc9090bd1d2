"""The frozen trunk's outputs, computed once, so that an epoch of what stands above them is quick.

Two places are kept: the pooled vector before the head, with which an epoch takes a fraction of a second, and, where a
budget asks for it, the map below the last stage, with which an epoch of the last stage costs a fifth of one of the
whole net. A random augmentation cannot be cached without freezing it. So the trunk sees each picture `variants` times:
once as it is, and `variants - 1` times through the augmentation policy. Each epoch then takes one variant of each
picture at random.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from numpy.typing import NDArray

from visus import runtime
from visus.data.pipeline import Batch, Pipeline

if TYPE_CHECKING:
    import tensorflow as tf


MAP = "map"
"""Name of the cached map below the last stage."""


def feature_model(model: keras.Model, *, with_map: bool = False) -> keras.Model:
    """The part of a classifier from the picture to the layer named `features`; weights are shared.

    Args:
        model: A classifier.
        with_map: Give the map below the last stage of the trunk, too, as `map`.
    """
    features = model.get_layer("features").output
    if not with_map:
        return keras.Model(model.inputs, {"features": features}, name="trunk")
    trunk = model.trunk
    image = keras.Input(model.image_spec.shape, name="image")
    tap = keras.Model(
        trunk.inputs, {MAP: trunk.output[_cut(trunk)], "last": trunk.output[max(trunk.strides)]}
    )
    maps = tap(image)
    pooled = keras.Model(_after_trunk(model), features)(maps["last"])
    return keras.Model(image, {"features": pooled, MAP: maps[MAP]}, name="trunk")


def head_model(model: keras.Model) -> keras.Model:
    """The part of a classifier behind the layer named `features`; weights are shared."""
    return keras.Model(model.get_layer("features").output, model.output, name="head")


def top_model(model: keras.Model) -> keras.Model | None:
    """The part of a classifier behind the map `map`: the last stage of its trunk and the head; weights are shared.

    None where more than that one map leads into the last stage, or where nothing in it learns.
    """
    trunk = model.trunk
    try:
        stage = keras.Model(trunk.output[_cut(trunk)], trunk.output[max(trunk.strides)], name="stage")
    except (ValueError, KeyError):  # Keras: the graph is disconnected
        return None
    if not stage.trainable_weights:
        return None
    tap = keras.Input(stage.input.shape[1:], name=MAP)
    return keras.Model(tap, keras.Model(_after_trunk(model), model.output)(stage(tap)), name="top")


def _cut(trunk: keras.Model) -> int:
    """The stride of the deepest map but one."""
    return int(sorted(trunk.strides)[-2])


def _after_trunk(model: keras.Model) -> Any:
    """The symbolic tensor inside a classifier that its trunk's last map is."""
    return model.get_layer("features").input


def weights_hash(model: keras.Model) -> str:
    """SHA-256 over the names, shapes and bytes of a model's weights."""
    digest = hashlib.sha256()
    for variable in model.weights:
        value = np.ascontiguousarray(keras.ops.convert_to_numpy(variable))
        digest.update(f"{variable.path} {value.shape} {value.dtype}".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def cached_features(
    compute: Callable[[NDArray[np.float32]], dict[str, NDArray[np.float32]]],
    pipelines: list[Pipeline],
    folder: Path,
    key: dict[str, Any],
    progress: Callable[[int], object] | None = None,
) -> dict[str, NDArray[Any]]:
    """Runs the trunk over each pipeline once, or takes what an earlier call left behind.

    Args:
        compute: The compiled trunk: float32 `(B, height, width, channels)` -> `{name: (B, ...)}`.
        pipelines: One for each variant, unshuffled; variant `v` is pass `v` of its pipeline.
        folder: The cache: `NAME.npy` for each output, and `key.json`.
        key: Everything that the features depend on: data, trunk, size, policy, seed. A changed key rebuilds.
        progress: Called with the number of pictures done.

    Returns:
        Name -> `(V, N, ...)`, memory-mapped: vectors as float32, maps as float16.
    """
    text = json.dumps(key, sort_keys=True, default=str)
    key_file = folder / "key.json"
    if key_file.exists() and key_file.read_text() == text:
        return {file.stem: np.load(file, mmap_mode="r", allow_pickle=False) for file in folder.glob("*.npy")}
    key_file.unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    cache: dict[str, Any] = {}
    size, done = len(pipelines[0].samples), 0
    for variant, pipeline in enumerate(pipelines):
        row = 0
        for images, *_ in pipeline.epoch(variant):
            for name, value in compute(images).items():
                if name not in cache:
                    cache[name] = np.lib.format.open_memmap(
                        folder / f"{name}.npy",
                        mode="w+",
                        dtype=np.float32 if value.ndim == 2 else np.float16,
                        shape=(len(pipelines), size, *value.shape[1:]),
                    )
                cache[name][variant, row : row + len(images)] = value
            row, done = row + len(images), done + len(images)
            if progress is not None:
                progress(done)
    for array in cache.values():
        array.flush()
    key_file.write_text(text)
    return cache


def compile_trunk(model: keras.Model, kind: str = "auto", *, with_map: bool = False) -> runtime.Runtime:
    """The quickest runtime for a classifier's trunk on this machine."""
    return runtime.compile(feature_model(model, with_map=with_map), kind=kind)


@dataclass(frozen=True, eq=False)
class FeatureStream:
    """Batches of cached features; like a `Pipeline`, a function of `(seed, t)` alone.

    Attributes:
        features: float16 or float32 `(V, N, ...)`.
        targets: float32 `(N, K)`.
        batch_size: Rows in a batch; each pass ends with a smaller batch when N is no multiple of it.
        shuffle: Draw a new order, and a variant for each row, in every pass; otherwise rows in order, variant 0.
        seed: Fixes both draws.
        class_weights: float `(K,)` or None; see `Pipeline`.
    """

    features: NDArray[Any]
    targets: NDArray[np.float32]
    batch_size: int
    shuffle: bool = False
    seed: int = 0
    class_weights: NDArray[np.float32] | None = None

    @property
    def steps(self) -> int:
        """Batches in one pass."""
        return -(-len(self.targets) // self.batch_size)

    def batches(self, first: int = 0) -> Iterator[Batch]:
        """Batches `first`, `first + 1`, ... without end."""
        variants, rows = self.features.shape[:2]
        pass_index, within = divmod(first, self.steps)
        while True:
            if self.shuffle:
                rng = np.random.default_rng((self.seed, pass_index))
                order: NDArray[np.int64] = rng.permutation(rows)
                variant: NDArray[np.int64] = rng.integers(variants, size=rows)  # type: ignore[assignment]
            else:
                order, variant = np.arange(rows), np.zeros(rows, np.int64)
            for step in range(within, self.steps):
                chosen = order[step * self.batch_size : (step + 1) * self.batch_size]
                batch = (self.features[variant[chosen], chosen].astype(np.float32), self.targets[chosen])
                if self.class_weights is None:
                    yield batch
                else:
                    yield (*batch, (batch[1] @ self.class_weights).astype(np.float32))
            pass_index, within = pass_index + 1, 0

    def dataset(self, first: int = 0) -> tf.data.Dataset:
        """The same batches as an endless `tf.data.Dataset`."""
        import tensorflow as tf

        signature = [
            tf.TensorSpec((None, *self.features.shape[2:]), tf.float32),
            tf.TensorSpec((None, self.targets.shape[1]), tf.float32),
        ]
        if self.class_weights is not None:
            signature.append(tf.TensorSpec((None,), tf.float32))
        return tf.data.Dataset.from_generator(
            lambda: self.batches(first), output_signature=tuple(signature)
        ).prefetch(4)
