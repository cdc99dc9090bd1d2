"""Splits: who is trained on, who is judged on. Same result for the same seed on every machine.

Which samples go where is decided by a hash of the seed and the sample's source (or group), not by the state
of a random generator: it depends neither on the order of the files nor on any library's version, and a
picture that is added later leaves the others, but for a few at the boundary, where they are.

Rounding. A share p of n samples is ceil(n * p) for the held-out part and the rest for train, as in
scikit-learn; p is taken as the decimal number that was written, so 0.07 of 100 is 7. Percent boundaries of
`select` are n * p / 100 rounded half to even, as in TensorFlow Datasets. Inside a stratified part every class
gets its proportional share, rounded down, then the largest remainders are filled up, and never less than one
sample.
"""

from __future__ import annotations

import csv
import hashlib
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visus.data.content import content, copies
from visus.data.dataset import Dataset
from visus.structures import Classification, Detections, InputError, Sample

Share = float | int | str
Group = str | Callable[[Sample], str] | bool | None

_SLICE = re.compile(r"(?P<name>[^\[\]+]+)(\[(?P<low>-?\d+%?)?:(?P<high>-?\d+%?)?\])?")


def split(
    dataset: Dataset,
    *,
    test: Share | None = None,
    val: Share | None = None,
    seed: int = 0,
    stratify: bool = True,
    group: Group = None,
    redo: bool = False,
) -> Dataset:
    """Divides a data set into train and the held-out parts that are asked for, by setting `Sample.split`.

    A part that exists already is respected: nothing moves in or out of it, and what is missing is cut from
    train (and from samples without a split). So a second call cuts val from what the first left for train:
    5,000 samples with `test=0.2` and then `val=0.25` are 3,000, 1,000 and 1,000. In one call, shares are of
    all samples that are divided.

    Args:
        dataset: The samples.
        test: A share in (0, 1), a percentage like `"15%"`, or a whole number of samples.
        val: Like `test`.
        seed: Another seed, another split.
        stratify: Give every class the same share in all parts.
        group: Keep samples together that belong together (a patient, a video, a slide): None takes
            `Sample.group` where samples have one; a regular expression is searched in the source (its group
            `group`, else the first, else all that matched); a function maps a sample to its group; False
            ignores groups. Sizes are then as near as whole groups allow.
        redo: Forget the split that is there.

    Returns:
        The same samples in the same order, each with a split.

    Raises:
        InputError: A class has fewer members (or groups) than there are parts, a sample has no label to
            stratify by, or the shares leave nothing to train on.

    Example:
        >>> parts = split(dataset, test=0.2, val=0.1, seed=1)                              # doctest: +SKIP
        >>> len(parts.split("train")), len(parts.split("val")), len(parts.split("test"))   # doctest: +SKIP
        (700, 100, 200)
    """
    if redo:
        dataset = replace(dataset, samples=tuple(s.replace(split=None) for s in dataset))
    wanted = [(name, share) for name, share in (("test", test), ("val", val)) if share is not None]
    wanted = [(name, share) for name, share in wanted if name not in dataset.splits]
    free = [i for i, s in enumerate(dataset) if s.split in (None, "train")]
    if not wanted:
        return _assigned(dataset, dict.fromkeys(free, "train"))
    sizes = {name: _size(share, len(free), name) for name, share in wanted}
    rest = len(free) - sum(sizes.values())
    if rest < 1:
        raise InputError(
            f"Of {len(free)} samples {', '.join(f'{n} takes {k}' for n, k in sizes.items())}, which leaves "
            "nothing to train on. Ask for less."
        )
    parts = {**sizes, "train": rest}
    chosen = dataset.subset(free)
    groups = group_keys(chosen, group)
    keys = [s.source for s in chosen] if groups is None else groups
    weights, strata = _strata(chosen, stratify)
    if groups is None and weights.ndim == 1:
        part = _by_class(weights, parts, keys, seed, strata)
    else:
        matrix = weights if weights.ndim == 2 else np.eye(len(strata), dtype=np.int64)[weights]
        part = _by_group(matrix, parts, keys, seed, strata, grouped=groups is not None)
    return _assigned(dataset, dict(zip(free, part)))


