"""Objects in a picture: where each one is and what it is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visus.structures.affine import Affine
from visus.structures.mask import Mask


@dataclass(frozen=True, eq=False)
class Detections:
    """The objects of one picture, truth or prediction; a prediction carries `scores`, a truth does not.

    Every array has one row for each object. Indexing with a boolean or integer array chooses objects. No objects is a
    statement ("nothing to be seen here"); a picture that nobody looked at has no `Detections` at all.

    Attributes:
        boxes: float32 `(N, 4)` xyxy: absolute pixels, continuous; pixel (r, c) covers `[c, c+1) x [r, r+1)`.
        labels: int32 `(N,)` class indices 0..K-1; -1 where the class is unknown.
        scores: float32 `(N,)` in [0, 1], or None for a truth.
        masks: N masks, or None; a single one is None where an object has a box only.
        keypoints: float32 `(N, P, 3)` of x, y and visibility (0 not labelled, 1 hidden, 2 visible), or None.
        track_ids: int64 `(N,)`, or None.
        crowd: bool `(N,)`: a region of many objects, not one; or None for none.
        difficult: bool `(N,)`: neither to be found nor wrong when found (Pascal VOC); or None for none.
        areas: float32 `(N,)` square pixels, where they are not those of the boxes (COCO counts the mask); or None.
        attributes: For each object what else was said of it, by name, such as `{"pose": "Left", "truncated": True}`;
            values are texts, numbers or truth values. Or None.
        image_size: `(height, width)` of the picture, or None where it is not known.

    Raises:
        ValueError: The lengths differ, or boxes have another shape than `(N, 4)`.

    Example:
        >>> two = Detections([[0, 0, 9, 5], [2, 2, 4, 8]], labels=[1, 0], scores=[0.9, 0.4])
        >>> two[two.scores > 0.5].boxes.tolist()
        [[0.0, 0.0, 9.0, 5.0]]
    """

    boxes: NDArray[np.float32]
    labels: NDArray[np.int32]
    scores: NDArray[np.float32] | None = None
    masks: tuple[Mask | None, ...] | None = None
    keypoints: NDArray[np.float32] | None = None
    track_ids: NDArray[np.int64] | None = None
    crowd: NDArray[np.bool_] | None = None
    difficult: NDArray[np.bool_] | None = None
    areas: NDArray[np.float32] | None = None
    attributes: tuple[Mapping[str, Any], ...] | None = None
    image_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        boxes = np.asarray(self.boxes, np.float32)
        boxes = boxes.reshape(0, 4) if boxes.size == 0 else boxes
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise ValueError(f"Detections needs boxes of the shape (N, 4). Received {boxes.shape}.")
        object.__setattr__(self, "boxes", boxes)
        for name in ("masks", "attributes"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, tuple(getattr(self, name)))
        for name, dtype in _TYPES.items():
            value = getattr(self, name)
            if value is not None and dtype is not None:
                value = np.asarray(value, dtype)
                object.__setattr__(self, name, value)
            if value is not None and len(value) != len(boxes):
                raise ValueError(
                    f"There are {len(boxes)} boxes and {len(value)} {name}. Expected one for each."
                )

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: Any) -> Detections:
        """The chosen objects; `index` is a slice, or a boolean or integer array."""
        rows = np.arange(len(self))[index].reshape(-1)
        changes: dict[str, Any] = {}
        for name in ("boxes", *_TYPES):
            value = getattr(self, name)
            if value is not None:
                changes[name] = tuple(value[i] for i in rows) if isinstance(value, tuple) else value[rows]
        return replace(self, **changes)

    @classmethod
    def none(cls, image_size: tuple[int, int] | None = None) -> Detections:
        """A picture without objects."""
        return cls(np.empty((0, 4), np.float32), np.empty(0, np.int32), image_size=image_size)

    def moved(self, affine: Affine, image_size: tuple[int, int]) -> Detections:
        """The same objects in a new picture: boxes are hulls of the moved ones and may reach beyond the border.

        Args:
            affine: New picture <- old picture.
            image_size: `(height, width)` of the new picture.

        Returns:
            Areas grow with the picture; a keypoint that leaves it counts as not labelled.
        """
        changes: dict[str, Any] = {"boxes": affine.hull(self.boxes), "image_size": image_size}
        if self.masks is not None:
            changes["masks"] = tuple(m and m.moved(affine, image_size) for m in self.masks)
        if self.areas is not None:
            changes["areas"] = self.areas * abs(np.linalg.det(affine.matrix[:, :2]))
        if self.keypoints is not None:
            points = affine.apply(self.keypoints[..., :2])
            inside = ((points >= 0) & (points < image_size[::-1])).all(axis=-1, keepdims=True)
            changes["keypoints"] = np.concatenate(
                [points, np.where(inside, self.keypoints[..., 2:], 0)], axis=-1
            )
        return replace(self, **changes)

    def digest(self) -> str:
        """SHA-256 of everything that is known of the objects."""
        digest = hashlib.sha256(repr(self.image_size).encode())
        for name in ("boxes", *_TYPES):
            value = getattr(self, name)
            if name == "masks" and value is not None:
                value = [None if mask is None else mask.to_runs().tolist() for mask in value]
            elif name == "attributes" and value is not None:
                value = [sorted(said.items()) for said in value]
            digest.update(f"{name} {value.tolist() if isinstance(value, np.ndarray) else value}".encode())
        return digest.hexdigest()

    def replace(self, **changes: Any) -> Detections:
        """A copy with some fields changed."""
        return replace(self, **changes)


_TYPES: dict[str, Any] = {
    "masks": None,
    "attributes": None,
    "labels": np.int32,
    "scores": np.float32,
    "keypoints": np.float32,
    "track_ids": np.int64,
    "crowd": np.bool_,
    "difficult": np.bool_,
    "areas": np.float32,
}
