"""Downloads a file once, whole and unchanged, and unpacks an archive without trusting it."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import shutil
import stat
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from visus.data.cache import alone
from visus.structures import InputError

BLOCK = 1 << 20
ATTEMPTS = 3
TIMEOUT = 30.0

MAX_UNPACKED = 64 << 30
MAX_MEMBERS = 2_000_000

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class File:
    """One file to download.

    Attributes:
        address: Where it is published; https.
        size: Its length in bytes.
        sha256: Its sum, in hexadecimal.
        sum_from: Who vouches for the sum.
    """

    address: str
    size: int
    sha256: str
    sum_from: str

    @property
    def name(self) -> str:
        """The last part of the address."""
        return PurePosixPath(urllib.parse.urlparse(self.address).path).name


def download(file: File, folder: Path, progress: Progress | None = None) -> Path:
    """Downloads a file into a folder, unless it is there already.

    It arrives in `NAME.part`, which a later attempt continues, and gets its name only when size and sum are
    right. A file that is there already must have them too, whoever put it there; it is never changed. Two
    downloads of one file at once become one: the second waits.

    Args:
        file: What to download.
        folder: Where to; it is made when missing.
        progress: Called with the bytes so far and the bytes in all; by default a bar on stderr, on a
            terminal.

    Returns:
        The path of the file.

    Raises:
        InputError: The network is off or unwanted (`VISUS_OFFLINE=1`), the disk too small, or what came or
            was there is not what was published.
    """
    target = folder / file.name
    if target.is_file():
        return _checked(file, target)
    if os.environ.get("VISUS_OFFLINE", "") not in ("", "0"):
        raise InputError(
            f"VISUS_OFFLINE is set, so {file.address} was not downloaded. {_by_hand(file, target)}"
        )
    _check_address(file.address)
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{file.name}.part"
    with alone(part):
        if target.is_file():  # somebody else was faster
            return _checked(file, target)
        _fill(file, part, target, progress)
        part.replace(target)
    return target


def _fill(file: File, part: Path, target: Path, progress: Progress | None) -> None:
    """Makes `part` what was published."""
    folder = target.parent
    missing = file.size - (part.stat().st_size if part.exists() else 0)
    if shutil.disk_usage(folder).free < missing:
        raise InputError(
            f"{folder} has no room for the {missing:,} bytes of {file.name}. Set VISUS_CACHE elsewhere."
        )

    with _reporting(file, progress) as report:
        error: Exception | None = None
        for attempt in range(ATTEMPTS):
            try:
                _fetch(file, part, report)
                error = None
                break
            except urllib.error.HTTPError as refused:
                refused.close()
                error = refused
                if refused.code < 500:
                    break
            except (OSError, http.client.HTTPException) as broken:
                error = broken
            time.sleep(0.2 * 4**attempt if attempt + 1 < ATTEMPTS else 0)
    if error is not None:
        kept = part.stat().st_size if part.exists() else 0
        begun = (
            f" {kept:,} of {file.size:,} bytes are here, where the next attempt continues." if kept else ""
        )
        raise InputError(
            f"{file.address} could not be downloaded ({error}).{begun} {_by_hand(file, target)}"
        ) from None
    received, size = _sum(part), part.stat().st_size
    if received != file.sha256:
        part.unlink()
        raise InputError(
            f"{file.address} is not the file that was published: expected {file.size:,} bytes with the "
            f"SHA-256 {file.sha256} ({file.sum_from}), received {size:,} bytes with {received}. It was "
            "deleted; try again, or get it elsewhere."
        )


def _checked(file: File, target: Path) -> Path:
    """The file that is there, if it is the published one.

    Its sum is taken anew each time: archives are removed once they are unpacked, and loose files are small.
    """
    size = target.stat().st_size
    received = _sum(target) if size == file.size else "another sum"
    if received != file.sha256:
        raise InputError(
            f"{target} is not the file that was published at {file.address}: expected {file.size:,} bytes with "
            f"the SHA-256 {file.sha256} ({file.sum_from}), found {size:,} bytes with {received}. Remove it, or "
            "put the right one there."
        )
    return target


def unpack(archive: Path, folder: Path, *, max_bytes: int = MAX_UNPACKED) -> Path:
    """Unpacks a zip or tar archive into a new folder, which appears only when all of it is there.

    Only plain files and folders are taken. A member that is a link, a device, or would land outside of the
    folder, ends it, as does an archive that unpacks to more than `max_bytes` or 2,000,000 members.

    Raises:
        InputError: The archive is broken, or no honest one.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        staged = Path(temporary) / "data"
        staged.mkdir()
        left = max_bytes
        try:
            for number, (name, member) in enumerate(_members(archive)):
                if number >= MAX_MEMBERS:
                    raise InputError(f"{archive} has more than {MAX_MEMBERS:,} members.")
                target = staged.joinpath(*_safe(name, archive).parts)
                if member is None:
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                with member, target.open("wb") as out:
                    while block := member.read(BLOCK):
                        left -= len(block)
                        if left < 0:
                            raise InputError(f"{archive} unpacks to more than {max_bytes:,} bytes.")
                        out.write(block)
        except (
            tarfile.TarError,
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            OSError,
            NotImplementedError,
        ) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # a full disk is not the archive's fault
            raise InputError(f"{archive} cannot be unpacked: {error}.") from None
        except RuntimeError as error:  # zipfile says so of a password
            raise InputError(f"{archive} cannot be unpacked: {error}.") from None
        staged.replace(folder)
    return folder


