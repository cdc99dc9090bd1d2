"""The contract of a classifier, and the classifier that is a trunk with a head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

import visus
from visus.models._trunk import Trunk
from visus.models.scores import probabilities
from visus.structures import Classification, ImageSpec, InputError

FORMAT = 1  # of the configuration inside a saved model; a newer one is refused with a sentence


class Classifier(keras.Model):  # type: ignore[misc]
    """A picture in, one logit for each class out.

    Abstract. The input is float32 `(B, height, width, channels)` 0..255 (normalisation is the first layer),
    the output `{"logits": (B, K)}`, the same in training and inference. The layer named `features` gives the
    pooled `(B, D)` vector before the head, the Dense layer named `logits` ends the graph; the softmax is in
    `decode`.

    It compiles and fits like any Keras model, without a loss argument:
    `model.compile(optimizer="adam", metrics=["accuracy"])`, with targets `(B,)` labels or `(B, K)` one-hot,
    soft or multi-hot. Metrics compare `(B, K)` targets with `(B, K)` probabilities.

    To write: a constructor in three banners (layers, functional graph, configuration) that ends in
    `super().__init__`, and `get_config` for its own arguments. Whoever overrides `loss_terms` names the terms
    in `loss_names`; where there are several, each has its own mean in the logs.

    Args:
        image: The symbolic input.
        logits: The symbolic `(B, K)` output.
        image_spec: Size and resize rule of the input.
        class_names: K different names.
        multi_label: Each class is a yes or no of its own (sigmoid) instead of one of K (softmax).
        label_smoothing: In [0, 1): how much of the target is spread evenly over all classes in training.
        name: Name of the model.

    Raises:
        InputError: The class names or the smoothing cannot be used.
    """

    loss_names: tuple[str, ...] = ("cross_entropy",)

    def __init__(
        self,
        image: keras.KerasTensor,
        logits: keras.KerasTensor,
        *,
        image_spec: ImageSpec,
        class_names: Sequence[str],
        multi_label: bool = False,
        label_smoothing: float = 0.0,
        name: str | None = None,
    ) -> None:
        super().__init__(image, {"logits": logits}, name=name)
        self.image_spec = image_spec
        self.class_names = checked_names(class_names, multi_label)
        self.multi_label = bool(multi_label)
        if not 0.0 <= label_smoothing < 1.0:
            raise InputError(f"label_smoothing lies in [0, 1). Received {label_smoothing}.")
        self.label_smoothing = float(label_smoothing)
        several = self.loss_names if len(self.loss_names) > 1 else ()
        self._term_means = [keras.metrics.Mean(name=term) for term in several]

    @property
    def num_classes(self) -> int:
        """K, the number of class names."""
        return len(self.class_names)

    @property
    def trunk(self) -> Trunk | None:
        """The trunk inside, or None for a network that is all one piece."""
        return next((layer for layer in self.layers if isinstance(layer, Trunk)), None)

    # --- training -----------------------------------------------------------------------------------------

    def loss_terms(
        self, targets: Any, outputs: Mapping[str, Any], sample_weight: Any = None
    ) -> dict[str, Any]:
        """The named parts of the loss: mean cross-entropy, from logits.

        Args:
            targets: `(B, K)`, in [0, 1]; soft targets are legal.
            outputs: What `call` gave.
            sample_weight: `(B,)` or None. As in Keras the weighted sum is divided by B.

        Returns:
            Name -> scalar tensor.
        """
        entropy = (
            keras.losses.BinaryCrossentropy if self.multi_label else keras.losses.CategoricalCrossentropy
        )
        loss = entropy(from_logits=True, label_smoothing=self.label_smoothing)
        return {"cross_entropy": loss(targets, outputs["logits"], sample_weight)}

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The sum of the loss terms and of what the layers add (weight decay)."""
        terms = self.loss_terms(self.dense_targets(y), y_pred, sample_weight)
        for mean in self._term_means:
            mean.update_state(terms[mean.name])
        return sum([*terms.values(), *(ops.sum(loss) for loss in self.losses)])

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Updates the compiled metrics with `(B, K)` targets and `(B, K)` probabilities."""
        logits = y_pred["logits"]
        scores = ops.sigmoid(logits) if self.multi_label else ops.softmax(logits)
        results: dict[str, Any] = super().compute_metrics(x, self.dense_targets(y), scores, sample_weight)
        return results

    def dense_targets(self, y: Any) -> Any:
        """Labels `(B,)` or `(B, 1)`, or targets `(B, K)`, as float32 `(B, K)`.

        Raises:
            InputError: The shape is none of these.
        """
        shape = tuple(y.shape)
        if len(shape) == 2 and shape[1] == self.num_classes:
            return ops.cast(y, "float32")
        if len(shape) == 1 or (len(shape) == 2 and shape[1] == 1):
            y = ops.reshape(y, (-1,))
            if self.num_classes == 1:
                return ops.cast(y[:, None], "float32")
            return ops.one_hot(ops.cast(y, "int32"), self.num_classes)
        raise InputError(
            f"{self.name} learns from labels (B,) or targets (B, {self.num_classes}). Received shape {shape}."
        )

    def compile(
        self, optimizer: Any = "adam", loss: Any = None, metrics: Any = None, **arguments: Any
    ) -> None:
        """Keras' `compile`, without a loss argument: the classifier brings its own.

        `"accuracy"` means: the best class is the truth's best class; for multi-label pictures: the share of
        right yes-or-no answers at 0.5.

        Raises:
            InputError: A loss was given.
        """
        if loss is not None:
            raise InputError(
                f"{self.name} brings its own loss (cross-entropy from logits). Leave `loss` out; change "
                "`label_smoothing` or `multi_label`, or override `loss_terms`."
            )
        names = {"accuracy", "acc"}
        metrics = [self._accuracy() if isinstance(m, str) and m in names else m for m in metrics or []]
        super().compile(optimizer=optimizer, metrics=metrics, **arguments)

    def _accuracy(self) -> keras.metrics.Metric:
        if self.multi_label:
            return keras.metrics.BinaryAccuracy("accuracy")
        return keras.metrics.CategoricalAccuracy("accuracy")

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles as saved (only when a model is loaded with `compile=True`)."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def fit(self, x: Any = None, *arguments: Any, **options: Any) -> keras.callbacks.History:
        """Keras' `fit`; arrays outside 0..255 are refused."""
        check_range(x)
        return super().fit(x, *arguments, **options)

    def predict(self, x: Any, *arguments: Any, **options: Any) -> dict[str, np.ndarray]:
        """Keras' `predict`; arrays outside 0..255 are refused."""
        check_range(x)
        outputs: dict[str, np.ndarray] = super().predict(x, *arguments, **options)
        return outputs

    # --- targets and results, in NumPy --------------------------------------------------------------------

    def encode(self, truth: Sequence[Classification]) -> np.ndarray:
        """Truths as float32 `(B, K)` targets: soft labels, multi-hot or one-hot, whichever the truth carries.

        Raises:
            InputError: A truth does not fit the classes of this model.
        """
        targets = np.zeros((len(truth), self.num_classes), np.float32)
        for row, one in zip(targets, truth):
            given = one.scores if one.scores is not None else one.labels
            if given is not None and given.shape == row.shape:
                row[:] = given
            elif given is None and one.label is not None and one.label < self.num_classes:
                row[one.label] = 1.0
            else:
                what = f"label {one.label}" if given is None else f"a vector of shape {given.shape}"
                raise InputError(f"{self.name} has {self.num_classes} classes and cannot encode {what}.")
        return targets

    def decode(self, outputs: Mapping[str, Any]) -> list[Classification]:
        """Raw outputs as results: label, probabilities, and yes-or-no labels at 0.5 for a multi-label model.

        Example:
            >>> model.decode({"logits": np.array([[0.0, 1.0]])})[0].scores.round(4)   # doctest: +SKIP
            array([0.2689, 0.7311], dtype=float32)
        """
        scores = probabilities(outputs["logits"], self.multi_label).astype(np.float32)
        return [
            Classification(
                label=int(np.argmax(row)),
                labels=(row >= 0.5).astype(np.uint8) if self.multi_label else None,
                scores=row,
            )
            for row in scores
        ]

    # --- configuration ------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The arguments that every classifier has, and what wrote them; a classifier adds its own."""
        return {
            "format": FORMAT,
            "versions": {"visus": visus.__version__, "keras": keras.__version__},
            "image_spec": self.image_spec.to_dict(),
            "class_names": list(self.class_names),
            "multi_label": self.multi_label,
            "label_smoothing": self.label_smoothing,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Classifier:
        """A classifier of the same shape, with new weights.

        Raises:
            InputError: A newer visus wrote the configuration.
        """
        config = dict(config)
        written, versions = config.pop("format", None), config.pop("versions", {})
        if written != FORMAT:
            raise InputError(
                f"This model has configuration format {written}, and visus {visus.__version__} reads format "
                f"{FORMAT}. It was written by visus {versions.get('visus', '?')}: install that or newer."
            )
        config["image_spec"] = ImageSpec(**config["image_spec"])
        if config.get("trunk") is not None:
            config["trunk"] = keras.saving.deserialize_keras_object(config["trunk"])
        return cls(**config)


@keras.saving.register_keras_serializable("visus")
class TrunkClassifier(Classifier):
    """A trunk, pooling, and a head: `logits(dropout(hidden(features)))` on the trunk's last map.

    Args:
        trunk: Any trunk; its image spec becomes the classifier's.
        class_names: K different names.
        pooling: How the last map becomes the vector `features`: `avg` or `max` over all positions, or
            `flatten`.
        hidden: Widths of ReLU layers between `features` and the logits, each followed by dropout.
        dropout: Rate before the logits, and after each hidden layer.
        multi_label: See `Classifier`.
        label_smoothing: See `Classifier`.
        image_spec: Replaces the trunk's resize rule; the size stays the trunk's.
        name: Name of the model.

    Example:
        >>> from visus.models import trunk
        >>> lite = trunk("classify/efficientnet-lite0", image_size=(96, 128))           # doctest: +SKIP
        >>> TrunkClassifier(lite, class_names=("bee", "wasp")).output_shape             # doctest: +SKIP
        (None, 2)
    """

    def __init__(
        self,
        trunk: Trunk,
        *,
        class_names: Sequence[str],
        pooling: str = "avg",
        hidden: Sequence[int] = (),
        dropout: float = 0.2,
        multi_label: bool = False,
        label_smoothing: float = 0.0,
        image_spec: ImageSpec | None = None,
        name: str | None = None,
    ) -> None:
        # --- layers ---
        pools = {
            "avg": keras.layers.GlobalAveragePooling2D,
            "max": keras.layers.GlobalMaxPooling2D,
            "flatten": keras.layers.Flatten,
        }
        if pooling not in pools:
            raise InputError(f"pooling is one of {', '.join(pools)}. Received {pooling!r}.")
        image_spec = image_spec or trunk.image_spec
        if image_spec.shape != trunk.image_spec.shape:
            raise InputError(
                f"The trunk takes {trunk.image_spec.shape}, the image spec says {image_spec.shape}."
            )

        # --- functional graph ---
        image = keras.Input(image_spec.shape, name="image")
        x = pools[pooling](name="features")(trunk(image)[max(trunk.strides)])
        for i, width in enumerate(hidden, 1):
            x = keras.layers.Dense(width, activation="relu", name=f"hidden{i}")(x)
            x = keras.layers.Dropout(dropout, name=f"hidden{i}_dropout")(x)
        if not hidden:
            x = keras.layers.Dropout(dropout, name="dropout")(x)
        logits = logits_layer(checked_names(class_names, multi_label))(x)

        # --- configuration ---
        super().__init__(
            image,
            logits,
            image_spec=image_spec,
            class_names=class_names,
            multi_label=multi_label,
            label_smoothing=label_smoothing,
            name=name,
        )
        self.pooling = pooling
        self.hidden = tuple(hidden)
        self.dropout = float(dropout)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "trunk": keras.saving.serialize_keras_object(self.trunk),
            "pooling": self.pooling,
            "hidden": list(self.hidden),
            "dropout": self.dropout,
        }


