"""From a name of the catalogue to a model."""

from __future__ import annotations

import contextlib
import importlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from visus.models._trunk import Trunk
from visus.models.classify._base import Classifier
from visus.models.entries import Entry, find, imagenet_classes
from visus.models.saving import load
from visus.models.surgery import restore, variables
from visus.structures import ImageSpec, InputError

Size = int | tuple[int, int]


def create(
    name: str,
    *,
    class_names: Sequence[str] | None = None,
    num_classes: int | None = None,
    image_size: Size | None = None,
    image_spec: ImageSpec | None = None,
    weights: str | Path = "default",
    seed: int = 0,
    **arguments: Any,
) -> Classifier:
    """Builds a classifier.

    Args:
        name: A name of the catalogue, such as `classify/efficientnet-lite0` or `efficientnet-lite0`.
        class_names: Your classes. Without them (and without `num_classes`) the model is the published one,
            with its own classes and, where it is pretrained, its head.
        num_classes: The number of classes, named `0`, `1`, ...; instead of `class_names`.
        image_size: `(height, width)` or one number for a square; default: the published size.
        image_spec: The full resize rule, instead of `image_size`. Default: the published rule for the
            published classes, and `stretch` for your own (nothing of a picture is cut away).
        weights: `default` (the published ones where there are any, else random), `none` (random), or a file:
            `.keras` of this architecture, `.weights.h5`, or the published file where the architecture can read
            it (torch's `.pth`; for those of `keras.applications` the `.h5`, `no_top` for classes of your own).
        seed: Fixes the random weights and the dropout. No global random state changes.
        arguments: For the model's constructor, such as `dropout=0.3`, `multi_label=True`,
            `label_smoothing=0.1`.

    Raises:
        InputError: Something cannot be used; the message says what and how to repair it.

    Example:
        >>> model = create("efficientnet-lite0", class_names=("bee", "wasp"), image_size=(160, 224))
        >>> model.output_shape
        (None, 2)
    """
    entry = find(name)
    published = class_names is None and num_classes is None
    spec = _spec(entry, image_size, image_spec, published)
    names = _names(entry, class_names, num_classes)
    module = importlib.import_module(entry.module)
    with _seeded(seed), _arguments_named(entry):
        model: Classifier = module.create(entry.variant, image_spec=spec, class_names=names, **arguments)
    _load(model, entry, module, weights, head=published)
    return model


def trunk(
    name: str,
    *,
    image_size: Size | None = None,
    image_spec: ImageSpec | None = None,
    weights: str | Path = "default",
    top_conv: bool = True,
    seed: int = 0,
) -> Trunk:
    """Builds a trunk: the network without its head, `{stride: feature map}`.

    Args:
        name: A classifier of the catalogue that has a trunk.
        image_size: As for `create`.
        image_spec: As for `create`.
        weights: As for `create`.
        top_conv: False leaves out the last 1x1 widening, where the architecture has one: what a detector
            wants.
        seed: As for `create`.

    Raises:
        InputError: The model has no trunk, or an argument cannot be used.

    Example:
        >>> trunk("efficientnet-lite0", image_size=(96, 128), top_conv=False).output[32].shape
        (None, 3, 4, 320)
    """
    entry = find(name)
    module = importlib.import_module(entry.module)
    if not hasattr(module, "create_trunk"):
        raise InputError(f"{entry.name} has no trunk: it is all one piece. Use one with pretrained weights.")
    spec = _spec(entry, image_size, image_spec, published=False)
    with _seeded(seed):
        model: Trunk = module.create_trunk(entry.variant, image_spec=spec, top_conv=top_conv)
    _load(model, entry, module, weights, head=False)
    return model


def _names(entry: Entry, class_names: Sequence[str] | None, num_classes: int | None) -> tuple[str, ...]:
    if class_names is not None:
        if isinstance(class_names, str):
            raise InputError(f"class_names is a list of names. Received the one string {class_names!r}.")
        if num_classes not in (None, len(class_names)):
            raise InputError(
                f"num_classes = {num_classes}, but there are {len(class_names)} class names. Give one."
            )
        return tuple(class_names)
    if num_classes is None and entry.num_classes == 1000:
        return tuple(name for _, name in imagenet_classes())
    return tuple(str(i) for i in range(entry.num_classes if num_classes is None else num_classes))