def keep_copies_together(dataset: Dataset) -> tuple[Dataset, list[str]]:
    """Puts copies of a file into one group, so that no split tears them apart, and says what was found.

    Samples that have a group already keep it.

    Returns:
        The data set, and sentences for a person.
    """
    found = copies(dataset)
    if not found:
        return dataset, []
    samples = list(dataset.samples)
    torn, doubted = 0, []
    for group in found:
        first = samples[group[0]]
        torn += len({samples[i].split for i in group}) > 1
        if len({_label_text(dataset, samples[i]) for i in group}) > 1:
            doubted.append(first.source)
        for i in group:
            if samples[i].group is None:
                samples[i] = samples[i].replace(group=f"copies of {first.source}")
    notes = [
        f"{sum(map(len, found))} files are copies of each other, such as {samples[found[0][0]].source} and "
        f"{samples[found[0][1]].source}"
        + ("; some are in two splits, so the score will be too good" if torn else "; they count as one group")
        + ". visus check also finds those that only look alike."
    ]
    if doubted:
        notes.append(f"Some of them are in two classes, which confuses the model: {', '.join(doubted[:5])}.")
    return replace(dataset, samples=tuple(samples)), notes


def select(dataset: Dataset, expression: str, *, seed: int | None = None) -> Dataset:
    """A part of a data set by name and slice, as TensorFlow Datasets writes them.

    Args:
        dataset: The samples.
        expression: `train`, `test[:100]`, `train[10%:25%]`, `all[-5%:]`, or several joined by `+`. `all` is
            every sample; in a set without splits `train` is, too.
        seed: Shuffle before slicing (all slices of one seed fit together), or None: the order of the set.

    Raises:
        InputError: The expression or the split is none; or a slice without a seed would cut through samples
            that are sorted by class, and so hold few of the classes.

    Example:
        >>> select(dataset, "train[:10%]", seed=0)                                    # doctest: +SKIP
    """
    samples: list[Sample] = []
    for part in expression.split("+"):
        match = _SLICE.fullmatch(part.strip())
        if match is None:
            raise InputError(
                f"A part reads like train, train[:10%] or train[100:200]. Received {part.strip()!r}."
            )
        name, sliced = match["name"].strip(), "[" in part
        whole = dataset if name == "all" or (name == "train" and not dataset.splits) else dataset.split(name)
        if sliced and seed is None and _sorted_by_class(whole):
            raise InputError(
                f"The samples of {name} are sorted by class, so {part.strip()} would hold few of the "
                "classes. Pass a seed to shuffle them first."
            )
        if sliced and seed is not None:
            whole = whole.subset(_shuffled([s.source for s in whole], seed))
        n = len(whole)
        low, high = _boundary(match["low"] or "0", n), _boundary(match["high"] or "100%", n)
        samples.extend(whole.samples[low:high])
    return replace(dataset, samples=tuple(samples))


def kfold(
    dataset: Dataset, k: int = 5, *, seed: int = 0, stratify: bool = True, group: Group = None
) -> Iterator[Dataset]:
    """Cross-validation: yields the set `k` times, each sample once in val and k - 1 times in train.

    Samples of the split test stay out of it. The folds are scikit-learn's (`StratifiedKFold`, `KFold`,
    `GroupKFold`, `StratifiedGroupKFold`).

    Args:
        dataset: The samples.
        k: The number of folds.
        seed: Another seed, other folds.
        stratify: Give every class the same share in all folds.
        group: As in `split`.

    Raises:
        InputError: A class, or the set, has fewer samples or groups than folds.
    """
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    if k < 2:
        raise InputError(f"Cross-validation needs at least 2 folds. Received {k}.")
    indices, groups = _for_folds(dataset, group)
    chosen = dataset.subset(indices)
    labels = None
    if stratify:
        weights, names = _strata(chosen, True)
        if weights.ndim == 2:
            raise InputError(
                "Several labels per picture cannot be stratified into folds. Pass stratify=False."
            )
        _enough(weights, names, k, groups, "folds")
        labels = weights
    if (number := len(chosen) if groups is None else len(set(groups))) < k:
        raise InputError(
            f"{k} folds need at least {k} {'samples' if groups is None else 'groups'}. Received {number}."
        )
    if groups is None:
        folds = (StratifiedKFold if stratify else KFold)(k, shuffle=True, random_state=seed)
    else:
        folds = (StratifiedGroupKFold if stratify else GroupKFold)(k, shuffle=True, random_state=seed)
    # scikit-learn sees the samples in the order of their sources, so the order of the set does not matter.
    order = np.array(sorted(range(len(chosen)), key=lambda i: chosen[i].source), np.int64)
    sorted_groups = None if groups is None else np.array(groups)[order]
    for _, held in folds.split(order, None if labels is None else labels[order], sorted_groups):
        yield _fold(dataset, indices, order[held])


