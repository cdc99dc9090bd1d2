"""One way in: what a source may be, and what is said when it is nothing."""

import subprocess
import sys

import numpy as np
import pytest

import visus.data
from visus.data import Dataset, load
from visus.structures import Classification, InputError, Sample

GRAY = np.zeros((3, 4, 6), np.uint8)


def test_a_set_is_returned_as_it_is():
    data = Dataset((Sample(GRAY[0], Classification(label=0), "s"),), ("a",))
    assert load(data) is data
    with pytest.raises(InputError, match="takes no format and no options"):
        load(data, format="table")


def test_arrays():
    assert load((GRAY, [0, 1, 1])).labels().tolist() == [0, 1, 1]
    assert load((GRAY, [0, 1, 1]), class_names=("a", "b")).class_names == ("a", "b")
    assert load({"images": GRAY, "labels": ["x", "y", "x"], "name": "n"})[2].source == "n#2"
    assert load(([GRAY[0]], [0])).num_classes == 1
    assert load(GRAY, task=None)[0].target is None
    with pytest.raises(InputError, match="have no label"):
        load(GRAY)


@pytest.mark.parametrize("source", [None, 5, object(), [], (), {"x"}])
def test_what_no_set_can_be(source):
    with pytest.raises(InputError, match="Received"):
        load(source)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("flwers", "did you mean flowers"),
        ("/no/where", "known are .*mnist"),
        ("", "known are"),
        ("a\0b", "known are"),
        ("x" * 5000, "known are"),
    ],
)
def test_nothing_is_there(source, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        load(source)


def test_the_formats_are_named_when_none_fits(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(InputError) as error:
        load(tmp_path)
    assert "Found there: notes.txt" in str(error.value)
    assert "class_folders: a folder for each class" in str(error.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="It is empty"):
        load(tmp_path / "empty")
    with pytest.raises(InputError, match="no format named 'magic'"):
        load(tmp_path, format="magic")


def test_home_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("a/1.jpg", "b/2.jpg"):
        (tmp_path / "set" / name).parent.mkdir(parents=True)
        (tmp_path / "set" / name).touch()
    assert len(load("~/set")) == 2


def test_importing_loads_no_framework():
    program = (
        "import sys, visus.data; visus.data.load; visus.data.split; "
        "print([m for m in ('tensorflow', 'keras', 'cv2', 'sklearn', 'PIL') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        visus.data.nothing  # noqa: B018
