"""Class folders: which files, which class, which split; and what a hostile folder cannot do."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from visus.data import Dataset, load
from visus.data.formats import class_folders
from visus.structures import Classification, InputError, Sample


def touch(root, *names):
    """Empty files: no reader may look inside."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def listed(dataset):
    return [(s.source, dataset.class_names[s.target.label], s.split) for s in dataset]


def test_classes_and_files_are_sorted_by_bytes(tmp_path):
    touch(tmp_path, "b/2.jpg", "b/10.jpg", "a/x.PNG", "Z/ä.webp", "Z/z.Tiff", "ä/1.gif", "b/sub/0.bmp")
    data = load(tmp_path)
    assert data.class_names == ("Z", "a", "b", "ä")
    assert [source for source, _, _ in listed(data)] == [
        "Z/z.Tiff",
        "Z/ä.webp",
        "a/x.PNG",
        "b/10.jpg",
        "b/2.jpg",
        "b/sub/0.bmp",
        "ä/1.gif",
    ]
    assert all(s.image == tmp_path / s.source for s in data)
    assert data.root == tmp_path
    assert data.notes == ()


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("Training", "validation", "TESTING"), ("train", "valid")]
)
def test_splits(tmp_path, names):
    for i, name in enumerate(names):
        touch(tmp_path, f"{name}/cat/{i}.jpg", f"{name}/dog/{i}.jpg")
    data = load(tmp_path)
    assert data.splits == ("train", "val", "test")[: len(names)]
    assert listed(data)[1] == (f"{names[0]}/dog/0.jpg", "dog", "train")


def test_sources_are_relative_however_the_folder_is_named(tmp_path, monkeypatch):
    touch(tmp_path / "set", "a/1.jpg", "b/2.jpg")
    monkeypatch.chdir(tmp_path / "set")
    for folder in (".", "../set", "./", tmp_path / "set", f"{tmp_path}/set/"):
        data = load(folder)
        assert [s.source for s in data] == ["a/1.jpg", "b/2.jpg"]
        assert data[0].image.is_file()
        assert data.name == "set"


def test_a_class_may_be_called_train(tmp_path):
    data = load(touch(tmp_path, "train/1.jpg", "car/1.jpg", "bus/2.jpg"))
    assert data.class_names == ("bus", "car", "train")
    assert data.splits == ()


def test_folders_beside_the_splits_are_said(tmp_path):
    data = load(touch(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "val/a/2.jpg", "predict/3.jpg"))
    assert len(data) == 3
    assert data.notes == ("Folders beside train, val were skipped: predict.",)


def test_a_class_that_is_never_trained_is_said(tmp_path):
    data = load(touch(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "val/a/2.jpg", "val/c/2.jpg"))
    assert data.class_names == ("a", "b", "c")
    assert "1 classes have pictures but none in train: c." in data.notes


def test_val_and_valid_are_one_too_many(tmp_path):
    touch(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "val/a/2.jpg", "valid/a/2.jpg")
    with pytest.raises(InputError, match="val and valid"):
        class_folders.read(tmp_path)


def test_given_class_names(tmp_path):
    touch(tmp_path, "cat/1.jpg", "dog/2.jpg")
    data = load(tmp_path, class_names=["dog", "elk", "cat"])
    assert data.labels().tolist() == [0, 2]
    assert data.counts() == {"dog": 1, "elk": 0, "cat": 1}
    assert data.notes == ("1 classes have no picture: elk.",)
    with pytest.raises(InputError, match="does not list: dog"):
        load(tmp_path, class_names=["cat"])
    with pytest.raises(InputError, match="Received twice: cat"):
        load(tmp_path, class_names=["cat", "dog", "cat"])
    with pytest.raises(InputError, match="sequence of names"):
        load(tmp_path, class_names="cat")


