"""The kinds of finding about files, repeated pictures, classes and the look of pictures.

Each is one function with the decorator `@check`: it looks at the facts and yields findings. A new kind is a new
function, here or in a file of its own that `visus.data.survey.doctor` imports.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from visus.data.formats._walk import LeftOut
from visus.data.survey.duplicates import connected
from visus.data.survey.findings import Facts, Finding, Severity, check, listed, several
from visus.data.survey.shortcuts import STRONG, apart, odd_values, unevenness

FEW = 10
"""A class with fewer training pictures is called small."""

# Files

_TROUBLE = {
    "missing": "not there, or not to be opened",
    "empty": "0 bytes",
    "not a picture": "no picture, whatever the name says",
    "unsupported": "of a kind that is not supported",
    "truncated": "cut off before the end",
    "too large": "above the pixel limit",
}


@check
def unreadable(facts: Facts) -> Iterator[Finding]:
    """Pictures that cannot be read, by kind of trouble."""
    by_problem: dict[str, list[int]] = defaultdict(list)
    for i, picture in enumerate(facts.pictures):
        if picture.problem:
            by_problem[picture.problem].append(i)
    for problem, positions in sorted(by_problem.items()):
        first = facts.pictures[positions[0]].reason.split(". ")[0].rstrip(".")
        yield Finding(
            "error",
            problem.replace(" ", "-"),
            f"{several(len(positions), 'file', 'files')} cannot be read: {_TROUBLE.get(problem, problem)} "
            f"({facts.dataset[positions[0]].source}: {first}). Get whole copies or remove them.",
            facts.sources(positions),
        )


@check
def doubtful(facts: Facts) -> Iterator[Finding]:
    """JPEGs that decode but end too early or go on too long: parts of them may be gray."""
    positions = facts.readable[~facts.column("whole").astype(bool)]
    if len(positions):
        yield Finding(
            "warning",
            "doubtful",
            f"{several(len(positions), 'JPEG ends', 'JPEGs end')} where the picture does not, and may be gray or "
            f"garbled in part (such as {facts.dataset[int(positions[0])].source}). Look at them.",
            facts.sources(positions),
        )


_SUFFIXES = {
    "JPEG": ".jpg .jpeg .jpe .jfif .mpo",
    "PNG": ".png .apng",
    "GIF": ".gif",
    "WEBP": ".webp",
    "TIFF": ".tif .tiff",
    "BMP": ".bmp",
    "AVIF": ".avif",
    "JPEG2000": ".jp2 .j2k .jpx",
    "PPM": ".ppm .pgm .pbm .pnm",
    "ICO": ".ico",
    "PSD": ".psd",
    "QOI": ".qoi",
    "TGA": ".tga",
}
_FORMAT_OF = {suffix: name for name, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}


@check
def lying_suffix(facts: Facts) -> Iterator[Finding]:
    """A PNG that is called .jpg: visus reads it, other tools may not."""
    lying = []
    for i in facts.readable.tolist():
        image, format = facts.dataset[i].image, facts.pictures[i].format
        if isinstance(image, Path) and _FORMAT_OF.get(image.suffix.lower(), format) != format:
            lying.append(i)
    if lying:
        example = f"{facts.dataset[lying[0]].source} is {facts.pictures[lying[0]].format}"
        yield Finding(
            "warning",
            "suffix",
            f"{several(len(lying), 'picture has', 'pictures have')} a suffix of another format ({example}). visus "
            "goes by the content; other tools may fail.",
            facts.sources(lying),
        )


_UNUSED: dict[str, tuple[Severity, str, str, str]] = {
    "picture": (
        "warning",
        "picture lies",
        "pictures lie",
        "in the data's folders without belonging to the data",
    ),
    "disguised": (
        "warning",
        "file",
        "files",
        "with a picture inside left out, for the suffix; rename to use",
    ),
    "closed": ("warning", "file or folder", "files or folders", "left out: no permission, or a special file"),
    "link": ("note", "symbolic link", "symbolic links", "not followed"),
    "hidden": ("note", "hidden file or folder", "hidden files or folders", "skipped"),
    "other": ("note", "file", "files", "without a picture skipped"),
}


@check
def unused_files(facts: Facts) -> Iterator[Finding]:
    """Files in the data's folders that belong to no sample: each is accounted for."""
    by_kind: dict[str, list[str]] = defaultdict(list)
    for stray in facts.strays:
        by_kind[stray.kind].append(stray.source)
    for kind, (severity, one, many, words) in _UNUSED.items():
        if files := by_kind[kind]:
            suffixes = Counter(
                PurePosixPath(f).suffix.lower() or "without suffix" for f in files
            ).most_common()
            kinds = listed([f"{n:,} {suffix}" for suffix, n in suffixes])
            text = f"{several(len(files), one, many)} {words}: {kinds}."
            yield Finding(severity, f"unused-{kind}", text, tuple(files))


