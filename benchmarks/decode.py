"""From a JPEG file to a 224 x 224 array: visus beside Pillow, images per second in one and two threads.

The runs alternate, so that both meet the same neighbours on a busy machine. The ratio is the median over the
rounds: of processor time for one thread, of wall time for two.

    VISUS_DATA=... python -m benchmarks.decode [--json]
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from benchmarks.__main__ import require
from visus.image import prepare, read
from visus.structures import ImageSpec

SIZE = (224, 224)
ROUNDS = 5
SETS = {"flowers5": "flowers5/val/*/*.jpg", "coco128": "coco128/**/*.jpg", "pets3": "pets3/JPEGImages/*.jpg"}


def pillow(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize(SIZE[::-1], Image.Resampling.BILINEAR))


def whole(path: Path) -> np.ndarray:
    return prepare(read(path), ImageSpec(*SIZE))[0]


def reduced(path: Path) -> np.ndarray:
    return prepare(read(path, at_least=SIZE), ImageSpec(*SIZE))[0]


def speed(job: Callable[[Path], np.ndarray], paths: list[Path], threads: int) -> tuple[float, float]:
    """Images per second, and images per second of processor time."""
    wall, processor = time.perf_counter(), time.process_time()
    if threads == 1:
        for path in paths:
            job(path)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(job, paths))
    return len(paths) / (time.perf_counter() - wall), len(paths) / (time.process_time() - processor)


def measure(paths: list[Path], threads: int) -> dict[str, float]:
    jobs = {"pillow": pillow, "visus": whole, "visus_at_least": reduced}
    rounds = [{name: speed(job, paths, threads) for name, job in jobs.items()} for _ in range(ROUNDS)]
    clock = 1 if threads == 1 else 0
    found = {name: statistics.median(r[name][0] for r in rounds) for name in jobs}
    for name in list(jobs)[1:]:
        found[f"{name}_ratio"] = statistics.median(r[name][clock] / r["pillow"][clock] for r in rounds)
    return found


def main() -> None:
    require("decode")
    root = os.environ["VISUS_DATA"]
    cv2.setNumThreads(1)  # the threads below are the only ones
    rows = []
    for name, pattern in SETS.items():
        paths = sorted(Path(root).glob(pattern))[:80]
        if not paths:
            continue
        with Image.open(paths[0]) as first:
            size = f"{first.height}x{first.width}"
        for threads in (1, 2):
            row = {"set": name, "files": len(paths), "first": size, "threads": threads}
            rows.append(row | measure(paths, threads))
    if "--json" in sys.argv:
        json.dump(rows, sys.stdout, indent=1)
        return
    print("images per second, and how many times Pillow's")
    print(f"{'set':10s} {'threads':>7s} {'Pillow':>8s} {'visus':>16s} {'visus, at_least':>16s}")
    for row in rows:
        ours = f"{row['visus']:.0f} ({row['visus_ratio']:.2f}x)"
        less = f"{row['visus_at_least']:.0f} ({row['visus_at_least_ratio']:.2f}x)"
        print(f"{row['set']:10s} {row['threads']:7d} {row['pillow']:8.0f} {ours:>16s} {less:>16s}")


if __name__ == "__main__":
    main()