def leave_one_group_out(dataset: Dataset, *, group: Group = None) -> Iterator[tuple[str, Dataset]]:
    """Yields each group's name and the set with that group in val and all others in train.

    Args:
        dataset: The samples; those of the split test stay out of it.
        group: As in `split`.

    Raises:
        InputError: There are no groups, or only one.
    """
    indices, groups = _for_folds(dataset, group)
    if groups is None or len(set(groups)) < 2:
        raise InputError("Leaving one group out needs at least two groups. Say what a group is (group=...).")
    names = np.array(groups)
    for name in sorted(set(groups)):
        yield name, _fold(dataset, indices, np.flatnonzero(names == name))


def per_class(dataset: Dataset, n: int, *, seed: int = 0) -> Dataset:
    """Takes `n` samples of every class to train and the rest to test, whatever split there was.

    Raises:
        InputError: A class has no more than `n` samples; see `at_least`.
    """
    labels, names = _strata(dataset, True)
    if labels.ndim == 2:
        raise InputError("A number of samples per class needs pictures with one label each.")
    _enough(labels, names, n + 1, None, f"samples, {n} to train on and one to test")
    place: dict[int, str] = {}
    for label in range(len(names)):
        members = np.flatnonzero(labels == label)
        for rank, i in enumerate(members[_shuffled([dataset[j].source for j in members], seed)]):
            place[int(i)] = "train" if rank < n else "test"
    return _assigned(dataset, place)


def at_least(dataset: Dataset, n: int) -> Dataset:
    """Leaves out the classes with fewer than `n` samples, and closes the gaps in the labels.

    Raises:
        InputError: No class is left, or pictures have several labels.
    """
    labels, names = _strata(dataset, True)
    if labels.ndim == 2:
        raise InputError("Classes can only be left out where every picture has one label.")
    counts = np.bincount(labels, minlength=len(names))
    kept = np.flatnonzero(counts >= n)
    if not len(kept):
        raise InputError(f"No class has {n} samples; the largest has {counts.max(initial=0)}.")
    position = {int(old): new for new, old in enumerate(kept)}
    samples = []
    for sample, label in zip(dataset, labels):
        if int(label) in position and isinstance(sample.target, Classification):
            scores = sample.target.scores
            target = replace(
                sample.target, label=position[int(label)], scores=None if scores is None else scores[kept]
            )
            samples.append(sample.replace(target=target))
    gone = [name for name, count in zip(names, counts) if count < n]
    notes = (f"{len(gone)} classes with fewer than {n} pictures were left out.",) if gone else ()
    return replace(
        dataset,
        samples=tuple(samples),
        class_names=tuple(names[i] for i in kept),
        notes=(*dataset.notes, *notes),
    )


