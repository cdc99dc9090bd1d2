"""Every data format found in `visus.data.formats` is asked the same questions."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visus.data import Dataset, formats, load
from visus.image.io import read as read_picture
from visus.structures import Classification, Detections, InputError, Sample

NAMES = formats.names()
WRITERS = [name for name in NAMES if hasattr(formats.get(name), "write")]

# What a reader must be told besides the path, where its format cannot say so itself.
OPTIONS = {"file_names": {"pattern": "last_underscore"}, "text_lines": {"separator": "\t"}}

CLASS_NAMES = ("ant", "bee", "wasp")


@pytest.fixture
def files(tmp_path):
    """Seven grey pictures of 4 x 6 in class folders, unsorted on purpose."""
    samples = []
    names = [(2, "c"), (0, "b"), (1, "a"), (0, "a b"), (2, "x.tif_Row_1"), (1, "z"), (0, "é")]
    for i, (label, name) in enumerate(names):
        path = tmp_path / "files" / CLASS_NAMES[label] / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(i)).save(path)
        samples.append(Sample(path, Classification(label=label), str(path.relative_to(tmp_path / "files"))))
    return Dataset(tuple(samples), CLASS_NAMES, name="files", root=tmp_path / "files")


@pytest.fixture
def arrays():
    samples = [Sample(picture(i), Classification(label=i % 3), f"arrays#{i}") for i in range(7)]
    return Dataset(tuple(samples), CLASS_NAMES, name="arrays")


@pytest.fixture
def objects(files):
    """The same files with boxes instead of labels; one picture without any, one box with an outline."""
    samples = []
    for i, sample in enumerate(files):
        boxes = [[0.5, 1, 4, 3], [2, 0, 6, 4]][: i % 3]
        labels = [(i + n) % 3 for n in range(len(boxes))]
        samples.append(sample.replace(target=Detections(boxes, labels, image_size=(4, 6))))
    return replace(files, samples=tuple(samples), name="objects")


def picture(seed):
    return np.random.default_rng(seed).integers(0, 256, (4, 6), dtype=np.uint8)


def content(dataset):
    """What must survive, whatever the order: pixels, class and split of every sample."""
    return sorted((gray(s.image).tobytes(), named(dataset, s.target), s.split or "") for s in dataset)


def named(dataset, target):
    if isinstance(target, Classification):
        return dataset.class_names[target.label]
    boxes = np.round(target.boxes.astype(float), 3).tolist()
    return repr(sorted((dataset.class_names[label], box) for label, box in zip(target.labels, boxes)))


def gray(image):
    image = read_picture(image, channels=1) if isinstance(image, Path) else image
    return image if image.ndim == 2 else image[:, :, 0]


def written(name, dataset, folder):
    """The path that a format wrote a set to; None where it says that it cannot hold it."""
    module = formats.get(name)
    path = folder / f"out{module.SUFFIX}"
    try:
        module.write(dataset, path)
    except InputError as refusal:
        assert len(str(refusal)) > 20
        assert not path.exists()
        return None
    return path


def test_the_folder_is_the_list():
    assert {"class_folders", "table", "text_lines", "file_names", "arrays", "idx", "pictures"} <= set(NAMES)
    assert formats.get("class-folders") is formats.get("class_folders")
    with pytest.raises(InputError, match="class_folders"):
        formats.get("nothing")


@pytest.mark.parametrize("name", NAMES)
def test_says_what_it_is(name):
    module = formats.get(name)
    assert 10 < len(module.DESCRIPTION) < 120
    assert "\n" not in module.DESCRIPTION
    assert hasattr(module, "write") != hasattr(module, "WRITE_REFUSED")


@pytest.fixture
def hostile(tmp_path):
    """Files and folders that are nothing, each of them a trap for some reader."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    (folder / "empty").mkdir()
    for suffix in (
        "csv",
        "json",
        "tsv",
        "txt",
        "npz",
        "npy",
        "jpg",
        "train-images-idx3-ubyte",
        "images-idx3-ubyte.gz",
    ):
        (folder / f"empty.{suffix}").write_bytes(b"")
        (folder / f"noise.{suffix}").write_bytes(np.random.default_rng(0).bytes(3000))
        (folder / f"nul.{suffix}").write_bytes(b"a.jpg,cat\0\nb.jpg,dog\n" * 3)
    (folder / "train-images-idx3-ubyte").write_bytes(bytes(16))
    (folder / "loop").mkdir()
    (folder / "loop" / "again").symlink_to(folder / "loop")
    (folder / "root").mkdir()
    (folder / "root" / "world").symlink_to("/")
    (folder / "dangling").symlink_to(folder / "gone")
    (folder / "wide.csv").write_text(",".join(f"c{i}.jpg" for i in range(200_000)))
    os.mkfifo(folder / "pipe.jpg")
    return [*sorted(folder.iterdir()), folder / "missing", folder / "missing.csv", folder / ("x" * 300)]


