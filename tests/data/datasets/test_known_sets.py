"""Known sets: every one says the same things, is found in the same order, and reads what is published of it."""

import hashlib
import re
import sys
import types

import numpy as np
import pytest
from PIL import Image

from visus.data import datasets, load
from visus.data.datasets import _download, _locate, cifar10, elpv
from visus.data.datasets._download import File
from visus.structures import InputError

NAMES = datasets.names()


@pytest.fixture(autouse=True)
def alone(request, tmp_path, monkeypatch):
    """No network, no cache, no data but the test's own."""
    monkeypatch.setenv("VISUS_OFFLINE", "1")
    monkeypatch.setenv("VISUS_CACHE", str(tmp_path / "cache"))
    if request.node.get_closest_marker("data") is None:
        monkeypatch.delenv("VISUS_DATA", raising=False)


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_the_folder_is_the_list():
    assert {"mnist", "fashion_mnist", "flowers", "elpv", "cats_and_dogs", "hymenoptera"} <= set(NAMES)
    assert datasets.get("Fashion-MNIST") is datasets.get("fashion_mnist")
    assert tuple(datasets.known()) == NAMES
    with pytest.raises(InputError, match="Known are"):
        datasets.get("imagenet")


@pytest.mark.parametrize("name", NAMES)
def test_every_set_says_the_same_things(name):
    module = datasets.get(name)
    for field in ("DESCRIPTION", "LICENCE", "CITATION", "HOMEPAGE", "LAYOUT"):
        assert 5 < len(getattr(module, field)) < 250
        assert "\n" not in getattr(module, field)
    for file in module.FILES:
        assert file.address.startswith("https://")
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)
        assert file.size > 1000
        assert file.sum_from
        assert "/" not in file.name


@pytest.mark.parametrize("name", ["pneumonia", "histology"])
def test_medical_sets_say_what_they_are_not_for(name):
    assert datasets.get(name).DESCRIPTION.endswith("; for learning only, never for diagnosis")
    if not datasets.get(name).FILES:  # it must be fetched: the sentence that says so says this, too
        with pytest.raises(InputError, match="for learning only, never for diagnosis"):
            load(name)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "elpv"])
def test_a_set_that_is_nowhere_says_where_it_is(name):
    module = datasets.get(name)
    with pytest.raises(InputError) as error:
        load(name)
    for part in (module.LAYOUT, "$VISUS_DATA/" + name.replace("_", "-")):
        assert part in str(error.value)
    assert (module.FILES[0].address if module.FILES else module.LICENCE) in str(error.value)
    with pytest.raises(InputError, match="is no folder"):
        load(name, folder="/nowhere")


def test_where_a_set_is_looked_for(tmp_path, monkeypatch):
    data = tmp_path / "data"
    monkeypatch.setenv("VISUS_DATA", str(data))
    places = [tmp_path / "cache" / "flowers", data / "flowers", data / "flowers5", tmp_path / "mine"]
    for place in places:  # each comes before the ones before it
        touch(place, f"{place.name}/1.jpg", "tulips/2.jpg")
        found = load("flowers", **({"folder": place} if place.name == "mine" else {}))
        assert found.root == place
    assert load("flowers").name == "flowers5"
    assert (
        len(load("flowers", folder=touch(tmp_path / "tgz", "flower_photos/a/1.jpg", "flower_photos/b/2.jpg")))
        == 2
    )


def test_a_path_comes_before_a_known_set(tmp_path, monkeypatch):
    monkeypatch.chdir(touch(tmp_path, "mnist/a/1.jpg", "mnist/b/2.jpg"))
    assert load("mnist").class_names == ("a", "b")


def test_an_archive_is_downloaded_unpacked_and_removed(tmp_path, monkeypatch):
    module = types.ModuleType("visus.data.datasets.tiny_set")
    module.LAYOUT = "pictures"
    module.FILES = (File("https://example.org/tiny.zip", 1, "0" * 64, "nobody"),)
    calls = []

    def arrive(file, folder):
        calls.append(file.name)
        import zipfile

        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(folder / file.name, "w") as archive:
            archive.writestr("a/1.jpg", b"")
        return folder / file.name

    monkeypatch.setattr(_locate, "download", arrive)
    for _ in range(2):
        assert _locate.locate(module, None) == tmp_path / "cache" / "tiny_set"
    assert calls == ["tiny.zip"]
    assert [str(p.relative_to(tmp_path / "cache")) for p in sorted((tmp_path / "cache").rglob("*"))] == [
        "downloads",
        "tiny_set",
        "tiny_set/a",
        "tiny_set/a/1.jpg",
    ]
    assert _download is sys.modules["visus.data.datasets._download"]


