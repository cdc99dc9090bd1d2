"""Reads hundreds of broken, hostile and unusual pictures: what comes of each, how long, how much memory.

The reading happens in a process of its own under a memory limit, so that a crash or a bomb shows as a figure
here. Every file that Pillow reads is compared with Pillow's pixels, its orientation applied.

    VISUS_DATA=... python -m benchmarks.nasty_images [--json]
"""

import csv
import json
import os
import resource
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from benchmarks.__main__ import refuse

MEMORY = 4 << 30
SECONDS = 120


def peak_mb() -> float:
    """The most memory that this process has held. `ru_maxrss` is no use: a child begins with its parent's value."""
    try:
        status = Path("/proc/self/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024
    except OSError:  # no /proc: not Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def sweep(folder: Path) -> list[dict]:
    """Reads every file of the manifest in this process, under the limits; one record per file."""
    import numpy as np

    from visus.image import io

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    with (folder / "manifest.csv").open(newline="") as file:
        names = [row["file"] for row in csv.DictReader(file)]
    records = []
    for name in names:
        record = {"file": name, "shape": None}
        start = time.perf_counter()
        try:
            record["shape"] = io.read(folder / name).shape
            record["outcome"] = "read"
        except io.ImageError as error:
            record |= {"outcome": error.problem, "message": str(error)}
        record["seconds"] = time.perf_counter() - start
        record["peak_mb"] = peak_mb()
        records.append(record)
    for record in records:
        if record["outcome"] != "read":
            record["filled"] = _filled(folder / record["file"], io)
        record |= _beside_pillow(folder / record["file"], io, np)
    return records


def _filled(path: Path, io) -> list[int] | None:
    """Shape of what can be saved of a damaged picture."""
    try:
        return io.read(path, truncated="fill", max_pixels=20_000_000).shape
    except io.ImageError:
        return None


def _beside_pillow(path: Path, io, np) -> dict:
    """Largest and mean difference from Pillow's pixels, and the number of frames that either finds."""
    import warnings

    from PIL import Image, ImageOps

    warnings.simplefilter("ignore")
    found: dict = {}
    try:
        found["frames"] = io.probe(path).frames
        found["frames_read"] = sum(1 for _ in io.frames(path, channels=0))
    except io.ImageError as error:
        found["frames_error"] = error.problem
    try:
        opened = Image.open(path)
        found["pillow_frames"] = getattr(opened, "n_frames", 1)
        pillow = ImageOps.exif_transpose(opened)
        sample_format = getattr(opened, "tag_v2", {}).get(339, (1,))
        stored = pillow.mode in ("I", "F") or 2 in sample_format
        if stored:
            theirs = np.asarray(pillow)
        elif pillow.mode.startswith("I;16"):
            theirs = np.repeat((np.asarray(pillow) >> 8)[..., np.newaxis], 3, axis=2)
        else:
            transparent = pillow.mode == "P" and isinstance(pillow.info.get("transparency"), bytes)
            theirs = np.asarray((pillow.convert("RGBA") if transparent else pillow).convert("RGB"))
    except Exception as error:
        return found | {"pillow": f"{type(error).__name__}: {error}"[:100]}
    found |= {"pillow": "read", "stored": stored, "format": opened.format, "mode": pillow.mode}
    try:
        ours = io.read(path, channels=0) if stored else io.read(path)
    except io.ImageError as error:
        return found | {"stored_error": str(error)}
    if stored and ours.dtype.itemsize == theirs.dtype.itemsize:
        theirs = theirs.view(ours.dtype)
    if ours.shape != theirs.shape:
        return found | {"shapes": [ours.shape, theirs.shape]}
    difference = np.abs(ours.astype(np.float64) - theirs)
    return found | {"largest": float(difference.max()), "mean": float(difference.mean())}


def run(folder: Path) -> tuple[list[dict], str]:
    """The sweep in a process of its own.

    Returns:
        The records, and what the decoders printed on stderr.

    Raises:
        RuntimeError: The process crashed.
    """
    command = [sys.executable, "-m", "benchmarks.nasty_images", "--sweep", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * SECONDS, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"The sweep ended with {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(done.stdout), done.stderr


def main() -> None:
    if "--sweep" in sys.argv:
        json.dump(sweep(Path(sys.argv[-1])), sys.stdout)
        return
    folder = Path(os.environ.get("VISUS_DATA", "")) / "nasty_images"
    if not (folder / "manifest.csv").is_file():
        refuse("nasty_images was not run: set VISUS_DATA to the folder that holds nasty_images.")
    start = time.perf_counter()
    records, noise = run(folder)
    outcomes = Counter(record["outcome"] for record in records)
    slowest = max(records, key=lambda record: record["seconds"])
    both = [record for record in records if record["outcome"] == "read" and record["pillow"] == "read"]
    lost = [r["file"] for r in records if r["pillow"] == "read" and "largest" not in r]
    extra = [r["file"] for r in records if r["pillow"] != "read" and r["outcome"] == "read"]
    summary = {
        "files": len(records),
        "outcomes": dict(outcomes.most_common()),
        "filled": sum(record.get("filled") is not None for record in records),
        "peak_mb": max(record["peak_mb"] for record in records),
        "slowest": [slowest["file"], slowest["seconds"]],
        "reading_seconds": sum(record["seconds"] for record in records),
        "equal_to_pillow": sum(record.get("largest") == 0 for record in both),
        "compared_with_pillow": len(both),
        "largest_difference": max(record.get("largest", 0) for record in both),
        "pillow_reads_but_not_visus": lost,
        "visus_reads_but_not_pillow": extra,
        "lines_on_stderr": len(noise.splitlines()),
        "seconds": time.perf_counter() - start,
    }
    if "--json" in sys.argv:
        json.dump(summary, sys.stdout, indent=1)
        return
    print(f"{summary['files']} files tried, {sum(outcomes.values())} outcomes, no crash")
    for outcome, count in outcomes.most_common():
        print(f"  {count:4d}  {outcome}")
    print(f"  {summary['filled']:4d} of those refused are read in part with truncated='fill'")
    print(f"peak memory of the process {summary['peak_mb']:.0f} MB")
    print(f"slowest file {slowest['file']}, {slowest['seconds'] * 1000:.0f} ms")
    print(f"all files together {summary['reading_seconds']:.1f} s")
    print(
        f"compared with Pillow: {summary['equal_to_pillow']} of {len(both)} bit for bit, largest difference "
        f"{summary['largest_difference']:g} of 255"
    )
    print(f"read by Pillow only: {', '.join(lost) or 'none'}")
    print(f"read by visus only: {', '.join(extra) or 'none'}")
    print(f"lines that decoders wrote to stderr: {summary['lines_on_stderr']}")


if __name__ == "__main__":
    main()