def _spec(entry: Entry, image_size: Size | None, image_spec: ImageSpec | None, published: bool) -> ImageSpec:
    own = entry.image_spec
    if image_spec is None:
        height, width = own.size if image_size is None else _pair(image_size)
        rule = own if published else ImageSpec(1, 1)
        image_spec = replace(rule, height=height, width=width, channels=own.channels)
    elif image_size is not None and _pair(image_size) != image_spec.size:
        raise InputError(f"image_size = {image_size}, but the image spec says {image_spec.size}. Give one.")
    if image_spec.height < entry.minimum[0] or image_spec.width < entry.minimum[1]:
        raise InputError(
            f"{entry.name} needs pictures of at least {entry.minimum[0]} x {entry.minimum[1]} "
            f"(height x width). Received {image_spec.height} x {image_spec.width}."
        )
    return image_spec


def _pair(image_size: Size) -> tuple[int, int]:
    pair = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    if len(pair) != 2 or not all(isinstance(side, int) and side > 0 for side in pair):
        raise InputError(f"image_size is one number or (height, width), in pixels. Received {image_size!r}.")
    return pair


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Keras draws the seeds of initialisers and dropout from Python's `random`: fixed here, then put back."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


@contextlib.contextmanager
def _arguments_named(entry: Entry) -> Iterator[None]:
    """Makes a sentence of an argument that the model's constructor does not know."""
    try:
        yield
    except TypeError as error:
        if "unexpected keyword argument" not in str(error):
            raise
        argument = str(error).rpartition("argument ")[2]
        raise InputError(
            f"{entry.name} knows no argument {argument}. Look at its class for those it has."
        ) from None


def _load(
    model: Classifier | Trunk, entry: Entry, module: ModuleType, weights: str | Path, head: bool
) -> None:
    if weights == "none" or (weights == "default" and entry.weights is None):
        return
    if weights == "default":
        module.load_weights(model, entry.weights, head=head and isinstance(model, Classifier))
        return
    path = Path(weights)
    if not path.is_file():
        raise InputError(
            f"weights is 'default', 'none' or a file. Received {str(weights)!r}, which is no file."
        )
    if path.suffix == ".keras":
        _from_model(model, load(path))
    elif path.name.endswith(".weights.h5"):
        try:
            model.load_weights(path)
        except Exception as error:  # whatever h5py and Keras make of a foreign or hostile file
            raise InputError(
                f"{path} does not hold weights of {entry.name}: {str(error).splitlines()[0]}"
            ) from None
    elif path.suffix in _published(entry, module):
        module.load_weights(model, path, head=head and isinstance(model, Classifier))
    else:
        raise InputError(
            f"{entry.name} cannot read weights from {path}. It reads "
            f"{', '.join(('.keras', *_published(entry, module)))} and .weights.h5 files."
        )


def _published(entry: Entry, module: ModuleType) -> tuple[str, ...]:
    """How the files end in which others publish weights of this architecture."""
    if not hasattr(module, "load_weights"):
        return ()
    return (".h5",) if entry.weights is not None and entry.weights.file is None else (".pth", ".pt")


def _from_model(model: Classifier | Trunk, source: Classifier) -> None:
    """Everything, or all but a head for other classes."""
    values = {name: variable.value for name, variable in variables(source).items()}
    inside = model if isinstance(model, Trunk) else model.trunk
    if isinstance(model, Classifier) and source.class_names == model.class_names:
        restore(model, values, strict=True)
    elif inside is not None:
        restore(inside, values, strict=True)
        inside.pretrained = source.trunk.pretrained if source.trunk is not None else None
    else:
        restore(model, values, only=r"^(?!logits/)", strict=True)
