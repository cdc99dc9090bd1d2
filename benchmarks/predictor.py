"""How quick prediction is, beside the bare runtime and beside Keras: one picture, a folder, 20,000 files.

    python -m benchmarks.predictor [--nets mobilenet-v2 resnet-50] [--rounds 30] [--memory]

Weights are random (time does not depend on them). The contestants of a table take turns, so that whatever else the
machine does hits them alike; figures are medians of the rounds, and ratios medians of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

NETS = ("mobilenet-v2", "efficientnet-lite0", "efficientnet-b0", "resnet-50")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", nargs="+", default=list(NETS), help="names from `visus models`")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--memory", action="store_true", help="also predict 1,000 and 20,000 files")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["VISUS_CACHE"] = str(Path(folder) / "cache")
        for net in arguments.nets:
            one_picture(net, Path(folder), arguments.rounds)
        files(arguments.nets[0], Path(folder))
        if arguments.memory:
            memory(Path(folder))


def one_picture(net: str, folder: Path, rounds: int) -> None:
    """Batch 1: everything that a person may call, with an array of the net's size."""
    import tensorflow as tf

    from visus import runtime
    from visus.models import create, save
    from visus.predict import Predictor
    from visus.runtime.compiled import KINDS, _kind

    model = create(net, class_names=[f"class {i}" for i in range(1000)], weights="none")
    file = save(model, folder / f"{net}.keras")
    height, width, channels = model.image_spec.shape
    picture = np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)
    batch = picture[None].astype(np.float32)
    print(f"\n{net}, one {height} x {width} picture\n")
    calls: dict[str, Callable[[], object]] = {}
    for kind in KINDS:
        if not _kind(kind).available():
            continue
        begin = time.perf_counter()
        run = runtime.compile(file, kind=kind)
        first = time.perf_counter() - begin
        begin = time.perf_counter()
        run = runtime.compile(file, kind=kind)
        again = time.perf_counter() - begin
        print(
            f"  {kind:12} compiled in {first:5.1f} s, from the cache in {again:4.2f} s, parity {run.parity:.1e}"
        )
        calls[f"{kind}: bare"] = lambda session=run._session: session(batch)
        calls[f"{kind}: Runtime"] = lambda run=run: run(batch)
        if kind == "litert":
            predictor = Predictor(file)
            calls["Predictor (auto)"] = lambda predictor=predictor: next(predictor(picture))
    function = tf.function(lambda image: model(image, training=False)["logits"])
    calls["tf.function"] = lambda function=function: function(batch).numpy()
    calls["keras predict()"] = lambda model=model: model.predict(batch, verbose=0)
    times = compare(calls, rounds)
    bare = times[f"{predictor.runtimes[0].kind}: bare"]
    print(f"\n  {'':26} {'median ms':>9} {'/ bare':>7}")
    for name, row in times.items():
        print(f"  {name:26} {1e3 * np.median(row):9.2f} {np.median(row / bare):7.2f}")
    ours = times["Predictor (auto)"]
    print(f"\n  Predictor / bare {np.median(ours / bare):.2f} (target at most 1.3); keras predict() / Predictor "
          f"{np.median(times['keras predict()'] / ours):.1f} (target at least 5)")  # fmt: skip
    batches(net, file, rounds)


