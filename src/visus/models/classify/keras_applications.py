"""The families of `keras.applications`, through the contract of trunks, with their preprocessing in the
graph.

MobileNet, NASNet, EfficientNet, Inception, Xception, ResNet, DenseNet and VGG, as Keras builds them.
Published figures (ImageNet top-1 and top-5, milliseconds for a picture in batches of 32 on an AMD EPYC and an
NVIDIA A100) are those of keras.io. The ImageNet weights are downloaded by Keras on first use, compared with
their hash and kept in its cache; those of MobileNet, of which Keras publishes no hash, must be fetched by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from visus.models._trunk import Trunk
from visus.models.classify._base import Classifier, TrunkClassifier, trunk_of
from visus.models.entries import Pretrained
from visus.models.surgery import Report, restore, variables
from visus.nn.normalization import fuse
from visus.structures import ImageSpec, InputError

VARIANTS: dict[str, dict[str, Any]] = {
    "mobilenet-v2": {"application": "MobileNetV2", "mode": "tf", "dropout": 0.2},
    "mobilenet": {"application": "MobileNet", "mode": "tf", "dropout": 0.2},
    "nasnet-mobile": {"application": "NASNetMobile", "mode": "tf", "dropout": 0.2},
    "efficientnet-b0": {"application": "EfficientNetB0", "mode": "own", "dropout": 0.2},
    "efficientnet-b1": {"application": "EfficientNetB1", "mode": "own", "dropout": 0.2},
    "efficientnet-b2": {"application": "EfficientNetB2", "mode": "own", "dropout": 0.3},
    "efficientnet-b3": {"application": "EfficientNetB3", "mode": "own", "dropout": 0.3},
    "efficientnet-b4": {"application": "EfficientNetB4", "mode": "own", "dropout": 0.4},
    "efficientnet-b5": {"application": "EfficientNetB5", "mode": "own", "dropout": 0.4},
    "efficientnet-b6": {"application": "EfficientNetB6", "mode": "own", "dropout": 0.5},
    "efficientnet-b7": {"application": "EfficientNetB7", "mode": "own", "dropout": 0.5},
    "inception-v3": {"application": "InceptionV3", "mode": "tf", "dropout": 0.2},
    "inception-resnet-v2": {"application": "InceptionResNetV2", "mode": "tf", "dropout": 0.2},
    "xception": {"application": "Xception", "mode": "tf", "dropout": 0.2},
    "resnet-50": {"application": "ResNet50", "mode": "caffe", "dropout": 0.2},
    "resnet-101": {"application": "ResNet101", "mode": "caffe", "dropout": 0.2},
    "resnet-152": {"application": "ResNet152", "mode": "caffe", "dropout": 0.2},
    "resnet-50-v2": {"application": "ResNet50V2", "mode": "tf", "dropout": 0.2},
    "resnet-101-v2": {"application": "ResNet101V2", "mode": "tf", "dropout": 0.2},
    "densenet-121": {"application": "DenseNet121", "mode": "torch", "dropout": 0.2},
    "densenet-169": {"application": "DenseNet169", "mode": "torch", "dropout": 0.2},
    "densenet-201": {"application": "DenseNet201", "mode": "torch", "dropout": 0.2},
    "vgg-16": {"application": "VGG16", "mode": "caffe", "dropout": 0.2},
    "vgg-19": {"application": "VGG19", "mode": "caffe", "dropout": 0.2},
    "histology-v4": {
        "application": "VGG16",
        "mode": "caffe",
        "pooling": "flatten",
        "hidden": (1024,),
        "dropout": 0.5,
    },
}

# Licences as the documentation of Keras 2 states them for each family (keras-team/keras, until 2019 in
# docs/templates/applications.md); of EfficientNet, which came later, nothing is said. Keras downloads the files and
# checks their hashes, except those of FETCHED_BY_HAND.
WEIGHTS: dict[str, dict[str, Any]] = {
    "mobilenet": {
        "data": "ImageNet-1k",
        "source": "keras.applications",
        "licence": "Apache-2.0",
        "by_hand": True,
    },
    "nasnet": {"data": "ImageNet-1k", "source": "keras.applications", "licence": "Apache-2.0"},
    "efficientnet": {
        "data": "ImageNet-1k",
        "source": "keras.applications",
        "licence": "see the authors' page",
    },
    "inception": {"data": "ImageNet-1k", "source": "keras.applications", "licence": "Apache-2.0"},
    "xception": {"data": "ImageNet-1k", "source": "keras.applications", "licence": "MIT"},
    "resnet": {"data": "ImageNet-1k", "source": "keras.applications", "licence": "MIT"},
    "resnet-v2": {"data": "ImageNet-1k", "source": "keras.applications", "licence": "BSD"},
    "densenet": {"data": "ImageNet-1k", "source": "keras.applications", "licence": "BSD-3-Clause"},
    "vgg": {"data": "ImageNet-1k", "source": "keras.applications", "licence": "CC-BY-4.0"},
}

# Keras downloads these without comparing them with a hash, and publishes none: visus does not fetch them.
FETCHED_BY_HAND = {
    "MobileNet": "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet/mobilenet_1_0_224_tf",
    "MobileNetV2": "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/"
    "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224",
}

CARDS: dict[str, dict[str, Any]] = {
    "mobilenet-v2": {
        "image_spec": {"height": 224, "width": 224},
        "minimum": (32, 32),
        "num_classes": 1000,
        "parameters": 3_538_984,
        "multiply_adds": 300_774_272,
        "top1": 71.3,
        "top5": 90.1,
        "cpu_ms": 25.9,
        "gpu_ms": 3.8,
        "weights": "mobilenet",
    },
    "mobilenet": {
        "image_spec": {"height": 224, "width": 224},
        "minimum": (32, 32),
        "num_classes": 1000,
        "parameters": 4_253_864,
        "multiply_adds": 568_740_352,
        "top1": 70.4,
        "top5": 89.5,
        "cpu_ms": 22.6,
        "gpu_ms": 3.4,
        "weights": "mobilenet",
    },
    "nasnet-mobile": {
        "image_spec": {"height": 224, "width": 224},
        "minimum": (32, 32),
        "num_classes": 1000,
        "parameters": 5_326_716,
        "multiply_adds": 563_638_816,
        "top1": 74.4,
        "top5": 91.9,
        "cpu_ms": 27.0,
        "gpu_ms": 6.7,
        "weights": "nasnet",
    },
    "efficientnet-b0": {
        "image_spec": {"height": 224, "width": 224},
        "minimum": (32, 32),
        "num_classes": 1000,
        "parameters": 5_330_571,
        "multiply_adds": 385_814_752,
        "top1": 77.1,
        "top5": 93.3,
        "cpu_ms": 46.0,
        "gpu_ms": 4.9,
        "weights": "efficientnet",
    },
    "efficientnet-b1": {
        "image_spec": {"height": 240, "width": 240},
        "minimum": (32, 32),
        "num_classes": 1000,
        "parameters": 7_856_239,
        "multiply_adds": 686_802_832,
        "top1": 79.1,
        "top5": 94.4,
        "cpu_ms": 60.2,
        "gpu_ms": 5.6,
        "weights": "efficientnet",
    },
    "efficientnet-b2": {
        "image_spec": {"height": 260, "width": 260},
        "minimum": (32, 32),
        "num_classes": 1000,
        "parameters": 9_177_569,
        "multiply_adds": 993_561_872,
        "top1": 80.1,
        "top5": 94.9,
        "cpu_ms": 80.8,
        "gpu_ms": 6.5,
        "weights": "efficientnet",
    },
    "efficientnet-b3": {
        "image_spec": {"height": 300, "width": 300},
        "minimum": (32, 32),
        "num_classes": 1000,
        "parameters": 12_320_535,
        "multiply_adds": 1_827_141_392,
        "top1": 81.6,
        "top5": 95.7,
        "cpu_ms": 140.0,
        "gpu_ms": 8.8,
        "weights": "efficientnet",
    },
    "efficientnet-b4": {
        "image_spec": {"height": 380, "width": 380},
        "minimum": (32, 32),
        "num_classes": 1000,
        "parameters": 19_466_823,
        "multiply_adds": 4_393_771_024,
        "top1": 82.9,
        "top5": 96.4,
        "cpu_ms": 308.3,
        "gpu_ms": 15.1,
        "weights": "efficientnet",
    },
    "efficientnet-b5": {
        "image_spec": {"height": 456, "width": 456},
        "minimum": (32, 32),
        "num_classes": 1000,
        "parameters": 30_562_527,
        "multiply_adds": 10_266_384_752,
        "top1": 83.6,
        "top5": 96.7,
        "cpu_ms": 579.2,
        "gpu_ms": 25.3,
        "weights": "efficientnet",
    },
    "efficientnet-b6": {
        "image_spec": {"height": 528, "width": 528},
        "minimum": (32, 32),
        "num_classes": 1000,
        "parameters": 43_265_143,
        "multiply_adds": 19_067_593_536,
        "top1": 84.0,
        "top5": 96.8,
        "cpu_ms": 958.1,
        "gpu_ms": 40.4,
        "weights": "efficientnet",
    },
    "efficientnet-b7": {
        "image_spec": {"height": 600, "width": 600},
        "minimum": (32, 32),
        "num_classes": 1000,
        "parameters": 66_658_687,
        "multiply_adds": 37_745_884_192,
        "top1": 84.3,
        "top5": 97.0,
        "cpu_ms": 1578.9,
        "gpu_ms": 61.6,
        "weights": "efficientnet",
    },
    "inception-v3": {
        "image_spec": {"height": 299, "width": 299},
        "minimum": (75, 75),
        "num_classes": 1000,
        "parameters": 23_851_784,
        "multiply_adds": 5_713_216_096,
        "top1": 77.9,
        "top5": 93.7,
        "cpu_ms": 42.2,
        "gpu_ms": 6.9,
        "weights": "inception",
    },
    "inception-resnet-v2": {
        "image_spec": {"height": 299, "width": 299},
        "minimum": (75, 75),
        "num_classes": 1000,
        "parameters": 55_873_736,
        "multiply_adds": 13_155_794_016,
        "top1": 80.3,
        "top5": 95.3,
        "cpu_ms": 130.2,
        "gpu_ms": 10.0,
        "weights": "inception",
    },
    "xception": {
        "image_spec": {"height": 299, "width": 299},
        "minimum": (71, 71),
        "num_classes": 1000,
        "parameters": 22_910_480,
        "multiply_adds": 8_357_403_496,
        "top1": 79.0,
        "top5": 94.5,
        "cpu_ms": 109.4,
        "gpu_ms": 8.1,
        "weights": "xception",
    },
    "resnet-50": {
        "image_spec": {"height": 224, "width": 224},
        "minimum": (32, 32),
        "num_classes": 1000,
        "parameters": 25_636_712,
        "multiply_adds": 3_857_973_248,
        "top1": 74.9,
        "top5": 92.1,
        "cpu_ms": 58.2,
        "gpu_ms": 4.6,
        "weights": "resnet",
    },
    "resnet-101": {
        "image_spec": {"height": 224, "width": 224},
        "minimum": (32, 32),
        "num_classes": 1000,
        "parameters": 44_707_176,
        "multiply_adds": 7_570_194_432,
        "top1": 76.4,
        "top5": 92.8,
        "cpu_ms": 89.6,
        "gpu_ms": 5.2,
        "weights": "resnet",
    },
    "resnet-152": {
        "image_spec": {"height": 224, "width": 224},
        "minimum": (32, 32),
        "num_classes": 1000,
        "parameters": 60_419_944,
        "multiply_adds": 11_282_415_616,
        "top1": 76.6,
        "top5": 93.1,
        "cpu_ms": 127.4,
        "gpu_ms": 6.5,
        "weights": "resnet",
    },
    "resnet-50-v2": {
        "image_spec": {"height": 224, "width": 224},
        "minimum": (32, 32),
        "num_classes": 1000,
        "parameters": 25_613_800,
        "multiply_adds": 3_482_255_360,
        "top1": 76.0,
        "top5": 93.0,
        "cpu_ms": 45.6,
        "gpu_ms": 4.4,
        "weights": "resnet-v2",
    },
    "resnet-101-v2": {
        "image_spec": {"height": 224, "width": 224},
        "minimum": (32, 32),
        "num_classes": 1000,
        "parameters": 44_675_560,
        "multiply_adds": 7_194_476_544,
        "top1": 77.2,
        "top5": 93.8,
        "cpu_ms": 72.7,
        "gpu_ms": 5.4,
        "weights": "resnet-v2",
    },
    "densenet-121": {
        "image_spec": {"height": 224, "width": 224},
        "minimum": (32, 32),
        "num_classes": 1000,
        "parameters": 8_062_504,
        "multiply_adds": 2_834_161_664,
        "top1": 75.0,
        "top5": 92.3,
        "cpu_ms": 77.1,
        "gpu_ms": 5.4,
        "weights": "densenet",
    },
    "densenet-169": {
        "image_spec": {"height": 224, "width": 224},
        "minimum": (32, 32),
        "num_classes": 1000,
        "parameters": 14_307_880,
        "multiply_adds": 3_359_843_328,
        "top1": 76.2,
        "top5": 93.2,
        "cpu_ms": 96.4,
        "gpu_ms": 6.3,
        "weights": "densenet",
    },
    "densenet-201": {
        "image_spec": {"height": 224, "width": 224},
        "minimum": (32, 32),
        "num_classes": 1000,
        "parameters": 20_242_984,
        "multiply_adds": 4_291_365_888,
        "top1": 77.3,
        "top5": 93.6,
        "cpu_ms": 127.2,
        "gpu_ms": 6.7,
        "weights": "densenet",
    },
    "vgg-16": {
        "image_spec": {"height": 224, "width": 224},
        "minimum": (32, 32),
        "num_classes": 1000,
        "parameters": 138_357_544,
        "multiply_adds": 15_470_264_320,
        "top1": 71.3,
        "top5": 90.1,
        "cpu_ms": 69.5,
        "gpu_ms": 4.2,
        "weights": "vgg",
    },
    "vgg-19": {
        "image_spec": {"height": 224, "width": 224},
        "minimum": (32, 32),
        "num_classes": 1000,
        "parameters": 143_667_240,
        "multiply_adds": 19_632_062_464,
        "top1": 71.3,
        "top5": 90.0,
        "cpu_ms": 84.8,
        "gpu_ms": 4.4,
        "weights": "vgg",
    },
    "histology-v4": {
        "image_spec": {"height": 150, "width": 150},
        "minimum": (32, 32),
        "num_classes": 8,
        "parameters": 23_112_520,
        "multiply_adds": 6_623_888_128,
        "weights": "vgg",
    },
}

# Channel means of ImageNet in BGR, as the Caffe models subtract them; mean and deviation of RGB / 255.
CAFFE_MEAN = (103.939, 116.779, 123.68)
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)

# Where cells take the outputs of two cells before them, no single layer carries everything: named by hand.
TAPS: dict[str, dict[int, str]] = {
    "NASNetMobile": {4: "reduction_concat_stem_1", 8: "normal_concat_3", 16: "normal_concat_8"},
}
TOP_CONVS = ("Conv_1", "top_conv")  # MobileNetV2, EfficientNet


@keras.saving.register_keras_serializable("visus")
class Application(Trunk):
    """A network of `keras.applications` without its head.

    The map of each stride is the last tensor of that resolution through which every path goes: the output of
    a residual stage, an inception block, or the widening before a strided depthwise convolution.

    Args:
        image_spec: Size of the input; three channels.
        application: Name of the function in `keras.applications`, such as `MobileNetV2`.
        mode: Preprocessing: `tf` (-1..1), `caffe` (BGR less its mean), `torch` (mean and deviation of RGB) or
            `own` (EfficientNet: as `torch`, in its own layers).
        top_conv: Whether the last 1x1 widening stays, where there is one.
        pretrained: See `Trunk`.
        name: Name of the model.
    """

    def __init__(
        self,
        image_spec: ImageSpec,
        *,
        application: str,
        mode: str,
        top_conv: bool = True,
        pretrained: Pretrained | None = None,
        name: str | None = None,
    ) -> None:
        # --- layers ---
        if image_spec.channels != 3:
            raise InputError(f"{application} takes 3 channels (RGB). Received {image_spec.channels}.")
        image = keras.Input(image_spec.shape, name="image")
        build = getattr(keras.applications, application)

        # --- functional graph ---
        network = build(
            include_top=False, weights=None, input_shape=image_spec.shape, input_tensor=normalise(image, mode)
        )
        _name_by_place(network)
        fuse(network)
        maps = _maps(network, TAPS.get(application, {}))
        if not top_conv:
            last = [layer for layer in network.layers if layer.name in TOP_CONVS]
            maps[32] = last[0].input if last else maps[32]

        # --- configuration ---
        super().__init__(image, maps, image_spec=image_spec, pretrained=pretrained, name=name)
        self.application = application
        self.mode = mode
        self.top_conv = top_conv
        for layer in self.layers:
            if mode == "own" and isinstance(layer, keras.layers.Normalization):
                layer.adapt_mean.assign(MEAN)
                layer.adapt_variance.assign(np.square(DEVIATION))
                layer.finalize_state()

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        config = {"application": self.application, "mode": self.mode, "top_conv": self.top_conv}
        return {**super().get_config(), **config}


def normalise(image: keras.KerasTensor, mode: str) -> keras.KerasTensor:
    """The preprocessing that a family was trained with, as layers.

    Example:
        RGB (255, 128, 0) becomes (-103.939, 11.221, 131.32) in `caffe`, (1, 0.0039, -1) in `tf` and
        (2.2489, 0.2052, -1.8044) in `torch`; `own` leaves it as it is.
    """
    float32 = {"dtype": "float32", "name": "normalise"}
    if mode == "tf":
        return keras.layers.Rescaling(1 / 127.5, -1.0, **float32)(image)
    if mode == "caffe":
        return keras.layers.Normalization(mean=CAFFE_MEAN, variance=(1.0, 1.0, 1.0), **float32)(
            image[..., ::-1]
        )
    if mode == "torch":
        mean, variance = 255 * np.array(MEAN), np.square(255 * np.array(DEVIATION))
        return keras.layers.Normalization(mean=mean.tolist(), variance=variance.tolist(), **float32)(image)
    if mode == "own":
        return image
    raise InputError(f"mode is tf, caffe, torch or own. Received {mode!r}.")


def _name_by_place(network: keras.Model) -> None:
    """Gives layers that Keras numbered by what was built before them a number within this network."""
    numbers: dict[str, int] = {}
    for layer in network.layers[1:]:
        kind = type(layer).__name__.lower()
        if layer.name.rstrip("0123456789").rstrip("_").replace("_", "") == kind:
            numbers[kind] = numbers.get(kind, 0) + 1
            layer.name = f"{kind}_{numbers[kind]}"


def _maps(network: keras.Model, taps: dict[int, str]) -> dict[int, keras.KerasTensor]:
    """Stride -> the last tensor of that stride which no path goes around, and which is not mere padding."""
    layers = network.layers
    place = {id(layer.output): i for i, layer in enumerate(layers)}
    inputs = [_inputs(layer) for layer in layers]
    last_use = {place[id(t)]: i for i, tensors in enumerate(inputs) for t in tensors if id(t) in place}
    strides: list[int] = []
    maps = {}
    open_until = 0
    for i, layer in enumerate(layers):
        before = max((strides[place[id(t)]] for t in inputs[i] if id(t) in place), default=1)
        strides.append(before * _step(layer))
        if open_until <= i and strides[i] > 1 and not isinstance(layer, keras.layers.ZeroPadding2D):
            maps[strides[i]] = layer.output
        open_until = max(open_until, last_use.get(i, 0))
    return maps | {stride: network.get_layer(name).output for stride, name in taps.items()}


def _inputs(layer: keras.layers.Layer) -> list[keras.KerasTensor]:
    return layer.input if isinstance(layer.input, list) else [layer.input]


def _step(layer: keras.layers.Layer) -> int:
    strides = getattr(layer, "strides", 1)
    return strides if isinstance(strides, int) else strides[0]


def create_trunk(variant: str, *, image_spec: ImageSpec, top_conv: bool = True) -> Application:
    """The trunk with random weights."""
    arguments = {key: VARIANTS[variant][key] for key in ("application", "mode")}
    return Application(image_spec, top_conv=top_conv, name=variant.replace("-", "_"), **arguments)


def create(
    variant: str, *, image_spec: ImageSpec, class_names: Sequence[str], **arguments: Any
) -> TrunkClassifier:
    """The classifier with random weights; VGG for 1,000 classes gets its two layers of 4,096 units."""
    head = {key: value for key, value in VARIANTS[variant].items() if key not in ("application", "mode")}
    if variant.startswith("vgg") and len(class_names) == 1000:
        head |= {"pooling": "flatten", "hidden": (4096, 4096), "dropout": 0.5}
    trunk = create_trunk(variant, image_spec=image_spec)
    return TrunkClassifier(trunk, class_names=class_names, name=variant, **{**head, **arguments})


def load_weights(model: Classifier | Trunk, weights: Pretrained | Path, *, head: bool) -> Report:
    """Loads the ImageNet weights, which Keras downloads unless they are in its cache.

    Args:
        model: Ours.
        weights: The published weights, or the file of them that somebody downloaded by hand.
        head: Whether the head's are loaded too.

    Raises:
        InputError: They cannot be downloaded or read, and the message says what to do instead.
    """
    trunk = trunk_of(model)
    assert isinstance(trunk, Application)
    build = getattr(keras.applications, trunk.application)
    by_hand = isinstance(weights, Path)
    if not by_hand and trunk.application in FETCHED_BY_HAND:
        address = FETCHED_BY_HAND[trunk.application] + ("" if head else "_no_top") + ".h5"
        raise InputError(
            f"The ImageNet weights of {trunk.application} are published without a hash to check them by, so "
            f"visus does not fetch them. If you trust {address}, download it and give the file "
            "(weights='FILE.h5'); or use weights='none', or take efficientnet-lite0, whose weights are installed."
        )
    try:
        shape = {} if head else {"input_shape": trunk.image_spec.shape}
        source = build(include_top=head, weights=str(weights) if by_hand else "imagenet", **shape)
    except Exception as error:  # whatever the download, the cache or the file makes of it
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if by_hand:
            published = "with their head" if head else "without a head (no_top)"
            raise InputError(
                f"{weights} does not hold the weights of {trunk.application} {published} as Keras publishes "
                f"them: {reason}"
            ) from None
        raise InputError(
            f"Keras downloads the ImageNet weights of {trunk.application} and could not: {reason}. Go online "
            "once, use weights='none', give a file, or take efficientnet-lite0, whose weights are installed."
        ) from None
    report = copy_weights(model, source, head=head)
    trunk.pretrained = (
        Pretrained("unknown", source="a file", licence="unknown", file=weights.name)
        if isinstance(weights, Path)
        else weights
    )
    return report


def copy_weights(model: Classifier | Trunk, source: keras.Model, *, head: bool) -> Report:
    """Copies the weights of a model of `keras.applications` into ours, in the order of the layers.

    Args:
        model: Ours.
        source: Theirs, of the same architecture, with its head if `head`.
        head: Whether the layers after the trunk are copied too.

    Raises:
        InputError: The numbers of variables or their shapes differ.
    """
    trunk = trunk_of(model)
    names = _weight_names(trunk, trunk.layers)
    if head:
        names += _weight_names(model, [layer for layer in model.layers if layer is not trunk])
    arrays = [
        weight.value
        for layer in source.layers
        if not isinstance(layer, keras.layers.Normalization)  # EfficientNet's mean and deviation are built in
        for weight in layer.weights
    ]
    values = dict(zip(names, arrays))
    kernel = values.get("logits/kernel")
    if kernel is not None and len(kernel.shape) == 4:  # MobileNet ends in a 1x1 convolution
        values["logits/kernel"] = kernel[0, 0]
    only = f"^({'|'.join(names)})$"
    return restore(model, values, only=only, strict=True)


def _weight_names(model: keras.Model, layers: Sequence[keras.layers.Layer]) -> list[str]:
    kept = {layer.name for layer in layers if not isinstance(layer, keras.layers.Normalization)}
    return [name for name in variables(model) if name.partition("/")[0] in kept]
