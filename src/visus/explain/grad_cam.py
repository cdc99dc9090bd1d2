"""Grad-CAM: where in the picture the evidence for a class lies.

Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization",
ICCV 2017.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import keras
import numpy as np
from numpy.typing import NDArray

from visus.data.store import decode
from visus.draw.heatmap import overlay as lay_over
from visus.explain.place import to_picture
from visus.image.prepare import prepare
from visus.runtime.gradient import gradient
from visus.structures import InputError, Sample


def grad_cam(
    model: keras.Model,
    image: NDArray[np.uint8],
    *,
    class_index: int | None = None,
    layer: str | None = None,
    overlay: bool = False,
) -> NDArray[Any]:
    """The heat map of a class: the layer's maps, weighted by the mean gradient of the class's logit, positive
    part.

    Args:
        model: A classifier.
        image: uint8 `(height, width, 3)` RGB or `(height, width)` gray.
        class_index: The class to explain; None means the one that the model predicts.
        layer: Name of a layer with maps `(B, h, w, C)`; None means the maps that are pooled into `features`,
            or the last maps of the network.
        overlay: Return the map laid over the picture.

    Returns:
        float32 `(height, width)` in [0, 1], in the pixels of the picture; 0 everywhere when nothing speaks
        for the class, and 0 where the model does not look. With `overlay`: uint8 `(height, width, 3)`.

    Raises:
        InputError: There is no such class or layer.

    Example:
        >>> grad_cam(model, read("rose.jpg"), class_index=2).max()              # doctest: +SKIP
        1.0
    """
    trunk, head = _halves(model, layer)
    spec = model.image_spec
    prepared, placed = prepare(decode(Sample(image), spec.channels), spec)
    batch = prepared.reshape(1, *spec.shape).astype(np.float32)
    maps = keras.ops.convert_to_numpy(trunk(batch, training=False)).astype(np.float32)
    if class_index is None:
        class_index = int(np.argmax(keras.ops.convert_to_numpy(head(maps, training=False)["logits"])))
    if not 0 <= class_index < len(model.class_names):
        raise InputError(f"The model has classes 0..{len(model.class_names) - 1}. Received {class_index}.")
    slopes = gradient(head, maps, class_index)[1][0]
    cam = np.maximum((maps[0] * slopes.mean(axis=(0, 1))).sum(axis=2), 0.0)
    if cam.max() > 0:
        cam = cam / cam.max()
    heat = to_picture(cam, placed, spec, (image.shape[0], image.shape[1]))
    return lay_over(image, heat) if overlay else heat


def map_layer(model: keras.Model, layer: str | None = None) -> Any:
    """The symbolic maps `(B, h, w, C)` that Grad-CAM looks at.

    Raises:
        InputError: No layer of that name gives maps.
    """
    if layer is not None:
        found = next((each for each in model.layers if each.name == layer), None)
        if found is None or not _is_maps(found.output):
            names = ", ".join(each.name for each in model.layers if _is_maps(each.output))
            raise InputError(f"There are no maps at a layer named {layer!r}. Choose from: {names}.")
        return found.output
    features = next((each for each in model.layers if each.name == "features"), None)
    if features is not None and _is_maps(features.input):
        return features.input
    candidates = [
        tensor for each in model.layers for tensor in keras.tree.flatten(each.output) if _is_maps(tensor)
    ]
    if not candidates:
        raise InputError("Grad-CAM needs a layer with maps (B, h, w, C), and this model has none.")
    return candidates[-1]


_KNOWN: WeakKeyDictionary[keras.Model, dict[str | None, Any]] = WeakKeyDictionary()


def _halves(model: keras.Model, layer: str | None) -> Any:
    """The model up to the maps, and from there on; remembered, because building them takes time."""
    known = _KNOWN.setdefault(model, {})
    if layer not in known:
        maps = map_layer(model, layer)
        known[layer] = keras.Model(model.inputs[0], maps), keras.Model(maps, model.output)
    return known[layer]


def _is_maps(tensor: Any) -> bool:
    return isinstance(tensor, keras.KerasTensor) and len(tensor.shape) == 4