def test_what_is_no_picture_is_counted_and_left_alone(tmp_path):
    touch(
        tmp_path, "a/1.jpg", "a/.DS_Store", "a/Thumbs.db", "a/notes.mat", "b/2.jpg", ".git/x.jpg", "loose.png"
    )
    touch(tmp_path, "__MACOSX/a/._1.jpg", "c/readme.txt")
    data = load(tmp_path)
    assert [s.source for s in data] == ["a/1.jpg", "b/2.jpg"]
    assert data.class_names == ("a", "b", "c")
    assert data.notes == (
        f"1 pictures in {tmp_path} lie in no class folder and were skipped.",
        "1 classes have no picture: c.",
        "2 hidden files and folders were skipped.",
        "2 files that are no pictures (by their extension) were skipped.",
    )


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "no class folders"),
        (["a/x.txt", "b/y.txt"], "no picture in them"),
    ],
)
def test_no_picture_at_all(tmp_path, names, message):
    with pytest.raises(InputError, match=message):
        class_folders.read(touch(tmp_path, *names))
    with pytest.raises(InputError, match="is none"):
        class_folders.read(tmp_path / "missing")


@pytest.mark.parametrize(
    "names",
    [
        ("images/1.jpg", "masks/1.png"),
        ("JPEGImages/1.jpg", "Annotations/1.xml", "SegmentationClass/1.png"),
        ("train2017/1.jpg", "val2017/1.jpg"),
        ("images/1.jpg", "labels/1.txt"),
    ],
)
def test_parts_of_other_sets_are_no_classes(tmp_path, names):
    touch(tmp_path, *names)
    assert not class_folders.sniff(tmp_path)
    with pytest.raises(InputError, match="Found there"):
        load(tmp_path)


def test_links_neither_escape_nor_loop(tmp_path):
    root = touch(tmp_path / "data", "a/1.jpg", "b/2.jpg")
    touch(tmp_path, "outside/secret.jpg")
    (root / "a" / "world").symlink_to("/")
    (root / "a" / "loop").symlink_to(root)
    (root / "a" / "leak.jpg").symlink_to(tmp_path / "outside" / "secret.jpg")
    (root / "a" / "again.jpg").symlink_to(root / "b" / "2.jpg")
    (root / "a" / "dangling.jpg").symlink_to(root / "nothing.jpg")
    (root / "c").symlink_to(tmp_path / "outside")
    os.mkfifo(root / "a" / "pipe.jpg")
    data = load(root)
    assert data.class_names == ("a", "b")
    assert [s.source for s in data] == ["a/1.jpg", "a/again.jpg", "b/2.jpg"]
    assert [note.split()[0] for note in data.notes] == ["3", "2"]

    (root / "a" / "world").unlink()
    followed = load(root, follow_links=True)
    assert followed.class_names == ("a", "b", "c")
    assert {"a/leak.jpg", "c/secret.jpg"} <= {s.source for s in followed}
    assert len(followed) < 12


@pytest.mark.skipif(sys.platform == "darwin", reason="file names are always UTF-8 there")
def test_names_that_are_no_utf8(tmp_path):
    touch(tmp_path, "ok/1.jpg")
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    (folder / os.fsdecode(b"\xff.jpg")).touch()
    data = load(tmp_path)
    assert data.class_names == (r"caf\xe9", "ok")
    assert data[0].source == r"caf\xe9/\xff.jpg"
    assert data[0].image.is_file()
    data[0].source.encode()  # printable and storable


def test_an_unreadable_folder_is_said(tmp_path, monkeypatch):
    touch(tmp_path, "a/1.jpg", "a/locked/2.jpg", "b/3.jpg")
    scandir = os.scandir

    def refuse(path="."):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    data = load(tmp_path)
    assert len(data) == 2
    assert data.notes[0].startswith("1 folders or files could not be opened")


