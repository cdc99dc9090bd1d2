"""The pixels of one object: as outlines, or as runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visus.structures.affine import Affine


@dataclass(frozen=True, eq=False)
class Mask:
    """The pixels of one object, in the form in which they were given: nothing is lost before somebody needs pixels.

    Attributes:
        size: `(height, width)` of the picture.
        runs: int64 lengths of runs of 0 and 1 by turns, zeros first, down the columns (COCO's run-length code); or
            None if there are outlines.
        outlines: float64 `(M, 2)` corners `(x, y)`, continuous pixels, of each part of the object; or None.

    Raises:
        ValueError: There are both or neither, or the runs do not fill the picture.

    Example:
        >>> square = Mask((4, 6), outlines=[[(1, 1), (4, 1), (4, 3), (1, 3)]])
        >>> square.area, square.to_array().any(axis=0).astype(int).tolist()
        (6, [0, 1, 1, 1, 0, 0])
    """

    size: tuple[int, int]
    runs: NDArray[np.int64] | None = None
    outlines: Sequence[NDArray[np.float64]] | None = None

    def __post_init__(self) -> None:
        if (self.runs is None) == (self.outlines is None):
            raise ValueError("A Mask has runs or outlines, one of the two.")
        if self.runs is not None:
            runs = np.asarray(self.runs, np.int64)
            if runs.ndim != 1 or (runs < 0).any() or runs.sum() != self.size[0] * self.size[1]:
                raise ValueError(
                    f"The runs of a mask of {self.size[0]} x {self.size[1]} are at least 0 and add up to "
                    f"{self.size[0] * self.size[1]}. Received {runs.size} runs with the sum {runs.sum()}."
                )
            object.__setattr__(self, "runs", runs)
        else:
            parts = tuple(np.asarray(part, np.float64).reshape(-1, 2) for part in self.outlines or ())
            if not all(np.isfinite(part).all() for part in parts):
                raise ValueError("The corners of an outline are finite numbers.")
            object.__setattr__(self, "outlines", parts)

    @classmethod
    def from_array(cls, mask: Any) -> Mask:
        """From bool or 0/1 `(height, width)`."""
        mask = np.asarray(mask) != 0
        height, width = mask.shape
        flat = mask.ravel(order="F")
        changes = np.flatnonzero(np.diff(flat)) + 1
        edges = np.concatenate([[0], changes, [flat.size]]) if flat.size else np.zeros(1, np.int64)
        runs = np.diff(edges)
        return cls((height, width), runs=np.concatenate([[0], runs]) if flat.size and flat[0] else runs)

    def to_runs(self) -> NDArray[np.int64]:
        """int64 run lengths, zeros first, down the columns."""
        if self.runs is not None:
            return self.runs
        parts = [_runs_of_outline(part, self.size) for part in self.outlines or () if len(part)]
        if len(parts) == 1:
            return parts[0]
        together = np.zeros(self.size[0] * self.size[1], bool)
        for runs in parts:
            together |= _filled(runs)
        united = Mask.from_array(together.reshape(self.size, order="F")).runs
        assert united is not None
        return united

    def to_array(self) -> NDArray[np.bool_]:
        """Bool `(height, width)`."""
        return _filled(self.to_runs()).reshape(self.size, order="F")

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(self.to_runs()[1::2].sum())

    def box(self) -> NDArray[np.float32]:
        """float32 `(4,)` xyxy around the outlines or the pixels; zeros if there are none."""
        if self.outlines is not None:
            corners = np.concatenate([*self.outlines, np.empty((0, 2))])
            return np.array([*corners.min(0), *corners.max(0)] if len(corners) else [0] * 4, np.float32)
        rows, columns = np.nonzero(self.to_array())
        if not len(rows):
            return np.zeros(4, np.float32)
        return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], np.float32)

    def moved(self, affine: Affine, image_size: tuple[int, int]) -> Mask:
        """The mask in the new picture: outlines exactly, runs by the nearest pixel.

        Args:
            affine: New picture <- old picture.
            image_size: `(height, width)` of the new picture.
        """
        if self.outlines is not None:
            return Mask(image_size, outlines=[affine.apply(part) for part in self.outlines])
        old = self.to_array()
        rows, columns = np.indices(image_size)
        x, y = (
            np.floor(affine.inverse().apply(np.stack([columns + 0.5, rows + 0.5], axis=-1)))
            .astype(np.int64)
            .T
        )
        x, y = x.T, y.T
        inside = (x >= 0) & (y >= 0) & (x < self.size[1]) & (y < self.size[0])
        new = np.zeros(image_size, bool)
        new[inside] = old[y[inside], x[inside]]
        return Mask.from_array(new)


def _filled(runs: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs)


def _runs_of_outline(corners: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.int64]:
    """The pixels of a polygon by COCO's rule: its border is traced on a grid five times as fine.

    Where the traced border passes from one column of fine points to the next in the middle of a pixel column, the
    filling is switched on or off from there downwards; a pixel that is switched an odd number of times is inside.
    """
    height, width = size
    fine = np.trunc(5 * corners + 0.5).astype(np.int64)
    traced = [_line(a, b) for a, b in zip(fine, np.roll(fine, -1, axis=0))]
    u, v = np.concatenate(traced).T
    step = np.flatnonzero(np.diff(u)) + 1
    before, after = step - 1, step
    column = (np.where(u[after] < u[before], u[after], u[after] - 1) + 0.5) / 5 - 0.5
    row = np.ceil(np.clip((np.minimum(v[after], v[before]) + 0.5) / 5 - 0.5, 0, height))
    crossing = (np.floor(column) == column) & (column >= 0) & (column <= width - 1)
    switches = np.sort(column[crossing].astype(np.int64) * height + row[crossing].astype(np.int64))
    # Two switches at one place undo each other.
    places, times = np.unique(switches, return_counts=True)
    places = places[(times % 2 == 1) & (places < height * width)]
    return np.diff(np.concatenate([[0], places, [height * width]]))


def _line(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.int64]:
    """The fine points from `a` to `b`, one for each step along the longer axis, `(n + 1, 2)`."""
    along = 0 if abs(b[0] - a[0]) >= abs(b[1] - a[1]) else 1
    low, high = (b, a) if a[along] > b[along] else (a, b)
    length = int(high[along] - low[along])
    slope = (high[1 - along] - low[1 - along]) / length if length else 0.0
    t = np.arange(length + 1)
    points = np.empty((length + 1, 2), np.int64)
    points[:, along] = low[along] + t
    points[:, 1 - along] = np.trunc(low[1 - along] + slope * t + 0.5)
    return points if low is a else points[::-1]
