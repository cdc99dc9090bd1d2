"""A data set: samples in a fixed order, and the names of their classes."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from visus.structures import Classification, Detections, InputError, Sample

Task = Literal["single", "multi", "detect"]


@dataclass(frozen=True, eq=False)
class Dataset(Sequence[Sample]):
    """Samples and class names, as every reader in `visus.data.formats` returns them.

    Nothing is decoded: a sample's image is a path until somebody reads it (or an array, where the source is one).

    Attributes:
        samples: The samples, in an order that depends on the source alone, never on the file system.
        class_names: Name of class 0, 1, ..., K-1; no two are equal, because files, models and figures tell classes
            apart by them.
        name: What a person calls it, such as `flowers5`.
        root: The folder that relative sources refer to, or None.
        notes: What reading skipped or found odd, as sentences with counts.

    Raises:
        InputError: Two classes have the same name.
    """

    samples: tuple[Sample, ...]
    class_names: tuple[str, ...]
    name: str = ""
    root: Path | None = None
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "samples", tuple(self.samples))
        object.__setattr__(self, "class_names", distinct(self.class_names))

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: Any) -> Any:
        return self.samples[index]

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    @property
    def num_classes(self) -> int:
        """K, the number of class names."""
        return len(self.class_names)

    @property
    def task(self) -> Task:
        """`detect` when pictures have objects, `multi` when one may carry several labels, else `single`."""
        kind: Task = "single"
        for sample in self.samples:
            if isinstance(sample.target, Detections):
                return "detect"
            if sample.target is not None and sample.target.labels is not None:
                kind = "multi"
        return kind

    @property
    def splits(self) -> tuple[str, ...]:
        """The split names that occur, in the order train, val, test, others."""
        present = {s.split for s in self.samples if s.split is not None}
        known = [name for name in ("train", "val", "test") if name in present]
        return (*known, *sorted(present - set(known)))

    def split(self, name: str) -> Dataset:
        """The samples of one split.

        Raises:
            InputError: No sample belongs to that split.
        """
        chosen = tuple(s for s in self.samples if s.split == name)
        if not chosen:
            raise InputError(
                f"The data set {self.name or 'given'} has no split named {name!r}; it has "
                f"{', '.join(self.splits) or 'none'}. Use one of these, or split it with visus.data.split."
            )
        return replace(self, samples=chosen)

    def subset(self, indices: Any) -> Dataset:
        """The samples at the given positions, in the given order (integers) or kept (a boolean mask)."""
        indices = np.asarray(indices)
        if indices.dtype == bool:
            indices = np.flatnonzero(indices)
        return replace(self, samples=tuple(self.samples[int(i)] for i in indices))

    def relabel(self, names: Mapping[str, str]) -> Dataset:
        """The same pictures under other class names; classes that are not named are left out.

        Several classes may become one: breeds become `cat` and `dog`, digits become `4` and `another`.

        Args:
            names: Old name -> new name. The new classes stand in the order in which they first occur here.

        Returns:
            Soft labels of classes that become one are added up; a picture with several labels, or several
            objects, keeps those that are named, perhaps none.

        Raises:
            InputError: The set has no class of an old name.

        Example:
            >>> pets.relabel({"Abyssinian": "cat", "Bengal": "cat", "pug": "dog"}).class_names  # doctest: +SKIP
            ('cat', 'dog')
        """
        if unknown := [name for name in names if name not in self.class_names]:
            raise InputError(
                f"The data set {self.name or 'given'} has no class {unknown[0]!r}; it has "
                f"{', '.join(self.class_names[:20])}{', ...' if self.num_classes > 20 else ''}."
            )
        new = tuple(dict.fromkeys(names.values()))
        joined = np.zeros((self.num_classes, len(new)), np.float32)
        for old, name in names.items():
            joined[self.class_names.index(old), new.index(name)] = 1
        samples = []
        for sample in self.samples:
            target = sample.target
            if isinstance(target, Detections):
                kept = target[joined[target.labels].any(axis=1)]
                sample = sample.replace(target=kept.replace(labels=joined[kept.labels].argmax(axis=1)))
            elif target is not None:
                if target.label is not None and not joined[target.label].any():
                    continue
                sample = sample.replace(target=_joined(target, joined))
            samples.append(sample)
        return replace(self, samples=tuple(samples), class_names=new)

    def labels(self) -> NDArray[np.int32]:
        """int32 `(N,)` class indices; -1 where a sample has no single label."""
        targets = [s.target for s in self.samples]
        single = [t.label if isinstance(t, Classification) else None for t in targets]
        return np.array([-1 if label is None else label for label in single], np.int32)

    def targets(self, soft: bool = False) -> NDArray[np.float32]:
        """float32 `(N, K)` targets: one-hot, or multi-hot, or (`soft`) the annotators' probabilities.

        Raises:
            InputError: A sample has no label, or a label outside the class names.
        """
        out = np.zeros((len(self), self.num_classes), np.float32)
        for row, sample in zip(out, self.samples):
            target = sample.target
            if target is None:
                raise InputError(f"{sample.source} has no label, and training needs one for every picture.")
            if isinstance(target, Detections):
                raise InputError(
                    f"{sample.source} has boxes, and one label for the whole picture is needed here."
                )
            if soft and target.scores is not None:
                row[:] = target.scores
            elif target.labels is not None:
                row[:] = target.labels
            elif target.label is not None and target.label < self.num_classes:
                row[target.label] = 1.0
            else:
                raise InputError(
                    f"{sample.source} has the label {target.label}, but there are only {self.num_classes} "
                    f"classes (0..{self.num_classes - 1})."
                )
        return out

    def shown(self) -> NDArray[np.bool_]:
        """Bool `(N, K)`: which classes each sample shows, whether as its label, one of several, or as objects."""
        out = np.zeros((len(self), self.num_classes), bool)
        for row, sample in zip(out, self.samples):
            target = sample.target
            if isinstance(target, Detections):
                row[target.labels[target.labels >= 0]] = True
            elif target is not None and target.labels is not None:
                row[:] = target.labels
            elif target is not None and target.label is not None and target.label < self.num_classes:
                row[target.label] = True
        return out

    def counts(self) -> dict[str, int]:
        """Class name -> number of its samples (a multi-label picture counts for each), or of its objects."""
        totals = np.zeros(self.num_classes, np.int64)
        for sample in self.samples:
            if sample.target is None:
                continue
            if isinstance(sample.target, Detections):
                known = sample.target.labels[sample.target.labels >= 0]
                totals += np.bincount(known, minlength=self.num_classes)
            elif sample.target.labels is not None:
                totals += sample.target.labels
            elif sample.target.label is not None:
                totals[sample.target.label] += 1
        return {name: int(n) for name, n in zip(self.class_names, totals)}

    def fingerprint(self) -> str:
        """SHA-256 over class names, sources, splits, labels and each file's size and time, or each array's bytes.

        It changes when a picture is added, removed, edited, relabelled or moved to another split.
        """
        digest = hashlib.sha256("\0".join(self.class_names).encode())
        for sample in self.samples:
            target = sample.target
            label: Any = None
            if isinstance(target, Classification):
                label = (target.label, _bytes(target.labels), _bytes(target.scores))
            elif target is not None:
                label = target.digest()
            if isinstance(sample.image, Path):
                stat = sample.image.stat() if sample.image.exists() else None
                content: Any = None if stat is None else (stat.st_size, stat.st_mtime_ns)
            else:
                content = (
                    sample.image.shape,
                    hashlib.sha256(np.ascontiguousarray(sample.image).data).hexdigest(),
                )
            digest.update(repr((sample.source, sample.split, sample.group, label, content)).encode())
        return digest.hexdigest()


def distinct(class_names: Sequence[str]) -> tuple[str, ...]:
    """The class names as a tuple.

    Raises:
        InputError: Two are equal, as the two cranes in many lists of ImageNet's classes.
    """
    if twice := [name for name, n in Counter(class_names).items() if n > 1]:
        raise InputError(
            f"Every class has a name of its own. Received twice: {', '.join(twice[:10])}. Rename one of each, "
            "such as crane (animal) and crane (artifact)."
        )
    return tuple(class_names)


def _joined(target: Classification, joined: NDArray[np.float32]) -> Classification:
    return replace(
        target,
        label=None if target.label is None else int(joined[target.label].argmax()),
        labels=None if target.labels is None else (target.labels @ joined > 0).astype(np.uint8),
        scores=None if target.scores is None else target.scores @ joined,
    )


def _bytes(array: NDArray[Any] | None) -> bytes | None:
    return None if array is None else array.tobytes()