def test_ambiguous_and_misplaced_folders(tmp_path):
    touch(tmp_path / "x", "data/a/1.jpg", "data/b/2.jpg")
    with pytest.raises(InputError, match=r"Did you mean .*data"):
        load(tmp_path / "x")
    (tmp_path / "x" / "data" / "labels.csv").write_text("path,label\na/1.jpg,0\n")
    with pytest.raises(InputError, match=r"in 2 ways: class_folders .*; table"):
        load(tmp_path / "x" / "data")
    assert len(load(tmp_path / "x" / "data", format="class_folders")) == 2


def test_a_split_file_beside_the_folders_confuses_nobody(tmp_path):
    touch(tmp_path, "a/1.jpg", "b/2.jpg")
    (tmp_path / "split.csv").write_text("source,label,split\na/1.jpg,a,train\n")
    assert len(load(tmp_path)) == 2


def test_writing_what_folders_cannot_be_called(tmp_path):
    names = ("T-shirt/top", "..", "T-shirt_top", "a\0b", "")
    samples = [
        Sample(np.full((4, 6), i, np.uint8), Classification(label=i), "../../x", group="g") for i in range(5)
    ]
    lost = class_folders.write(Dataset(tuple(samples), names), tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "T-shirt_top",
        "T-shirt_top_",
        "_",
        "_..",
        "a_b",
    ]
    assert {p.parent.parent for p in tmp_path.rglob("*.png")} == {tmp_path / "out"}
    assert len(lost) == 7
    assert any("groups" in text for text in lost)
    assert any("order of the classes" in text for text in lost)


def test_writing_two_files_of_one_name(tmp_path):
    touch(tmp_path, "a/x/1.jpg", "a/y/1.jpg", "b/1.jpg", "b/1-2.jpg")
    for i, path in enumerate(sorted(tmp_path.rglob("*.jpg"))):
        path.write_bytes(bytes([i]))
    assert class_folders.write(load(tmp_path), tmp_path / "out") == ()
    assert sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.jpg")) == [
        "a/1-2.jpg",
        "a/1.jpg",
        "b/1-2.jpg",
        "b/1.jpg",
    ]
    assert {p.read_bytes() for p in (tmp_path / "out").rglob("*.jpg")} == {bytes([i]) for i in range(4)}


def test_a_failed_write_leaves_nothing(tmp_path):
    touch(tmp_path, "a/1.jpg", "b/2.jpg")
    data = load(tmp_path)
    (tmp_path / "b" / "2.jpg").unlink()
    with pytest.raises(FileNotFoundError):
        class_folders.write(data, tmp_path / "out" / "deep")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.data("flowers5")
def test_flowers(data_folder):
    data = load(data_folder)
    assert len(data) == 1250
    assert data.class_names == ("daisy", "dandelion", "roses", "sunflowers", "tulips")
    assert data.split("train").counts() == dict.fromkeys(data.class_names, 200)
    assert data.split("val").counts() == dict.fromkeys(data.class_names, 50)
    assert data.notes == ()


@pytest.mark.data("pbc_blood_cells")
def test_blood_cells(data_folder):
    data = load(data_folder)
    assert data.counts() == dict.fromkeys(data.class_names, 100)
    assert (data.class_names[3], data.num_classes, data.splits) == ("ig", 8, ())


@pytest.mark.data("orl_faces")
def test_faces_in_pgm(data_folder):
    data = load(data_folder)
    assert data.num_classes == 40
    assert set(data.counts().values()) == {10}
    assert data.class_names[:3] == ("s1", "s10", "s11")


def test_one_class_alone_is_told(tmp_path):
    (tmp_path / "one" / "daisy").mkdir(parents=True)
    (tmp_path / "one" / "daisy" / "1.jpg").touch()
    with pytest.raises(InputError, match="one folder of pictures only, daisy, and so one class"):
        load(tmp_path / "one")


def test_a_folder_that_visus_wrote_is_no_class(tmp_path):
    for name in ("cat", "dog", "looked"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").touch()
    (tmp_path / "looked" / ".visus").touch()
    data = load(tmp_path)
    assert data.class_names == ("cat", "dog")
    assert len(data) == 2
