"""The frozen trunk's outputs, computed once, so that an epoch of the head takes a fraction of a second.

A random augmentation cannot be cached without freezing it. So the trunk sees each picture `variants` times: once as
it is, and `variants - 1` times through the augmentation policy. Each epoch of the head then takes one variant of each
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


def feature_model(model: keras.Model) -> keras.Model:
    """The part of a classifier from the picture to the layer named `features`; weights are shared."""
    return keras.Model(model.inputs, {"features": model.get_layer("features").output}, name="trunk")


def head_model(model: keras.Model) -> keras.Model:
    """The part of a classifier behind the layer named `features`; weights are shared."""
    return keras.Model(model.get_layer("features").output, model.output, name="head")


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
    file: Path,
    key: dict[str, Any],
    progress: Callable[[int], object] | None = None,
) -> NDArray[np.float32]:
    """Runs the trunk over each pipeline once, or takes what an earlier call left behind.

    Args:
        compute: The compiled trunk: float32 `(B, height, width, channels)` -> `{"features": (B, D)}`.
        pipelines: One for each variant, unshuffled; variant `v` is pass `v` of its pipeline.
        file: The cache, `.npy`; beside it a `.json` file holds the key.
        key: Everything that the features depend on: data, trunk, size, policy, seed. A changed key rebuilds.
        progress: Called with the number of pictures done.

    Returns:
        float32 `(V, N, D)`.
    """
    text = json.dumps(key, sort_keys=True, default=str)
    key_file = file.with_suffix(".json")
    if file.exists() and key_file.exists() and key_file.read_text() == text:
        kept: NDArray[np.float32] = np.load(file, allow_pickle=False)
        return kept
    key_file.unlink(missing_ok=True)
    done, rows = 0, []
    for variant, pipeline in enumerate(pipelines):
        row = []
        for images, *_ in pipeline.epoch(variant):
            row.append(compute(images)["features"])
            done += len(images)
            if progress is not None:
                progress(done)
        rows.append(np.concatenate(row))
    features = np.stack(rows).astype(np.float32)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".part")
    with partial.open("wb") as stream:
        np.save(stream, features)
    partial.replace(file)
    key_file.write_text(text)
    return features


def compile_trunk(model: keras.Model, kind: str = "auto") -> runtime.Runtime:
    """The quickest runtime for a classifier's trunk on this machine."""
    return runtime.compile(feature_model(model), kind=kind)


@dataclass(frozen=True, eq=False)
class FeatureStream:
    """Batches of cached features; like a `Pipeline`, a function of `(seed, t)` alone.

    Attributes:
        features: float32 `(V, N, D)`.
        targets: float32 `(N, K)`.
        batch_size: Rows in a batch; each pass ends with a smaller batch when N is no multiple of it.
        shuffle: Draw a new order, and a variant for each row, in every pass; otherwise rows in order, variant 0.
        seed: Fixes both draws.
        class_weights: float `(K,)` or None; see `Pipeline`.
    """

    features: NDArray[np.float32]
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
        variants, rows, _ = self.features.shape
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
                batch = (self.features[variant[chosen], chosen], self.targets[chosen])
                if self.class_weights is None:
                    yield batch
                else:
                    yield (*batch, (batch[1] @ self.class_weights).astype(np.float32))
            pass_index, within = pass_index + 1, 0

    def dataset(self, first: int = 0) -> tf.data.Dataset:
        """The same batches as an endless `tf.data.Dataset`."""
        import tensorflow as tf

        signature = [
            tf.TensorSpec((None, self.features.shape[2]), tf.float32),
            tf.TensorSpec((None, self.targets.shape[1]), tf.float32),
        ]
        if self.class_weights is not None:
            signature.append(tf.TensorSpec((None,), tf.float32))
        return tf.data.Dataset.from_generator(
            lambda: self.batches(first), output_signature=tuple(signature)
        ).prefetch(4)
