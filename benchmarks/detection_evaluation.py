"""The figures of COCO for a large set of boxes, beside pycocotools: seconds, and the greatest difference.

    python -m benchmarks.detection_evaluation [--pictures 1000]

Random truths and detections of 80 classes, with crowds and doubles; the detections are the truths shaken, and noise.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import time

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from visus.evaluate.detection import evaluate
from visus.structures import Detections

NAMES = (
    *("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large"),
    *("AR1", "AR10", "AR100", "AR_small", "AR_medium", "AR_large"),
)
CLASSES = 80


def pictures(count: int) -> tuple[list[Detections], list[Detections]]:
    """Truths and detections of `count` pictures."""
    rng = np.random.default_rng(0)
    truths, results = [], []
    for _ in range(count):
        n = int(rng.integers(0, 15))
        corner, size = rng.uniform(0, 500, (n, 2)), np.exp(rng.normal(3.5, 1, (n, 2))).clip(2, 400)
        boxes, labels = np.concatenate([corner, corner + size], axis=1), rng.integers(0, CLASSES, n)
        truths.append(Detections(boxes, labels, crowd=rng.random(n) < 0.03))
        chosen = rng.integers(0, max(1, n), 2 * n)
        near = boxes[chosen] + rng.normal(0, 0.08, (2 * n, 4)) * np.tile(size[chosen], 2)
        wild = rng.uniform(0, 500, (int(rng.integers(0, 80)), 2))
        found = np.concatenate([near, np.concatenate([wild, wild + rng.uniform(2, 200, wild.shape)], axis=1)])
        found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
        named = np.concatenate([labels[chosen], rng.integers(0, CLASSES, len(wild))])
        results.append(Detections(found, named, scores=rng.random(len(found))))
    return truths, results


def peer(truths: list[Detections], results: list[Detections]) -> COCOeval:
    """The same set as pycocotools wants it."""
    truth, annotations, answers = COCO(), [], []
    for i, (objects, found) in enumerate(zip(truths, results), 1):
        for n, (x1, y1, x2, y2) in enumerate(objects.boxes.astype(float).tolist()):
            annotations.append(
                {"id": len(annotations) + 1, "image_id": i, "category_id": int(objects.labels[n]) + 1}
                | {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)}
                | {"iscrowd": int(objects.crowd is not None and objects.crowd[n])}
            )
        for (x1, y1, x2, y2), label, score in zip(
            found.boxes.astype(float).tolist(), found.labels, found.scores if found.scores is not None else ()
        ):
            answers.append(
                {"image_id": i, "category_id": int(label) + 1, "score": float(score)}
                | {"bbox": [x1, y1, x2 - x1, y2 - y1]}
            )
    truth.dataset = {
        "images": [{"id": i + 1} for i in range(len(truths))],
        "categories": [{"id": k + 1, "name": str(k)} for k in range(CLASSES)],
        "annotations": annotations,
    }
    truth.createIndex()
    return COCOeval(truth, truth.loadRes(answers), "bbox")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=1000)
    options = parser.parse_args()
    truths, results = pictures(options.pictures)
    names = [str(k) for k in range(CLASSES)]
    with contextlib.redirect_stdout(io.StringIO()):
        judged = peer(truths, results)
    times: list[tuple[float, float]] = []
    for _ in range(2):
        begin = time.perf_counter()
        ours = evaluate(truths, results, names, resamples=0)
        middle = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            judged.evaluate()
            judged.accumulate()
            judged.summarize()
        times.append((middle - begin, time.perf_counter() - middle))
    mine, theirs = np.median(times, axis=0)
    figures = np.nan_to_num([ours.figures[name].value for name in NAMES], nan=-1)
    print(f"{sum(map(len, truths)):,} truths, {sum(map(len, results)):,} detections, {CLASSES} classes")
    print(f"visus {mine:.2f} s, pycocotools {theirs:.2f} s: {theirs / mine:.1f} times as fast")
    print(f"greatest difference of the twelve figures: {np.abs(figures - judged.stats).max():.1e}")


if __name__ == "__main__":
    main()
