"""From samples to batches: parallel, ahead of the consumer, and the same for the same seed on every machine.

Position is the only state. Batch `t` of a pipeline is a function of `(seed, t)` alone: the order of pass `p` is
drawn from `(seed, p)` and the augmentation of a picture from `(seed, p, index)`. So a training that was killed
goes on at batch `t` without replaying anything, and the number of worker threads changes nothing but the speed.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from visus.data.dataset import Dataset
from visus.data.store import decode
from visus.image.io import ImageError
from visus.image.prepare import prepare
from visus.structures import ImageSpec, InputError, Sample

if TYPE_CHECKING:
    import tensorflow as tf

Batch = tuple[NDArray[np.float32], ...]


class SamplePolicy(Protocol):
    """What a pipeline needs of an augmentation policy; see `visus.data.augment.Policy`."""

    def apply(self, sample: Sample, rng: np.random.Generator, spec: ImageSpec | None = None) -> Sample:
        """The sample as the model will see it, prepared to `spec` in one warp."""


class BatchMix(Protocol):
    """What a pipeline needs of MixUp or CutMix; see `visus.data.augment.mix`."""

    def __call__(self, images: Any, targets: Any, rng: np.random.Generator) -> tuple[Any, Any]:
        """The mixed batch, of the same shapes."""


class Pipeline:
    """An endless, addressable stream of batches over a data set.

    Attributes:
        steps: Batches in one pass over the data.
        problems: Source -> reason, for pictures that could not be read; each was replaced in its batch by the
            next readable one, and is reported once.

    Args:
        dataset: The samples, each with a target.
        spec: What the model expects.
        batch_size: Pictures in a batch.
        policy: Random augmentation of each picture, or None.
        mix: Augmentation of whole batches (MixUp, CutMix), or None.
        shuffle: A new uniform permutation for each pass.
        seed: Fixes order and augmentation.
        pictures: Already decoded pictures by position (a `PictureStore`), or None to decode as needed.
        soft: Use the annotators' probabilities as targets where they exist.
        class_weights: float `(K,)`; when given, batches carry sample weights `targets @ class_weights`.
        drop_remainder: Leave out the last batch of a pass when it is not full.
        workers: Threads; by default one for each core.
        ahead: Batches prepared before they are asked for.

    Example:
        >>> import numpy as np
        >>> from visus.data import Dataset
        >>> from visus.structures import Classification
        >>> gray = [Sample(np.full((6, 8, 3), i, np.uint8), Classification(label=i % 2)) for i in range(5)]
        >>> pipeline = Pipeline(Dataset(tuple(gray), ("even", "odd")), ImageSpec(4, 4), batch_size=2)
        >>> [images[:, 0, 0, 0].tolist() for images, targets in pipeline.epoch(0)]
        [[0.0, 1.0], [2.0, 3.0], [4.0]]
    """

    def __init__(
        self,
        dataset: Dataset,
        spec: ImageSpec,
        *,
        batch_size: int,
        policy: SamplePolicy | None = None,
        mix: BatchMix | None = None,
        shuffle: bool = False,
        seed: int = 0,
        pictures: Sequence[NDArray[np.uint8]] | None = None,
        soft: bool = False,
        class_weights: NDArray[np.float32] | None = None,
        drop_remainder: bool = False,
        workers: int | None = None,
        ahead: int = 3,
    ):
        if len(dataset) == 0:
            raise InputError("A pipeline needs at least one sample, and this data set is empty.")
        if batch_size < 1:
            raise InputError(f"batch_size is at least 1. Received {batch_size}.")
        if drop_remainder and len(dataset) < batch_size:
            raise InputError(
                f"drop_remainder leaves no batch: there are {len(dataset)} samples and batch_size is {batch_size}."
            )
        if pictures is not None and len(pictures) != len(dataset):
            raise ValueError(f"{len(dataset)} samples need as many pictures. Received {len(pictures)}.")
        self.samples, self.spec, self.batch_size = dataset.samples, spec, batch_size
        self.policy, self.mix, self.shuffle, self.seed = policy, mix, shuffle, seed
        self.pictures, self.class_weights = pictures, class_weights
        self.targets = dataset.targets(soft)
        full, rest = divmod(len(dataset), batch_size)
        self.steps = full + (1 if rest and not drop_remainder else 0)
        self.workers, self.ahead = workers or os.cpu_count() or 1, ahead
        self.problems: dict[str, str] = {}
        self._times: dict[str, deque[float]] = {
            stage: deque(maxlen=10_000) for stage in ("decode", "augment", "mix", "batch", "wait")
        }
        self._lock = threading.Lock()
        self._order: tuple[int, NDArray[np.int64]] | None = None

    def __len__(self) -> int:
        return self.steps

    def order(self, pass_index: int) -> NDArray[np.int64]:
        """int64 `(N,)`: the positions of the samples in the order of one pass."""
        if not self.shuffle:
            return np.arange(len(self.samples))
        kept = self._order
        if kept is None or kept[0] != pass_index:
            # A permutation of a million takes as long as a batch: it is drawn once for each pass.
            order = np.random.default_rng((self.seed, pass_index)).permutation(len(self.samples))
            kept = self._order = (pass_index, order)
        return kept[1]

    def epoch(self, epoch: int = 0, first_step: int = 0) -> Iterator[Batch]:
        """The batches of one pass, from `first_step` on."""
        return self.batches(epoch * self.steps + first_step, self.steps - first_step)

    def batches(self, first: int = 0, count: int | None = None) -> Iterator[Batch]:
        """Batches `first`, `first + 1`, ... of the endless stream (`count` of them, or without end).

        Yields:
            `(images, targets)` or `(images, targets, weights)`: float32 `(B, height, width, channels)` in 0..255,
            float32 `(B, K)`, float32 `(B,)`.
        """
        with ThreadPoolExecutor(self.workers, thread_name_prefix="visus-pipeline") as pool:
            started: deque[tuple[int, Batch, list[Future[None]]]] = deque()
            step = first
            try:
                while True:
                    while len(started) < self.ahead and (count is None or step < first + count):
                        started.append(self._start(step, pool))
                        step += 1
                    if not started:
                        return
                    begin = time.perf_counter()
                    number, batch, tasks = started.popleft()
                    for task in tasks:
                        task.result()
                    self._times["wait"].append(time.perf_counter() - begin)
                    yield self._finish(number, batch)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def dataset(self, first: int = 0, count: int | None = None) -> tf.data.Dataset:
        """The same batches as a `tf.data.Dataset`, with one batch more handed over ahead of the consumer."""
        import tensorflow as tf

        signature = [
            tf.TensorSpec((None, *self.spec.shape), tf.float32),
            tf.TensorSpec((None, self.targets.shape[1]), tf.float32),
        ]
        if self.class_weights is not None:
            signature.append(tf.TensorSpec((None,), tf.float32))
        return tf.data.Dataset.from_generator(
            lambda: self.batches(first, count), output_signature=tuple(signature)
        ).prefetch(1)

    def statistics(self) -> dict[str, dict[str, float]]:
        """Where time goes: per stage the number of measurements and mean, p50 and p95 in milliseconds.

        `decode`, `augment` (with the resize to the model's size) are per picture and per thread, `mix` per
        batch; `wait` is how long the consumer waited for a batch: near zero when the pipeline keeps up.
        """
        table = {}
        for stage, seconds in self._times.items():
            if seconds:
                ms = np.asarray(seconds) * 1000
                table[stage] = {
                    "count": float(len(ms)),
                    "mean_ms": float(ms.mean()),
                    "p50_ms": float(np.median(ms)),
                    "p95_ms": float(np.percentile(ms, 95)),
                }
        return table

    def _start(self, step: int, pool: ThreadPoolExecutor) -> tuple[int, Batch, list[Future[None]]]:
        pass_index, within = divmod(step, self.steps)
        chosen = self.order(pass_index)[within * self.batch_size : (within + 1) * self.batch_size]
        images = np.empty((len(chosen), *self.spec.shape), np.float32)
        targets = np.empty((len(chosen), self.targets.shape[1]), np.float32)
        # One task for each worker, not for each picture: a small picture takes less time than to hand it over.
        rows = iter(enumerate(chosen.tolist()))

        def work() -> None:
            for row, index in rows:
                self._fill(images, targets, row, index, pass_index)

        return step, (images, targets), [pool.submit(work) for _ in range(min(self.workers, len(chosen)))]

    def _fill(self, images: Any, targets: Any, row: int, index: int, pass_index: int) -> None:
        # Writes into the batch's own row: no list of pictures, no second copy.
        begin = time.perf_counter()
        index, picture = self._picture(index)
        middle = time.perf_counter()
        if self.policy is None:
            images[row] = prepare(picture, self.spec)[0]
        else:
            rng = np.random.default_rng((self.seed, pass_index, index))
            images[row] = self.policy.apply(self.samples[index].replace(image=picture), rng, self.spec).image
        targets[row] = self.targets[index]
        self._times["decode"].append(middle - begin)
        self._times["augment"].append(time.perf_counter() - middle)

    def _picture(self, index: int) -> tuple[int, NDArray[np.uint8]]:
        if self.pictures is not None:
            return index, self.pictures[index]
        # With a policy, large enough for a crop of a quarter of the area to be shown without enlarging it.
        factor = 2.0 if self.policy is not None else 1 / self.spec.crop_fraction
        enough = (math.ceil(factor * self.spec.height), math.ceil(factor * self.spec.width))
        for offset in range(len(self.samples)):
            at = (index + offset) % len(self.samples)
            try:
                return at, decode(self.samples[at], self.spec.channels, enough)
            except (ImageError, OSError) as error:
                with self._lock:
                    self.problems.setdefault(self.samples[at].source, str(error))
        reason = next(iter(self.problems.values()))
        raise InputError(f"None of the {len(self.samples)} pictures can be read; the first reason: {reason}")

    def _finish(self, step: int, batch: Batch) -> Batch:
        begin = time.perf_counter()
        images, targets = batch[0], batch[1]
        if self.mix is not None:
            images, targets = self.mix(images, targets, np.random.default_rng((self.seed, step, 1 << 32)))
            self._times["mix"].append(time.perf_counter() - begin)
        if self.class_weights is None:
            return images, targets
        return images, targets, (targets @ self.class_weights).astype(np.float32)
