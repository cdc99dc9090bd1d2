"""The labels of a data set in the order of a model's classes: matched by name, never by position."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visus.data.dataset import Dataset, distinct
from visus.structures import Classification, Detections, InputError


def match_classes(dataset: Dataset, class_names: Sequence[str]) -> Dataset:
    """Renumbers the labels of a data set to the classes of a model.

    The data set may have fewer classes than the model, and in another order; a class that the model does not
    know is an error, because no answer to such a picture could be right.

    Args:
        dataset: Samples with labels.
        class_names: The classes of the model, in its order.

    Returns:
        The same samples in the same order, with the model's class names; a note says which classes of the
        model have no name in the data set.

    Raises:
        InputError: The data set has a class that the model does not know, or two of the model's have one name.

    Example:
        >>> from pathlib import Path
        >>> from visus.structures import Sample
        >>> data = Dataset((Sample(Path("a.jpg"), Classification(0)),), ("rose",))
        >>> match_classes(data, ["daisy", "rose"])[0].target.label
        1
    """
    names = distinct(class_names)
    if dataset.class_names == names:
        return dataset
    unknown = [name for name in dataset.class_names if name not in names]
    if unknown:
        raise InputError(_unknown(dataset, unknown, names))
    index = np.array([names.index(name) for name in dataset.class_names], np.int64)

    def moved(vector: NDArray[Any] | None) -> NDArray[Any] | None:
        if vector is None:
            return None
        out = np.zeros(len(names), vector.dtype)
        out[index] = vector
        return out

    def target(old: Classification | Detections | None) -> Classification | Detections | None:
        if old is None:
            return None
        if isinstance(old, Detections):
            return old.replace(labels=index[old.labels])
        label = None if old.label is None else int(index[old.label])
        return Classification(label, moved(old.labels), moved(old.scores))

    absent = [name for name in names if name not in dataset.class_names]
    notes = dataset.notes
    if absent:
        listed = ", ".join(absent[:5]) + (f" and {len(absent) - 5} more" if len(absent) > 5 else "")
        notes = (*notes, f"{len(absent)} of the model's {len(names)} classes are not in the data: {listed}.")
    return replace(
        dataset,
        samples=tuple(s.replace(target=target(s.target)) for s in dataset),
        class_names=names,
        notes=notes,
    )


def _unknown(dataset: Dataset, unknown: list[str], names: tuple[str, ...]) -> str:
    described = []
    for name in unknown[:5]:
        close = [c for c in names if c.lower() == name.lower()] or difflib.get_close_matches(name, names, 1)
        described.append(f"{name!r} (did you mean {close[0]!r}?)" if close else repr(name))
    more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
    known = ", ".join(names[:10]) + (" ..." if len(names) > 10 else "")
    return (
        f"The model does not know {len(unknown)} of the {dataset.num_classes} classes of "
        f"{dataset.name or 'the data'}: {', '.join(described)}{more}. It knows {known}. Rename the classes, "
        "or leave those pictures out."
    )
