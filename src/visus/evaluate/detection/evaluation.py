"""Judges a detector: average precision in every style, with intervals, per class, and the curves behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visus.evaluate.bootstrap import Statistic, estimates, resample
from visus.evaluate.confusion import mean_of_defined
from visus.evaluate.detection.matching import Boxes, Matches, match
from visus.evaluate.detection.precision import Style, average_precision, precision_recall
from visus.structures import Detections, Estimate, InputError

Floats = NDArray[np.float64]

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""COCO's thresholds of IoU."""

AREAS = {"": (0.0, 1e10), "_small": (0.0, 32.0**2), "_medium": (32.0**2, 96.0**2), "_large": (96.0**2, 1e10)}
"""Part of a figure's name -> COCO's range of areas, square pixels."""

_WORK = 400_000_000
_CELLS = 4_000_000


@dataclass(frozen=True)
class ClassFigures:
    """The figures of one class.

    Attributes:
        name: Name of the class.
        support: Number of its objects that are to be found.
        AP: Average precision, the mean over the thresholds of IoU.
        AP50: Average precision at an IoU of 0.5.
        precision: Share of right detections at the score where F1 is greatest, IoU 0.5.
        recall: Share of the objects that are found there.
        f1: Harmonic mean of the two.
        threshold: That score.
    """

    name: str
    support: int
    AP: Estimate
    AP50: Estimate
    precision: float
    recall: float
    f1: float
    threshold: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: estimates as `{"value", "low", "high"}`, None for NaN."""
        return {
            k: v.to_dict()
            if isinstance(v, Estimate)
            else None
            if isinstance(v, float) and math.isnan(v)
            else v
            for k, v in vars(self).items()
        }


@dataclass(frozen=True, eq=False)
class DetectionResult:
    """What `evaluate` found. Every interval is a 95 % one, from resampled pictures.

    Attributes:
        class_names: Name of class 0, 1, ..., K-1.
        count: Number of pictures.
        style: The style of average precision.
        figures: Name -> figure. `coco`: AP (mean over IoU 0.5, 0.55, ..., 0.95), AP50, AP75, AP_small, AP_medium,
            AP_large, AR1, AR10, AR100 (recall with so many detections a picture), AR_small, AR_medium, AR_large; the
            others: AP50. NaN where there is nothing to find.
        per_class: The figures of each class.
        matches: What became of every detection.
        thresholds: The T thresholds of IoU.
        resamples: Number of bootstrap resamples behind the intervals.
        notes: What is out of the ordinary, as sentences.
    """

    class_names: tuple[str, ...]
    count: int
    style: Style
    figures: dict[str, Estimate]
    per_class: tuple[ClassFigures, ...]
    matches: Matches
    thresholds: tuple[float, ...]
    resamples: int
    notes: tuple[str, ...] = field(default=())

    def curve(self, index: int, threshold: int = 0) -> tuple[Floats, Floats, Floats]:
        """Precision, recall and score of class `index` after each detection, at one of the `thresholds`."""
        rows, right, counted = _class_rows(self.matches, index, 0)
        curve = precision_recall(
            right[:, threshold], float(self.matches.positives[0, index]), counted=counted[:, threshold]
        )
        return *curve, self.matches.results.score[rows]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: all of it but the single detections."""
        return {
            "task": "detect",
            "style": self.style,
            "count": self.count,
            "objects": int(self.matches.positives[0].sum()),
            "detections": len(self.matches.results),
            "resamples": self.resamples,
            "class_names": list(self.class_names),
            "figures": {name: figure.to_dict() for name, figure in self.figures.items()},
            "per_class": [figures.to_dict() for figures in self.per_class],
            "notes": list(self.notes),
        }


