"""Looking before training: a sheet of what the model will see, and views that show nothing any more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visus.data.augment.policies import Policy, drawn_to_dict
from visus.data.dataset import Dataset
from visus.data.store import decode
from visus.draw.sheet import sheet
from visus.image.io import ImageError
from visus.image.prepare import prepare
from visus.structures import Detections, ImageSpec, Sample

_DARK, _BRIGHT = 5.0, 250.0


@dataclass(frozen=True)
class Finding:
    """A version of a picture that shows nothing, or loses all its objects.

    Attributes:
        source: The picture.
        version: Which of its versions, counted from 0.
        problem: `dark` (mean below 5), `bright` (mean above 250) or `objects lost`.
        mean: Mean value of the version, 0..255.
        drawn: The ops and parameters that made it.
    """

    source: str
    version: int
    problem: str
    mean: float
    drawn: list[dict[str, Any]]

    def __str__(self) -> str:
        what = {
            "dark": f"has turned black (mean {self.mean:.1f})",
            "bright": f"has turned white (mean {self.mean:.1f})",
            "objects lost": "has lost all its objects",
        }[self.problem]
        ops = ", ".join(step["op"] for step in self.drawn)
        return f"{self.source}, version {self.version}: the picture {what} after {ops}."


def check(
    policy: Policy, samples: Iterable[Sample], spec: ImageSpec, *, seed: int = 0, versions: int = 4
) -> list[Finding]:
    """Augments pictures and reports the versions that show nothing although the picture itself does.

    Args:
        policy: What will be used for training.
        samples: Some of the training pictures; one that cannot be read is passed over.
        spec: The model's input.
        seed: Fixes the versions: version v of picture i is drawn from `(seed, v, i)`, as epoch v of a
            pipeline does.
        versions: How many of each picture.
    """
    findings = []
    for i, sample in enumerate(samples):
        try:
            image = decode(sample, spec.channels)
        except (ImageError, OSError):
            continue
        loaded = sample.replace(image=image)
        was_empty = _emptiness(float(prepare(image, spec)[0].mean())) is not None
        for version in range(versions):
            rng = np.random.default_rng((seed, version, i))
            drawn = policy.draw(rng, image.shape[:2], spec)
            out = policy.carry_out(loaded, drawn, spec)
            mean = float(np.mean(out.image))  # type: ignore[arg-type]
            problem = "objects lost" if _count(sample) and not _count(out) else None
            if not was_empty:
                problem = _emptiness(mean) or problem
            if problem is not None:
                findings.append(Finding(sample.source, version, problem, mean, drawn_to_dict(drawn)))
    return findings


def augmentation_sheet(
    dataset: Dataset,
    policy: Policy,
    spec: ImageSpec,
    *,
    seed: int = 0,
    pictures: int = 8,
    versions: int = 6,
    cell: tuple[int, int] | None = None,
) -> NDArray[np.uint8]:
    """A contact sheet of what the model will see: in each row a picture as in prediction, then its versions.

    Args:
        dataset: The training pictures, of which some are taken at random, one that cannot be read passed
            over.
        policy: What will be used for training.
        spec: The model's input.
        seed: Chooses the pictures and fixes the versions.
        pictures: How many rows.
        versions: How many versions in each row.
        cell: `(height, width)` of the room for each; by default the model's size, at most 160 pixels high.

    Returns:
        uint8 `(height, width, 3)` RGB.
    """
    cells: list[NDArray[np.uint8]] = []
    captions: list[str] = []
    for i in np.random.default_rng(seed).permutation(len(dataset)):
        sample: Sample = dataset[int(i)]
        try:
            image = decode(sample, spec.channels)
        except (ImageError, OSError):
            continue
        cells.append(prepare(image, spec)[0])
        captions.append(_name(sample, dataset.class_names) or "original")
        for version in range(versions):
            rng = np.random.default_rng((seed, version, int(i)))
            cells.append(policy.apply(sample.replace(image=image), rng, spec).image)  # type: ignore[arg-type]
            captions.append(f"version {version}")
        if len(cells) == pictures * (versions + 1):
            break
    if cell is None:
        height = max(64, min(160, spec.height))
        cell = height, max(64, round(height * spec.width / spec.height))
    return sheet(cells, captions, columns=versions + 1, cell=cell)


def _emptiness(mean: float) -> str | None:
    return "dark" if mean < _DARK else "bright" if mean > _BRIGHT else None


def _count(sample: Sample) -> int:
    """How many objects a target marks; 0 for one that marks none (a class label)."""
    boxes = getattr(sample.target, "boxes", None)
    return 0 if boxes is None else len(boxes)


def _name(sample: Sample, class_names: Sequence[str]) -> str:
    target = sample.target
    if target is None:
        return ""
    if isinstance(target, Detections):
        return ", ".join(class_names[i] for i in np.unique(target.labels))
    if target.labels is not None:
        return ", ".join(class_names[int(i)] for i in np.flatnonzero(target.labels))
    return "" if target.label is None else class_names[target.label]
