"""Downloads over a loopback server, and archives that mean harm."""

import hashlib
import io
import re
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from visus.data.datasets import _download
from visus.data.datasets._download import File, download, unpack
from visus.structures import InputError

CONTENT = np.random.default_rng(0).bytes(3_000_000)


class Server(ThreadingHTTPServer):
    """Serves CONTENT at every address; `cut` ends a response early, `ranges` says whether it can continue."""

    daemon_threads = True
    content, cut, ranges, status, location = CONTENT, None, True, 200, None

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests = []

    def handle_error(self, request, client_address):
        """The client may go away."""


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server
        server.requests.append(self.headers.get("Range"))
        if server.status != 200:
            self.send_response(server.status)
            if server.location:
                self.send_header("Location", server.location)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start = int(wanted[1]) if wanted and server.ranges else 0
        body = server.content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header(
                "Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}"
            )
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: server.cut])
        if server.cut is not None:
            self.close_connection = True


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "VISUS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(_download.time, "sleep", lambda seconds: None)
    running = Server()
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


def file(server, **changes):
    values = {
        "address": f"http://127.0.0.1:{server.server_port}/sets/a%20set.zip?x=1",
        "size": len(CONTENT),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "sum_from": "this test",
    }
    return File(**{**values, **changes})


def test_a_good_file_comes_whole_and_once(server, tmp_path):
    seen = []
    target = download(file(server), tmp_path / "new", lambda have, size: seen.append((have, size)))
    assert target == tmp_path / "new" / "a%20set.zip"
    assert target.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [have for have, _ in seen] == sorted(have for have, _ in seen)
    assert download(file(server), tmp_path / "new") == target
    assert (len(server.requests), [p.name for p in target.parent.iterdir()]) == (1, [target.name])


@pytest.mark.parametrize("ranges", [True, False])
def test_an_interrupted_file_is_continued(server, tmp_path, ranges):
    server.cut, server.ranges = 800_000, ranges
    with pytest.raises(
        InputError, match=r"bytes are here, where the next attempt continues.*On a machine with"
    ):
        download(file(server), tmp_path)
    assert len(server.requests) == 3
    part = tmp_path / "a%20set.zip.part"
    kept = part.stat().st_size
    assert kept >= 800_000
    assert part.read_bytes() == CONTENT[:kept]
    assert not (tmp_path / "a%20set.zip").exists()
    server.cut = None
    assert download(file(server), tmp_path).read_bytes() == CONTENT
    assert server.requests[-1] == f"bytes={kept}-"
    assert not part.exists()


def test_a_part_that_is_already_whole_needs_no_network(server, tmp_path):
    (tmp_path / "a%20set.zip.part").write_bytes(CONTENT)
    assert download(file(server), tmp_path).read_bytes() == CONTENT
    assert server.requests == []


@pytest.mark.parametrize("content", [b"none", bytes(len(CONTENT))])
def test_a_file_that_was_put_there_is_checked_too(server, tmp_path, content):
    target = tmp_path / "a%20set.zip"
    target.write_bytes(content)
    with pytest.raises(
        InputError, match=f"SHA-256 {file(server).sha256} .this test.*found {len(content):,} bytes.*Remove it"
    ):
        download(file(server), tmp_path)
    assert target.read_bytes() == content
    target.write_bytes(CONTENT)
    assert download(file(server), tmp_path) == target
    assert server.requests == []


def test_two_at_once_fetch_it_once(server, tmp_path):
    """The first is held in the middle until the second has had every chance to spoil its part."""
    begun, go_on, results = threading.Event(), threading.Event(), {}

    def slow(have, size):
        begun.set()
        go_on.wait(10)

    def fetch(name, progress):
        results[name] = download(file(server), tmp_path, progress)

    first = threading.Thread(target=fetch, args=("first", slow))
    second = threading.Thread(target=fetch, args=("second", lambda have, size: None))
    first.start()
    assert begun.wait(10)
    second.start()
    second.join(0.3)
    assert second.is_alive()
    go_on.set()
    first.join(10)
    second.join(10)
    assert results == dict.fromkeys(("first", "second"), tmp_path / "a%20set.zip")
    assert results["second"].read_bytes() == CONTENT
    assert len(server.requests) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["a%20set.zip"]


def test_a_part_of_something_else_is_thrown_away(server, tmp_path):
    (tmp_path / "a%20set.zip.part").write_bytes(bytes(1000))
    with pytest.raises(InputError, match="is not the file that was published"):
        download(file(server), tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert download(file(server), tmp_path).read_bytes() == CONTENT
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "a%20set.zip.part").write_bytes(bytes(len(CONTENT) + 1))
    assert download(file(server), tmp_path / "b").read_bytes() == CONTENT


