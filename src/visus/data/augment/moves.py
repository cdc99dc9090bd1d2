"""Maps of the plane that are not affine, with the two methods of `Affine` that a target needs.

Geometry is drawn as a chain of maps, each from the coordinates of one picture to those of the next. `then`
joins two of them into the simplest map there is: affine maps stay one `Affine`, so a policy costs one warp.
All coordinates are continuous pixels `(x, y)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from visus.structures import Affine


class Move(Protocol):
    """What `Affine` and the maps below have in common."""

    def apply(self, points: Any) -> NDArray[np.float64]:
        """Maps `(..., 2)` points of the old picture to the new one."""
        ...

    def inverse(self) -> Move:
        """The map from the new picture back to the old one."""
        ...


@dataclass(frozen=True, eq=False)
class Homography:
    """A projective map: how a flat thing looks from another place.

    Attributes:
        matrix: float64 `(3, 3)`, applied to `(x, y, 1)` and divided by the third component.

    Example:
        >>> tilt = Homography.between([(0, 0), (4, 0), (4, 2), (0, 2)], [(1, 0), (3, 0), (4, 2), (0, 2)])
        >>> np.round(tilt.apply([[4.0, 0.0], [2.0, 2.0]]), 6).tolist()
        [[3.0, 0.0], [2.0, 2.0]]
    """

    matrix: NDArray[np.float64]

    @classmethod
    def between(cls, old: Any, new: Any) -> Homography:
        """The map that takes four points `old` `(4, 2)` to `new` `(4, 2)`; no three of them on one line."""
        old, new = np.asarray(old, np.float64), np.asarray(new, np.float64)
        zero, one = np.zeros(4), np.ones(4)
        x, y = old.T
        u, v = new.T
        rows = np.vstack(
            [
                np.column_stack([x, y, one, zero, zero, zero, -u * x, -u * y]),
                np.column_stack([zero, zero, zero, x, y, one, -v * x, -v * y]),
            ]
        )
        return cls(np.append(np.linalg.solve(rows, np.concatenate([u, v])), 1.0).reshape(3, 3))

    @classmethod
    def from_affine(cls, affine: Affine) -> Homography:
        """The same map with a third row."""
        return cls(np.vstack([affine.matrix, [0.0, 0.0, 1.0]]))

    def apply(self, points: Any) -> NDArray[np.float64]:
        """Maps `(..., 2)` points."""
        points = np.asarray(points, np.float64)
        x, y = points[..., 0], points[..., 1]
        m = self.matrix
        scale = 1.0 / (m[2, 0] * x + m[2, 1] * y + m[2, 2])
        return np.stack(
            [(m[0, 0] * x + m[0, 1] * y + m[0, 2]) * scale, (m[1, 0] * x + m[1, 1] * y + m[1, 2]) * scale],
            axis=-1,
        )

    def inverse(self) -> Homography:
        """The map that undoes this one."""
        return Homography(np.asarray(np.linalg.inv(self.matrix), np.float64))


@dataclass(frozen=True, eq=False)
class Bend:
    """A smooth displacement given at a coarse grid of points: pixel p of the new picture shows `p + d(p)`.

    The displacement d is the uniform cubic B-spline of the grid, smooth to the second derivative. The way
    from old to new has no closed form: it is iterated, which converges while d changes less than a pixel per
    pixel.

    Attributes:
        size: `(height, width)` of the picture, over which the grid is spread.
        grid: float64 `(rows, columns, 2)`, displacements `(x, y)` in pixels, at least 4 x 4.
        forward: Direction of `apply`; False maps from the new picture to the old one.
    """

    size: tuple[int, int]
    grid: NDArray[np.float64]
    forward: bool = True

    def displacement(self, points: Any) -> NDArray[np.float64]:
        """The displacement at `(..., 2)` points."""
        points = np.asarray(points, np.float64)
        rows, columns = self.grid.shape[:2]
        across = _spline_weights(points[..., 0].ravel() / self.size[1], columns)
        down = _spline_weights(points[..., 1].ravel() / self.size[0], rows)
        # Each grid column at each point's height, then the columns by what they weigh at its place.
        shifts = [(across * (axis.T @ down)).sum(axis=0) for axis in (self.grid[..., 0], self.grid[..., 1])]
        return np.stack(shifts, axis=-1).reshape(points.shape)

    def apply(self, points: Any) -> NDArray[np.float64]:
        """Maps `(..., 2)` points."""
        points = np.asarray(points, np.float64)
        if not self.forward:
            return np.asarray(points + self.displacement(points), np.float64)
        new = points.copy()
        for _ in range(30):
            new = points - self.displacement(new)
        return np.asarray(new, np.float64)

    def inverse(self) -> Bend:
        """The same bend in the other direction."""
        return Bend(self.size, self.grid, not self.forward)


@dataclass(frozen=True, eq=False)
class Chain:
    """Maps applied one after the other, first to last."""

    links: tuple[Move, ...]

    def apply(self, points: Any) -> NDArray[np.float64]:
        """Maps `(..., 2)` points."""
        for link in self.links:
            points = link.apply(points)
        return np.asarray(points, np.float64)

    def inverse(self) -> Chain:
        """The undone maps in reverse order."""
        return Chain(tuple(link.inverse() for link in reversed(self.links)))


def then(first: Move, second: Move) -> Move:
    """The map that does `first`, then `second`, as one map of the simplest kind.

    Example:
        >>> then(Affine.translation(1, 0), Affine.scaling(2, 2)).apply([1.0, 1.0]).tolist()
        [4.0, 2.0]
    """
    if isinstance(first, Affine) and isinstance(second, Affine):
        return second @ first
    if isinstance(first, Affine | Homography) and isinstance(second, Affine | Homography):
        a, b = (m if isinstance(m, Homography) else Homography.from_affine(m) for m in (first, second))
        return Homography(b.matrix @ a.matrix)
    return Chain((*_links(first), *_links(second)))


def _links(move: Move) -> tuple[Move, ...]:
    return move.links if isinstance(move, Chain) else (move,)


def _spline_weights(position: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """`(count, P)`: weights of the grid points at positions 0..1, constant beyond the ends."""
    # The outermost grid points lie one step outside the picture, as a cubic spline needs.
    place = np.clip(position, 0.0, 1.0) * (count - 3) + 1.0
    weights = np.empty((count, len(place)))
    for k, row in enumerate(weights):
        # Two pieces of the cubic B-spline: (2 - d)^3 / 6 within 2, less 4 (1 - d)^3 / 6 within 1.
        distance = np.abs(place - k)
        far, near = np.maximum(2.0 - distance, 0.0), np.maximum(1.0 - distance, 0.0)
        row[:] = (far * far * far - 4.0 * near * near * near) / 6.0
    return weights