@pytest.mark.parametrize("name", NAMES)
def test_sniffing_never_raises(name, hostile):
    for path in hostile:
        assert formats.get(name).sniff(path) in (True, False)


@pytest.mark.parametrize("name", NAMES)
def test_nonsense_is_an_input_error(name, hostile):
    for path in hostile:
        if name == "pictures" and len(path.name) < 256 and path.is_file():
            continue  # any named file may be a picture: whoever decodes it knows
        with pytest.raises((InputError, OSError)) as error:  # OSError: a name that the system refuses
            formats.get(name).read(path, **OPTIONS.get(name, {}))
        assert len(str(error.value)) > 20


@pytest.mark.parametrize("name", WRITERS)
def test_what_it_writes_it_reads(name, files, arrays, objects, tmp_path):
    parted = [s.replace(split="train" if i % 2 else "test") for i, s in enumerate(arrays)]
    halves = replace(arrays, samples=tuple(parted))
    held = 0
    for number, dataset in enumerate((files, arrays, halves, objects)):
        path = written(name, dataset, tmp_path / str(number))
        if path is None:
            continue
        held += 1
        again = formats.get(name).read(path, class_names=CLASS_NAMES, **OPTIONS.get(name, {}))
        assert again.class_names == CLASS_NAMES
        assert content(again) == content(dataset)
        assert len({s.source for s in again}) == len(dataset)
    assert held > 0


@pytest.mark.parametrize("name", WRITERS)
def test_only_itself_recognises_what_it_writes(name, files, arrays, objects, tmp_path):
    for number, dataset in enumerate((files, arrays, objects)):
        path = written(name, dataset, tmp_path / str(number))
        if path is not None:
            assert [n for n in NAMES if formats.get(n).sniff(path) and n != "pictures"] == [name]
            assert len(load(path, task=None)) == len(dataset)


@pytest.mark.parametrize("name", WRITERS)
def test_writing_replaces_nothing_and_leaves_nothing_behind(name, files, arrays, objects, tmp_path):
    for number, dataset in enumerate((files, arrays, objects)):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = written(name, dataset, folder)
        assert [p.name for p in folder.iterdir()] == ([] if path is None else [path.name])
        if path is None:
            continue
        before = {p: p.read_bytes() for p in [path, *path.rglob("*")] if p.is_file()}
        with pytest.raises(InputError, match="overwritten"):
            formats.get(name).write(dataset, path)
        assert {p: p.read_bytes() for p in [path, *path.rglob("*")] if p.is_file()} == before
        assert [p.name for p in folder.iterdir()] == [path.name]


@pytest.mark.parametrize("name", WRITERS)
def test_order_depends_on_the_source_alone(name, files, objects, tmp_path):
    path = written(name, files, tmp_path) or written(name, objects, tmp_path)
    if path is None:
        pytest.skip(f"{name} holds no files")
    once = formats.get(name).read(path, **OPTIONS.get(name, {}))
    assert once.fingerprint() == formats.get(name).read(path, **OPTIONS.get(name, {})).fingerprint()
    if path.is_dir():  # the same files, made in another order
        other = tmp_path / "elsewhere" / path.name
        for file in sorted((p for p in path.rglob("*") if p.is_file()), reverse=True):
            target = other / file.relative_to(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        twice = formats.get(name).read(other, **OPTIONS.get(name, {}))
        assert [s.source for s in once] == [s.source for s in twice]
        assert once.labels().tolist() == twice.labels().tolist()


@pytest.mark.parametrize("name", WRITERS)
def test_reading_opens_no_picture(name, files, objects, tmp_path):
    path = written(name, files, tmp_path) or written(name, objects, tmp_path)
    again = formats.get(name).read(path, **OPTIONS.get(name, {})) if path else files
    if getattr(formats.get(name), "OPENS_PICTURES", False):
        pytest.skip(f"{name} needs the pictures' sizes")
    if not all(isinstance(s.image, Path) for s in again):
        pytest.skip(f"{name} holds the pixels itself")
    for sample in again:
        sample.image.write_bytes(b"no picture")
    assert len(formats.get(name).read(path, **OPTIONS.get(name, {}))) == len(files)