@check
def reader_notes(facts: Facts) -> Iterator[Finding]:
    """What the reader of the format had to say, other than what it skipped: those files are listed one by one."""
    skipped = {note.partition(" ")[2] for note in LeftOut(1, 1, 1, 1).notes()}
    for note in facts.dataset.notes:
        if not facts.strays or note.partition(" ")[2] not in skipped:
            yield Finding("note", "reader", note)


# The same picture twice


@check
def duplicates(facts: Facts) -> Iterator[Finding]:
    """Equal pictures: across splits, across classes, or merely twice."""
    yield from _repeated(facts, facts.equal, "The same picture", "duplicate", "warning")


@check
def near_duplicates(facts: Facts) -> Iterator[Finding]:
    """The same picture saved again, resized or retouched: across splits, across classes, or merely twice."""
    pairs = [(int(a), int(b)) for a, b in facts.near]
    yield from _repeated(facts, pairs, "Nearly the same picture", "near-duplicate", "note")


def _repeated(
    facts: Facts, groups: Sequence[tuple[int, ...]], what: str, code: str, otherwise: Severity
) -> Iterator[Finding]:
    splits, truths = facts.splits.tolist(), facts.truths
    across = [g for g in groups if len({splits[i] for i in g}) > 1]
    torn = [g for g in groups if len({truths[i] for i in g} - {None}) > 1]
    rest = sorted(set(groups) - {*across, *torn})
    memory = "stands in two splits, so that the score on one is partly a memory of the other. Keep it in one."
    wrong = "has different labels. One of them is wrong, or the classes overlap."
    twice = "occurs more than once; it counts more than others" + (
        "." if facts.dataset.splits else " and may stand on both sides of a random split."
    )
    yield from _told(facts, across, splits, "error", f"{code}-across-splits", f"{what} {memory}")
    yield from _told(facts, torn, truths, "error", f"{code}-across-classes", f"{what} {wrong}")
    yield from _told(facts, rest, range(len(splits)), otherwise, code, f"{what} {twice}")


def _told(
    facts: Facts,
    groups: Sequence[tuple[int, ...]],
    differing: Sequence[object],
    severity: Severity,
    code: str,
    words: str,
) -> Iterator[Finding]:
    """One finding for all groups, whose example is a pair that shows in what they differ."""
    if groups:
        joined = connected([pair for group in groups for pair in pairwise(group)], len(facts.dataset))
        first = joined[0][0]
        second = next(i for i in joined[0] if differing[i] != differing[first])
        such = " and ".join(f"{facts.dataset[i].source} ({facts.labelled(i)})" for i in (first, second))
        yield Finding(
            severity,
            code,
            f"{words} {several(len(joined), 'group', 'groups')}, such as {such}.",
            facts.sources(i for group in joined for i in group),
            tuple(facts.sources(group) for group in joined),
        )


@check
def torn_groups(facts: Facts) -> Iterator[Finding]:
    """A patient, slide or video that stands in two splits."""
    splits: dict[str, set[str | None]] = defaultdict(set)
    for sample in facts.dataset.samples:
        if sample.group is not None:
            splits[sample.group].add(sample.split)
    torn = sorted(group for group, found in splits.items() if len(found) > 1)
    if torn:
        yield Finding(
            "error",
            "group-across-splits",
            f"{several(len(torn), 'group stands', 'groups stand')} in two splits ({listed(torn)}), so that the score "
            "on one is partly a memory of the other. Split by group.",
            tuple(s.source for s in facts.dataset.samples if s.group in set(torn)),
        )


