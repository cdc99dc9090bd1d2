"""Several views of one picture, whose predictions are averaged: crops, mirror images, scales.

Every view is a plain map from the picture to the model's input, so whoever predicts a place, not only a
class, undoes it with `Affine.inverse()`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from visus.data.augment.render import render
from visus.image.prepare import placement
from visus.image.warp import Border
from visus.structures import Affine, ImageSpec, InputError

VIEWS = ("none", "flip", "five-crop", "ten-crop", "multi-scale", "vgg", "googlenet")


def views(name: str, image_size: tuple[int, int], spec: ImageSpec) -> list[Affine]:
    """The views of a picture, each as the map from its pixels to the model's input.

    `none`: 1, as prediction sees it. `flip`: 2, that and its mirror image. `five-crop`: four corners and the
    middle, 7/8 of each side (224 of 256). `ten-crop`: these and their mirror images (Krizhevsky et al. 2012).
    `multi-scale`: the middle and its mirror image at 1, 7/8 and 3/4 of each side. `vgg`: 150, a grid of 5 x 5
    crops of 224 at shorter sides 256, 384 and 512, and mirror images (Simonyan and Zisserman 2014).
    `googlenet`: 144, at shorter sides 256, 288, 320 and 352 three squares, of each four corners, the middle
    and all of it, and mirror images (Szegedy et al. 2014). The last two keep the picture's aspect, the others
    resize as the spec says; sizes are relative to an input of 224.

    Args:
        name: One of `VIEWS`.
        image_size: `(height, width)` of the picture.
        spec: The model's input.

    Raises:
        InputError: The name is unknown.

    Example:
        >>> len(views("googlenet", (360, 500), ImageSpec(224, 224)))
        144
        >>> [v.apply([0.0, 0.0]).tolist() for v in views("flip", (10, 20), ImageSpec(10, 20))]
        [[0.0, 0.0], [20.0, 0.0]]
    """
    if name not in VIEWS:
        raise InputError(f"There are no views named {name!r}. Choose one of {', '.join(VIEWS)}.")
    if name == "none":
        return [placement(image_size, spec)]
    if name == "flip":
        return _mirrored([placement(image_size, spec)], spec)
    # All that the model could see: without the margin that a `crop` spec cuts away.
    frame = placement(image_size, replace(spec, crop_fraction=1.0))
    if name in ("five-crop", "ten-crop"):
        found = [_part(224 / 256, x, y, spec) @ frame for x, y in (*_CORNERS, _MIDDLE)]
        return found if name == "five-crop" else _mirrored(found, spec)
    if name == "multi-scale":
        return _mirrored([_part(side, *_MIDDLE, spec) @ frame for side in (1.0, 7 / 8, 3 / 4)], spec)
    if name == "vgg":
        grid = [(x, y) for y in np.linspace(0, 1, 5) for x in np.linspace(0, 1, 5)]
        return _mirrored(
            [_window(image_size, spec, s / 224, x, y) for s in (256, 384, 512) for x, y in grid], spec
        )
    found = []
    for shorter in (256, 288, 320, 352):
        for along in (0.0, 0.5, 1.0):
            square = _window(image_size, spec, 1.0, along, along)
            found += [_part(224 / shorter, x, y, spec) @ square for x, y in (*_CORNERS, _MIDDLE)]
            found.append(square)
    return _mirrored(found, spec)


def view_images(
    image: NDArray[np.uint8], name: str, spec: ImageSpec, *, border: Border = "constant"
) -> NDArray[np.uint8]:
    """The pixels of all views.

    Args:
        image: uint8 `(h, w)`, `(h, w, 1)` or `(h, w, 3)`, with as many channels as the spec.
        name: One of `VIEWS`.
        spec: The model's input.
        border: What pixels outside the picture show; the constant is the letterbox's gray.

    Returns:
        uint8 `(views, height, width, channels)`.
    """
    found = [
        render(image, view, spec.size, border=border, interpolation=spec.interpolation)
        for view in views(name, image.shape[:2], spec)
    ]
    return np.stack(found).reshape(len(found), *spec.size, -1)


_CORNERS = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0))
_MIDDLE = (0.5, 0.5)


def _part(side: float, x: float, y: float, spec: ImageSpec) -> Affine:
    """The map that enlarges a part, `side` of each side, at `(x, y)` of the room it has, to the whole."""
    grow = 1 / side
    return Affine(
        np.array([[grow, 0, -x * (grow - 1) * spec.width], [0, grow, -y * (grow - 1) * spec.height]])
    )


def _window(image_size: tuple[int, int], spec: ImageSpec, grow: float, x: float, y: float) -> Affine:
    """A cut of the input's size out of the picture, enlarged to `grow` times what just covers the input."""
    scale = grow * max(spec.height / image_size[0], spec.width / image_size[1])
    room = scale * np.array([image_size[1], image_size[0]]) - (spec.width, spec.height)
    return Affine(np.array([[scale, 0, -x * room[0]], [0, scale, -y * room[1]]]))


def _mirrored(found: list[Affine], spec: ImageSpec) -> list[Affine]:
    """Each view, and its mirror image."""
    mirror = Affine(np.array([[-1.0, 0, spec.width], [0, 1, 0]]))
    return [each for view in found for each in (view, mirror @ view)]
