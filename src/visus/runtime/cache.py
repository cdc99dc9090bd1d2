"""Compiled models on disk, each in a folder named by the hash of what it was made from."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from visus.data.cache import cache_folder

MANIFEST = "manifest.json"
MAX_BYTES = 4 << 30
"""Bytes that all compiled models together may take; the least recently used ones go first."""


def folder(cache_dir: str | Path | None = None) -> Path:
    """Where compiled models are kept: below `cache_dir`, else `$VISUS_CACHE`, else `~/.cache/visus`."""
    return (Path(cache_dir) if cache_dir else cache_folder()) / "runtime"


def find(root: Path, key: str) -> tuple[Path, dict[str, Any]] | None:
    """The folder of an entry and what was noted about it, or None where it is missing or damaged.

    Every file is compared with its hash, so a truncated or edited entry is no entry.
    """
    entry = root / key
    try:
        manifest = json.loads((entry / MANIFEST).read_text(encoding="utf-8"))
        for name, digest in manifest["files"].items():
            if file_hash(entry / Path(name).name) != digest:
                return None
        about = dict(manifest["about"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    with contextlib.suppress(OSError):
        os.utime(entry)  # the time of its last use
    return entry, about


def add(
    root: Path, key: str, fill: Callable[[Path], dict[str, Any]], limit: int = MAX_BYTES
) -> tuple[Path, dict[str, Any]]:
    """Makes an entry: all of it appears at once, or nothing.

    Args:
        root: The folder of all entries.
        key: Name of the entry; a damaged one of that name is replaced.
        fill: Writes the files of the entry into the folder that it is given, and returns what to note about
            it.
        limit: Bytes that all entries may take; older ones are deleted.

    Returns:
        The folder and the note.

    Raises:
        OSError: The folder cannot be written, or the disk is full.
    """
    root.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=root))
    try:
        about = fill(partial)
        files = {file.name: file_hash(file) for file in sorted(partial.iterdir())}
        manifest = json.dumps({"about": about, "files": files}, indent=2)
        (partial / MANIFEST).write_text(manifest, encoding="utf-8")
        shutil.rmtree(root / key, ignore_errors=True)
        try:
            partial.replace(root / key)
        except OSError:
            if find(root, key) is None:  # else another process was quicker, with the same content
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    _shrink(root, limit, keep=key)
    return root / key, about


def clear(cache_dir: str | Path | None = None) -> int:
    """Deletes all compiled models; they are made again when needed.

    Returns:
        How many there were.
    """
    entries = list(_entries(folder(cache_dir)))
    for entry in entries:
        shutil.rmtree(entry, ignore_errors=True)
    return len(entries)


def file_hash(file: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _entries(root: Path) -> Iterator[Path]:
    """The folders of compiled models, and nothing else that may lie there."""
    if root.is_dir():
        yield from (path for path in root.iterdir() if path.is_dir() and (path / MANIFEST).is_file())


def _shrink(root: Path, limit: int, keep: str) -> None:
    def used(entry: Path) -> float:
        with contextlib.suppress(OSError):
            return entry.stat().st_mtime
        return 0.0

    total = 0
    for entry in sorted(_entries(root), key=lambda e: (e.name != keep, -used(e))):
        with contextlib.suppress(OSError):
            total += sum(file.stat().st_size for file in entry.iterdir())
        if total > limit and entry.name != keep:
            shutil.rmtree(entry, ignore_errors=True)
