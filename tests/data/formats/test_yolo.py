"""YOLO text: the usual layouts, worked numbers, repairs that are counted, damage that is said with its line."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from visus.data import Dataset, load
from visus.data.formats import yolo
from visus.structures import Detections, InputError, Mask, Sample


@pytest.fixture
def folder(tmp_path):
    """Two splits of pictures of 400 x 500 as Ultralytics lays them out; `b` is empty, `c` not annotated."""
    for split, names in (("train", "ab"), ("val", "c")):
        (tmp_path / "images" / split).mkdir(parents=True)
        (tmp_path / "labels" / split).mkdir(parents=True)
        for name in names:
            Image.new("RGB", (500, 400)).save(tmp_path / "images" / split / f"{name}.png")
    (tmp_path / "labels" / "train" / "a.txt").write_text("1 0.4 0.625 0.4 0.5\n\n0 0.1 0.1 0.02 0.05\n")
    (tmp_path / "labels" / "train" / "b.txt").write_text("")
    (tmp_path / "data.yaml").write_text("train: ../train\nnc: 2\nnames:\n  0: cat\n  1: 'big dog'\n")
    return tmp_path


def test_shares_become_pixels(folder):
    data = load(folder, task=None)
    assert data.class_names == ("cat", "big dog")
    assert [(s.source, s.split) for s in data] == [
        ("train/a.png", "train"),
        ("train/b.png", "train"),
        ("val/c.png", "val"),
    ]
    first, empty, unknown = (s.target for s in data)
    assert np.allclose(first.boxes, [[100, 150, 300, 350], [45, 30, 55, 50]], atol=1e-4)
    assert first.labels.tolist() == [1, 0]
    assert first.image_size == (400, 500)
    assert len(empty) == 0
    assert unknown is None
    assert data.notes[0].startswith("1 pictures have no label file")


def test_other_layouts_say_the_same(folder, tmp_path_factory):
    picture, label = folder / "images/train/a.png", folder / "labels/train/a.txt"
    beside, lists = tmp_path_factory.mktemp("beside"), tmp_path_factory.mktemp("lists")
    for where, sub in ((beside, ""), (lists, "obj_train_data")):
        (where / sub).mkdir(exist_ok=True)
        (where / sub / "a.png").write_bytes(picture.read_bytes())
        (where / sub / "a.txt").write_text(label.read_text())
    (beside / "classes.txt").write_text("cat\nbig dog\n")
    (lists / "obj.names").write_text("cat\nbig dog\n")
    (lists / "val.txt").write_text("/somewhere/else/a.png\n")
    expected = yolo.read(folder)[0].target.digest()
    for where, split in ((beside, None), (lists, "val")):
        data = load(where, task=None)
        assert data[0].target.digest() == expected
        assert data.class_names == ("cat", "big dog")
        assert data[0].split == split


def test_outlines_and_scores(folder):
    (folder / "labels/train/a.txt").write_text("0 0.1 0.1 0.3 0.1 0.3 0.5\n1 0.5 0.5 0.2 0.2\n")
    (folder / "labels/train/b.txt").write_text("0 0.5 0.5 0.2 0.2 0.75\n")
    outlined, scored = (s.target for s in yolo.read(folder).samples[:2])
    assert np.allclose(outlined.boxes[0], [50, 40, 150, 200])
    assert outlined.masks[0].area == pytest.approx(100 * 160 / 2, rel=0.02)
    assert outlined.masks[1] is None
    assert scored.scores.tolist() == [0.75]


def test_without_names_numbers_serve(folder):
    (folder / "data.yaml").unlink()
    data = yolo.read(folder)
    assert data.class_names == ("0", "1")
    assert "2 classes have no names" in " ".join(data.notes)
    assert yolo.read(folder, class_names=["x", "y"]).class_names == ("x", "y")
    (folder / "mine").write_text("x\ny\n")
    assert yolo.read(folder, names=folder / "mine").class_names == ("x", "y")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.1 0.2 0.3", "line 2: expected a class and a box"),
        ("0 0.1 0.2 0.3 x", "line 2"),
        ("0 0.1 0.2 0.3 nan", "line 2"),
        ("0.5 0.1 0.2 0.3 0.4", "line 2"),
        ("-1 0.1 0.2 0.3 0.4", "line 2"),
        ("inf 0.1 0.2 0.3 0.4", "line 2"),
        ("0 0.1 0.2 0.3 0.4 0.5 0.6 0.7", "line 2"),
        ("7 0.1 0.2 0.3 0.4", "the class 7, and there are 2 classes, 0..1 (cat, big dog)"),
        ("0 0.1 0.2 0.3 0.4 0.5", "some lines have a score"),
    ],
)
def test_bad_lines_are_named(folder, line, message):
    (folder / "labels/train/a.txt").write_text(f"1 0.4 0.6 0.4 0.5\n{line}\n")
    with pytest.raises(InputError, match=r"a\.txt") as error:
        yolo.read(folder)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("names: [a, b", "line 1: this is no YAML"),
        ("names: 3", "names is a list"),
        ("names: {0: a, 5: b}", "numbered 0, 1"),
        ("x: &a [1]\nnames: [*a, *a]", "aliases"),
        ("names: [a, a]", "Received twice: a"),
        ("x: !!python/object/apply:os.system ['true']", "no YAML"),
    ],
)
def test_bad_names_are_said(folder, text, message):
    (folder / "data.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        yolo.read(folder)


@given(st.binary(max_size=200))
@settings(max_examples=80, deadline=None)
def test_whatever_the_bytes_it_is_read_or_refused(tmp_path_factory, noise):
    where = tmp_path_factory.mktemp("fuzz")
    Image.new("RGB", (60, 40)).save(where / "a.png")
    (where / "a.txt").write_bytes(noise)
    try:
        yolo.read(where)
    except InputError as error:
        assert len(str(error)) > 20


def test_an_unreadable_picture_is_left_out(folder):
    (folder / "images/train/a.png").write_bytes(b"no picture")
    data = yolo.read(folder)
    assert [s.source for s in data] == ["train/b.png", "val/c.png"]
    assert "1 pictures cannot be read" in " ".join(data.notes)


def test_what_is_written_comes_back_and_the_rest_is_counted(folder):
    photo = folder / "images/train/a.png"
    outline = [(10, 20), (60, 20), (60, 80)]
    objects = Detections(
        [[100, 150, 300, 350], [10, 20, 60, 80], [5, 5, 25, 45]],
        [1, 0, 1],
        masks=(None, Mask((400, 500), outlines=[outline]), Mask((400, 500), runs=[200_000])),
        crowd=[False, False, True],
        image_size=(400, 500),
    )
    samples = (
        Sample(photo, objects, "a", split="train", group="g"),
        Sample(photo, Detections.none((400, 500)), "b", split="val"),
        Sample(photo, None, "c", split="val"),
    )
    lost = yolo.write(Dataset(samples, ("cat", "big dog")), folder / "out")
    assert lost == (
        "1 groups of pictures have no place in YOLO text (the first: a).",
        "1 crowd regions were written as single objects (the first: a).",
        "1 masks of several parts or of runs were left out, their boxes written (the first: a).",
    )
    again = yolo.read(folder / "out")
    assert again.class_names == ("cat", "big dog")
    assert [s.source for s in again] == ["train/a.png", "val/a-2.png", "val/a-3.png"]
    assert [s.split for s in again] == ["train", "val", "val"]
    assert np.allclose(again[0].target.boxes, objects.boxes, atol=1e-3)
    assert again[0].target.labels.tolist() == [1, 0, 1]
    assert again[0].target.masks[1].area == objects.masks[1].area
    assert len(again[1].target) == 0
    assert again[2].target is None


@pytest.mark.data("coco128")
def test_real_labels_agree_with_the_document(data_folder):
    """YOLO's labels of COCO's pictures leave out crowds, and have the classes in the same order."""
    text, document = (load(data_folder, format=name, task=None) for name in ("yolo", "coco"))
    assert text.class_names == document.class_names
    by_name = {s.image.name: s.target for s in document}
    compared = 0
    for sample in text:
        if sample.target is None:
            continue
        objects = by_name[sample.image.name]
        single = objects if objects.crowd is None else objects[~objects.crowd]
        assert sorted(sample.target.labels.tolist()) == sorted(single.labels.tolist())
        compared += len(single)
    assert compared == 929
