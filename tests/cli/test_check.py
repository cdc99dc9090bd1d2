"""`visus check`: exit codes, one JSON document on stdout, and no byte of the user's changed."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data as pictures
from typer.testing import CliRunner

from visus.cli.main import build
from visus.structures import InputError

CAT = pictures.chelsea()


def _piece(i):
    return CAT[(i * 13) % 200 : (i * 13) % 200 + 90, (i * 29) % 320 : (i * 29) % 320 + 120]


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "pets"
    for split, count in (("train", 12), ("val", 4)):
        for c, name in enumerate(("[red]cat", "dog")):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                piece = (
                    _piece(i + 12 * (split == "val")) if c else np.rot90(_piece(i + 12 * (split == "val")))
                )
                Image.fromarray(piece).save(root / split / name / f"{i}.png")
    return root


def _run(*arguments):
    return CliRunner().invoke(build(), ["check", *map(str, arguments)])


def _state(root: Path):
    return {
        p: (p.stat().st_mtime_ns, p.read_bytes() if p.is_file() else b"") for p in sorted(root.rglob("*"))
    }


def test_sound_data_exits_with_0_and_nothing_changes(folder):
    before = _state(folder.parent)
    result = _run(folder)
    assert result.exit_code == 0, result.output
    assert "sound" in result.stdout
    assert "[red]cat" in result.stdout
    assert _state(folder.parent) == before


def test_errors_exit_with_1(folder):
    (folder / "train/dog/\x1b[2Jzero.jpg").write_bytes(b"")
    result = _run(folder)
    assert result.exit_code == 1
    assert "not sound" in result.stdout
    assert "\x1b" not in result.stdout


def test_json_is_the_only_thing_on_stdout(folder, tmp_path):
    result = _run(folder, "--json", "--out", tmp_path / "out")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["sound"] is True
    assert document["statistics"]["pictures"] == 32
    assert {"value", "low", "high"} == set(document["statistics"]["cues"][0]["balanced_accuracy"])
    written = json.loads((tmp_path / "out/check.json").read_text())
    assert written["findings"] == document["findings"]
    assert "check before training" in (tmp_path / "out/check.html").read_text()
    assert str(tmp_path / "out" / "check.html") in result.stderr
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["check.html", "check.json"]


def test_a_page_may_be_renewed_but_nothing_else_is_overwritten(folder, tmp_path):
    page = tmp_path / "page.html"
    assert _run(folder, "--page", page).exit_code == 0
    first = page.read_text()
    assert _run(folder, "--page", page).exit_code == 0
    assert page.read_text() == first
    page.write_text("<html>my own</html>")
    result = _run(folder, "--page", page)
    assert isinstance(result.exception, InputError)
    assert "not written by visus" in str(result.exception)
    assert page.read_text() == "<html>my own</html>"
    picture = folder / "train/dog/0.png"
    before = picture.read_bytes()
    assert isinstance(_run(folder, "--page", picture).exception, InputError)
    assert picture.read_bytes() == before


@pytest.mark.parametrize(
    "arguments", [("nowhere",), ("--format", "nonsense", "."), ("--page", "x.html", "nowhere")]
)
def test_wrong_input_is_an_input_error(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert isinstance(_run(*arguments).exception, InputError)
    assert list(tmp_path.iterdir()) == []


def test_the_command_itself(folder):
    (folder / "val/dog/copy.png").write_bytes((folder / "train/dog/0.png").read_bytes())
    done = subprocess.run(
        [sys.executable, "-m", "visus", "check", str(folder), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    findings = {f["code"]: f for f in json.loads(done.stdout)["findings"]}
    assert findings["duplicate-across-splits"]["groups"] == [["train/dog/0.png", "val/dog/copy.png"]]
    done = subprocess.run(
        [sys.executable, "-m", "visus", "check", str(folder / "nothing")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert "nothing" in done.stderr
