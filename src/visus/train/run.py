"""The folder of a run: what was asked for, what happened, and what came out."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from visus.data.cache import alone
from visus.data.formats._walk import MARK
from visus.structures import InputError

ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
_LOCK = ".lock"
_PACKAGES = (
    "visus",
    "keras",
    "tensorflow-cpu",
    "tensorflow",
    "jax",
    "torch",
    "numpy",
    "opencv-python-headless",
)


class Run:
    """A run folder and its record, `run.json`.

    Attributes:
        folder: The folder.
        record: What `run.json` holds: resolved arguments, versions, seed, data fingerprint, git state, results.

    Example:
        >>> import tempfile
        >>> run = Run.create(Path(tempfile.mkdtemp()) / "first", {"seed": 0})
        >>> Run.open(run.folder).record["arguments"]
        {'seed': 0}
    """

    def __init__(self, folder: Path, record: dict[str, Any]):
        self.folder, self.record = folder, record

    @classmethod
    def create(cls, folder: Path, arguments: dict[str, Any], **record: Any) -> Run:
        """Starts a run in a folder that is new or empty.

        Raises:
            InputError: The folder holds something already.
        """
        folder = Path(folder)
        if folder.exists() and (not folder.is_dir() or any(f.name != _LOCK for f in folder.iterdir())):
            raise InputError(
                f"{folder} exists and is not empty. Name another folder for the run, or continue the run in it with "
                "--resume."
            )
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARK).touch()
        run = cls(
            folder,
            {
                "format": 1,
                "status": "started",
                "arguments": arguments,
                "environment": environment(),
                **record,
            },
        )
        run.save()
        return run

    @classmethod
    def open(cls, folder: Path) -> Run:
        """Opens an existing run.

        Raises:
            InputError: The folder holds no readable `run.json`.
        """
        file = Path(folder) / "run.json"
        try:
            record = json.loads(file.read_text())
            if not isinstance(record, dict) or "arguments" not in record:
                raise ValueError("it holds no arguments")
        except FileNotFoundError:
            raise InputError(f"{folder} is not a run folder: there is no run.json in it.") from None
        except ValueError as error:
            raise InputError(f"{file} cannot be read ({error}).") from error
        return cls(Path(folder), record)

    def save(self, **changes: Any) -> None:
        """Puts changes into the record and writes `run.json`, all or nothing."""
        self.record.update(changes)
        write_atomically(self.folder / "run.json", json.dumps(self.record, indent=2, default=str))

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of class 0, 1, ..., K-1."""
        return tuple(self.record["data"]["class_names"])

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints."""
        return self.folder / "checkpoints"

    @property
    def model_file(self) -> Path:
        """The final model; it carries `class_names` and `image_spec`."""
        return self.folder / "model.keras"

    @property
    def metrics_file(self) -> Path:
        """One row for each epoch."""
        return self.folder / "metrics.csv"


@contextmanager
def in_use(folder: Path) -> Iterator[None]:
    """Keeps other processes from training in a folder, as long as the `with` block lasts; it is made if need be.

    Raises:
        InputError: Another process trains in it, or it is no folder.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file. Name a folder for the run.")
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(alone(folder / _LOCK, wait=False))
        except BlockingIOError:
            raise InputError(
                f"Another process is training in {folder}. Wait until it is done, or stop it first."
            ) from None
        yield


def write_atomically(path: Path, text: str) -> None:
    """Writes a text file under a temporary name and renames it."""
    partial = path.with_name(f"{path.name}.part")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def environment() -> dict[str, Any]:
    """Versions, machine, command and git state: what one needs to know to repeat a run."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "versions": versions,
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "command": sys.argv,
        "onednn": os.environ.get(ONEDNN),
        "git": _git_state(),
    }


def _git_state() -> dict[str, Any] | None:
    """Commit and cleanliness of the folder that the command was given in, or None outside of a repository."""

    def git(*arguments: str) -> str:
        return subprocess.run(  # noqa: S603
            ["git", *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        ).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "changed": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None