@check
def same_names(facts: Facts) -> Iterator[Finding]:
    """File names that occur in several folders."""
    by_name: dict[str, list[int]] = defaultdict(list)
    for i, sample in enumerate(facts.dataset.samples):
        if isinstance(sample.image, Path):
            by_name[PurePosixPath(sample.source).name].append(i)
    twice = {name: positions for name, positions in by_name.items() if len(positions) > 1}
    if twice:
        yield Finding(
            "note",
            "same-name",
            f"{several(len(twice), 'file name occurs', 'file names occur')} in more than one folder "
            f"({listed(list(twice), 3)}): tell such pictures apart by the whole path.",
            facts.sources(i for positions in twice.values() for i in positions),
            tuple(facts.sources(positions) for positions in twice.values()),
        )


# Classes


@check
def labels(facts: Facts) -> Iterator[Finding]:
    """Pictures without a label, and labels outside the class names."""
    missing = [i for i, truth in enumerate(facts.truths) if truth is None]
    if missing:
        yield Finding(
            "error",
            "no-label",
            f"{several(len(missing), 'picture has', 'pictures have')} no label, of {len(facts.dataset):,}. Label them "
            "or leave them out.",
            facts.sources(missing),
        )
    classes = facts.dataset.num_classes
    wrong = [i for i, t in enumerate(facts.truths) if isinstance(t, int) and t >= classes]
    if wrong:
        yield Finding(
            "error",
            "unknown-class",
            f"{several(len(wrong), 'picture has', 'pictures have')} a label outside of the {classes} classes.",
            facts.sources(wrong),
        )


@check
def class_sizes(facts: Facts) -> Iterator[Finding]:
    """Classes that cannot be learned or judged, small classes, imbalance."""
    names = np.array(facts.dataset.class_names)
    every = facts.membership.sum(0)
    train = facts.counts.get("train", every)
    if facts.dataset.task == "single" and (every > 0).sum() == 1:
        only = names[every > 0][0]
        yield Finding("error", "one-class", f"All pictures belong to {only}: there is nothing to tell apart.")
    if (every == 0).any():
        empty = several(int((every == 0).sum()), "class has", "classes have")
        yield Finding("warning", "empty-class", f"{empty} no picture: {listed(names[every == 0])}.")
    if facts.dataset.splits and "train" not in facts.counts:
        yield Finding("note", "no-train", "No split is named train: this can be judged on, not trained on.")
    for split, counts in facts.counts.items():
        where = split or "pictures without a split"
        if (unknown := (counts > 0) & (train == 0)).any():
            found = several(int(unknown.sum()), "class is", "classes are")
            yield Finding(
                "error",
                "class-not-in-train",
                f"{found} in {where} but not in train, and cannot be learned: {listed(names[unknown])}.",
            )
        if split in ("val", "test") and (unseen := (counts == 0) & (train > 0)).any():
            found = several(int(unseen.sum()), "class has", "classes have")
            yield Finding(
                "warning",
                "class-not-judged",
                f"{found} no picture in {split}, and will not be judged: {listed(names[unseen])}.",
            )
    parts = (
        3 if not facts.dataset.splits else 2 if "train" in facts.counts and "val" not in facts.counts else 1
    )
    if facts.dataset.task == "single" and (scarce := (train > 0) & (train < parts)).any():
        rows = [f"{name} {n}" for name, n in zip(names[scarce], train[scarce])]
        yield Finding(
            "error",
            "class-too-small",
            f"{several(len(rows), 'class has', 'classes have')} fewer pictures than the {parts} parts that they are "
            f"to be divided into ({', '.join(('train', 'val', 'test')[:parts])}): {listed(rows)}. Add pictures, or "
            "leave the class out.",
        )
    if (small := (train > 0) & (train < FEW)).any():
        rows = [f"{name} {n}" for name, n in zip(names[small], train[small])]
        yield Finding(
            "warning",
            "small-class",
            f"{several(len(rows), 'class has', 'classes have')} fewer than {FEW} pictures to learn from: "
            f"{listed(rows)}.",
        )


