"""Affine maps between pictures, in continuous pixel coordinates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


def _identity() -> NDArray[np.float64]:
    return np.eye(2, 3)


@dataclass(frozen=True, eq=False)
class Affine:
    """An affine map `(x, y) -> (x', y')` in continuous pixel coordinates.

    Pixel (row r, column c) covers `[c, c+1) x [r, r+1)`, its centre is `(c + 0.5, r + 0.5)`. The half-pixel
    shift that `cv2.warpAffine` needs is hidden in `visus.image`.

    Attributes:
        matrix: float64 `(2, 3)`, applied to the column `(x, y, 1)`.

    Example:
        >>> half = Affine.scaling(0.5, 0.5)
        >>> half.apply([[10.0, 20.0]]).tolist()
        [[5.0, 10.0]]
        >>> (half.inverse() @ half).matrix.tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """

    matrix: NDArray[np.float64] = field(default_factory=_identity)

    def __post_init__(self) -> None:
        matrix = np.array(self.matrix, dtype=np.float64)
        if matrix.shape != (2, 3):
            raise ValueError(f"Affine needs a matrix of shape (2, 3). Received shape {matrix.shape}.")
        matrix.setflags(write=False)
        object.__setattr__(self, "matrix", matrix)

    @classmethod
    def scaling(cls, x: float, y: float) -> Affine:
        """The map that multiplies x and y by the given factors about the corner (0, 0)."""
        return cls(np.array([[x, 0.0, 0.0], [0.0, y, 0.0]]))

    @classmethod
    def translation(cls, x: float, y: float) -> Affine:
        """The map that moves every point by `(x, y)` pixels."""
        return cls(np.array([[1.0, 0.0, x], [0.0, 1.0, y]]))

    @classmethod
    def rotation(cls, degrees: float, centre: tuple[float, float] = (0.0, 0.0)) -> Affine:
        """The counter-clockwise rotation, as seen on the screen (y points down), about `centre` = `(x, y)`."""
        angle = np.deg2rad(degrees)
        c, s = np.cos(angle), np.sin(angle)
        turn = cls(np.array([[c, s, 0.0], [-s, c, 0.0]]))
        x, y = centre
        return cls.translation(x, y) @ turn @ cls.translation(-x, -y)

    def inverse(self) -> Affine:
        """The map that undoes this one.

        Raises:
            ValueError: The map flattens the plane and cannot be undone.
        """
        linear = self.matrix[:, :2]
        if abs(np.linalg.det(linear)) < 1e-12:
            raise ValueError(
                f"This Affine cannot be inverted: its matrix {self.matrix.tolist()} is singular."
            )
        undo = np.linalg.inv(linear)
        return Affine(np.hstack([undo, -undo @ self.matrix[:, 2:]]))

    def __matmul__(self, other: Affine) -> Affine:
        """`(a @ b).apply(p) == a.apply(b.apply(p))`."""
        linear = self.matrix[:, :2]
        return Affine(
            np.hstack([linear @ other.matrix[:, :2], linear @ other.matrix[:, 2:] + self.matrix[:, 2:]])
        )

    def apply(self, points: Any) -> NDArray[np.float64]:
        """Maps points.

        Args:
            points: `(..., 2)` array of `(x, y)`, pixels.

        Returns:
            float64 array of the same shape.
        """
        points = np.asarray(points, dtype=np.float64)
        return points @ self.matrix[:, :2].T + self.matrix[:, 2]

    def hull(self, boxes: Any) -> NDArray[np.float64]:
        """The smallest upright boxes around the moved ones: exact for shifts, scalings, flips and quarter turns.

        Args:
            boxes: `(N, 4)` xyxy, pixels.

        Returns:
            float64 `(N, 4)`.

        Example:
            >>> Affine([[-1, 0, 10], [0, 1, 0]]).hull([[1, 2, 4, 8]]).tolist()
            [[6.0, 2.0, 9.0, 8.0]]
        """
        boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
        corners = self.apply(boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2))
        return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