def test_a_wrong_sum_is_said_with_both_sums(server, tmp_path):
    wrong = "0" * 64
    with pytest.raises(
        InputError, match=f"SHA-256 {wrong} \\(this test\\), received .* with {file(server).sha256}"
    ):
        download(file(server, sha256=wrong), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_more_than_was_published_is_not_taken(server, tmp_path):
    server.content = CONTENT * 3
    with pytest.raises(InputError, match="more than the 3,000,000 bytes"):
        download(file(server), tmp_path)
    assert sum(p.stat().st_size for p in tmp_path.iterdir()) == 0


@pytest.mark.parametrize(("status", "tries"), [(404, 1), (503, 3)])
def test_a_refusal(server, tmp_path, status, tries):
    server.status = status
    with pytest.raises(InputError, match=f"could not be downloaded .*{status}"):
        download(file(server), tmp_path)
    assert len(server.requests) == tries


def test_offline(server, tmp_path, monkeypatch):
    monkeypatch.setenv("VISUS_OFFLINE", "1")
    with pytest.raises(InputError, match=r"VISUS_OFFLINE is set.*\(3 MB\) and put it to .*a%20set\.zip"):
        download(file(server), tmp_path)
    assert server.requests == []
    monkeypatch.setenv("VISUS_OFFLINE", "0")
    assert download(file(server), tmp_path).is_file()


def test_no_network(tmp_path, server):
    server.server_close()
    with pytest.raises(InputError, match="could not be downloaded"):
        download(file(server), tmp_path)


def test_only_https_leaves_the_machine(tmp_path, server):
    for address in ("http://example.org/a.zip", "ftp://example.org/a.zip", "file:///etc/passwd"):
        with pytest.raises(InputError, match="Only https"):
            download(file(server, address=address), tmp_path)
        server.status, server.location = 302, address
        with pytest.raises(InputError, match=f"(Only https|Redirection).*{address}"):
            download(file(server), tmp_path)


def test_a_full_disk_is_said_first(server, tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(_download.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(InputError, match="no room for the 3,000,000 bytes"):
        download(file(server), tmp_path)


def tar(path, *members, mode="w:gz"):
    """Members are (name, content) or TarInfo objects."""
    with tarfile.open(path, mode) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            archive.addfile(info, io.BytesIO(member[1]))
    return path


def zipped(path, *members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def folder_entry(name):
    info = tarfile.TarInfo(name)
    info.type = tarfile.DIRTYPE
    return info


@pytest.mark.parametrize("kind", ["tgz", "tar", "zip"])
def test_an_honest_archive(tmp_path, kind):
    members = [("set/a/1.jpg", b"one"), ("set/b/2.jpg", b"two"), ("./set/c.txt", b"")]
    path = tmp_path / f"x.{kind}"
    if kind == "zip":
        zipped(path, ("set/a/", b""), *members)
    else:
        tar(path, folder_entry("set/a"), *members, mode="w" if kind == "tar" else "w:gz")
    out = unpack(path, tmp_path / "out")
    assert {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()} == {
        "set/a/1.jpg": b"one",
        "set/b/2.jpg": b"two",
        "set/c.txt": b"",
    }
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", path.name]


def link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


ESCAPES = ["../evil", "a/../../evil", "/evil", "..\\evil", "C:/evil", "c:\\evil"]


@pytest.mark.parametrize("name", ESCAPES)
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_member_that_would_land_outside(tmp_path, name, kind):
    members = [("good.txt", b"good"), (name, b"evil")]
    path = tmp_path / "in" / "x"
    path.parent.mkdir()
    zipped(path, *members) if kind == "zip" else tar(path, *members)
    with pytest.raises(InputError, match=r"would land outside|names a drive"):
        unpack(path, tmp_path / "in" / "out" / "deep")
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["x"]


@pytest.mark.parametrize(
    "member",
    [
        link("x", "/etc/passwd"),
        link("x", "good.txt", tarfile.LNKTYPE),
        link("x", "", tarfile.CHRTYPE),
        link("x", "", tarfile.FIFOTYPE),
    ],
)
def test_links_and_devices(tmp_path, member):
    path = tar(tmp_path / "x.tgz", ("good.txt", b"good"), member)
    with pytest.raises(InputError, match="'x', which is a link or a device"):
        unpack(path, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["x.tgz"]


def test_a_link_in_a_zip(tmp_path):
    info = zipfile.ZipInfo("x")
    info.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(InputError, match="link or a device"):
        unpack(tmp_path / "x.zip", tmp_path / "out")


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_bomb_stops_at_the_limit(tmp_path, kind):
    path = tmp_path / "x"
    zeros = ("zeros", bytes(50_000_000))
    zipped(path, zeros) if kind == "zip" else tar(path, zeros)
    assert path.stat().st_size < 100_000
    with pytest.raises(InputError, match="unpacks to more than 10,000,000 bytes"):
        unpack(path, tmp_path / "out", max_bytes=10_000_000)
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_archives_that_are_broken(tmp_path, monkeypatch):
    good = tar(tmp_path / "good.tgz", ("a", np.random.default_rng(0).bytes(100_000))).read_bytes()
    packed = bytearray(zipped(tmp_path / "good.zip", ("a", b"abc" * 1000)).read_bytes())
    packed[40] ^= 255
    for content in (good[:50_000], b"no archive", b"", bytes(packed)):
        (tmp_path / "x").write_bytes(content)
        with pytest.raises(InputError, match="cannot be unpacked"):
            unpack(tmp_path / "x", tmp_path / "out")
    monkeypatch.setattr(_download, "MAX_MEMBERS", 2)
    with pytest.raises(InputError, match="more than 2 members"):
        unpack(zipped(tmp_path / "many.zip", *[(str(i), b"") for i in range(3)]), tmp_path / "out")
    assert not (tmp_path / "out").exists()
