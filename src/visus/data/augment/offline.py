"""Augmented versions written to disk, for trainers that cannot augment by themselves."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from visus.data.augment.policies import Policy, drawn_to_dict
from visus.data.dataset import Dataset
from visus.data.store import decode
from visus.image.io import ImageError, write
from visus.structures import Classification, ImageSpec, InputError, Sample

MANIFEST = "manifest.jsonl"


def write_versions(
    dataset: Dataset,
    k: int,
    folder: str | Path,
    policy: Policy,
    *,
    spec: ImageSpec | None = None,
    seed: int = 0,
    limit_bytes: int = 2_000_000_000,
) -> Dataset:
    """Writes up to `k` versions of each training picture as PNG files in class folders.

    Samples of the splits `val` and `test` are left out: a judged picture is never augmented. Versions that
    come out equal are written once (flips alone give at most four). The originals stay where they are.

    Args:
        dataset: The pictures.
        k: Versions of each.
        folder: New or empty; gets `<class>/<index>-<version>.png` and `manifest.jsonl`.
        policy: What may happen.
        spec: Size and channels of the versions, or None for those that the policy leaves.
        seed: Version v of picture i is drawn from `(seed, v, i)`.
        limit_bytes: Writing stops before the pictures take more than this.

    Returns:
        The versions as a data set of split `train`; notes say what was left out. The manifest has a line of
        JSON for each: `file`, `source`, `version`, `seed`, `steps` (ops and parameters).

    Raises:
        InputError: The folder is not empty, or `k` is below 1.
    """
    folder = Path(folder)
    if k < 1:
        raise InputError(f"k is the number of versions, at least 1. Received {k}.")
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder} is not empty. Give a new folder: nothing in it is ever overwritten.")
    folder.mkdir(parents=True, exist_ok=True)
    samples: list[Sample] = []
    lines: list[str] = []
    unread = duplicates = used = 0
    full = False
    for i, sample in enumerate(dataset):
        if sample.split in ("val", "test") or full:
            continue
        try:
            channels = 3 if spec is None else spec.channels
            image = decode(sample, channels)
        except (ImageError, OSError):
            unread += 1
            continue
        seen: set[bytes] = set()
        for version in range(k):
            rng = np.random.default_rng((seed, version, i))
            drawn = policy.draw(rng, image.shape[:2], spec)
            made = policy.carry_out(sample.replace(image=image), drawn, spec)
            pixels: Any = made.image
            digest = hashlib.sha256(pixels.tobytes()).digest()
            if digest in seen:
                duplicates += 1
                continue
            seen.add(digest)
            path = folder / _class_folder(sample, dataset) / f"{i:06d}-{version}.png"
            path.parent.mkdir(exist_ok=True)
            write(path, pixels)
            used += path.stat().st_size
            if used > limit_bytes:
                path.unlink()
                full = True
                break
            samples.append(made.replace(image=path, split="train"))
            lines.append(
                json.dumps(
                    {
                        "file": path.relative_to(folder).as_posix(),
                        "source": sample.source,
                        "version": version,
                        "seed": [seed, version, i],
                        "steps": drawn_to_dict(drawn),
                    },
                    ensure_ascii=False,
                )
            )
    partial = folder / (MANIFEST + ".part")
    partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    partial.replace(folder / MANIFEST)
    notes = [
        f"{unread} pictures could not be read" if unread else "",
        f"{duplicates} versions equal to another one were left out" if duplicates else "",
        f"stopped at the limit of {limit_bytes} bytes, after {len(samples)} versions" if full else "",
    ]
    return replace(dataset, samples=tuple(samples), root=folder, notes=tuple(note for note in notes if note))


def _class_folder(sample: Sample, dataset: Dataset) -> str:
    label = sample.target.label if isinstance(sample.target, Classification) else None
    if label is None:
        return "unlabelled"
    # A class name comes from strangers: it must not leave the folder.
    return re.sub(r"[^\w .+-]", "_", dataset.class_names[label]).strip(". ") or f"class-{label}"
