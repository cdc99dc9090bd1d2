"""The survey: every picture measured, every check asked, the whole described in numbers. Nothing is changed."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visus.data.dataset import Dataset
from visus.data.survey import checks  # noqa: F401 - importing them makes them known
from visus.data.survey.findings import CHECKS, Facts, Finding
from visus.data.survey.measure import Progress, measure_all
from visus.data.survey.strays import strays

_ORDER = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True, eq=False)
class Survey:
    """What a data set is like, and what is wrong with it.

    Attributes:
        facts: The samples and what was measured of each.
        findings: Errors first, then warnings, then notes.
        statistics: Counts, sizes, brightness and more, as JSON-ready values.
    """

    facts: Facts
    findings: tuple[Finding, ...]
    statistics: dict[str, Any]

    @property
    def sound(self) -> bool:
        """Whether training on it, and the score that it ends with, would be sound: there is no error."""
        return all(f.severity != "error" for f in self.findings)

    def count(self, severity: str) -> int:
        """Number of findings of one severity."""
        return sum(f.severity == severity for f in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Verdict, findings and statistics as JSON-ready values."""
        return {
            "name": self.facts.dataset.name,
            "sound": self.sound,
            "errors": self.count("error"),
            "warnings": self.count("warning"),
            "notes": self.count("note"),
            "findings": [f.to_dict() for f in self.findings],
            "statistics": self.statistics,
        }


def survey(
    dataset: Dataset,
    *,
    folder: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Survey:
    """Examines a data set before anybody trains on it. Reads every picture once; changes nothing.

    Args:
        dataset: What `visus.data.load` gave. Load it with `task=None` so that pictures without a label are told,
            not refused.
        folder: Accounts for every file below this folder, too. Without it, for those in the folders that the
            samples lie in.
        workers: Threads that read; by default one per processor, at most 8.
        progress: Called with the number of pictures done and of all.

    Example:
        >>> from visus.data import load                                             # doctest: +SKIP
        >>> result = survey(load("flowers/", task=None), folder="flowers/")         # doctest: +SKIP
        >>> result.sound, [f.message for f in result.findings]                      # doctest: +SKIP
    """
    left = strays(dataset, Path(folder) if folder is not None else None)
    facts = Facts(dataset, measure_all(dataset.samples, workers=workers, progress=progress), left)
    findings = [finding for ask in CHECKS for finding in ask(facts)]
    findings.sort(key=lambda f: _ORDER[f.severity])
    return Survey(facts, tuple(findings), _statistics(facts))


def _statistics(facts: Facts) -> dict[str, Any]:
    dataset = facts.dataset
    area = facts.column("height").astype(np.int64) * facts.column("width")
    numbers: dict[str, Any] = {
        "pictures": len(dataset),
        "readable": len(facts.readable),
        "files_not_used": dict(Counter(s.kind for s in facts.strays)),
        "task": dataset.task,
        "classes": _classes(facts),
        "always_majority": _majority(facts),
        "order": _order(facts),
        "duplicates": {
            "equal_groups": len(facts.equal),
            "equal_pictures": sum(map(len, facts.equal)),
            "near_pairs": len(facts.near),
        },
        "cues": [cue.to_dict() for cue in facts.cues],
    }
    if len(facts.readable):
        numbers |= {
            "height": _summary(facts.column("height")),
            "width": _summary(facts.column("width")),
            "aspect": _summary(facts.column("width") / facts.column("height")),
            "sizes": [[h, w, n] for (h, w), n in Counter(_pairs(facts)).most_common(20)],
            "formats": _counted(facts.column("format")),
            "channels": _counted(facts.column("channels")),
            "bits": _counted(facts.column("bits")),
            "orientations": _counted(facts.column("orientation")),
            "frames": _counted(facts.column("frames")),
            "gray": int((~facts.column("colour")).sum()),
            "brightness": _summary(facts.column("brightness")),
            "sharpness": _summary(facts.column("sharpness")),
            "contrast": _summary(facts.column("spread")),
            "brightness_by_class": _by_class(facts, facts.column("brightness")),
            "sharpness_by_class": _by_class(facts, facts.column("sharpness")),
            "mean": _moments(facts)[0],
            "std": _moments(facts)[1],
            "bytes": {
                "stored": int(facts.column("size").sum()),
                "uint8": int(area.sum()) * 3,
                "float32": int(area.sum()) * 12,
            },
        }
    return numbers


def _classes(facts: Facts) -> list[dict[str, Any]]:
    every = facts.membership.sum(0)
    return [
        {"name": name, "pictures": int(every[i])}
        | {
            (split or "no split"): int(n[i])
            for split, n in facts.counts.items()
            if split or facts.dataset.splits
        }
        for i, name in enumerate(facts.dataset.class_names)
    ]


def _majority(facts: Facts) -> dict[str, Any] | None:
    """How often the most frequent training class would be right, always answered."""
    train = facts.counts.get("train", facts.membership.sum(0))
    if facts.dataset.task != "single" or not train.sum():
        return None
    most = int(train.argmax())
    shares = {split: n[most] / n.sum() for split, n in facts.counts.items() if n.sum()}
    return {
        "class": facts.dataset.class_names[most],
        "accuracy": {split or "all": float(share) for split, share in shares.items()},
    }


def _order(facts: Facts) -> dict[str, Any]:
    """Whether samples come sorted by class: then they must be shuffled before they are cut or batched."""
    truths = [t for t in facts.truths if isinstance(t, int)]
    changes = sum(a != b for a, b in pairwise(truths))
    shares = facts.membership.sum(0) / max(1, len(truths))
    by_chance = (len(truths) - 1) * (1 - float((shares**2).sum())) if len(truths) > 1 else 0.0
    return {"changes": changes, "changes_when_shuffled": by_chance, "sorted": bool(changes < by_chance / 2)}


def _pairs(facts: Facts) -> Iterable[tuple[int, int]]:
    return zip(facts.column("height").tolist(), facts.column("width").tolist())


def _counted(values: NDArray[Any]) -> dict[str, int]:
    return {str(value): n for value, n in Counter(values.tolist()).most_common()}


def _summary(values: NDArray[Any]) -> dict[str, float]:
    points = np.percentile(values.astype(np.float64), [0, 5, 50, 95, 100])
    return dict(zip(("min", "p5", "median", "p95", "max"), points.tolist())) | {"mean": float(values.mean())}


def _by_class(facts: Facts, values: NDArray[Any]) -> dict[str, dict[str, float]]:
    member = facts.membership[facts.readable]
    return {
        name: _summary(values[member[:, i]])
        for i, name in enumerate(facts.dataset.class_names)
        if member[:, i].any()
    }


def _moments(facts: Facts) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of red, green and blue; every picture counts the same, whatever its size."""
    mean, std = facts.column("mean").astype(np.float64), facts.column("std").astype(np.float64)
    return mean.mean(0).tolist(), np.sqrt((std**2).mean(0) + mean.var(0)).tolist()