def test_files_are_downloaded_one_by_one(tmp_path, monkeypatch):
    arrived = []
    monkeypatch.setattr(_locate, "download", lambda file, folder: arrived.append(folder / file.name))
    folder = _locate.locate(datasets.get("mnist"), None)
    assert folder == tmp_path / "cache" / "mnist"
    assert [p.name for p in arrived] == [f.name for f in datasets.get("mnist").FILES]


def test_files_in_the_cache_are_checked_whoever_put_them_there(tmp_path):
    first = datasets.get("mnist").FILES[0]
    for file in datasets.get("mnist").FILES:
        touch(tmp_path / "cache" / "mnist", file.name)
    with pytest.raises(InputError, match=f"{first.name} is not the file .*found 0 bytes"):
        load("mnist")


def test_an_archive_that_another_process_unpacks_meanwhile_is_left_alone(tmp_path, monkeypatch):
    module = types.ModuleType("visus.data.datasets.tiny_set")
    module.LAYOUT = "pictures"
    module.FILES = (File("https://example.org/tiny.zip", 1, "0" * 64, "nobody"),)

    def arrive(file, folder):
        touch(tmp_path / "cache" / "tiny_set", "a/1.jpg")
        folder.mkdir(parents=True)
        return folder / file.name  # and removed by the other, too

    monkeypatch.setattr(_locate, "download", arrive)
    found = _locate.locate(module, None)
    assert [str(p.relative_to(found)) for p in sorted(found.rglob("*"))] == ["a", "a/1.jpg"]
    assert list((tmp_path / "cache" / "downloads").iterdir()) == []


def test_solar_cells_of_the_installed_package():
    pytest.importorskip("elpv_dataset")
    data = load("elpv")
    assert (len(data), data.counts()) == (2624, {"functional": 1803, "defective": 821})
    # Deitsch et al. 2019, table 1: 1,508 functional, 295 and 106 doubtful, 715 defective.
    _, counts = np.unique(data.targets(soft=True)[:, 1].round(2), return_counts=True)
    assert counts.tolist() == [1508, 295, 106, 715]
    kinds = elpv.cell_kinds()
    assert len(load("elpv", cell="mono")) == sum(k == "mono" for k in kinds.values()) == 1074
    assert len(load("elpv", cell="poly")) == 1550
    assert all(s.group is None for s in data)
    with Image.open(data[0].image) as picture:
        assert (picture.size, picture.mode) == ((300, 300), "L")
    with pytest.raises(InputError, match="cell='glass'"):
        load("elpv", cell="glass")


def test_solar_cells_elsewhere(tmp_path, monkeypatch):
    (tmp_path / "elpv").mkdir()
    (tmp_path / "elpv" / "labels.csv").write_text("images/a.png  0.5  mono\nimages/b.png  0.6666 poly\n")
    monkeypatch.setenv("VISUS_DATA", str(tmp_path))
    data = load("elpv")
    assert data.labels().tolist() == [0, 1]
    np.testing.assert_allclose(data.targets(soft=True), [[0.5, 0.5], [0.3334, 0.6666]], atol=1e-6)
    for line in ("images/c.png 1.5 mono", "images/c.png 0.5", "../c.png 0.5 mono", "images/c.png x mono"):
        (tmp_path / "elpv" / "labels.csv").write_text(f"images/a.png 0 mono\n{line}\n")
        with pytest.raises(InputError, match=r"labels\.csv, line 2"):
            load("elpv")
    (tmp_path / "elpv" / "labels.csv").unlink()
    with pytest.raises(InputError, match=r"has no labels\.csv"):
        load("elpv")


