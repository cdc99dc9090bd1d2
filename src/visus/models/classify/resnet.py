"""ResNet-18 and ResNet-34: residual networks of basic units.

Paper: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", 2016. Convolutions have no bias,
padding is symmetric, so that checkpoints in torch's common layout (`conv1`, `layer1.0.bn2`, ..., `fc`) fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from visus.models._trunk import Trunk
from visus.models.classify._base import Classifier, TrunkClassifier, trunk_of
from visus.models.entries import Pretrained
from visus.models.surgery import Report, restore
from visus.models.weights import from_torch, read_checkpoint
from visus.nn.normalization import BatchNormalization
from visus.structures import ImageSpec, InputError

VARIANTS: dict[str, dict[str, Any]] = {
    "resnet-18": {"units": (2, 2, 2, 2)},
    "resnet-34": {"units": (3, 4, 6, 3)},
}

CARDS: dict[str, dict[str, Any]] = {
    "resnet-18": {
        "image_spec": {"height": 224, "width": 224, "resize": "crop", "crop_fraction": 0.875},
        "minimum": (32, 32),
        "num_classes": 1000,
        "parameters": 11_699_112,
        "multiply_adds": 1_814_073_344,
    },
    "resnet-34": {
        "image_spec": {"height": 224, "width": 224, "resize": "crop", "crop_fraction": 0.875},
        "minimum": (32, 32),
        "num_classes": 1000,
        "parameters": 21_814_696,
        "multiply_adds": 3_663_761_408,
    },
}

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)


@keras.saving.register_keras_serializable("visus")
class ResNet(Trunk):
    """The trunk: maps of 64, 64, 128, 256 and 512 channels at strides 2, 4, 8, 16 and 32.

    Layers are named `stem_*` and `stage1_unit1_*` ... `stage4_unit3_*`.

    Args:
        image_spec: Size of the input, at least 32 x 32; RGB is normalised by ImageNet's mean and deviation,
            any other number of channels by 127.5.
        units: How many basic units each of the four stages has.
        pretrained: See `Trunk`.
        name: Name of the model.
    """

    def __init__(
        self,
        image_spec: ImageSpec,
        *,
        units: Sequence[int] = (2, 2, 2, 2),
        pretrained: Pretrained | None = None,
        name: str | None = "resnet",
    ) -> None:
        # --- layers ---
        image = keras.Input(image_spec.shape, name="image")
        rgb = image_spec.channels == 3
        normalise = keras.layers.Normalization(
            mean=[255 * m for m in MEAN] if rgb else 127.5,
            variance=[(255 * d) ** 2 for d in DEVIATION] if rgb else 127.5**2,
            dtype="float32",
            name="normalise",
        )
        border = keras.layers.ZeroPadding2D(
            1, name="stem_pool_border"
        )  # after the ReLU: 0 never wins a maximum
        pool = keras.layers.MaxPooling2D(3, 2, name="stem_pool")

        # --- functional graph ---
        x = keras.layers.ReLU(name="stem_relu")(_conv(normalise(image), 64, 7, 2, "stem"))
        maps = {2: x}
        x = pool(border(x))
        for stage, count in enumerate(units, 1):
            for unit in range(1, count + 1):
                stride = 2 if unit == 1 and stage > 1 else 1
                x = basic_unit(x, 32 * 2**stage, stride, f"stage{stage}_unit{unit}")
            maps[2 ** (stage + 1)] = x

        # --- configuration ---
        super().__init__(image, maps, image_spec=image_spec, pretrained=pretrained, name=name)
        self.units = tuple(units)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "units": list(self.units)}


def _conv(x: keras.KerasTensor, filters: int, kernel: int, stride: int, name: str) -> keras.KerasTensor:
    """Symmetric padding, convolution without bias, batch norm."""
    if kernel > 1:
        x = keras.layers.ZeroPadding2D(kernel // 2, name=f"{name}_border")(x)
    x = keras.layers.Conv2D(
        filters, kernel, stride, use_bias=False, kernel_initializer="he_normal", name=f"{name}_conv"
    )(x)
    return BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)


def basic_unit(x: keras.KerasTensor, filters: int, stride: int, name: str) -> keras.KerasTensor:
    """ReLU(shortcut + BN-conv(ReLU(BN-conv x))), two 3x3 convolutions.

    The shortcut is the input itself, or its 1x1 projection wherever the stride or the number of channels
    changes.

    Args:
        x: `(B, h, w, C)`.
        filters: Channels of the output.
        stride: 1, or 2 to halve the map.
        name: Prefix of the layers' names.

    Returns:
        `(B, h / stride, w / stride, filters)`.
    """
    shortcut = x
    if stride > 1 or x.shape[-1] != filters:
        shortcut = _conv(x, filters, 1, stride, f"{name}_shortcut")
    x = keras.layers.ReLU(name=f"{name}_relu1")(_conv(x, filters, 3, stride, f"{name}_1"))
    x = _conv(x, filters, 3, 1, f"{name}_2")
    return keras.layers.ReLU(name=f"{name}_relu2")(keras.layers.Add(name=f"{name}_add")([shortcut, x]))


def create_trunk(variant: str, *, image_spec: ImageSpec, top_conv: bool = True) -> ResNet:
    """The trunk with random weights; a ResNet has no top convolution to leave out."""
    return ResNet(image_spec, name=variant.replace("-", ""), **VARIANTS[variant])


def create(
    variant: str, *, image_spec: ImageSpec, class_names: Sequence[str], **arguments: Any
) -> TrunkClassifier:
    """The classifier with random weights."""
    trunk = create_trunk(variant, image_spec=image_spec)
    return TrunkClassifier(trunk, class_names=class_names, name=variant, **{"dropout": 0.0, **arguments})


def load_weights(model: Classifier | Trunk, weights: Pretrained | Path, *, head: bool) -> Report:
    """Loads a torch file in the common layout (`conv1`, `bn1`, `layer1.0.conv1`, ..., `fc`).

    Raises:
        InputError: The file cannot be read or does not fit.
    """
    if isinstance(weights, Pretrained):
        raise InputError(f"{model.name} has no published weights here. Use weights='none' or a file.")
    trunk = trunk_of(model)
    assert isinstance(trunk, ResNet)
    layers = {"conv1": "stem_conv", "bn1": "stem_bn"}
    for stage, count in enumerate(trunk.units, 1):
        for unit in range(count):
            torch, here = f"layer{stage}.{unit}.", f"stage{stage}_unit{unit + 1}_"
            layers |= {f"{torch}conv{i}": f"{here}{i}_conv" for i in (1, 2)}
            layers |= {f"{torch}bn{i}": f"{here}{i}_bn" for i in (1, 2)}
            if unit == 0 and stage > 1:
                layers |= {
                    f"{torch}downsample.0": f"{here}shortcut_conv",
                    f"{torch}downsample.1": f"{here}shortcut_bn",
                }
    found = {torch: trunk.get_layer(here) for torch, here in layers.items()}
    if head:
        found["fc"] = model.get_layer("logits")
    only = "" if head or model is trunk else r"^(?!logits/|hidden)"
    return restore(model, from_torch(found, read_checkpoint(weights)), only=only, strict=True)