def trunk_of(model: Classifier | Trunk) -> Trunk:
    """The model itself if it is a trunk, else the trunk inside.

    Raises:
        InputError: There is none.
    """
    trunk = model if isinstance(model, Trunk) else model.trunk
    if trunk is None:
        raise InputError(f"{model.name} has no trunk: it is all one piece.")
    return trunk


def scaled_input(image_spec: ImageSpec) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """The input of a network without pretrained weights, and its values divided by 255."""
    image = keras.Input(image_spec.shape, name="image")
    return image, keras.layers.Rescaling(1 / 255, dtype="float32", name="normalise")(image)


def logits_layer(class_names: Sequence[str]) -> keras.layers.Dense:
    """The last layer, in float32 whatever the precision of the others."""
    return keras.layers.Dense(len(class_names), dtype="float32", name="logits")


def checked_names(class_names: Sequence[str], multi_label: bool) -> tuple[str, ...]:
    """The class names as a tuple.

    Raises:
        InputError: There are too few, or two are equal.
    """
    names = tuple(str(name) for name in class_names)
    if len(names) < (1 if multi_label else 2):
        raise InputError(
            f"A classifier needs at least two classes (a multi-label one: one). Received {names}; a softmax "
            "over a single class cannot learn, so use multi_label=True for one yes-or-no question."
        )
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(
            f"Class names must differ from each other. {twice!r} occurs {names.count(twice)} times."
        )
    return names


def check_range(images: Any) -> None:
    """Refuses a float array that was rescaled already; anything but a NumPy array passes.

    Raises:
        InputError: The values are not 0..255.
    """
    if not isinstance(images, np.ndarray) or images.size == 0 or images.dtype.kind != "f":
        return
    low, high = float(images.min()), float(images.max())
    rescaled = 0.5 < high <= 1.0 and bool((images % 1 != 0).any())
    if low < 0.0 or high > 255.0 or rescaled or not np.isfinite(low + high):
        raise InputError(
            f"Pictures come in as values 0..255, and the model normalises them itself. Received "
            f"{low:g}..{high:g}: leave out your own rescaling."
        )