def _fetch(file: File, part: Path, report: Progress) -> None:
    """Appends to `part` what is still missing."""
    have = part.stat().st_size if part.exists() else 0
    if have >= file.size:
        if have == file.size:
            return
        os.truncate(part, 0)  # its lock stays
        have = 0
    headers = {"User-Agent": "visus", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    request = urllib.request.Request(file.address, headers=headers)  # noqa: S310 - the address was checked
    with _OPENER.open(request, timeout=TIMEOUT) as response:
        continued = response.status == 206 and response.headers.get("Content-Range", "").startswith(
            f"bytes {have}-"
        )
        have = have if continued else 0
        with part.open("ab" if continued else "wb") as out:
            while block := response.read(BLOCK):
                have += len(block)
                if have > file.size:
                    out.truncate(0)
                    raise InputError(
                        f"{file.address} sends more than the {file.size:,} bytes that were published."
                    )
                out.write(block)
                report(have, file.size)
    if have < file.size:
        raise ConnectionError(f"the connection ended after {have:,} of {file.size:,} bytes")


class _SecureRedirects(urllib.request.HTTPRedirectHandler):
    """Follows a redirection only to where a download may go."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        try:
            _check_address(newurl)
        except InputError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_OPENER = urllib.request.build_opener(_SecureRedirects)


def _check_address(address: str) -> None:
    parsed = urllib.parse.urlparse(address)
    local = parsed.hostname in ("127.0.0.1", "::1", "localhost")
    if parsed.scheme != "https" and not (parsed.scheme == "http" and local):
        raise InputError(f"Only https addresses are downloaded. Received {address}.")


def _by_hand(file: File, target: Path) -> str:
    return f"On a machine with a network, get it there ({file.size / 1e6:.0f} MB) and put it to {target}."


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _reporting(file: File, progress: Progress | None) -> Iterator[Progress]:
    if progress is not None or not sys.stderr.isatty():
        yield progress or (lambda have, size: None)
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn(), TimeRemainingColumn())
    with Bar(TextColumn("{task.description}"), *columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(file.name, total=file.size)
        yield lambda have, size: bar.update(task, completed=have)


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes] | None]]:
    """Name and content (None for a folder) of every member; refuses all other kinds."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                kind = stat.S_IFMT(info.external_attr >> 16)
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise InputError(f"{archive} holds {info.filename!r}, which is a link or a device.")
                yield info.filename, None if info.is_dir() else opened.open(info)
        return
    with tarfile.open(archive, "r|*") as stream:
        for member in stream:
            if not (member.isreg() or member.isdir()):
                raise InputError(f"{archive} holds {member.name!r}, which is a link or a device.")
            yield member.name, None if member.isdir() else stream.extractfile(member)


def _safe(name: str, archive: Path) -> PurePosixPath:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in path.parts[0:1] or "\0" in name:
        raise InputError(f"{archive} holds {name!r}, which would land outside of its folder.")
    if any(part.endswith(":") for part in path.parts[:1]):
        raise InputError(f"{archive} holds {name!r}, which names a drive.")
    return path