def test_without_the_package_the_way_to_it_is_named(monkeypatch):
    monkeypatch.setattr(elpv.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install elpv-dataset"):
        load("elpv")


def test_three_kinds_of_cats_and_dogs(tmp_path):
    for root, names, classes in (
        (
            "a",
            ("PetImages/Cat/0.jpg", "PetImages/Dog/0.jpg", "PetImages/Dog/Thumbs.db", "readme.txt"),
            ("Cat", "Dog"),
        ),
        (
            "b",
            ("cats_and_dogs_filtered/train/cats/cat.0.jpg", "cats_and_dogs_filtered/train/dogs/dog.0.jpg"),
            None,
        ),
        ("c", ("cat.0.jpg", "cat.1.jpg", "dog.0.jpg"), ("cat", "dog")),
    ):
        data = load("cats-and-dogs", folder=touch(tmp_path / root, *names))
        assert data.class_names == (classes or ("cats", "dogs"))
        assert data.splits == (("train",) if root == "b" else ())


def test_ants_and_bees(tmp_path):
    root = tmp_path / "hymenoptera_data"
    touch(
        root,
        "train/ants/1.jpg",
        "train/ants/imageNotFound.gif",
        "train/bees/2.jpg",
        "val/ants/3.jpg",
        "val/bees/4.jpg",
    )
    data = load("hymenoptera", folder=tmp_path)
    assert (len(data), data.splits, data.class_names) == (4, ("train", "val"), ("ants", "bees"))
    assert data.notes == ("imageNotFound.gif was left out.",)


def test_patients_with_pneumonia(tmp_path):
    touch(
        tmp_path / "chest_xray",
        "train/NORMAL/IM-0115-0001.jpeg",
        "train/NORMAL/NORMAL2-IM-0927-0001.jpeg",
        "train/PNEUMONIA/person1_bacteria_1.jpeg",
        "test/PNEUMONIA/person1_virus_6.jpeg",
        "test/NORMAL/strange.jpeg",
    )
    data = load("pneumonia", folder=tmp_path)
    assert {s.source.rpartition("/")[2]: s.group for s in data} == {
        "IM-0115-0001.jpeg": "IM-0115",
        "NORMAL2-IM-0927-0001.jpeg": "IM-0927",
        "person1_bacteria_1.jpeg": "person1",
        "person1_virus_6.jpeg": "person1",
        "strange.jpeg": None,
    }


def test_cifar_records(tmp_path):
    root = tmp_path / "cifar-10-batches-bin"
    root.mkdir()
    (root / "batches.meta.txt").write_text("\n".join("abcdefghij") + "\n\n")
    planes = np.arange(3072, dtype=np.uint16).astype(np.uint8)
    (root / "data_batch_1.bin").write_bytes(bytes([3]) + planes.tobytes() + bytes([9]) + bytes(3072))
    (root / "test_batch.bin").write_bytes(bytes([1]) + planes.tobytes())
    data = load("cifar10", folder=tmp_path)
    assert [(s.source, data.class_names[s.target.label]) for s in data] == [
        ("cifar10/train#0", "d"),
        ("cifar10/train#1", "j"),
        ("cifar10/test#0", "b"),
    ]
    for c in range(3):  # one plane per colour, rows from the top
        np.testing.assert_array_equal(
            data[0].image[:, :, c], planes[1024 * c : 1024 * (c + 1)].reshape(32, 32)
        )
    (root / "test_batch.bin").write_bytes(bytes(cifar10.RECORD + 1))
    with pytest.raises(InputError, match="no whole number of 3073-byte records"):
        load("cifar10", folder=tmp_path)


@pytest.mark.data("mnist")
def test_the_sums_of_mnist(data_folder):
    for file in datasets.get("mnist").FILES:
        content = (data_folder / file.name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.size, file.sha256)


@pytest.mark.data("fashion-mnist")
def test_the_sums_of_fashion_mnist(data_folder):
    for file in datasets.get("fashion_mnist").FILES:
        content = (data_folder / file.name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.size, file.sha256)
    assert (data_folder / "labels.txt").read_text().split("\n")[:10] == list(
        datasets.get("fashion_mnist").CLASS_NAMES
    )


@pytest.mark.data("flowers5")
def test_flowers_in_visus_data(data_folder, monkeypatch):
    monkeypatch.setenv("VISUS_DATA", str(data_folder.parent))
    assert (load("flowers").name, load("flowers").splits) == ("flowers5", ("train", "val"))