def evaluate(
    truths: Sequence[Detections],
    results: Sequence[Detections],
    class_names: Sequence[str],
    *,
    style: Style = "coco",
    max_detections: Sequence[int] = (1, 10, 100),
    resamples: int = 1000,
    seed: int = 0,
) -> DetectionResult:
    """Judges detections against the truth, in the pixels of the pictures.

    With the style `coco` the figures are those of pycocotools, to the last digits: greedy matching by score, crowd
    regions ignored, at most 100 detections of each class in each picture. `voc07` and `voc10` follow Pascal VOC:
    IoU 0.5, `difficult` objects ignored, a second detection of an object is wrong. `step` and `trapezoid` match as
    COCO does at IoU 0.5. A class without objects has no figures and is left out of the means.

    Args:
        truths: For each picture its objects.
        results: For each picture its detections, with scores.
        class_names: K names.
        style: See above; `visus.evaluate.detection.precision.average_precision` says what it measures.
        max_detections: How many detections of a class in a picture the recalls allow; the last one limits everything.
        resamples: Number of bootstrap resamples; 0 for no intervals. Very many detections get fewer; `notes` says so.
        seed: Seeds the resamples.

    Raises:
        InputError: The two are not of one length, a result has no scores, or a label lies outside 0..K-1.

    Example:
        >>> truth = Detections([[10, 10, 30, 30]], labels=[0])
        >>> found = Detections([[10, 10, 30, 26], [60, 60, 70, 70]], labels=[0, 0], scores=[0.9, 0.3])
        >>> figures = evaluate([truth], [found], ["cat"]).figures
        >>> round(figures["AP50"].value, 2), round(figures["AP"].value, 2)
        (1.0, 0.7)
    """
    names = tuple(str(name) for name in class_names)
    if len(truths) != len(results):
        raise InputError(f"There are {len(truths)} pictures with truths and {len(results)} with results.")
    return evaluate_boxes(
        gathered(truths, len(names)),
        gathered(results, len(names), scored=True),
        len(truths),
        names,
        style=style,
        max_detections=max_detections,
        resamples=resamples,
        seed=seed,
    )


def gathered(pictures: Sequence[Detections], num_classes: int, *, scored: bool = False) -> Boxes:
    """The objects of all pictures in one table, as the matching wants them.

    Raises:
        InputError: Scores are missing or not finite, or a label lies outside 0..K-1.
    """
    counts = [len(objects) for objects in pictures]

    def column(name: str, dtype: Any, default: Any) -> NDArray[Any]:
        parts = [
            np.full(n, default) if (value := getattr(objects, name)) is None else value
            for objects, n in zip(pictures, counts)
        ]
        return np.concatenate([np.empty(0, dtype), *parts]).astype(dtype)

    boxes = np.concatenate([np.empty((0, 4)), *(objects.boxes for objects in pictures)]).astype(np.float64)
    labels = column("labels", np.int64, -1)
    if len(labels) and not 0 <= labels.min() <= labels.max() < num_classes:
        wrong = labels[(labels < 0) | (labels >= num_classes)][0]
        raise InputError(
            f"A label lies in 0..{num_classes - 1}, for {num_classes} class names. Received {wrong}."
        )
    score = column("scores", np.float64, math.nan if scored else 0.0)
    if not np.isfinite(score).all():
        raise InputError(
            "Every detection that is judged needs a score, a finite number. Received none, or NaN."
        )
    xywh = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    area, crowd = column("areas", np.float64, math.nan), column("crowd", np.bool_, False)
    return Boxes(
        image=np.repeat(np.arange(len(pictures)), counts),
        label=labels,
        xywh=xywh,
        score=score,
        area=np.where(np.isnan(area), xywh[:, 2] * xywh[:, 3], area),
        crowd=crowd,
        ignore=crowd | column("difficult", np.bool_, False),
    )


