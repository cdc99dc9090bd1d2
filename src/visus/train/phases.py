"""What happens in a run: the head, then the trunk, then the judgement.

With pretrained weights training has two phases. `head` learns on cached features of the frozen trunk, an epoch in a
fraction of a second; `tune` lets the trunk learn at a small rate, or, where the budget is too small for that, `top`
lets its last stage learn on cached maps. Without pretrained weights there is one phase, `scratch`. Each phase is
`keras.Model.fit` on an endless, addressable stream of batches, so that a checkpoint is nothing but the variables and
the number of the next epoch.
"""

from __future__ import annotations

import itertools
import math
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from visus import models
from visus.data import Dataset
from visus.data.augment import Policy, augmentation_sheet
from visus.data.augment import policy as augmentation_policy
from visus.data.augment.mix import CutMix, MixUp
from visus.data.balance import class_weights
from visus.data.pipeline import Pipeline
from visus.data.store import PictureStore, decode
from visus.evaluate import fit_temperature
from visus.image.io import write
from visus.structures import ImageSpec, InputError, Sample
from visus.train.callbacks import (
    CSVLog,
    EarlyStopping,
    EvaluateAverage,
    Progress,
    StopOnNaN,
    TensorBoard,
    restore_states,
)
from visus.train.callbacks.progress import duration as _duration
from visus.train.checkpoint import Checkpoint, KeepBest, capture, latest, restore
from visus.train.determinism import repeatable
from visus.train.features import (
    MAP,
    FeatureStream,
    cached_features,
    compile_trunk,
    head_model,
    top_model,
    weights_hash,
)
from visus.train.freeze import freeze_for_tuning
from visus.train.groups import exempt_from_decay
from visus.train.judge import judge
from visus.train.plan import SECONDS_TO_FINISH, SECONDS_WORTH_MEASURING, Plan, make_plan
from visus.train.recipes import advise
from visus.train.report import AUGMENTATION
from visus.train.run import Run
from visus.train.schedules import as_keras, warm_up_cosine
from visus.train.settings import Settings

Stream = Pipeline | FeatureStream

TUNE_RATE = 3e-4
SCRATCH_RATE = 1e-3


