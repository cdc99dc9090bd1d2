"""What happens in a run: the head, then the trunk, then the judgement.

With pretrained weights training has two phases. `head` learns on cached features of the frozen trunk, an epoch in a
fraction of a second; `tune` lets the trunk learn at a small rate. Without them there is one, `scratch`. Each phase is
`keras.Model.fit` on an endless, addressable stream of batches, so that a checkpoint is nothing but the variables and
the number of the next epoch.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from visus import models
from visus.data import Dataset
from visus.data.augment import policy as augmentation_policy
from visus.data.augment.mix import CutMix, MixUp
from visus.data.balance import class_weights
from visus.data.pipeline import Pipeline
from visus.data.store import PictureStore
from visus.structures import ImageSpec, InputError
from visus.train.callbacks import CSVLog, EarlyStopping, Progress, TensorBoard
from visus.train.checkpoint import Checkpoint, KeepBest, latest, restore
from visus.train.determinism import repeatable
from visus.train.features import FeatureStream, cached_features, compile_trunk, head_model, weights_hash
from visus.train.freeze import freeze_for_tuning
from visus.train.judge import judge
from visus.train.run import Run
from visus.train.settings import Settings

Stream = Pipeline | FeatureStream


@dataclass(frozen=True)
class Phase:
    """One call of `fit`.

    Attributes:
        name: `head`, `tune` or `scratch`.
        model: What learns: the classifier, or its head alone.
        train: Where the batches come from.
        val: Likewise for validation, or None.
        epochs: Passes over the data.
        learning_rate: Peak of the schedule.
    """

    name: str
    model: keras.Model
    train: Stream
    val: Stream | None
    epochs: int
    learning_rate: float


class Training:
    """A run on its way: what was asked for, the data and the model.

    Args:
        run: The run folder.
        dataset: The data set with its splits.
        settings: How to train.
        callbacks: The user's own.
        say: Called with each message.
    """

    def __init__(
        self,
        run: Run,
        dataset: Dataset,
        settings: Settings,
        callbacks: list[keras.callbacks.Callback],
        say: Callable[[str], object],
    ):
        self.run, self.dataset, self.settings, self.callbacks, self.say = (
            run,
            dataset,
            settings,
            callbacks,
            say,
        )
        self.begin = time.monotonic()
        self.checkpoint = latest(run.checkpoints, say)

    # --- the whole -------------------------------------------------------------------------------------------

    def finish(self) -> Run:
        """Does whatever is left to do, and returns the finished run."""
        settings = self.settings
        doubt = repeatable(settings.seed)
        if doubt:
            self.say(doubt)
        self.model = self._create()
        self._read_pictures()
        if (
            self.model.trunk is not None
            and self.model.trunk.pretrained is not None
            and settings.weights != "none"
        ):
            if self.checkpoint is None or self.checkpoint[1]["phase"] == "head":
                self._head()
            self._tune()
        else:
            self._scratch()
        self._save_model()
        judge(self.run, self.model, self.dataset, self.settings, self.say)
        shutil.rmtree(self.run.folder / "cache", ignore_errors=True)
        self.run.save(status="done")
        return self.run

    def _create(self) -> Any:
        settings = self.settings
        arguments: dict[str, Any] = {}
        if settings.dropout is not None:
            arguments["dropout"] = settings.dropout
        gpu = settings.precision == "auto" and _has_gpu()
        with _dtype_policy("mixed_bfloat16" if gpu or settings.precision == "mixed_bfloat16" else "float32"):
            model = models.create(
                settings.model,
                class_names=self.dataset.class_names,
                image_size=settings.size,
                weights=settings.weights,
                multi_label=self.dataset.task == "multi",
                label_smoothing=settings.label_smoothing,
                seed=settings.seed,
                **arguments,
            )
        self.say(
            f"{settings.model}: {model.count_params():,} parameters, pictures of {model.image_spec.size}."
        )
        return model

    # --- data --------------------------------------------------------------------------------------------------

    def _read_pictures(self) -> None:
        """Decodes what fits into memory or onto the disk, and leaves out what cannot be read."""
        spec: ImageSpec = self.model.image_spec
        wanted = [s for s in ("train", "val") if s in self.dataset.splits]
        self.sets: dict[str, Dataset] = {name: self.dataset.split(name) for name in wanted}
        self.pictures: dict[str, PictureStore | None] = {}
        # A crop of half the area is still shown without enlarging it.
        side = max(round(1.5 * min(spec.size)), round(min(spec.size) / spec.crop_fraction))
        bytes_needed = sum(map(len, self.sets.values())) * side * side * 4 // 3 * spec.channels
        folder = None
        if bytes_needed > _available_memory() // 4:
            folder = self.run.folder / "cache"
            if bytes_needed > shutil.disk_usage(self.run.folder).free // 3:
                self.say(
                    "The decoded pictures fit neither into memory nor onto the disk: decoding in every epoch."
                )
                self.pictures = dict.fromkeys(wanted)
                return
        for name in wanted:
            with Progress.bar(f"reading {name}", len(self.sets[name])) as advance:
                store = PictureStore.build(
                    self.sets[name],
                    channels=spec.channels,
                    shorter_side=side,
                    folder=folder,
                    progress=advance,
                )
            for source, reason in store.problems.items():
                self.say(f"left out: {source}: {reason}")
            if len(store) == 0:
                raise InputError(
                    f"None of the {len(self.sets[name])} pictures of the split {name} can be read."
                )
            self.sets[name], self.pictures[name] = store.dataset, store

    def _pipeline(
        self, split: str, *, augmented: bool, shuffle: bool, batch_size: int, **more: Any
    ) -> Pipeline:
        settings = self.settings
        return Pipeline(
            self.sets[split],
            self.model.image_spec,
            batch_size=batch_size,
            policy=augmentation_policy(settings.policy, domain=settings.domain) if augmented else None,
            shuffle=shuffle,
            seed=settings.seed,
            pictures=self.pictures[split],
            soft=settings.soft and split == "train",
            **more,
        )

    def _class_weights(self) -> np.ndarray | None:
        if self.settings.class_weights is None:
            return None
        return class_weights(list(self.sets["train"].counts().values()), self.settings.class_weights)

    # --- phases ------------------------------------------------------------------------------------------------

    def _head(self) -> None:
        settings, model = self.settings, self.model
        begin = time.monotonic()
        trunk = compile_trunk(model)
        self.say(f"The trunk runs on {trunk.kind} ({trunk.parity}).")
        key = {
            "data": self.dataset.fingerprint(),
            "trunk": weights_hash(model.trunk),
            "spec": model.image_spec.to_dict(),
            "runtime": trunk.kind,
            "policy": augmentation_policy(settings.policy, domain=settings.domain).to_dict(),
            "seed": settings.seed,
        }
        features = {}
        for split in self.sets:
            variants = settings.variants if split == "train" else 1
            pipelines = [
                self._pipeline(split, augmented=v > 0, shuffle=False, batch_size=32) for v in range(variants)
            ]
            with Progress.bar(
                f"trunk on {split} ({variants} views)", variants * len(self.sets[split])
            ) as advance:
                features[split] = cached_features(
                    trunk,
                    pipelines,
                    self.run.folder / "cache" / f"features-{split}.npy",
                    {**key, "variants": variants},
                    advance,
                )
        soft = settings.soft
        streams = {
            split: FeatureStream(
                features[split],
                self.sets[split].targets(soft and split == "train"),
                settings.head_batch_size,
                shuffle=split == "train",
                seed=settings.seed,
                class_weights=self._class_weights() if split == "train" else None,
            )
            for split in self.sets
        }
        self._fit(
            Phase(
                "head",
                head_model(model),
                streams["train"],
                streams.get("val"),
                settings.head_epochs,
                settings.head_learning_rate,
            )
        )
        self.say(f"The head is trained after {time.monotonic() - begin:.0f} s.")

    def _tune(self) -> None:
        epochs = self.settings.epochs if self.settings.epochs is not None else 6
        if epochs == 0:
            return
        freeze_for_tuning(self.model, self.settings.unfreeze)
        rate = self.settings.learning_rate if self.settings.learning_rate is not None else 3e-4
        self._fit(self._end_to_end("tune", epochs, rate))

    def _scratch(self) -> None:
        epochs = self.settings.epochs if self.settings.epochs is not None else 30
        rate = self.settings.learning_rate if self.settings.learning_rate is not None else 1e-3
        self._fit(self._end_to_end("scratch", epochs, rate))

    def _end_to_end(self, name: str, epochs: int, rate: float) -> Phase:
        settings = self.settings
        mix = {None: None, "mixup": MixUp(0.2), "cutmix": CutMix(1.0)}[settings.mix]
        return Phase(
            name,
            self.model,
            self._pipeline(
                "train",
                augmented=True,
                shuffle=True,
                batch_size=settings.batch_size,
                mix=mix,
                class_weights=self._class_weights(),
            ),
            self._pipeline("val", augmented=False, shuffle=False, batch_size=32)
            if "val" in self.sets
            else None,
            epochs,
            rate,
        )

    def _fit(self, phase: Phase) -> None:
        settings, model, train, val = self.settings, phase.model, phase.train, phase.val
        model.compile(optimizer=self._optimizer(phase), **self._losses(model))
        model.optimizer.build(model.trainable_variables)
        best = KeepBest(
            self.run.checkpoints / f"best-{phase.name}.npz", "val_loss" if val is not None else None
        )
        own: list[Any] = [best, CSVLog(self.run.metrics_file, phase=phase.name)]
        if settings.patience and val is not None:
            own.append(EarlyStopping("val_loss", patience=settings.patience, restore_best=False))
        own += [
            TensorBoard(self.run.folder / "tensorboard", phase=phase.name),
            Progress(phase.name, phase.epochs),
        ]
        remember = [c for c in (*self.callbacks, *own) if hasattr(c, "state")]
        first, number = 0, 1
        if self.checkpoint is not None:
            state, record = self.checkpoint
            number = record["number"] + 1
            if record["phase"] == phase.name:
                restore(model, state)
                for callback in remember:
                    if type(callback).__name__ in record["callbacks"]:
                        callback.restore(record["callbacks"][type(callback).__name__])
                first = phase.epochs if record["stopped"] else record["next_epoch"]
                self.say(f"Resuming {phase.name} at epoch {first + 1} of {phase.epochs}.")
        writer = Checkpoint(self.run.checkpoints, phase.name, number, remember, self.say)
        writer.set_model(model)
        if first == 0:
            writer.write(0)
        if first < phase.epochs:
            ema = [keras.callbacks.SwapEMAWeights()] if settings.ema else []
            model.fit(
                self._feed(train, first * train.steps),
                steps_per_epoch=train.steps,
                validation_data=None if val is None else self._feed(val, 0),
                validation_steps=None if val is None else val.steps,
                initial_epoch=first,
                epochs=phase.epochs,
                callbacks=[*self.callbacks, *ema, *own, writer],
                verbose=0,
            )
        best.restore_best(model)
        self.checkpoint = None

    @staticmethod
    def _feed(stream: Stream, first: int) -> Any:
        """The stream in the form that the backend takes quickest."""
        return stream.dataset(first) if keras.backend.backend() == "tensorflow" else stream.batches(first)

    def _optimizer(self, phase: Phase) -> keras.optimizers.Optimizer:
        settings = self.settings
        total = phase.epochs * phase.train.steps
        warmup = min(total // 10, 500)
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0 if warmup else phase.learning_rate,
            max(1, total - warmup),
            warmup_target=phase.learning_rate if warmup else None,
            warmup_steps=warmup,
        )
        optimizer = keras.optimizers.AdamW(
            schedule,
            weight_decay=settings.weight_decay,
            use_ema=bool(settings.ema),
            ema_momentum=settings.ema or 0.99,
        )
        optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
        return optimizer

    def _losses(self, model: keras.Model) -> dict[str, Any]:
        """What `compile` needs: a whole classifier knows its loss, a bare head does not."""
        if model is self.model:
            return {"metrics": ["accuracy"]}
        if self.dataset.task == "multi":
            loss: Any = keras.losses.BinaryCrossentropy(
                from_logits=True, label_smoothing=self.settings.label_smoothing
            )
            metric: Any = keras.metrics.BinaryAccuracy("accuracy", threshold=0.0)
        else:
            loss = keras.losses.CategoricalCrossentropy(
                from_logits=True, label_smoothing=self.settings.label_smoothing
            )
            metric = keras.metrics.CategoricalAccuracy("accuracy")
        return {"loss": loss, "metrics": [metric]}

    def _save_model(self) -> None:
        partial = self.run.folder / "model.part.keras"
        self.model.save(partial, include_optimizer=False)
        os.replace(partial, self.run.model_file)
        self.run.save(weights_sha256=weights_hash(self.model))


def _has_gpu() -> bool:
    return any(not name.lower().startswith("cpu") for name in keras.distribution.list_devices())


def _available_memory() -> int:
    """Bytes that the machine can give; a modest guess where it does not say."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 4 << 30


@contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
