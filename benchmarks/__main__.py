"""Runs the benchmarks of this folder, each in a process of its own, and prints their tables.

    python -m benchmarks            # all of them
    python -m benchmarks decode     # one; for its options: python -m benchmarks.decode --help
    python -m benchmarks --list     # what there is, and what is missing here

A benchmark is a file of this folder that runs as a script. What it cannot do without stands in its docstring:
`VISUS_DATA=...` or `KERAS_BACKEND=torch` in its command, or `.venv-backends`. Where that is not here, the benchmark
is skipped, and the reason said.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent


def names() -> list[str]:
    """The benchmarks, by file name."""
    return sorted(path.stem for path in FOLDER.glob("[!_]*.py"))


def about(name: str) -> str:
    """The docstring of a benchmark."""
    return ast.get_docstring(ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))) or ""


def missing(name: str) -> str | None:
    """What the benchmark cannot do without and is not here, as a sentence, or None: its docstring names it."""
    text = about(name)
    if "VISUS_DATA=" in text and not Path(os.environ.get("VISUS_DATA") or "?").is_dir():
        return "it needs real pictures: set VISUS_DATA to the folder that holds them"
    backend = re.search(r"KERAS_BACKEND=(\w+)", text)
    if backend and find_spec(backend[1]) is None:
        return f"it needs {backend[1]}, which is not installed here: pip install visus[{backend[1]}]"
    if ".venv-backends" in text and not (ROOT / ".venv-backends").is_dir():
        return "it needs the environment with the other backends, which `make backends` builds"
    return None


def require(name: str) -> None:
    """Ends a benchmark that was started by itself, where something is missing."""
    if reason := missing(name):
        refuse(f"{name} was not run: {reason}.")


def refuse(sentence: str) -> NoReturn:
    """Says a sentence on stderr and ends with exit code 2."""
    print(sentence, file=sys.stderr)
    raise SystemExit(2)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measures visus beside its peers."
    )
    parser.add_argument("name", nargs="*", help=f"{', '.join(names())}; all by default")
    parser.add_argument("--list", action="store_true", help="only say what there is")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.name) - set(names()))
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}; choose from {', '.join(names())}")
    failed = []
    for name in arguments.name or names():
        print(f"\n== {name}: {about(name).partition(chr(10))[0]}", flush=True)
        reason = missing(name)
        if reason:
            print(f"skipped: {reason}")
        elif not arguments.list:
            command = [sys.executable, "-m", f"benchmarks.{name}"]
            if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
                failed.append(name)
    if failed:
        print(f"\nnot finished: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