@check
def imbalance(facts: Facts) -> Iterator[Finding]:
    """Classes of very different sizes."""
    train = facts.counts.get("train", facts.membership.sum(0))
    present = np.flatnonzero(train)
    if len(present) < 2:
        return
    most, least = present[train[present].argmax()], present[train[present].argmin()]
    ratio = train[most] / train[least]
    if ratio >= 3:
        names = facts.dataset.class_names
        yield Finding(
            "warning" if ratio >= 10 else "note",
            "imbalance",
            f"{names[most]} has {ratio:.1f} times as many training pictures as {names[least]}. Look at balanced "
            "accuracy, and weigh the classes.",
        )


@check
def class_names_alike(facts: Facts) -> Iterator[Finding]:
    """`Cat` and `cat `: one class, by mistake in two."""
    alike: dict[str, list[str]] = defaultdict(list)
    for name in facts.dataset.class_names:
        alike["".join(c for c in name.casefold() if c.isalnum()) or name].append(name)
    if twice := [names for names in alike.values() if len(names) > 1]:
        pairs = listed([" and ".join(map(repr, names)) for names in twice])
        yield Finding(
            "warning", "class-names-alike", f"Class names differ in case, blanks or signs alone: {pairs}."
        )


# How the pictures are


@check
def kinds_of_picture(facts: Facts) -> Iterator[Finding]:
    """Orientation, depth, alpha, animation: handled here, but other tools may trip."""
    told = (
        ("exif", facts.column("orientation") != 1, "picture must", "pictures must",
         "be turned to stand upright, as an EXIF tag says. visus does so; some tools do not."),
        ("deep", facts.column("bits") > 8, "picture has", "pictures have",
         "more than 8 bits per sample. The upper 8 are used, nothing is stretched."),
        ("alpha", np.isin(facts.column("channels"), (2, 4)), "picture has", "pictures have",
         "transparency, or CMYK colours. They become RGB, transparency is dropped."),
        ("frames", facts.column("frames") > 1, "picture has", "pictures have",
         "more than one frame. The first is used."),
    )  # fmt: skip
    for code, mask, one, many, words in told:
        if mask.any():
            positions = facts.readable[mask]
            yield Finding(
                "note", code, f"{several(len(positions), one, many)} {words}", facts.sources(positions)
            )


@check
def sizes(facts: Facts) -> Iterator[Finding]:
    """Very small, very large and very long pictures."""
    height, width = facts.column("height").astype(float), facts.column("width").astype(float)
    if not len(height):
        return
    ratio = np.maximum(height, width) / np.minimum(height, width)
    told: tuple[tuple[str, Severity, np.ndarray, str], ...] = (
        ("tiny", "warning", np.minimum(height, width) < 16, "a side of less than 16 pixels."),
        ("huge", "note", height * width > 20e6, "more than 20 megapixels. Shrunk copies train as well, and faster."),
        ("long", "note", (ratio > 4) & (ratio > 2 * np.median(ratio)),
         "one side more than four times as long as the other. Resizing leaves little of them."),
    )  # fmt: skip
    for code, severity, mask, words in told:
        if mask.any():
            positions = facts.readable[mask]
            found = several(len(positions), "picture has", "pictures have")
            yield Finding(severity, code, f"{found} {words}", facts.sources(positions))


@check
def plain(facts: Facts) -> Iterator[Finding]:
    """Pictures that show next to nothing: black, white, or of one gray."""
    brightness, spread = facts.column("brightness"), facts.column("spread")
    positions = facts.readable[(spread < 2) | ((spread < 5) & ((brightness < 5) | (brightness > 250)))]
    if len(positions):
        yield Finding(
            "warning",
            "plain",
            f"{several(len(positions), 'picture shows', 'pictures show')} next to nothing: black, white or of one "
            f"colour ({facts.by_class(positions)}).",
            facts.sources(positions),
        )