def batches(net: str, file: Path, rounds: int) -> None:
    """Batch 16: what a picture costs among others."""
    from visus import runtime
    from visus.runtime.compiled import KINDS, _kind

    runs = {kind: runtime.compile(file, kind=kind) for kind in KINDS if _kind(kind).available()}
    shape = next(iter(runs.values())).input_shape
    batch = np.random.default_rng(0).uniform(0, 255, (16, *shape)).astype(np.float32)
    times = compare({kind: lambda run=run: run(batch) for kind, run in runs.items()}, max(3, rounds // 8))
    text = ", ".join(f"{kind} {1e3 * np.median(row) / 16:.1f}" for kind, row in times.items())
    print(f"  batch 16, ms for each picture: {text}")


def compare(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, np.ndarray]:
    """Seconds of each call in each round."""
    times = {name: np.empty(rounds) for name in calls}
    for call in calls.values():
        call()
        call()
    for i in range(rounds):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            times[name][i] = time.perf_counter() - begin
    return times


def files(net: str, folder: Path, count: int = 100) -> None:
    """A folder of photographs: decoding alone, computing alone, and both at once."""
    from concurrent.futures import ThreadPoolExecutor

    from skimage import data

    from visus.image.io import write
    from visus.image.resize import resize
    from visus.predict import Predictor

    photos = folder / "photos"
    photos.mkdir()
    sources = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    for i in range(count):
        source = np.roll(sources[i % len(sources)], 7 * i, axis=1)
        write(photos / f"{i:04}.jpg", resize(source, (600, 800)), quality=90)
    paths = sorted(photos.iterdir())
    predictor = Predictor(folder / f"{net}.keras")
    batch = np.zeros((1, *predictor.image_spec.shape), np.float32)

    def decode() -> None:
        with ThreadPoolExecutor(predictor.threads) as pool:
            list(pool.map(lambda path: predictor._prepared(0, path), paths))

    def compute() -> None:
        for _ in paths:
            predictor.runtimes[0](batch)

    def both() -> None:
        assert all(prediction.error is None for prediction in predictor(paths))

    print(f"\n{count} JPEG files of 600 x 800 with {net}, {predictor.threads} cores\n")
    times = compare({"decode": decode, "compute": compute, "Predictor": both}, 4)
    for name, row in times.items():
        print(f"  {name:10} {count / np.median(row):7.1f} pictures per second")
    alone = times["decode"] + times["compute"]
    print(f"  Predictor / (decode + compute, all cores each) {np.median(times['Predictor'] / alone):.2f}")


MEASURED = """
import json, sys
from pathlib import Path
from visus.cli.main import main
try:
    main()
except SystemExit as done:
    code = done.code or 0
else:
    code = 0
# Not ru_maxrss: a child begins with its parent's.
status = Path("/proc/self/status").read_text().splitlines()
print(json.dumps([code, next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))]))
"""


def memory(folder: Path) -> None:
    """Peak memory of `visus predict` on 1,000 and on 20,000 small files, in a folder and from a list."""
    from visus.image.io import write
    from visus.models import create, save
    from visus.predict import Predictor

    save(create("lenet-5", class_names=[str(i) for i in range(10)], weights="none"), folder / "small.keras")
    Predictor(folder / "small.keras")
    rng = np.random.default_rng(0)
    for name, count in (("few", 1_000), ("many", 20_000)):
        (folder / name).mkdir()
        for i in range(count):
            if i < 50:
                write(folder / name / f"{i:06}.jpg", rng.integers(0, 256, (48, 64, 3), np.uint8))
            else:
                (folder / name / f"{i:06}.jpg").write_bytes((folder / name / f"{i % 50:06}.jpg").read_bytes())
    print("\nPeak memory of `visus predict`, LeNet-5, files of 48 x 64\n")
    for arguments, stdin in ((["FOLDER", "--format", "csv"], False), (["-", "--format", "json"], True)):
        for name, count in (("few", 1_000), ("many", 20_000)):
            words = [str(folder / name) if word == "FOLDER" else word for word in arguments]
            listed = "\n".join(map(str, sorted((folder / name).iterdir()))) if stdin else ""
            begin = time.perf_counter()
            program = [sys.executable, "-c", MEASURED, "predict", str(folder / "small.keras"), *words]
            done = subprocess.run(
                [*program, "--out", str(folder / "rows")],
                input=listed,
                capture_output=True,
                text=True,
                check=True,
            )
            code, peak = json.loads(done.stdout.splitlines()[-1])
            assert code == 0
            seconds = time.perf_counter() - begin
            print(
                f"  {count:6} files {'from a list' if stdin else 'in a folder'}: {peak:6.1f} MB, {seconds:5.1f} s"
            )


if __name__ == "__main__":
    main()
