"""The folder of what can be made or fetched again, and files that one process holds at a time."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

if sys.platform != "win32":
    import fcntl


def cache_folder() -> Path:
    """`$VISUS_CACHE`, or `~/.cache/visus`."""
    named = os.environ.get("VISUS_CACHE")
    return Path(named).expanduser() if named else Path.home() / ".cache" / "visus"


@contextlib.contextmanager
def alone(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Holds a file for this process and thread. It is made, and removed again if it stays empty.

    The lock ends with its process, so that none is left behind. Windows has no such lock: nobody waits there.

    Args:
        path: The file.
        wait: Whether others wait for it to become free.

    Raises:
        BlockingIOError: Another holds it, and `wait` is False.
    """
    if sys.platform == "win32":
        yield
        return
    while True:
        with path.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not (path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat())):
                continue  # whoever held it has finished it, or thrown it away
            try:
                yield
            finally:
                if path.exists() and path.stat().st_size == 0:
                    path.unlink()
            return
