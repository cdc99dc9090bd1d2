"""Runs the examples one after the other and writes one page about them.

    python examples/all.py --quick                           # each about a minute on a CPU
    python examples/all.py                                   # in full: needs the data, and hours
    python examples/all.py --quick digits flowers            # only these

An example that fails is reported, and the others go on. The exit code is 1 if one failed or missed its line.
"""

import argparse
import json
import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from visus.draw.page import Badge, Link, Page
from visus.structures import Estimate

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """The examples, by file name."""
    return sorted(path.stem for path in FOLDER.glob("[!_]*.py") if path != Path(__file__))


def run(name: str, out: Path, extra: list[str], limit: float) -> tuple[str, float]:
    """Runs one example with its output in `NAME.log`.

    Returns:
        What became of it, and the seconds it took.
    """
    begin = time.monotonic()
    with (out / f"{name}.log").open("w", encoding="utf-8") as log:
        command = [sys.executable, str(FOLDER / f"{name}.py"), "--out", str(out / name), *extra]
        try:
            code = subprocess.run(
                command, stdout=log, stderr=subprocess.STDOUT, timeout=limit, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            code = None
    judged = (out / name / "comparison.json").is_file()
    became = "met" if code == 0 else "too slow" if code is None else "missed" if judged else "failed"
    return became, time.monotonic() - begin


def page(out: Path, done: dict[str, tuple[str, float]], mode: str) -> Page:
    """What was claimed and what was reached, with the way to everything that was written."""
    rows: list[list[Any]] = []
    files: list[list[Any]] = []
    for name, (became, seconds) in done.items():
        judged = out / name / "comparison.json"
        if judged.is_file():
            record = json.loads(judged.read_text(encoding="utf-8"))
            for line in record["lines"]:
                reached = Estimate(**{k: math.nan if v is None else v for k, v in line["reached"].items()})
                met = Badge("met", "good") if line["met"] else Badge("missed", "error")
                verdict = met if line["line"] is not None else None
                figures = [line["what"], reached, line["baseline"], line["line"], verdict, line["claimed"]]
                rows.append([name, record["data"], *figures, round(seconds)])
        else:
            rows.append([name, None, None, None, None, None, Badge(became, "error"), None, round(seconds)])
        pictures = sorted((out / name).glob("*.png"))
        reports = sorted((out / name).rglob("*.html"))
        for path in (out / f"{name}.log", *reports, *pictures):
            where = path.relative_to(out).as_posix()
            files.append([name, Link(where, where)])
    built = Page("Examples of visus", f"{len(done)} programs, {mode}")
    header = ["program", "data", "figure", "reached", "without learning", "line", "", "claimed", "seconds"]
    built.table(header, rows)
    built.paragraph(
        "Reached: on the test part, with its 95 % interval. The line: in full, what the README demands; with "
        "--quick, a stated way above what is reached without learning."
    )
    built.heading("What was written")
    built.table(["program", "file"], files)
    return built


def main() -> int:
    """Runs what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="*", help=f"{', '.join(names())}; all by default")
    parser.add_argument("--quick", action="store_true", help="about a minute each, on a CPU, without network")
    parser.add_argument("--out", type=Path, default=Path("runs/examples"), metavar="DIR", help="a new folder")
    parser.add_argument("--seed", type=int, default=0, help="one seed for everything")
    asked = parser.parse_args()
    if unknown := sorted(set(asked.name) - set(names())):
        parser.error(f"there is no example {unknown[0]!r}; choose from {', '.join(names())}")
    if asked.out.exists() and any(asked.out.iterdir()):
        parser.error(f"{asked.out} is not empty. Name a new folder with --out.")
    asked.out.mkdir(parents=True, exist_ok=True)
    extra = ["--seed", str(asked.seed), *(["--quick"] if asked.quick else [])]
    mode = "with --quick" if asked.quick else "in full"
    done: dict[str, tuple[str, float]] = {}
    for name in asked.name or names():
        print(f"{name:14} ", end="", flush=True)
        done[name] = run(name, asked.out, extra, limit=300 if asked.quick else 86_400)
        print(f"{done[name][0]:8} {done[name][1]:6.0f} s", flush=True)
        page(asked.out, done, mode).write(asked.out / "index.html")
    print(f"{asked.out / 'index.html'} shows all of it.")
    return 0 if all(became == "met" for became, _ in done.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
