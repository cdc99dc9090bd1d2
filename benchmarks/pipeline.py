"""The input pipeline at 224 pixels, beside decode-only speed and a Pillow loader in the manner of torchvision.

    VISUS_DATA=... python -m benchmarks.pipeline

The peer does what `torchvision.datasets.ImageFolder` with Resize(256), CenterCrop(224), ToTensor and Normalize does,
written out in Pillow and NumPy, with one worker process for each core (as torch's DataLoader has). Runs alternate.
`later epochs` is the same pipeline on a `PictureStore`, which is what `visus train` reads from after the first pass.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.__main__ import require
from visus.data import Dataset
from visus.data.pipeline import Pipeline
from visus.data.store import PictureStore
from visus.image.io import ImageError, read
from visus.structures import Classification, ImageSpec, Sample

MEAN = np.array([0.485, 0.456, 0.406], np.float32).reshape(3, 1, 1)
STD = np.array([0.229, 0.224, 0.225], np.float32).reshape(3, 1, 1)
CORES = os.cpu_count() or 1


def peer(path: str) -> np.ndarray:
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    width, height = picture.size
    scale = 256 / min(width, height)
    picture = picture.resize((round(width * scale), round(height * scale)), Image.Resampling.BILINEAR)
    left, top = (picture.width - 224) // 2, (picture.height - 224) // 2
    array = np.asarray(picture.crop((left, top, left + 224, top + 224)))
    return (np.ascontiguousarray(array.transpose(2, 0, 1)).astype(np.float32) / 255 - MEAN) / STD


def peer_batch(paths: list[str]) -> np.ndarray:
    return np.stack([peer(path) for path in paths])


def rate(count: int, run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return count / (time.perf_counter() - begin)


def main() -> None:
    require("pipeline")
    root = Path(os.environ["VISUS_DATA"])
    sets = {
        name: sorted(path for path in (root / folder).rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))[
            :1000
        ]
        for name, folder in (
            ("flowers5 224x224", "flowers5"),
            ("coco128 640x480", "coco128"),
            ("pets3", "pets3"),
        )
    }
    print(
        f"{'pictures':18} {'pipeline':>10} {'decode only':>12} {'ratio':>6} {'Pillow':>8} {'ratio':>6} "
        f"{'later epochs':>13} {'ratio to Pillow':>16}   (pictures/s)"
    )
    with ProcessPoolExecutor(CORES) as processes, ThreadPoolExecutor(CORES) as threads:
        for name, paths in sets.items():
            if not paths:
                print(f"{name:18} not in VISUS_DATA")
                continue
            samples = tuple(Sample(path, Classification(label=0), str(path)) for path in paths)
            pipeline = Pipeline(Dataset(samples, ("any",)), ImageSpec(224, 224, resize="crop"), batch_size=16)
            spec = pipeline.spec
            side = round(min(spec.size) / spec.crop_fraction)
            store = PictureStore.build(Dataset(samples, ("any",)), shorter_side=side)
            later = Pipeline(store.dataset, spec, batch_size=16, pictures=store)
            batches = [[str(p) for p in paths[i : i + 16]] for i in range(0, len(paths), 16)]

            def decode_only(paths: list[Path]) -> None:
                rest = iter(paths)

                def work() -> None:
                    for path in rest:
                        with contextlib.suppress(ImageError):
                            read(path)

                for task in [threads.submit(work) for _ in range(CORES)]:
                    task.result()

            runs = []
            for _ in range(4):
                runs.append(
                    (
                        rate(len(paths), lambda pipeline=pipeline: sum(1 for _ in pipeline.epoch())),
                        rate(len(paths), lambda paths=paths: decode_only(paths)),
                        rate(len(paths), lambda batches=batches: list(processes.map(peer_batch, batches))),
                        rate(len(paths), lambda later=later: sum(1 for _ in later.epoch())),
                    )
                )
            ours, decode, theirs, cached = np.median(runs[1:], axis=0)
            print(
                f"{name:18} {ours:10.0f} {decode:12.0f} {ours / decode:6.2f} {theirs:8.0f} {ours / theirs:6.2f} "
                f"{cached:13.0f} {cached / theirs:16.2f}"
            )
            for stage, row in pipeline.statistics().items():
                print(f"    {stage:8} {row['mean_ms']:7.2f} ms mean {row['p95_ms']:7.2f} ms p95")


if __name__ == "__main__":
    main()