@check
def outliers(facts: Facts) -> Iterator[Finding]:
    """Pictures much darker, brighter, more blurred or sharper than the others."""
    told = (
        (facts.column("brightness"), "dark", "bright"),
        (np.log1p(facts.column("sharpness")), "blurred", "sharp"),
    )
    for values, low, high in told:
        if len(values) < 20:
            continue
        middle = np.median(values)
        scale = 1.4826 * np.median(np.abs(values - middle))
        for word, mask in ((low, values < middle - 5 * scale), (high, values > middle + 5 * scale)):
            if scale > 0 and mask.any():
                positions = facts.readable[mask]
                yield Finding(
                    "note",
                    f"unusually-{word}",
                    f"{several(len(positions), 'picture is', 'pictures are')} unusually {word} beside the others "
                    f"({facts.by_class(positions)}).",
                    facts.sources(positions),
                )


# Cues that give the class away


@check
def shortcut(facts: Facts) -> Iterator[Finding]:
    """A classifier on brightness and sharpness, background, size or format alone beats chance by 10 points."""
    for cue in facts.cues:
        if cue.telling:
            strong = not cue.look or cue.accuracy.value >= cue.chance + STRONG
            advice = (
                "That may be the thing itself or the way it was taken: look at what the model looks at."
                if cue.look
                else "That is no property of the thing: a model may learn it instead. Make it the same for all classes."
            )
            yield Finding(
                "warning" if strong else "note",
                "shortcut",
                f"From {cue.name} alone the class can be told with a balanced accuracy of {cue.accuracy.value:.2f}, "
                f"where chance is {cue.chance:.2f}. {advice}",
            )


@check
def batches(facts: Facts) -> Iterator[Finding]:
    """Pictures that stand out in size, storage or background: a batch from another source."""
    found: list[tuple[list[str], NDArray[np.bool_]]] = []
    for words, mask in _odd(facts):
        if mask.sum() < 5:
            continue
        for others, known in found:
            if (mask & known).sum() >= 0.8 * (mask | known).sum():
                others.append(words)
                break
        else:
            found.append(([words], mask))
    for signs, mask in found:
        positions = facts.readable[mask]
        message = (
            f"{several(len(positions), 'picture stands', 'pictures stand')} out from the others by "
            f"{', and by '.join(signs)}. By class: {facts.by_class(positions)}."
        )
        by_class = facts.membership[positions].sum(0)
        tied = facts.dataset.task == "single" and by_class.sum() > 0
        chance = unevenness(by_class, facts.membership[facts.readable].sum(0)) if tied else 1.0
        if chance < 0.01:
            message += (
                f" Chance would not spread them like this (p = {chance:.2g}): a model may learn the batch."
            )
        elif len(signs) > 1:
            message += " They may come from another source: see that no class depends on it."
        severity: Severity = "warning" if chance < 0.01 or len(signs) > 1 else "note"
        yield Finding(severity, "batch", message, facts.sources(positions))


def _odd(facts: Facts) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Sign by sign: in which way some pictures differ from nearly all others, and which."""
    height, width = facts.column("height"), facts.column("width")
    border = facts.column("border").reshape(-1, 3)
    kinds = {
        "size": [f"{h} x {w}" for h, w in zip(height, width)],
        "format": facts.column("format").tolist(),
        "channels": facts.column("channels").tolist(),
        "bits per sample": facts.column("bits").tolist(),
        "colour": ["colour" if colour else "gray" for colour in facts.column("colour")],
    }
    for name, values in kinds.items():
        if (odd := odd_values(values)) is not None:
            yield f"{name} ({odd[1]})", odd[0]
    for name, numbers in {
        "background tint (blue minus red)": border[:, 2] - border[:, 0],
        "background brightness": border.mean(1),
        "brightness": facts.column("brightness"),
    }.items():
        if (beyond := apart(numbers)) is not None:
            median, usual = np.median(numbers[beyond]), np.median(numbers[~beyond])
            yield f"{name} ({median:.0f}; others {usual:.0f})", beyond
