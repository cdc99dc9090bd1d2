"""Occlusion sensitivity: which places of the picture the model needs, found by covering them.

Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014. It asks nothing of the
model but its probabilities, so it runs on the compiled runtime, and it catches what gradients cannot show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from visus.data.store import decode
from visus.draw.heatmap import overlay as lay_over
from visus.explain.place import to_picture
from visus.image.prepare import prepare
from visus.models.scores import probabilities
from visus.structures import InputError, Sample

if TYPE_CHECKING:
    from visus.runtime import Runtime


_NOTHING = 1e-5  # a fall of the score that rounding alone brings about


def occlusion(
    runtime: Runtime,
    image: NDArray[np.uint8],
    *,
    class_index: int | None = None,
    patch: float = 0.25,
    steps: int = 12,
    fill: int = 114,
    overlay: bool = False,
) -> NDArray[Any]:
    """How far the score of a class falls when a gray patch covers a place.

    Args:
        runtime: A compiled classifier.
        image: uint8 `(height, width, 3)` RGB or `(height, width)` gray.
        class_index: The class to explain; None means the one that the model predicts.
        patch: Side of the patch as a share of the input's sides, in (0, 1].
        steps: The patch is centred on a grid of `steps` x `steps` places, so the model runs that many times.
        fill: Value of the patch.
        overlay: Return the map laid over the picture.

    Returns:
        float32 `(height, width)` in [0, 1], in the pixels of the picture: 1 where the score falls most, 0
        where it does not fall. With `overlay`: uint8 `(height, width, 3)`.

    Raises:
        InputError: The model is no classifier, or there is no such class.

    Example:
        >>> occlusion(runtime.compile("runs/flowers"), read("rose.jpg")).max()      # doctest: +SKIP
        1.0
    """
    if runtime.image_spec is None or runtime.class_names is None:
        raise InputError("Occlusion explains a classifier, a model with `image_spec` and `class_names`.")
    spec = runtime.image_spec
    prepared, placed = prepare(decode(Sample(image), spec.channels), spec)
    batch = prepared.reshape(1, *spec.shape).astype(np.float32)

    def score(pictures: NDArray[np.float32]) -> Any:
        return probabilities(runtime(pictures)["logits"], runtime.multi_label)

    whole = score(batch)[0]
    chosen = int(np.argmax(whole)) if class_index is None else class_index
    if not 0 <= chosen < len(whole):
        raise InputError(f"The model has classes 0..{len(whole) - 1}. Received {chosen}.")
    half = patch * spec.height / 2, patch * spec.width / 2
    falls = np.empty((steps, steps), np.float32)
    for row in range(steps):
        covered = np.repeat(batch, steps, axis=0)
        middle = (row + 0.5) * spec.height / steps
        top, bottom = round(max(0.0, middle - half[0])), round(middle + half[0])
        for column in range(steps):
            centre = (column + 0.5) * spec.width / steps
            left, right = round(max(0.0, centre - half[1])), round(centre + half[1])
            covered[column, top:bottom, left:right] = fill
        falls[row] = whole[chosen] - score(covered)[:, chosen]
    falls[falls < _NOTHING] = 0
    heat = to_picture(falls / (falls.max() or 1.0), placed, spec, (image.shape[0], image.shape[1]))
    return lay_over(image, heat) if overlay else heat
