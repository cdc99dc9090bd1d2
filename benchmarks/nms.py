"""Non-maximum suppression on the host: milliseconds for 100, 1,000 and 10,000 boxes, and whether all agree.

    python -m benchmarks.nms

Beside OpenCV's `NMSBoxes`, torchvision's `nms` where it is installed, and (up to 1,000 boxes) a plain loop. Boxes are
scattered over a large picture, or crowd around 50 objects, as a detector's raw answers do.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import numpy as np

from visus.geometry.iou import iou
from visus.geometry.nms import nms

THRESHOLD = 0.5


def boxes(count: int, crowded: bool) -> np.ndarray:
    rng = np.random.default_rng(0)
    if not crowded:
        centre, size = rng.uniform(0, 1000, (count, 2)), rng.uniform(10, 200, (count, 2))
    else:
        of = rng.integers(0, 50, count)
        centre = rng.uniform(0, 1000, (50, 2))[of] + rng.normal(0, 8, (count, 2))
        size = rng.uniform(40, 200, (50, 2))[of] * np.exp(rng.normal(0, 0.15, (count, 2)))
    return np.concatenate([centre - size / 2, centre + size / 2], axis=1).astype(np.float32)


def plain(given: np.ndarray, scores: np.ndarray) -> list[int]:
    kept: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        if not kept or iou(given[[i]], given[kept]).max() <= THRESHOLD:
            kept.append(int(i))
    return kept


def milliseconds(run: Callable[[], object]) -> float:
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return float(np.median(times[1:]) * 1000)


def main() -> None:
    try:
        import torch
        from torchvision.ops import nms as torch_nms
    except ImportError:
        torch = None
    print(
        f"{'boxes':>7} {'':10} {'kept':>6} {'visus':>9} {'OpenCV':>9} {'torchvision':>12} {'plain loop':>11}   (ms)"
    )
    for count in (100, 1_000, 10_000):
        for crowded in (False, True):
            given = boxes(count, crowded)
            scores = np.random.default_rng(1).random(count).astype(np.float32)
            sides = np.concatenate([given[:, :2], given[:, 2:] - given[:, :2]], axis=1).astype(float)
            kept = nms(given, scores, threshold=THRESHOLD).tolist()
            row = [milliseconds(lambda: nms(given, scores, threshold=THRESHOLD))]  # noqa: B023
            row.append(milliseconds(lambda: cv2.dnn.NMSBoxes(sides, scores, 0.0, THRESHOLD)))  # noqa: B023
            assert list(cv2.dnn.NMSBoxes(sides, scores, 0.0, THRESHOLD)) == kept
            row.append(np.nan)
            if torch is not None:
                tensors = torch.from_numpy(given), torch.from_numpy(scores)
                assert torch_nms(*tensors, THRESHOLD).tolist() == kept
                row[-1] = milliseconds(lambda: torch_nms(*tensors, THRESHOLD))  # noqa: B023
            row.append(milliseconds(lambda: plain(given, scores)) if count <= 1_000 else np.nan)  # noqa: B023
            shown = [f"{value:.2f}" if value == value else "-" for value in row]
            print(
                f"{count:7,} {'crowded' if crowded else 'scattered':10} {len(kept):6,} {shown[0]:>9} {shown[1]:>9} "
                f"{shown[2]:>12} {shown[3]:>11}"
            )


if __name__ == "__main__":
    main()
