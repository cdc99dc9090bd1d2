"""Finds the folder of a known set: where the caller says, in VISUS_DATA, in the cache, or on the network."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from visus.data.cache import alone, cache_folder
from visus.data.datasets._download import File, download, unpack
from visus.structures import InputError


def locate(
    module: ModuleType,
    folder: str | Path | None,
    also_called: Sequence[str] = (),
    package: str | None = None,
) -> Path:
    """The folder that holds a set.

    Args:
        module: The set's module; its last name, with or without dashes, is what its folder is called.
        folder: What the caller gave, or None.
        also_called: Other names of the folder in VISUS_DATA, the preferred first.
        package: What to install (`pip install ...`) to get the set, for the message.

    Raises:
        InputError: `folder` is none, or the set is nowhere and cannot be downloaded.
    """
    name = module.__name__.rpartition(".")[2]
    if folder is not None:
        given = Path(folder).expanduser()
        if not given.is_dir():
            raise InputError(f"{given} is no folder. Expected the folder of {name}: {module.LAYOUT}.")
        return given
    names = [*also_called, name.replace("_", "-"), name]
    if data := os.environ.get("VISUS_DATA"):
        for candidate in (Path(data).expanduser() / n for n in names):
            if candidate.is_dir():
                return candidate
    cached = cache_folder() / name
    files: Sequence[File] = module.FILES
    archive = len(files) == 1 and files[0].name.endswith((".zip", ".tgz", ".tar.gz"))
    if cached.is_dir() and (archive or not files):
        return cached
    if not files:
        raise InputError(_by_hand(module, name, names, cached, package))
    try:
        if not archive:
            for file in files:
                download(file, cached)
            return cached
        packed = download(files[0], cache_folder() / "downloads")
    except InputError as error:
        raise InputError(
            f"{error} A folder with {module.LAYOUT} may also stand at $VISUS_DATA/{names[-2]}."
        ) from None
    with alone(packed.with_name(f"{name}.lock")):
        if not cached.is_dir():
            unpack(packed, cached)
        packed.unlink(missing_ok=True)
    return cached


def inside(folder: Path, *names: str) -> Path:
    """The first of these folders below that is there, as an archive has it, or else the folder itself."""
    return next((folder / name for name in names if (folder / name).is_dir()), folder)


def _by_hand(module: ModuleType, name: str, names: Sequence[str], cached: Path, package: str | None) -> str:
    way = f"`pip install {package}` brings it; or get it" if package else "Get it"
    return (
        f"The set {name} ({module.DESCRIPTION}) is not on this machine. {way} from {module.HOMEPAGE} "
        f"(licence: {module.LICENCE}) and pass its folder, or put it to $VISUS_DATA/{names[-2]} or {cached}. "
        f"Expected there: {module.LAYOUT}."
    )