@dataclass(frozen=True)
class Phase:
    """One call of `fit`.

    Attributes:
        name: `head`, `top`, `tune` or `scratch`.
        model: What learns: the classifier, or its head alone.
        train: Where the batches come from.
        val: Likewise for validation, or None.
        epochs: How often to validate and write a checkpoint.
        steps: Batches in an epoch; a whole pass over the data, or less where the budget is small.
        learning_rate: Peak of the schedule.
    """

    name: str
    model: keras.Model
    train: Stream
    val: Stream | None
    epochs: int
    steps: int
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
        # The part that learned last and what it saw of val, where that is quicker than the whole model on the pictures.
        self.answering: tuple[keras.Model, Stream] | None = None
        self.next_number = 1 if self.checkpoint is None else self.checkpoint[1]["number"] + 1

    # --- the whole -------------------------------------------------------------------------------------------

    def finish(self) -> Run:
        """Does whatever is left to do, and returns the finished run."""
        doubt = repeatable(self.settings.seed)
        if doubt:
            self.say(doubt)
        self.model: Any = self._create()
        self._read_pictures()
        if self._pretrained():
            trunk = compile_trunk(self.model)
            freeze_for_tuning(self.model, self.settings.unfreeze)
            plan = self._plan(trunk)
            self._show_augmentation(self.settings.policy if plan.epochs else self.settings.head_policy)
            done = self.checkpoint[1]["phase"] if self.checkpoint else "head"
            if done in ("head", "top"):
                self._on_cached_features(trunk, plan, skip_head=done == "top")
            self._end_to_end("tune", plan)
        else:
            plan = self._plan(None)
            self._show_augmentation(self.settings.policy)
            self._end_to_end("scratch", plan)
        self._calibrate()
        self._save_model()
        judge(self.run, self.model, self.dataset, self.settings, self.say)
        shutil.rmtree(self.run.folder / "cache", ignore_errors=True)
        self.run.save(status="done", seconds=round(self._elapsed(), 1))
        return self.run

    def _pretrained(self) -> bool:
        return self.model.trunk is not None and self.model.trunk.pretrained is not None

    def _elapsed(self) -> float:
        return time.monotonic() - self.begin

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
        if "test" in self.dataset.splits and not any(map(_readable, self.dataset.split("test"))):
            raise InputError(
                f"None of the {len(self.dataset.split('test'))} pictures of the split test can be read, so the "
                "model could not be judged. Replace them, or remove the split."
            )
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
            self._report(store.problems)
            if len(store) == 0:
                raise InputError(
                    f"None of the {len(self.sets[name])} pictures of the split {name} can be read."
                )
            self.sets[name], self.pictures[name] = store.dataset, store

    def _report(self, problems: dict[str, str]) -> None:
        """Says which pictures could not be read, and puts them on record."""
        for source, reason in problems.items():
            self.say(f"left out: {source}: {reason}")
        if problems:
            self.run.save(left_out={**self.run.record.get("left_out", {}), **problems})

    def _pipeline(
        self, split: str, *, policy: str | None, shuffle: bool, batch_size: int, **more: Any
    ) -> Pipeline:
        settings = self.settings
        return Pipeline(
            self.sets[split],
            self.model.image_spec,
            batch_size=batch_size,
            policy=None if policy is None else self._policy(policy),
            shuffle=shuffle,
            seed=settings.seed,
            pictures=self.pictures[split],
            soft=settings.soft and split == "train",
            **more,
        )

    def _policy(self, name: str) -> Policy:
        """The augmentation, guarded by the domain and by what the class names say about left, right, up and down."""
        settings = self.settings
        return augmentation_policy(name, domain=settings.domain, class_names=self.dataset.class_names)

    def _show_augmentation(self, name: str) -> None:
        """Draws what the model will see, so that a person can look while it learns."""
        file = self.run.folder / AUGMENTATION
        policy = self._policy(name)
        if policy.steps and not file.exists():
            file.parent.mkdir(exist_ok=True)
            write(
                file,
                augmentation_sheet(
                    self.sets["train"], policy, self.model.image_spec, seed=self.settings.seed
                ),
            )

    def _class_weights(self) -> np.ndarray | None:
        if self.settings.class_weights is None:
            return None
        return class_weights(self.sets["train"], "balanced").astype(np.float32)

    # --- the plan ----------------------------------------------------------------------------------------------

    def _plan(self, trunk: Callable[[Any], Any] | None) -> Plan:
        """How long everything takes, and what fits into the budget: decided once, then part of the record.

        A resumed run keeps its plan, so that it repeats exactly whatever the clock says.
        """
        if "plan" in self.run.record:
            return Plan(**self.run.record["plan"])
        settings = self.settings
        train, val = len(self.sets["train"]), len(self.sets.get("val", ()))
        judged = next((len(self.dataset.split(s)) for s in ("test", "val") if s in self.dataset.splits), 0)
        view = None if trunk is None else self._seconds_of_a_view(trunk)
        hurried = settings.minutes is not None and settings.epochs is None and view is not None
        step, top_step = 0.0, None
        left = 60 * (settings.minutes or 0) - self._elapsed() - SECONDS_TO_FINISH
        left -= (view or 0.0) * (train + val + judged)
        if settings.epochs != 0 and not (hurried and left < SECONDS_WORTH_MEASURING):
            batches = self._pipeline(
                "train", policy=settings.policy, shuffle=True, batch_size=settings.batch_size
            ).epoch()
            step = self._seconds_of_a_step(self.model, next(batches))
            top_step = self._seconds_of_a_top_step() if hurried else None
        plan = make_plan(
            settings,
            train=train,
            val=val,
            judged=judged,
            step_seconds=step,
            view_seconds=view,
            top_step_seconds=top_step,
            elapsed=self._elapsed(),
        )
        self.say(str(plan))
        if trunk is not None:
            count = float(np.median(list(self.sets["train"].counts().values())))
            self.run.save(transfer=[advise(similar, count).sentence for similar in (True, False)])
        if settings.minutes is not None and plan.seconds > 60 * settings.minutes:
            self.say(f"That is more than the {settings.minutes:g} min asked for, which are too few for it.")
        self.run.save(plan=plan.to_dict())
        return plan

    def _seconds_of_a_view(self, trunk: Callable[[Any], Any]) -> float:
        """Seconds that the trunk needs for one picture, decoding aside."""
        batch = np.zeros((32, *self.model.image_spec.shape), np.float32)
        trunk(batch)
        begin = time.perf_counter()
        trunk(batch)
        return (time.perf_counter() - begin) / len(batch)

    def _seconds_of_a_step(self, model: keras.Model, batch: tuple[Any, ...]) -> float:
        """Seconds of one training step; nothing is learned from it."""
        model.compile(optimizer=keras.optimizers.AdamW(0.0, weight_decay=0.0), **self._losses(model))
        model.optimizer.build(model.trainable_variables)
        before = capture(model)
        model.train_on_batch(*batch)
        begin = time.perf_counter()
        for _ in range(2):
            model.train_on_batch(*batch)
        seconds = (time.perf_counter() - begin) / 2
        restore(model, before)
        return seconds

    def _seconds_of_a_top_step(self) -> float | None:
        """Likewise for the last stage alone; None where it cannot be cut off or its maps fit nowhere."""
        top = top_model(self.model)
        if top is None:
            return None
        values = self.settings.variants * len(self.sets["train"]) + len(self.sets.get("val", ()))
        if 2 * values * math.prod(top.input.shape[1:]) > shutil.disk_usage(self.run.folder).free // 3:
            return None
        rows = self.settings.batch_size
        targets = np.full(
            (rows, len(self.dataset.class_names)), 1 / len(self.dataset.class_names), np.float32
        )
        return self._seconds_of_a_step(top, (np.zeros((rows, *top.input.shape[1:]), np.float32), targets))

    # --- phases ------------------------------------------------------------------------------------------------

    def _on_cached_features(self, trunk: Any, plan: Plan, *, skip_head: bool) -> None:
        """The phases `head` and `top`, which see nothing but what the frozen part of the trunk made of the pictures."""
        settings, model = self.settings, self.model
        begin = time.monotonic()
        if plan.top_epochs:
            trunk = compile_trunk(model, with_map=True)
        self.say(
            f"The trunk runs on {trunk.kind} (differs from Keras by {trunk.parity:.0e} of the largest value)."
        )
        caches = {split: self._features(trunk, split, plan) for split in self.sets}

        def phase(
            name: str, part: keras.Model, output: str, batch_size: int, epochs: int, rate: float
        ) -> Phase:
            streams = {
                split: FeatureStream(
                    cache[output],
                    self.sets[split].targets(settings.soft and split == "train"),
                    batch_size,
                    shuffle=split == "train",
                    seed=settings.seed,
                    class_weights=self._class_weights() if split == "train" else None,
                )
                for split, cache in caches.items()
            }
            return Phase(
                name, part, streams["train"], streams.get("val"), epochs, streams["train"].steps, rate
            )

        if not skip_head:
            self._fit(
                phase(
                    "head",
                    head_model(model),
                    "features",
                    settings.head_batch_size,
                    settings.head_epochs,
                    settings.head_learning_rate,
                )
            )
            self.say(f"The head is trained after {_duration(time.monotonic() - begin)}.")
        if plan.top_epochs:
            rate = settings.learning_rate or TUNE_RATE
            self._fit(phase("top", top_model(model), MAP, settings.batch_size, plan.top_epochs, rate))

    def _features(self, trunk: Any, split: str, plan: Plan) -> dict[str, Any]:
        settings, learns = self.settings, split == "train"
        variants = plan.variants if learns else 1
        key = {
            "data": self.dataset.fingerprint(),
            "trunk": weights_hash(self.model.trunk),
            "spec": self.model.image_spec.to_dict(),
            "runtime": trunk.kind,
            "policy": self._policy(settings.head_policy).to_dict(),
            "seed": settings.seed,
            "variants": variants,
            "map": bool(plan.top_epochs),
        }
        pipelines = [
            self._pipeline(split, policy=settings.head_policy if v else None, shuffle=False, batch_size=32)
            for v in range(variants)
        ]
        count = variants * len(self.sets[split])
        with Progress.bar(f"trunk on {split} ({variants} views)", count) as advance:
            return cached_features(
                trunk, pipelines, self.run.folder / "cache" / f"features-{split}", key, advance
            )

    def _end_to_end(self, name: str, plan: Plan) -> None:
        settings = self.settings
        if plan.epochs == 0:
            return
        mix = {None: None, "mixup": MixUp(0.2), "cutmix": CutMix(1.0)}[settings.mix]
        train = self._pipeline(
            "train",
            policy=settings.policy,
            shuffle=True,
            batch_size=settings.batch_size,
            mix=mix,
            class_weights=self._class_weights(),
        )
        val = self._pipeline("val", policy=None, shuffle=False, batch_size=32) if "val" in self.sets else None
        rate = settings.learning_rate or (TUNE_RATE if name == "tune" else SCRATCH_RATE)
        self._fit(Phase(name, self.model, train, val, plan.epochs, plan.steps, rate))
        self._report({**train.problems, **(val.problems if val is not None else {})})
        self.run.save(pipeline=train.statistics())

    def _fit(self, phase: Phase) -> None:
        settings, model, train, val = self.settings, phase.model, phase.train, phase.val
        model.compile(optimizer=self._optimizer(phase), **self._losses(model))
        model.optimizer.build(model.trainable_variables)
        monitor = None if val is None else "val_loss"
        best = KeepBest(self.run.checkpoints / f"best-{phase.name}.npz", monitor, self.say)
        own: list[Any] = [best, CSVLog(self.run.metrics_file, phase=phase.name)]
        if settings.patience and val is not None:
            own.append(EarlyStopping("val_loss", patience=settings.patience, restore_best=False))
        board = TensorBoard(self.run.folder / "tensorboard", phase=phase.name)
        own += [board, Progress(phase.name, phase.epochs), StopOnNaN()]
        first = 0
        if self.checkpoint is not None:
            state, record = self.checkpoint
            if record["phase"] == phase.name:
                restore(model, state)
                restore_states([*self.callbacks, *own], record["callbacks"])
                first = phase.epochs if record["stopped"] else record["next_epoch"]
                self.say(f"Resuming {phase.name} after epoch {record['next_epoch']} of {phase.epochs}.")
        writer = Checkpoint(
            self.run.checkpoints, phase.name, self.next_number, [*self.callbacks, *own], self.say
        )
        writer.set_model(model)
        if first == 0:
            if phase.name in ("top", "tune") and val is not None:
                # Tuning that makes things worse is undone: the weights before it are a candidate, too.
                before = model.evaluate(self._feed(val, 0), steps=val.steps, verbose=0, return_dict=True)
                best.begin_with(model, before["loss"])
            writer.write(0)
        if first < phase.epochs:
            average = [EvaluateAverage()] if settings.ema else []
            try:
                model.fit(
                    self._feed(train, first * phase.steps),
                    steps_per_epoch=phase.steps,
                    validation_data=None if val is None else self._feed(val, 0),
                    validation_steps=None if val is None else val.steps,
                    initial_epoch=first,
                    epochs=phase.epochs,
                    callbacks=[*self.callbacks, *average, *own, writer],
                    shuffle=False,  # the stream is shuffled already
                    verbose=0,
                )
            finally:
                board.on_train_end()  # closes its files, also after Ctrl-C
        best.restore_best(model)
        self.answering = None if val is None else (model, val)
        self.checkpoint, self.next_number = None, writer.number

    @staticmethod
    def _feed(stream: Stream, first: int) -> Any:
        """The stream in the form that the backend takes quickest."""
        return stream.dataset(first) if keras.backend.backend() == "tensorflow" else stream.batches(first)

    def _optimizer(self, phase: Phase) -> keras.optimizers.Optimizer:
        settings = self.settings
        total = phase.epochs * phase.steps
        schedule = as_keras(warm_up_cosine(phase.learning_rate, total), total)
        optimizer = keras.optimizers.AdamW(
            schedule,
            weight_decay=settings.weight_decay,
            use_ema=bool(settings.ema),
            ema_momentum=settings.ema or 0.99,
        )
        exempt_from_decay(optimizer, phase.model)
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

    def _calibrate(self) -> None:
        """Makes the probabilities mean what they say: divides the logits by the temperature that fits val best.

        It moves no answer, only how sure the model is of it, and it is part of the last layer's weights, so that
        every export has it (Guo et al., 2017).
        """
        if "val" not in self.sets or self.dataset.task == "multi":
            return
        part, stream = self.answering or (
            self.model,
            self._pipeline("val", policy=None, shuffle=False, batch_size=32),
        )
        logits, labels = [], []
        for batch in itertools.islice(stream.batches(), stream.steps):
            logits.append(part.predict_on_batch(batch[0])["logits"])
            labels.append(batch[1].argmax(axis=1))
        temperature = fit_temperature(np.concatenate(logits), np.concatenate(labels), prior=0.5)
        layer = self.model.get_layer("logits")
        layer.set_weights([weight / temperature for weight in layer.get_weights()])
        self.run.save(temperature=round(temperature, 4))

    def _save_model(self) -> None:
        partial = self.run.folder / "model.part.keras"
        self.model.save(partial, include_optimizer=False)
        partial.replace(self.run.model_file)
        self.run.save(weights_sha256=weights_hash(self.model))


def _readable(sample: Sample) -> bool:
    try:
        decode(sample, 3, (32, 32))
    except (InputError, OSError):
        return False
    return True


def _has_gpu() -> bool:
    if keras.backend.backend() == "torch":
        import torch

        return bool(torch.cuda.is_available())
    return any(not name.lower().startswith("cpu") for name in keras.distribution.list_devices())


def _available_memory() -> int:
    """Bytes that the machine, or the container that this is, can give; a modest guess where neither says."""
    found = []
    with suppress(OSError, ValueError, IndexError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found += [int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")]
    with suppress(OSError, ValueError):  # "max" is no number: no limit
        limit, used = (int(Path(f"/sys/fs/cgroup/memory.{name}").read_text()) for name in ("max", "current"))
        found.append(limit - used)
    return min(found, default=4 << 30)


@contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
