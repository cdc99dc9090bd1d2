"""Top-1 and top-5 of the packaged EfficientNet-Lite0 weights on the ImageNet pictures of VISUS_DATA.

The pictures are training pictures, so the figures lie above the published 75.1 % of the validation set. They
show that file, layout and preprocessing fit: wrong normalisation or padding costs ten points.

    VISUS_DATA=... python -m benchmarks.imagenet_top1
"""

from __future__ import annotations

import csv
import os
import time
from pathlib import Path

import numpy as np

from benchmarks.__main__ import refuse


def measure(folder: Path, limit: int | None = None) -> dict[str, float]:
    """Top-1 and top-5 in percent over the first `limit` pictures, and the seconds that it took."""
    from visus.image.io import read
    from visus.image.prepare import prepare
    from visus.models import create

    model = create("classify/efficientnet-lite0")
    with (folder / "images.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))[:limit]
    truth = np.array([int(row["index"]) for row in rows])
    start = time.perf_counter()
    logits = []
    for first in range(0, len(rows), 50):
        pictures = [read(folder / "images" / row["file"]) for row in rows[first : first + 50]]
        batch = np.stack([prepare(picture, model.image_spec)[0] for picture in pictures]).astype(np.float32)
        logits.append(np.asarray(model(batch, training=False)["logits"]))
    best = np.argsort(-np.concatenate(logits), axis=1)[:, :5]
    return {
        "pictures": len(rows),
        "top1": float(100 * np.mean(best[:, 0] == truth)),
        "top5": float(100 * np.mean((best == truth[:, None]).any(axis=1))),
        "seconds": time.perf_counter() - start,
    }


def main() -> None:
    folder = Path(os.environ.get("VISUS_DATA", "")) / "imagenet_samples"
    if not (folder / "images.csv").is_file():
        refuse("imagenet_top1 was not run: set VISUS_DATA to the folder that holds imagenet_samples.")
    figures = measure(folder)
    print(
        f"EfficientNet-Lite0 on {figures['pictures']:.0f} ImageNet training pictures in "
        f"{figures['seconds']:.1f} s: top-1 {figures['top1']:.1f} %, top-5 {figures['top5']:.1f} % "
        "(published validation top-1: 75.1 %)"
    )


if __name__ == "__main__":
    main()