def write_split(dataset: Dataset, path: str | Path) -> None:
    """Writes which sample is in which split: a CSV with source, label, split (and group), and `content`.

    Args:
        dataset: Samples with splits and with sources that differ.
        path: The file; one that exists is replaced.

    Raises:
        InputError: A sample has no split, or two have the same source.
    """
    path = Path(path)
    _distinct(dataset)
    if bare := [s.source for s in dataset if s.split is None]:
        raise InputError(f"{len(bare)} samples have no split, such as {bare[0]}. Split the set first.")
    grouped = any(s.group is not None for s in dataset)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["source", "label", "split", *(["group"] if grouped else []), "content"])
            for s in dataset:
                row = [s.source, _label_text(dataset, s), s.split]
                writer.writerow([*row, *([s.group or ""] if grouped else []), content(s)])
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def same_content(dataset: Dataset, path: Path) -> bool:
    """Whether every file is still what it was when the split file was written."""
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        before = {row["source"]: row.get("content") for row in csv.DictReader(file)}
    return all((now := content(s)) and before.get(s.source) == now for s in dataset)


def read_split(dataset: Dataset, path: str | Path) -> Dataset:
    """Applies a split file to the set that it was written for.

    Args:
        dataset: The samples, in any order.
        path: A file that `write_split` wrote.

    Returns:
        The samples in the order of `dataset`, with the file's splits (and groups).

    Raises:
        InputError: The file names a source that the set does not have, misses one that it has, or gives
            another label.
    """
    path = Path(path)
    _distinct(dataset)
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        try:
            rows = list(csv.DictReader(file, strict=True))
        except csv.Error as error:
            raise InputError(f"{path} is no split file: {error}.") from None
    if not rows or not {"source", "split"} <= set(rows[0]):
        raise InputError(f"{path} is no split file: expected the columns source, label, split.")
    found = {row["source"]: row for row in rows}
    if len(found) < len(rows):
        raise InputError(f"{path} names {len(rows) - len(found)} sources twice.")
    here = {s.source for s in dataset}
    unknown, missing = sorted(set(found) - here), sorted(here - set(found))
    if unknown or missing:
        raise InputError(
            f"{path} does not fit {dataset.name or 'the set'}: "
            + "; ".join(
                f"{len(names)} sources {what}, such as {names[0]}"
                for names, what in ((unknown, "are not in the set"), (missing, "are not in the file"))
                if names
            )
            + ". Was it written for another set, or were pictures added? Split again, or correct the file."
        )
    samples = []
    for sample in dataset:
        row = found[sample.source]
        if not row["split"]:
            raise InputError(f"{path} gives {sample.source} no split.")
        label = row.get("label")
        if label is not None and label != _label_text(dataset, sample):
            raise InputError(
                f"{path} knows {sample.source} as {label!r}, the set as {_label_text(dataset, sample)!r}. "
                "Split again."
            )
        samples.append(sample.replace(split=row["split"], group=row.get("group") or sample.group))
    return replace(dataset, samples=tuple(samples))


def group_keys(dataset: Dataset, group: Group = None) -> list[str] | None:
    """The group of every sample (a sample without one is its own), or None when there are no groups.

    Args:
        dataset: The samples.
        group: As in `split`.

    Raises:
        InputError: The regular expression does not match a source.
    """
    if group is False:
        return None
    if group is None or group is True:
        if all(s.group is None for s in dataset):
            if group:
                raise InputError(
                    "The samples have no groups. Pass a pattern or a function that tells the group."
                )
            return None
        return [f"\0{s.source}" if s.group is None else s.group for s in dataset]
    if isinstance(group, str):
        from visus.data.formats.file_names import group_of

        group = group_of(group)
    return [str(group(s)) for s in dataset]


