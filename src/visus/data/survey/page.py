"""A survey as one HTML page: the verdict, each finding with its pictures, and what the data looks like."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from visus.data.survey.doctor import Survey
from visus.data.survey.findings import Facts, Finding, several
from visus.draw.page import Badge, Page
from visus.draw.plots import BLUE, GRAY, LIGHT
from visus.draw.thumbnail import thumbnail
from visus.image.color import converted
from visus.image.io import read
from visus.structures import InputError

_SHOWN = 24  # pictures of a finding
_GROUPS = 12  # groups of equal pictures that are shown
_CLASSES = 12  # classes of which pictures are shown
_BOXES = 40  # classes in a plot


def survey_page(survey: Survey) -> Page:
    """Builds the page. Reads the pictures that it shows, at a reduced size where the format allows it.

    Example:
        >>> survey_page(result).write("check.html")                                 # doctest: +SKIP
    """
    facts, numbers = survey.facts, survey.statistics
    dataset = facts.dataset
    parts = [f"{split} {(facts.splits == split).sum():,}" for split in dataset.splits]
    page = Page(f"{dataset.name or 'Data'}: check before training", ", ".join(parts) or "no splits")
    counts = ", ".join(several(survey.count(s), s, f"{s}s") for s in ("error", "warning", "note"))
    if survey.sound:
        page.callout(f"Nothing speaks against training on this data ({counts}).", "good", "Sound.")
    else:
        page.callout(
            f"Training, or the score it ends with, would not be right ({counts}).", "error", "Not sound."
        )
    _key_figures(page, survey)

    page.heading("Findings")
    rows = [[Badge(f.severity, f.severity), f.message, len(f.sources) or None] for f in survey.findings]
    if rows:
        page.table(["severity", "finding", "files"], rows)
    else:
        page.paragraph("None.")
    for finding in survey.findings:
        if finding.sources:
            with page.section(
                f"{finding.severity}: {finding.code} ({len(finding.sources):,})",
                open=finding.severity == "error",
            ):
                _pictures(page, facts, finding)

    page.heading("Classes")
    _classes(page, survey)
    if len(facts.readable):
        page.heading("Pictures")
        _looks(page, survey)
        page.heading("A look at each class")
        _each_class(page, facts)
    page.heading("Cues")
    page.paragraph(
        "How well a small classifier tells the classes from one cue alone, cross-validated. A cue that beats chance "
        "by far is what a model will learn first; size and format are never properties of the thing."
    )
    page.table(
        ["cue", "balanced accuracy", "chance"],
        [[cue.name, cue.accuracy, cue.chance] for cue in facts.cues],
        bars={"balanced accuracy": 1.0},
    )
    if numbers["files_not_used"]:
        page.heading("Files that were not used")
        page.table(["file", "why"], [[s.source, s.kind] for s in facts.strays], limit=200)
    return page


def _key_figures(page: Page, survey: Survey) -> None:
    facts, numbers = survey.facts, survey.statistics
    figures: dict[str, Any] = {
        "pictures": numbers["pictures"],
        "classes": facts.dataset.num_classes,
        "not readable": numbers["pictures"] - numbers["readable"],
        "equal pictures": numbers["duplicates"]["equal_pictures"],
        "near-duplicate pairs": numbers["duplicates"]["near_pairs"],
    }
    if "height" in numbers:
        figures["median size, height x width"] = (
            f"{numbers['height']['median']:.0f}x{numbers['width']['median']:.0f}"
        )
    page.key_figures(figures)


def _pictures(page: Page, facts: Facts, finding: Finding) -> None:
    """The pictures of a finding; those that belong together side by side."""
    position = {sample.source: i for i, sample in enumerate(facts.dataset.samples)}
    shown = finding.groups[:_GROUPS] if finding.groups else (finding.sources,)
    if not any(source in position for source in finding.sources):
        page.items(
            [
                *finding.sources[:100],
                *([f"and {len(finding.sources) - 100:,} more"] * (len(finding.sources) > 100)),
            ]
        )
        return
    for group in shown:
        page.gallery(
            _tiles(facts, (position[s] for s in group if s in position)), limit=_SHOWN, total=len(group)
        )
    if len(finding.groups) > len(shown):
        page.paragraph(f"and {len(finding.groups) - len(shown):,} more groups")


def _tiles(facts: Facts, positions: Iterable[int]) -> Iterator[tuple[NDArray[np.uint8] | None, str]]:
    for i in map(int, positions):
        sample, picture = facts.dataset[i], facts.pictures[i]
        last = picture.reason.split(". ")[0] if picture.problem else f"{picture.height} x {picture.width}"
        caption = "\n".join(filter(None, (sample.source, sample.split, facts.labelled(i), last)))
        try:
            image = sample.image
            if not isinstance(image, np.ndarray):
                image = read(image, at_least=(160, 160), truncated="fill")
            yield thumbnail(converted(image, 3)), caption
        except (InputError, OSError, ValueError):
            yield None, caption


def _classes(page: Page, survey: Survey) -> None:
    facts, rows = survey.facts, survey.statistics["classes"]
    columns = ["pictures", *(c for c in (rows[0] if rows else {}) if c not in ("name", "pictures"))]
    page.table(
        ["class", *columns],
        [[row["name"], *(row[c] for c in columns)] for row in rows],
        bars={c: max(row[c] for row in rows) for c in columns} if rows else None,
    )
    if majority := survey.statistics["always_majority"]:
        shares = ", ".join(f"{share:.1%} in {split}" for split, share in majority["accuracy"].items())
        page.paragraph(
            f"Always answering {majority['class']} would be right for {shares}: a model must beat that."
        )
    truths = [t if isinstance(t, int) else np.nan for t in facts.truths]
    if len(truths) > 1 and facts.dataset.num_classes > 1 and facts.dataset.task == "single":
        figure, axes = _figure(9, 2.4)
        axes.plot(truths, ".", markersize=2, color=BLUE, rasterized=True)
        axes.set_xlabel("position in the data set")
        axes.set_ylabel("class index")
        state = (
            "sorted by class: shuffle before cutting or batching (visus does)"
            if survey.statistics["order"]["sorted"]
            else "mixed"
        )
        page.figure(figure, caption=f"Order of the samples: {state}.", alt="class index over position")


def _looks(page: Page, survey: Survey) -> None:
    facts, numbers = survey.facts, survey.statistics
    mean, std, stored = numbers["mean"], numbers["std"], numbers["bytes"]
    page.paragraph(
        f"{_bytes(stored['stored'])} as stored, {_bytes(stored['uint8'])} decoded to uint8 RGB, "
        f"{_bytes(stored['float32'])} as float32."
    )
    page.table(
        ["channel", "mean", "standard deviation"],
        [[name, mean[i], std[i]] for i, name in enumerate(("red", "green", "blue"))],
        caption="Over all pictures, each counting the same, on copies of at most 256 pixels a side.",
    )
    page.table(
        ["as stored", "pictures"],
        [
            [f"{what}: {value}", n]
            for what, counted in (
                ("format", numbers["formats"]), ("channels", numbers["channels"]), ("bits per sample", numbers["bits"]),
                ("EXIF orientation", numbers["orientations"]), ("frames", numbers["frames"]),
            )
            for value, n in islice(counted.items(), 8)
        ],
    )  # fmt: skip
    if len(numbers["sizes"]) > 1:
        figure, axes = _figure(6, 3.6)
        axes.plot(facts.column("width"), facts.column("height"), ".", markersize=3, color=BLUE, alpha=0.5)
        axes.set_xlabel("width")
        axes.set_ylabel("height")
        page.figure(figure, caption="Sizes in pixels.", alt="height over width")
    else:
        page.paragraph("All pictures have {} x {} pixels (height x width).".format(*numbers["sizes"][0][:2]))
    if facts.membership.any():
        figure = Figure(figsize=(10, 0.9 + 0.28 * min(_BOXES, facts.dataset.num_classes)))
        left, right = figure.subplots(1, 2, sharey=True)
        for axes, name in ((left, "brightness"), (right, "sharpness")):
            _styled(axes)
            _boxes(axes, facts, facts.column(name))
            axes.set_xlabel(name)
        left.invert_yaxis()  # the other shares it
        figure.tight_layout()
        page.figure(
            figure,
            caption="Brightness (mean, 0 to 255) and sharpness by class: boxes hold half of the pictures.",
        )


def _each_class(page: Page, facts: Facts) -> None:
    rng = np.random.default_rng(0)
    member = facts.membership[facts.readable]
    for c in np.flatnonzero(member.any(0))[:_CLASSES]:
        own = facts.readable[member[:, c]]
        page.heading(facts.dataset.class_names[c], level=4)
        page.gallery(_tiles(facts, rng.choice(own, min(6, len(own)), replace=False)))
    if member.any(0).sum() > _CLASSES:
        page.paragraph(f"and {member.any(0).sum() - _CLASSES:,} more classes")


def _boxes(axes: Any, facts: Facts, values: NDArray[Any]) -> None:
    member = facts.membership[facts.readable]
    chosen = np.flatnonzero(member.any(0))[:_BOXES]
    axes.boxplot(
        [values[member[:, c]] for c in chosen], orientation="horizontal", widths=0.6, patch_artist=True,
        tick_labels=[_short(facts.dataset.class_names[c]) for c in chosen], medianprops={"color": BLUE, "linewidth": 2},
        boxprops={"facecolor": LIGHT, "edgecolor": GRAY}, whiskerprops={"color": GRAY}, capprops={"color": GRAY},
        flierprops={"marker": ".", "markersize": 3, "markerfacecolor": GRAY, "markeredgecolor": "none"},
    )  # fmt: skip


def _figure(width: float, height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height))
    axes = figure.subplots()
    _styled(axes)
    return figure, axes


def _styled(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=LIGHT, linewidth=0.8)
    axes.set_axisbelow(True)


def _short(name: str) -> str:
    text = "".join(c if c.isprintable() else "?" for c in name).replace("$", r"\$")
    return text if len(text) <= 24 else f"{text[:23]}…"


def _bytes(size: float) -> str:
    units = ["B", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.3g} {units[0]}"
