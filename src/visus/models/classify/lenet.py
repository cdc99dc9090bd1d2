"""LeNet-5, the network that read cheques.

Paper: LeCun, Bottou, Bengio, Haffner, "Gradient-Based Learning Applied to Document Recognition", 1998.

For a gray 32 x 32 picture (28 x 28 is padded by 2): C1 6 maps 28 x 28, S2 14 x 14, C3 16 maps 10 x 10,
S4 5 x 5, C5 120, F6 84, one output for each class. With ten classes and full connections
156 + 2,416 + 48,120 + 10,164 + 850 = 61,706 parameters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from visus.models.classify._base import Classifier, checked_names, logits_layer, scaled_input
from visus.structures import ImageSpec, InputError

VARIANTS: dict[str, dict[str, Any]] = {
    "lenet-5": {"style": "classic"},
    "lenet-5-modern": {"style": "modern"},
    "lenet-5-original": {"style": "original"},
}

CARDS: dict[str, dict[str, Any]] = {
    "lenet-5": {
        "image_spec": {"height": 28, "width": 28, "channels": 1},
        "minimum": (28, 28),
        "num_classes": 10,
        "parameters": 61_706,
        "multiply_adds": 416_520,
    },
    "lenet-5-modern": {
        "image_spec": {"height": 28, "width": 28, "channels": 1},
        "minimum": (28, 28),
        "num_classes": 10,
        "parameters": 61_706,
        "multiply_adds": 416_520,
    },
    "lenet-5-original": {
        "image_spec": {"height": 28, "width": 28, "channels": 1},
        "minimum": (28, 28),
        "num_classes": 10,
        "parameters": 60_840,
        "multiply_adds": 325_680,
    },
}

# Which maps of S2 each of the 16 maps of C3 sees (table I of the paper).
C3_INPUTS = (
    *((i, (i + 1) % 6, (i + 2) % 6) for i in range(6)),
    *((i, (i + 1) % 6, (i + 2) % 6, (i + 3) % 6) for i in range(6)),
    *((i, (i + 1) % 6, (i + 3) % 6, (i + 4) % 6) for i in range(3)),
    tuple(range(6)),
)


@keras.saving.register_keras_serializable("visus")
class LeNet5(Classifier):
    """LeNet-5 in three styles.

    `classic`: tanh, average pooling, full connections, softmax. `modern`: ReLU and max pooling. `original`: as
    in the paper, with trainable pooling (12 and 32 parameters), the partial connections of C3 (1,516), the
    scaled tanh 1.7159 tanh(2x/3) and an output of squared distances to fixed codes of +1 and -1 (60,000
    trainable parameters).

    Departs from the paper, in `original`: the codes are random instead of drawn pictures of characters, so
    that any number of classes has some; and the logit is minus half the squared distance, so that the loss is
    cross-entropy instead of the paper's squared error with a margin.

    Args:
        class_names: K different names.
        image_spec: At least 28 x 28; what is smaller than 32 is padded to 32 with zeros.
        style: `classic`, `modern` or `original`.
        dropout: Rate before the last layer.
        multi_label: See `Classifier`.
        label_smoothing: See `Classifier`.
        name: Name of the model.
    """

    def __init__(
        self,
        class_names: Sequence[str],
        image_spec: ImageSpec,
        *,
        style: str = "classic",
        dropout: float = 0.0,
        multi_label: bool = False,
        label_smoothing: float = 0.0,
        name: str | None = None,
    ) -> None:
        # --- layers ---
        if style not in ("classic", "modern", "original"):
            raise InputError(f"style is classic, modern or original. Received {style!r}.")
        original = style == "original"
        activation = {"classic": "tanh", "modern": "relu", "original": scaled_tanh}[style]
        border = [(_border(side), _border(side, up=True)) for side in image_spec.size]

        def conv(filters: int, name: str) -> keras.layers.Conv2D:
            initial = "he_normal" if style == "modern" else "glorot_uniform"
            squash = None if original and filters != 120 else activation
            return keras.layers.Conv2D(filters, 5, activation=squash, kernel_initializer=initial, name=name)

        def pool(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
            if original:
                return keras.layers.Activation(activation, name=f"{name}_tanh")(
                    TrainablePooling(name=name)(x)
                )
            kind = keras.layers.MaxPooling2D if style == "modern" else keras.layers.AveragePooling2D
            return kind(2, name=name)(x)

        # --- functional graph ---
        image, x = scaled_input(image_spec)
        x = keras.layers.ZeroPadding2D(border, name="border")(x)
        x = pool(conv(6, "c1")(x), "s2")
        x = _partial_c3(x) if original else conv(16, "c3")(x)
        x = keras.layers.Flatten(name="flatten")(conv(120, "c5")(pool(x, "s4")))
        x = keras.layers.Dense(84, activation=activation, name="features")(x)
        x = keras.layers.Dropout(dropout, name="dropout")(x)
        names = checked_names(class_names, multi_label)
        logits = CodeDistance(len(names), name="logits")(x) if original else logits_layer(names)(x)

        # --- configuration ---
        super().__init__(
            image,
            logits,
            image_spec=image_spec,
            class_names=names,
            multi_label=multi_label,
            label_smoothing=label_smoothing,
            name=name,
        )
        self.style = style
        self.dropout = float(dropout)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "style": self.style, "dropout": self.dropout}


def _border(side: int, up: bool = False) -> int:
    missing = max(0, 32 - side)
    return missing // 2 if not up else math.ceil(missing / 2)


def _partial_c3(x: keras.KerasTensor) -> keras.KerasTensor:
    """The 16 maps of C3, each from its own choice of S2's maps."""
    maps = [
        keras.layers.Conv2D(1, 5, name=f"c3_{i}")(ops.take(x, np.array(inputs), axis=-1))
        for i, inputs in enumerate(C3_INPUTS)
    ]
    return keras.layers.Concatenate(name="c3")(maps)