def _size(share: Share, n: int, name: str) -> int:
    """How many of n samples a share asks for."""
    if isinstance(share, int) and not isinstance(share, bool):
        if share < 1:
            raise InputError(f"{name} takes at least 1 sample. Received {share}.")
        return share
    try:
        text = str(share).strip()
        part = Fraction(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except (ValueError, ZeroDivisionError):
        part = Fraction(0)
    if not 0 < part < 1:
        raise InputError(f"{name} is a share between 0 and 1, a percentage or a number. Received {share!r}.")
    return math.ceil(n * part)


def _boundary(text: str, n: int) -> int:
    number = round(Fraction(n * int(text[:-1]), 100)) if text.endswith("%") else int(text)
    return min(max(number + n if text.startswith("-") else number, 0), n)


def _strata(dataset: Dataset, stratify: bool) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Class index of every sample, or its vector of labels; one single class when not stratified."""
    if not stratify:
        return np.zeros(len(dataset), np.int64), ("all",)
    if bare := [s.source for s in dataset if s.target is None]:
        raise InputError(
            f"{len(bare)} samples have no label to stratify by, such as {bare[0]}. Pass stratify=False."
        )
    if dataset.task != "single":
        return dataset.shown().astype(np.int64), dataset.class_names
    return dataset.labels().astype(np.int64), dataset.class_names


def _by_class(
    labels: NDArray[np.int64], parts: dict[str, int], keys: Sequence[str], seed: int, names: Sequence[str]
) -> list[str]:
    """Exact sizes, every class in proportion."""
    _enough(labels, names, len(parts), None, "parts")
    order = _shuffled(keys, seed)
    members = [order[labels[order] == c] for c in range(len(names))]
    left = np.array([len(m) for m in members])
    place = np.empty(len(labels), object)
    held = [name for name in parts if name != "train"]
    for i, name in enumerate(held):
        takes = _shares(left, parts[name], len(held) - i, name)
        for c, take in enumerate(takes):
            place[members[c][:take]] = name
            members[c] = members[c][take:]
        left = left - takes
    place[np.concatenate(members)] = "train"
    return place.tolist()


def _shares(counts: NDArray[np.int64], total: int, parts_after: int, name: str) -> NDArray[np.int64]:
    """`total` samples over the classes: in proportion, at least one of each, one left for each later part."""
    present = counts > 0
    if total < present.sum():
        raise InputError(
            f"{name} takes {total} samples, which is fewer than the {present.sum()} classes. Ask for more, "
            "or pass stratify=False."
        )
    low, high = present.astype(np.int64), np.maximum(counts - parts_after, 0)
    if total > high.sum():
        raise InputError(f"{name} takes {total} samples, which leaves some class without one to train on.")
    n = int(counts.sum())
    takes = np.clip(counts * total // n, low, high)
    while (missing := total - int(takes.sum())) != 0:
        lag = counts * total - takes * n  # how far each class is behind its exact share, times n
        step = 1 if missing > 0 else -1
        open_ = takes < high if step > 0 else takes > low
        takes[np.argmax(np.where(open_, step * lag, np.iinfo(np.int64).min))] += step
    return takes


def _by_group(
    weights: NDArray[np.int64],
    parts: dict[str, int],
    keys: Sequence[str],
    seed: int,
    names: Sequence[str],
    grouped: bool,
) -> list[str]:
    """Whole groups, large and rare ones first, each where it brings the classes closest to their shares."""
    unique, member = np.unique(np.array(keys), return_inverse=True)
    sizes = np.bincount(member)
    content = np.zeros((len(unique), weights.shape[1]), np.int64)
    np.add.at(content, member, weights)
    holders = (content > 0).sum(0)
    if short := [
        f"{names[c]!r} ({holders[c]})"
        for c in np.flatnonzero((holders > 0) & (holders < len(parts))).tolist()
    ]:
        raise InputError(
            f"{len(parts)} parts need every class in at least {len(parts)} "
            f"{'groups' if grouped else 'samples'}. Fewer have {', '.join(short[:10])}. Pass stratify=False, "
            "or leave these classes out."
        )
    if len(unique) < len(parts):
        raise InputError(f"{len(parts)} parts need at least {len(parts)} groups. Received {len(unique)}.")

    # The last column is the size, so that the parts get their sizes as well as their classes.
    content = np.column_stack([content, sizes])
    total = np.maximum(content.sum(0), 1)
    share = content / total
    rarity = np.where(content[:, :-1] > 0, holders, len(unique) + 1).min(1)
    shuffled = _shuffled(list(unique), seed)
    level = np.log2(sizes).astype(int)
    order = sorted(shuffled, key=lambda g: (-level[g], rarity[g]))
    part_names = list(parts)
    goal = np.array([parts[name] for name in part_names])
    part_share = goal / goal.sum()
    lack = np.repeat(part_share[:, None], content.shape[1], 1)
    filled = np.zeros(len(parts), np.int64)
    place = np.empty(len(unique), np.int64)
    for rank, g in enumerate(order):
        # How much the group lowers the sum of (wanted - given)^2 / wanted over parts and classes.
        need = (2 * lack - share[g]) @ share[g] / part_share
        open_ = filled < goal
        empty = filled == 0
        if len(order) - rank <= empty.sum():  # the last groups go where there is none yet
            open_ = empty
        chosen = int(np.argmax(np.where(open_, need, -np.inf))) if open_.any() else int(np.argmax(need))
        place[g] = chosen
        lack[chosen] -= share[g]
        filled[chosen] += sizes[g]
    return [part_names[p] for p in place[member]]


def _enough(
    labels: NDArray[np.int64], names: Sequence[str], least: int, groups: Sequence[str] | None, what: str
) -> None:
    """Every class that occurs has `least` members, or lies in as many groups."""
    pairs: Iterable[tuple[int, str]]
    pairs = enumerate([]) if groups is None else set(zip(labels.tolist(), groups))
    counts = (
        np.bincount(labels, minlength=len(names))
        if groups is None
        else np.bincount([c for c, _ in pairs], minlength=len(names))
    )
    short = [f"{names[c]!r} ({counts[c]})" for c in np.flatnonzero((counts > 0) & (counts < least)).tolist()]
    if short:
        unit = "members" if groups is None else "groups"
        raise InputError(
            f"{least} {what} need at least {least} {unit} of every class. Fewer have "
            f"{', '.join(short[:10])}. Add pictures, leave these classes out (visus.data.split.at_least), or "
            "pass stratify=False."
        )


def _shuffled(keys: Sequence[str], seed: int) -> NDArray[np.int64]:
    """The positions of the keys in the order of their hashes with the seed."""
    prefix = f"{int(seed)}\0".encode()

    def rank(i: int) -> tuple[bytes, str, int]:
        text = keys[i]
        return (
            hashlib.blake2b(prefix + text.encode("utf-8", "surrogateescape"), digest_size=16).digest(),
            text,
            i,
        )

    return np.array(sorted(range(len(keys)), key=rank), np.int64)


def _sorted_by_class(dataset: Dataset) -> bool:
    labels = dataset.labels()
    return len(labels) > 1 and labels[0] != labels[-1] and bool(np.all(np.diff(labels) >= 0))


def _assigned(dataset: Dataset, place: dict[int, str]) -> Dataset:
    return replace(
        dataset,
        samples=tuple(s.replace(split=place[i]) if i in place else s for i, s in enumerate(dataset)),
    )


def _for_folds(dataset: Dataset, group: Group) -> tuple[NDArray[np.int64], list[str] | None]:
    indices = np.array([i for i, s in enumerate(dataset) if s.split != "test"], np.int64)
    return indices, group_keys(dataset.subset(indices), group)


def _fold(dataset: Dataset, indices: NDArray[np.int64], held: NDArray[np.int64]) -> Dataset:
    place = dict.fromkeys(indices.tolist(), "train")
    place.update(dict.fromkeys(indices[held].tolist(), "val"))
    return _assigned(dataset, place)


def _distinct(dataset: Dataset) -> None:
    seen: set[str] = set()
    for sample in dataset:
        if sample.source in seen:
            raise InputError(
                f"A split file tells samples apart by their source, and two are called {sample.source!r}."
            )
        seen.add(sample.source)


def _label_text(dataset: Dataset, sample: Sample) -> str:
    if sample.target is None:
        return ""
    if isinstance(sample.target, Detections):
        return "|".join(dataset.class_names[i] for i in np.unique(sample.target.labels))
    if sample.target.labels is not None:
        return "|".join(dataset.class_names[i] for i in np.flatnonzero(sample.target.labels))
    return "" if sample.target.label is None else dataset.class_names[sample.target.label]
