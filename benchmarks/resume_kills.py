"""Ten trainings, each killed at a random moment with SIGKILL and resumed: do they end with the same weights?

    VISUS_DATA=... python -m benchmarks.resume_kills [--kills 10]

One uninterrupted run sets the hash and the duration; each of the others is killed at a moment drawn uniformly from
that duration, whatever it is doing then (reading, caching features, either phase, judging), and resumed to its end.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.__main__ import require
from visus.train import Run

OPTIONS = [
    "--size",
    "64",
    "--epochs",
    "3",
    "--set",
    "head_epochs=10",
    "--set",
    "ema=0.98",
    "--set",
    "patience=10",
]


def start(*arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "visus", "train", *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    require("resume_kills")
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as scratch:
        begin = time.monotonic()
        assert start("flowers", "--out", f"{scratch}/whole", *OPTIONS).wait() == 0
        duration = time.monotonic() - begin
        expected = Run.open(Path(scratch) / "whole").record["weights_sha256"]
        print(f"uninterrupted: {duration:.0f} s, weights {expected[:16]}")
        equal = 0
        for i in range(options.kills):
            run = Path(scratch) / f"run{i}"
            moment = rng.uniform(0.1, 0.95) * duration
            process = start("flowers", "--out", str(run), *OPTIONS)
            time.sleep(moment)
            process.send_signal(signal.SIGKILL)
            process.wait()
            if not (run / "run.json").exists():
                where = "before the run folder was there: started again"
                code = start("flowers", "--out", str(run), *OPTIONS).wait()
            else:
                files = (
                    sorted((run / "checkpoints").glob("state-*.npz"))
                    if (run / "checkpoints").exists()
                    else []
                )
                where = f"newest checkpoint {files[-1].stem}" if files else "before the first checkpoint"
                code = start("--resume", str(run)).wait()
            received = Run.open(run).record["weights_sha256"] if code == 0 else f"exit code {code}"
            equal += received == expected
            print(
                f"killed after {moment:5.1f} s ({where}): {'equal' if received == expected else received}",
                flush=True,
            )
        print(f"{equal} of {options.kills} equal, bit for bit")


if __name__ == "__main__":
    main()