def evaluate_boxes(
    truths: Boxes,
    results: Boxes,
    count: int,
    class_names: Sequence[str],
    *,
    style: Style = "coco",
    max_detections: Sequence[int] = (1, 10, 100),
    resamples: int = 1000,
    seed: int = 0,
) -> DetectionResult:
    """As `evaluate`, for tables of boxes in float64, as files hold them.

    Args:
        truths: The objects; `image` counts the pictures 0..count-1.
        results: The detections.
        count: Number of pictures.
        class_names: K names.
        style: See `evaluate`, as the arguments below.
        max_detections: At most so many.
        resamples: Number of bootstrap resamples.
        seed: Seeds the resamples.
    """
    names = tuple(class_names)
    coco = style == "coco"
    thresholds = THRESHOLDS if coco else THRESHOLDS[:1]
    matches = match(
        truths,
        results,
        num_classes=len(names),
        thresholds=thresholds.tolist(),
        areas=list(AREAS.values()) if coco else [(0.0, np.inf)],
        max_detections=max_detections[-1] if coco else None,
        rule="voc" if style in ("voc07", "voc10") else "coco",
    )
    fewer = min(resamples, _WORK // max(1, len(matches.results) * len(thresholds)))
    fewer = 0 if fewer < min(resamples, 100) else fewer
    notes = []
    if fewer < resamples:
        notes.append(
            f"The figures have {'fewer resamples' if fewer else 'no intervals'} ({fewer} of {resamples}), because "
            f"{len(matches.results):,} detections are many."
        )
    statistic = _figures(matches, truths, style, tuple(max_detections), count)
    named = estimates(*resample(statistic, count, resamples=fewer, seed=seed), centred=_CENTRED)
    if absent := [name for name, n in zip(names, matches.positives[0]) if not n]:
        notes.append(
            f"Nothing to find of {', '.join(absent[:10])}: no figures there, and left out of the means."
        )
    per_class = []
    for k, name in enumerate(names):
        best = _best_f1(matches, k)
        per_class.append(
            ClassFigures(
                name, int(matches.positives[0, k]), named["class_AP"][k], named["class_AP50"][k], *best
            )
        )
    return DetectionResult(
        class_names=names,
        count=count,
        style=style,
        figures={name: value[0] for name, value in named.items() if not name.startswith("class_")},
        per_class=tuple(per_class),
        matches=matches,
        thresholds=tuple(thresholds.tolist()),
        resamples=fewer,
        notes=tuple(notes),
    )


_CENTRED = tuple(
    f"{prefix}AP{end}" for prefix in ("", "class_") for end in ("", "50", "75", *list(AREAS)[1:])
)


def _figures(matches: Matches, truths: Boxes, style: Style, most: tuple[int, ...], count: int) -> Statistic:
    """All figures as a function of the pictures' weights `(count, R)`."""
    ranges = list(AREAS)[: matches.positives.shape[0]]
    classes = matches.positives.shape[1]
    wanted = [_wanted(truths, low, high) for low, high in (AREAS[name] for name in ranges)]
    if style != "coco":
        wanted = [~truths.ignore]

    def positives(weights: Floats, area: int) -> Floats:
        rows = np.flatnonzero(wanted[area])
        out = np.zeros((classes, weights.shape[1]))
        np.add.at(out, truths.label[rows], weights[truths.image[rows]])
        return out

    def figures(weights: Floats) -> dict[str, Floats]:
        ap = np.full((len(ranges), classes, matches.truth.shape[2], weights.shape[1]), np.nan)
        ar = np.full((len(ranges), len(most), *ap.shape[1:]), np.nan)
        for a in range(len(ranges)):
            there = positives(weights, a)
            for k in np.flatnonzero(matches.positives[a]):
                ap[a, k], ar[a, :, k] = _class_figures(matches, int(k), a, weights, there[k], style, most)
        result = {"AP50": mean_of_defined(ap[0, :, 0]), "class_AP50": ap[0, :, 0]}
        result["class_AP"] = _mean(ap[0], axis=1)
        if style == "coco":
            # The mean over everything that is defined, as in the reference.
            result = {"AP": _mean(ap[0], axis=(0, 1))} | result | {"AP75": mean_of_defined(ap[0, :, 5])}
            result |= {f"AP{name}": _mean(ap[a], axis=(0, 1)) for a, name in enumerate(ranges) if name}
            result |= {f"AR{n}": _mean(ar[0, m], axis=(0, 1)) for m, n in enumerate(most)}
            result |= {f"AR{name}": _mean(ar[a, -1], axis=(0, 1)) for a, name in enumerate(ranges) if name}
        return result

    return figures


def _wanted(truths: Boxes, low: float, high: float) -> NDArray[np.bool_]:
    return ~truths.ignore & (truths.area >= low) & (truths.area <= high)


def _class_rows(
    matches: Matches, label: int, area: int
) -> tuple[slice, NDArray[np.bool_], NDArray[np.bool_]]:
    """The rows of a class, and which of them are right and which count, bool `(n, T)` each."""
    begin, end = np.searchsorted(matches.results.label, [label, label + 1])
    rows = slice(int(begin), int(end))
    counted = ~matches.ignored[rows, area]
    return rows, (matches.truth[rows, area] >= 0) & counted, counted


def _class_figures(
    matches: Matches,
    label: int,
    area: int,
    weights: Floats,
    positives: Floats,
    style: Style,
    most: tuple[int, ...],
) -> tuple[Floats, Floats]:
    """Average precision `(T, R)` and recall at each limit of detections `(M, T, R)` of one class."""
    rows, right, counted = _class_rows(matches, label, area)
    # Behind the last right detection no curve changes any more.
    end = int(np.flatnonzero(right.any(axis=1)).max(initial=-1)) + 1
    right, counted = right[:end].T, counted[:end].T
    image, rank = matches.results.image[rows][:end], matches.rank[rows][:end]
    if (counted == counted[:1]).all():
        counted = counted[:1]
    # Recall rises at right detections only; between them precision falls, which no envelope sees.
    at = np.flatnonzero(right.any(axis=0)) if style != "trapezoid" else np.arange(end)
    columns = weights.shape[1]
    ap = np.zeros((len(right), columns))
    ar = np.zeros((len(most), len(right), columns))
    part = max(1, _CELLS // max(1, end * len(counted), len(at) * len(right)))
    for first in range(0, columns if end else 0, part):
        some = slice(first, first + part)
        drawn, there = weights[image, some].T[:, None, :], positives[some, None, None]
        total = (drawn * counted).cumsum(axis=2)[:, :, at]
        hits = (drawn[:, :, at] * right[:, at]).cumsum(axis=2)
        with np.errstate(invalid="ignore", divide="ignore"):
            ap[:, some] = average_precision(hits / (total + np.spacing(1)), hits / there, style).T
            for m, limit in enumerate(most):
                few = at[rank[at] < limit]
                ar[m, :, some] = ((drawn[:, :, few] * right[:, few]).sum(axis=2) / there[:, :, 0]).T
    return np.where(positives > 0, ap, np.nan), np.where(positives > 0, ar, np.nan)


def _mean(values: Floats, axis: int | tuple[int, ...]) -> Floats:
    """The mean over what is defined; NaN where nothing is."""
    known = ~np.isnan(values)
    number = known.sum(axis=axis)
    return np.where(number > 0, np.where(known, values, 0).sum(axis=axis) / np.maximum(number, 1), np.nan)


def _best_f1(matches: Matches, label: int) -> tuple[float, float, float, float]:
    """Precision, recall, F1 and score where F1 is greatest at the first threshold; NaN without truths."""
    positives = float(matches.positives[0, label])
    rows, right, counted = _class_rows(matches, label, 0)
    if not positives:
        return (math.nan,) * 4
    precision, recall = precision_recall(right[:, 0], positives, counted=counted[:, 0])
    if not recall.size or not recall[-1]:
        return (math.nan if not recall.size else 0.0), 0.0, 0.0, math.nan
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    # Equal scores stand or fall together.
    score = matches.results.score[rows]
    f1 = np.where(np.append(np.diff(score) != 0, True), f1, -1)
    best = int(f1.argmax())
    return float(precision[best]), float(recall[best]), float(f1[best]), float(score[best])
