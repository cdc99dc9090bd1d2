"""Small networks of textbooks and courses, each built exactly and by name.

The multi-layer perceptrons for digits, the first convolutional networks for digits, clothes, cats and dogs,
chest X-rays and tissue: good enough to learn on, quick enough to train on any machine. The parameter counts
of their published forms are held by tests.

The pneumonia and histology networks are for learning about such pictures, never for a diagnosis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from visus.models.classify._base import Classifier, checked_names, logits_layer, scaled_input
from visus.structures import ImageSpec, InputError

VARIANTS: dict[str, dict[str, Any]] = {
    "mlp-128": {"body": "mlp", "units": (128,)},
    "mlp-128-60": {"body": "mlp", "units": (128, 60)},
    "mlp-512": {"body": "mlp", "units": (512,), "dropout": 0.2},
    "mlp-128-128": {"body": "mlp", "units": (128, 128)},
    "mlp-1024-1024": {"body": "mlp", "units": (1024, 1024)},
    "mlp-64-32": {"body": "mlp", "units": (64, 32)},
    "mnist-a": {"body": "mnist_a", "units": (128,)},
    "mnist-b": {"body": "mnist_b", "units": (128,), "dropout": 0.5},
    "fashion": {"body": "fashion", "units": (128, 64), "dropout": 0.5},
    "inception-cifar": {"body": "inception_cifar"},
    "cats-dogs": {"body": "cats_dogs", "units": (512,), "multi_label": True},
    "pneumonia": {"body": "pneumonia", "units": (128,)},
    "histology-v1": {"body": "histology_v1", "units": (64,), "dropout": 0.5},
    "histology-v2": {"body": "histology_v2", "units": (256, 64, 32)},
    "histology-v3": {"body": "histology_v3"},
}

CARDS: dict[str, dict[str, Any]] = {
    "mlp-128": {
        "image_spec": {"height": 28, "width": 28, "channels": 1},
        "minimum": (1, 1),
        "num_classes": 10,
        "parameters": 101_770,
        "multiply_adds": 101_632,
    },
    "mlp-128-60": {
        "image_spec": {"height": 28, "width": 28, "channels": 1},
        "minimum": (1, 1),
        "num_classes": 10,
        "parameters": 108_830,
        "multiply_adds": 108_632,
    },
    "mlp-512": {
        "image_spec": {"height": 28, "width": 28, "channels": 1},
        "minimum": (1, 1),
        "num_classes": 10,
        "parameters": 407_050,
        "multiply_adds": 406_528,
    },
    "mlp-128-128": {
        "image_spec": {"height": 28, "width": 28, "channels": 1},
        "minimum": (1, 1),
        "num_classes": 10,
        "parameters": 118_282,
        "multiply_adds": 118_016,
    },
    "mlp-1024-1024": {
        "image_spec": {"height": 28, "width": 28, "channels": 1},
        "minimum": (1, 1),
        "num_classes": 10,
        "parameters": 1_863_690,
        "multiply_adds": 1_861_632,
    },
    "mlp-64-32": {
        "image_spec": {"height": 28, "width": 28, "channels": 1},
        "minimum": (1, 1),
        "num_classes": 10,
        "parameters": 52_650,
        "multiply_adds": 52_544,
    },
    "mnist-a": {
        "image_spec": {"height": 28, "width": 28, "channels": 1},
        "minimum": (6, 6),
        "num_classes": 10,
        "parameters": 592_074,
        "multiply_adds": 1_051_904,
    },
    "mnist-b": {
        "image_spec": {"height": 28, "width": 28, "channels": 1},
        "minimum": (6, 6),
        "num_classes": 10,
        "parameters": 1_199_882,
        "multiply_adds": 11_992_448,
    },
    "fashion": {
        "image_spec": {"height": 28, "width": 28, "channels": 1},
        "minimum": (8, 8),
        "num_classes": 10,
        "parameters": 1_413_834,
        "multiply_adds": 89_466_496,
    },
    "inception-cifar": {
        "image_spec": {"height": 32, "width": 32},
        "minimum": (1, 1),
        "num_classes": 10,
        "parameters": 2_106_250,
        "multiply_adds": 145_162_240,
    },
    "cats-dogs": {
        "image_spec": {"height": 150, "width": 150},
        "minimum": (22, 22),
        "num_classes": 1,
        "parameters": 19_024_513,
        "multiply_adds": 161_408_256,
    },
    "pneumonia": {
        "image_spec": {"height": 1024, "width": 1024},
        "minimum": (53, 53),
        "num_classes": 2,
        "parameters": 15_838_658,
        "multiply_adds": 609_496_160,
    },
    "histology-v1": {
        "image_spec": {"height": 150, "width": 150},
        "minimum": (48, 48),
        "num_classes": 8,
        "parameters": 85_512,
        "multiply_adds": 3_405_696,
    },
    "histology-v2": {
        "image_spec": {"height": 150, "width": 150},
        "minimum": (8, 8),
        "num_classes": 8,
        "parameters": 5_447_912,
        "multiply_adds": 686_513_920,
    },
    "histology-v3": {
        "image_spec": {"height": 150, "width": 150},
        "minimum": (81, 81),
        "num_classes": 8,
        "parameters": 639_240,
        "multiply_adds": 207_497_408,
    },
}


@keras.saving.register_keras_serializable("visus")
class SimpleNet(Classifier):
    """A body of layers, ReLU layers, and one logit for each class.

    Args:
        class_names: K different names.
        image_spec: Size of the input; values are divided by 255.
        body: Name of one of the bodies of this file.
        units: Widths of the ReLU layers between the body and the logits; the last is `features`.
        dropout: Rate after each of these layers.
        multi_label: See `Classifier`.
        label_smoothing: See `Classifier`.
        name: Name of the model.

    Example:
        >>> spec = ImageSpec(28, 28, channels=1)
        >>> SimpleNet("0123456789", spec, body="mnist_a", units=(128,)).count_params()
        592074
    """

    def __init__(
        self,
        class_names: Sequence[str],
        image_spec: ImageSpec,
        *,
        body: str,
        units: Sequence[int] = (),
        dropout: float = 0.0,
        multi_label: bool = False,
        label_smoothing: float = 0.0,
        name: str | None = None,
    ) -> None:
        # --- layers ---
        if body not in BODIES:
            raise InputError(f"body is one of {', '.join(BODIES)}. Received {body!r}.")
        names = checked_names(class_names, multi_label)

        # --- functional graph ---
        image, x = scaled_input(image_spec)
        x = BODIES[body](x)
        for i, width in enumerate(units, 1):
            last = i == len(units)
            x = keras.layers.Dense(
                width,
                activation="relu",
                kernel_initializer="he_normal" if body == "fashion" else "glorot_uniform",
                name="features" if last else f"dense{i}",
            )(x)
            x = keras.layers.Dropout(dropout, name="dropout" if last else f"dropout{i}")(x)
        if not units:
            x = keras.layers.Activation("linear", name="features")(x)
        logits = logits_layer(names)(x)

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
        self.body = body
        self.units = tuple(units)
        self.dropout = float(dropout)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = {"body": self.body, "units": list(self.units), "dropout": self.dropout}
        return {**super().get_config(), **config}


# --- bodies: from the normalised picture to a vector ------------------------------------------------------
# Layers are named by their place, so that weights can be restored by name.


def _conv(
    x: keras.KerasTensor, place: Any, filters: int, kernel: int, stride: int = 1, padding: str = "same"
) -> keras.KerasTensor:
    return keras.layers.Conv2D(
        filters,
        kernel,
        stride,
        padding=padding,
        activation="relu",
        kernel_initializer="he_normal",
        name=f"conv{place}",
    )(x)


def _pool(x: keras.KerasTensor, place: Any, size: int = 2) -> keras.KerasTensor:
    return keras.layers.MaxPooling2D(size, name=f"pool{place}")(x)


def _drop(x: keras.KerasTensor, place: Any, rate: float) -> keras.KerasTensor:
    return keras.layers.Dropout(rate, name=f"body_dropout{place}")(x)


def _flat(x: keras.KerasTensor) -> keras.KerasTensor:
    return keras.layers.Flatten(name="flatten")(x)


def _mnist_a(x: keras.KerasTensor) -> keras.KerasTensor:
    return _flat(_drop(_pool(_conv(x, 1, 32, 5, padding="valid"), 1), 1, 0.2))


def _mnist_b(x: keras.KerasTensor) -> keras.KerasTensor:
    x = _conv(_conv(x, 1, 32, 3, padding="valid"), 2, 64, 3, padding="valid")
    return _flat(_drop(_pool(x, 2), 2, 0.25))


def _fashion(x: keras.KerasTensor) -> keras.KerasTensor:
    x = _pool(_conv(x, 1, 64, 7), 1)
    x = _pool(_conv(_conv(x, 2, 128, 3), 3, 128, 3), 3)
    return _flat(_pool(_conv(_conv(x, 4, 256, 3), 5, 256, 3), 5))


def _inception_cifar(x: keras.KerasTensor) -> keras.KerasTensor:
    """One inception module without its direct 1x1 path: two reduced paths and a pooled one."""
    pooled = keras.layers.MaxPooling2D(3, 1, padding="same", name="pool")(x)
    paths = [
        _conv(_conv(x, "3_reduce", 64, 1), "3", 64, 3),
        _conv(_conv(x, "5_reduce", 64, 1), "5", 64, 5),
        _conv(pooled, "_pooled", 64, 1),
    ]
    return _flat(keras.layers.Concatenate(name="paths")(paths))


def _cats_dogs(x: keras.KerasTensor) -> keras.KerasTensor:
    for i, filters in enumerate((16, 64, 128), 1):
        x = _pool(_conv(x, i, filters, 3, padding="valid"), i)
    return _flat(x)


def _pneumonia(x: keras.KerasTensor) -> keras.KerasTensor:
    x = _pool(_conv(x, 1, 32, 3, 2, "valid"), 1)
    x = _pool(_conv(x, 2, 64, 3, 2, "valid"), 2)
    return _flat(_conv(x, 3, 128, 3, 2, "valid"))


def _histology_v1(x: keras.KerasTensor) -> keras.KerasTensor:
    for i, filters in enumerate((32, 64), 1):
        x = _pool(_conv(x, i, filters, 3, 3, "valid"), i)
    return _flat(x)


def _histology_v2(x: keras.KerasTensor) -> keras.KerasTensor:
    for i, (filters, kernel) in enumerate(((128, 5), (64, 3), (64, 3)), 1):
        x = _drop(_pool(_conv(x, i, filters, kernel), i), i, 0.2)
    return _flat(x)


def _histology_v3(x: keras.KerasTensor) -> keras.KerasTensor:
    for i, block in enumerate(((16, 16, 16), (32, 32, 32), (64, 64, 64), (128, 128, 256)), 1):
        for j, filters in enumerate(block, 1):
            x = _conv(x, f"{i}_{j}", filters, 3)
        x = _pool(_drop(x, i, 0.2), i, 3)
    return keras.layers.GlobalMaxPooling2D(name="global_max")(x)


BODIES: dict[str, Callable[[keras.KerasTensor], keras.KerasTensor]] = {
    "mlp": _flat,
    "mnist_a": _mnist_a,
    "mnist_b": _mnist_b,
    "fashion": _fashion,
    "inception_cifar": _inception_cifar,
    "cats_dogs": _cats_dogs,
    "pneumonia": _pneumonia,
    "histology_v1": _histology_v1,
    "histology_v2": _histology_v2,
    "histology_v3": _histology_v3,
}


def create(variant: str, *, image_spec: ImageSpec, class_names: Sequence[str], **arguments: Any) -> SimpleNet:
    """The network with random weights; the yes-or-no networks become K-class ones for several classes."""
    chosen = {**VARIANTS[variant], **arguments}
    if "multi_label" not in arguments and len(class_names) > 1:
        chosen.pop("multi_label", None)
    return SimpleNet(class_names, image_spec, name=variant, **chosen)