@keras.saving.register_keras_serializable("visus")  # type: ignore[untyped-decorator]
def scaled_tanh(x: Any) -> Any:
    """1.7159 tanh(2x/3): close to the identity at -1 and 1, where the targets are."""
    return 1.7159 * ops.tanh(x * (2 / 3))


@keras.saving.register_keras_serializable("visus")
class TrainablePooling(keras.layers.Layer):  # type: ignore[misc]
    """The mean of each 2 x 2 square, times a weight, plus a bias: two parameters for each channel."""

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Creates the two parameters of each channel."""
        channels = (input_shape[-1],)
        self.scale = self.add_weight(shape=channels, initializer="ones", name="scale")
        self.bias = self.add_weight(shape=channels, initializer="zeros", name="bias")

    def call(self, x: Any) -> Any:
        """`(B, h, w, C)` -> `(B, h // 2, w // 2, C)`."""
        return ops.average_pool(x, 2) * self.scale + self.bias


@keras.saving.register_keras_serializable("visus")
class CodeDistance(keras.layers.Layer):  # type: ignore[misc]
    """Minus half the squared distance to a fixed code of +1 and -1 for each class.

    Args:
        units: K.
    """

    def __init__(self, units: int, **arguments: Any) -> None:
        super().__init__(dtype="float32", **arguments)
        self.units = units

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Draws the codes, the same for every seed."""
        codes = np.random.default_rng(0).choice([-1.0, 1.0], (self.units, int(input_shape[-1] or 0)))
        self.codes = self.add_weight(
            shape=codes.shape, initializer=keras.initializers.Constant(0.0), trainable=False, name="codes"
        )
        self.codes.assign(codes)

    def call(self, x: Any) -> Any:
        """`(B, D)` -> `(B, K)`."""
        return -0.5 * ops.sum((x[:, None, :] - self.codes[None]) ** 2, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = super().get_config()
        config.pop("dtype", None)
        return {**config, "units": self.units}


def create(variant: str, *, image_spec: ImageSpec, class_names: Sequence[str], **arguments: Any) -> LeNet5:
    """The network with random weights."""
    return LeNet5(class_names, image_spec, name=variant, **{**VARIANTS[variant], **arguments})
