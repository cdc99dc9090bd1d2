"""Pictures without labels: every source is accounted for, and a million stream through."""

import itertools
import os
import tracemalloc

import numpy as np
import pytest

from visus.data import load
from visus.data.formats import _walk, pictures
from visus.data.formats.pictures import iter_pictures
from visus.structures import InputError, Sample


@pytest.fixture
def folder(tmp_path):
    for name in ("b.jpg", "a.PNG", "sub/c.tif", "sub/deep/d.jpg", "sub/e.txt", ".hidden/f.jpg", "odd[1].jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def names(sources, folder, **options):
    return [s.source.removeprefix(f"{folder}/") for s in iter_pictures(sources, **options)]


def test_a_folder_its_own_pictures_first(folder):
    left_out = _walk.LeftOut()
    found = list(iter_pictures(folder, left_out=left_out))
    assert [s.source for s in found] == [
        f"{folder}/{name}" for name in ("a.PNG", "b.jpg", "odd[1].jpg", "sub/c.tif", "sub/deep/d.jpg")
    ]
    assert all(s.target is None and str(s.image) == s.source for s in found)
    assert (left_out.hidden, left_out.other) == (1, 1)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.jpg", ["b.jpg", "odd[1].jpg"]),
        ("?.*", ["a.PNG", "b.jpg"]),
        ("[!b].*", ["a.PNG"]),
        ("*/*", ["sub/c.tif"]),
        ("**/*.jpg", ["b.jpg", "odd[1].jpg", "sub/deep/d.jpg"]),
        ("sub/**", ["sub/c.tif", "sub/deep/d.jpg"]),
        ("*/deep/*.jpg", ["sub/deep/d.jpg"]),
        ("odd[1].jpg", ["odd[1].jpg"]),  # a file of that name comes before the pattern
        ("nothing*.jpg", ["nothing*.jpg"]),
        ("gone/*.jpg", ["gone/*.jpg"]),
    ],
)
def test_patterns(folder, pattern, expected):
    assert names(f"{folder}/{pattern}", folder) == expected


def test_relative_patterns(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert [s.source for s in iter_pictures("*.jpg")] == ["b.jpg", "odd[1].jpg"]
    assert [s.source for s in iter_pictures("**/d.*")] == ["sub/deep/d.jpg"]
    assert [s.source for s in iter_pictures("sub")] == ["sub/c.tif", "sub/deep/d.jpg"]
    assert next(iter_pictures("*.PNG")).image.is_file()


def test_every_source_is_accounted_for(folder):
    (folder / "empty").mkdir()
    array = np.zeros((4, 6), np.uint8)
    sample = Sample(array, source="mine")
    sources = [
        folder / "sub" / "e.txt",
        "missing.jpg",
        folder / "empty",
        array,
        sample,
        "x" * 300,
        "nul\0.jpg",
    ]
    found = [s.source for s in iter_pictures(sources)]
    assert found == [
        f"{folder}/sub/e.txt",
        "missing.jpg",
        f"{folder}/empty",
        "array#3",
        "mine",
        "x" * 300,
        "nul\0.jpg",
    ]


def test_a_set_without_labels(folder):
    data = load(folder, task=None)
    assert (len(data), data.class_names, data.root) == (5, (), folder)
    assert data.notes == (
        "1 hidden files and folders were skipped.",
        "1 files that are no pictures (by their extension) were skipped.",
    )
    assert len(load([folder / "b.jpg", "missing.jpg"], task=None)) == 2
    assert load(folder / "b.jpg", task=None).name == "b.jpg"
    with pytest.raises(InputError, match=r"without labels\. To train or evaluate, sort"):
        load(folder)
    with pytest.raises(InputError, match="no label, such as"):
        load([folder / "b.jpg"])
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match="no picture in empty"):
        pictures.read(folder / "empty")


def test_sources_are_taken_one_at_a_time(folder):
    taken = []

    def endless():
        for i in itertools.count():
            taken.append(i)
            yield folder / "b.jpg"

    found = list(itertools.islice(iter_pictures(endless()), 5))
    assert len(found) == 5
    assert len(taken) == 5


class Entry:
    """A file of a folder that exists only here."""

    def __init__(self, folder, number):
        self.name = f"{number:07d}.jpg"
        self.path = f"{folder}/{self.name}"

    def is_symlink(self):
        return False

    def is_dir(self, follow_symlinks=True):
        return False

    def is_file(self):
        return True


class Listing:
    def __init__(self, folder, count):
        self.entries = (Entry(folder, n) for n in range(count, 0, -1))

    def __enter__(self):
        return self.entries

    def __exit__(self, *_):
        pass


def test_memory_does_not_grow_with_the_files(tmp_path, monkeypatch):
    monkeypatch.setattr(_walk, "CHUNK", 1000)
    monkeypatch.setattr(os, "scandir", lambda path: Listing(path, 40_000))
    tracemalloc.start()
    total = sum(1 for _ in iter_pictures(tmp_path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 40_000
    assert peak < 12_000_000  # as samples they would take 19 MB; the rest is pathlib's interned names


def test_large_folders_are_sorted_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(_walk, "CHUNK", 4)
    monkeypatch.setattr(os, "scandir", lambda path: Listing(path, 6))
    assert [s.source[-5] for s in iter_pictures(tmp_path)] == ["3", "4", "5", "6", "1", "2"]


@pytest.mark.data("coco128")
def test_coco(data_folder):
    assert len(load(data_folder / "images", task=None)) == 128
