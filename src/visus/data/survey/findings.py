"""What a survey finds, what it goes by, and how a kind of finding is added."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from visus.data.dataset import Dataset
from visus.data.survey.duplicates import equal_groups, near_pairs
from visus.data.survey.measure import Picture
from visus.data.survey.shortcuts import Cue, try_cues
from visus.data.survey.strays import Stray
from visus.structures import Detections

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing that somebody who is about to train should know.

    Attributes:
        severity: `error`: training, or the score it ends with, would not be sound. `warning`: have a look first.
            `note`: good to know.
        code: The kind, such as `duplicate-across-splits`, for programs.
        message: A sentence or two: what was found, what it means, what to do.
        sources: The pictures or files concerned.
        groups: Those of them that belong together, such as each set of equal pictures.
    """

    severity: Severity
    code: str
    message: str
    sources: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON-ready values."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Facts:
    """All that the checks look at.

    Attributes:
        dataset: The samples.
        pictures: What was measured of each sample's picture, in their order.
        strays: Files that no sample comes from.
    """

    dataset: Dataset
    pictures: Sequence[Picture]
    strays: Sequence[Stray] = ()

    @cached_property
    def readable(self) -> NDArray[np.int64]:
        """Positions of the samples whose pictures could be read."""
        return np.array([i for i, p in enumerate(self.pictures) if not p.problem], np.int64)

    @cached_property
    def splits(self) -> NDArray[np.str_]:
        """The split of each sample; empty where there is none."""
        return np.array([s.split or "" for s in self.dataset.samples], dtype=np.str_)

    @cached_property
    def truths(self) -> list[int | tuple[int, ...] | None]:
        """What each sample is labelled: a class, the 0 and 1 of several labels or of the objects shown, or None."""
        found: list[int | tuple[int, ...] | None] = []
        for sample, shown in zip(self.dataset.samples, self.membership.astype(int)):
            target = sample.target
            if isinstance(target, Detections):
                found.append(tuple(shown.tolist()))
            elif target is not None and target.labels is not None:
                found.append(tuple(target.labels.tolist()))
            else:
                found.append(None if target is None else target.label)
        return found

    @cached_property
    def membership(self) -> NDArray[np.bool_]:
        """Which sample belongs to which class: bool `(N, K)`."""
        return self.dataset.shown()

    @cached_property
    def counts(self) -> dict[str, NDArray[np.int64]]:
        """Split -> pictures of each class; the key is empty for samples without a split."""
        parts = [*self.dataset.splits, ""] if "" in self.splits else self.dataset.splits
        return {part: self.membership[self.splits == part].sum(0) for part in parts}

    @cached_property
    def equal(self) -> list[tuple[int, ...]]:
        """Groups of samples with equal pixels."""
        groups = equal_groups([self.pictures[i].digest for i in self.readable])
        return [tuple(int(self.readable[i]) for i in group) for group in groups]

    @cached_property
    def near(self) -> NDArray[np.int64]:
        """Pairs of near-duplicates `(M, 2)`; of equal pictures only the first takes part."""
        repeated = {i for group in self.equal for i in group[1:]}
        once = np.array([i for i in self.readable if i not in repeated], np.int64)
        chosen = [self.pictures[i] for i in once]
        if not chosen:
            return np.empty((0, 2), np.int64)
        pairs = near_pairs(
            np.array([p.dhash for p in chosen], np.uint64),
            np.stack([p.thumb for p in chosen]),
            np.array([p.contrast for p in chosen], np.float32),
        )
        return once[pairs]

    @cached_property
    def cues(self) -> list[Cue]:
        """How well the classes can be told by brightness, background, size or format alone."""
        if not len(self.readable):
            return []
        codes = np.unique(self.column("format"), return_inverse=True)[1]
        columns = {
            "brightness and sharpness": (
                np.stack([self.column("brightness"), self.column("sharpness")], 1),
                True,
            ),
            "background colour": (self.column("border"), True),
            "picture size": (np.stack([self.column("height"), self.column("width")], 1), False),
            "file format": (np.stack([codes, self.column("channels"), self.column("bits")], 1), False),
        }
        classes = np.array([t if isinstance(t, int) else -1 for t in self.truths], np.int64)[self.readable]
        groups = np.array([self.dataset[i].group or f"#{i}" for i in self.readable.tolist()], np.str_)
        return try_cues(columns, classes, groups)

    def column(self, name: str) -> NDArray[Any]:
        """One measured value of every readable picture."""
        return np.array([getattr(self.pictures[i], name) for i in self.readable])

    def sources(self, positions: Iterable[int]) -> tuple[str, ...]:
        """The samples as a person names them."""
        return tuple(self.dataset[int(i)].source for i in positions)

    def labelled(self, position: int) -> str:
        """A sample's class, or classes, by name."""
        members = np.flatnonzero(self.membership[position])
        return ", ".join(self.dataset.class_names[i] for i in members) or "no label"

    def by_class(self, positions: Iterable[int]) -> str:
        """How many of some pictures belong to each class: `ig 4, monocyte 2`."""
        counts = self.membership[np.asarray(list(positions), np.int64)].sum(0)
        ranked = [i for i in np.argsort(-counts, kind="stable") if counts[i]]
        return listed([f"{self.dataset.class_names[i]} {counts[i]:,}" for i in ranked], 8)


Check = Callable[[Facts], Iterator[Finding]]

CHECKS: list[Check] = []
"""Every check, in the order in which they are asked."""


def check(function: Check) -> Check:
    """Makes a function one of the checks."""
    CHECKS.append(function)
    return function


def listed(items: Sequence[object], limit: int = 5) -> str:
    """The first few items, and how many more there are."""
    shown = ", ".join(str(item) for item in items[:limit])
    return shown if len(items) <= limit else f"{shown} and {len(items) - limit:,} more"


def several(count: int, one: str, many: str) -> str:
    """The count with the words for one or for many.

    Example:
        >>> several(1, "picture is", "pictures are"), several(1200, "picture is", "pictures are")
        ('1 picture is', '1,200 pictures are')
    """
    return f"{count:,} {one if count == 1 else many}"
