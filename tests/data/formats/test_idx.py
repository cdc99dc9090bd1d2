"""IDX files: bytes written by hand, headers that lie, bombs; MNIST's published numbers."""

import gzip
import struct
import tracemalloc

import numpy as np
import pytest

from visus.data import Dataset, load
from visus.data.formats import idx
from visus.structures import Classification, InputError, Sample

PIXELS = np.arange(3 * 4 * 6, dtype=np.uint8).reshape(3, 4, 6)


def images(values=PIXELS):
    return struct.pack(">IIII", 0x803, *values.shape) + values.tobytes()


def labels(values=(1, 0, 2)):
    return struct.pack(">II", 0x801, len(values)) + bytes(values)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(images())
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels()))
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(images(PIXELS[:1] + 9)))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(labels([2]))
    return tmp_path


def test_a_folder(folder):
    data = load(folder)
    assert [(s.source, s.split, s.target.label) for s in data] == [
        (f"{folder.name}/train#0", "train", 1),
        (f"{folder.name}/train#1", "train", 0),
        (f"{folder.name}/train#2", "train", 2),
        (f"{folder.name}/test#0", "test", 2),
    ]
    np.testing.assert_array_equal([s.image for s in data], np.concatenate([PIXELS, PIXELS[:1] + 9]))
    assert data.class_names == ("0", "1", "2")


def test_names(folder):
    assert load(folder, class_names=("a", "b", "c"), name="n")[0].source == "n/train#0"
    (folder / "labels.txt").write_text("T-shirt/top\nTrouser\nPullover\nDress\n\n")
    assert load(folder).class_names == ("T-shirt/top", "Trouser", "Pullover", "Dress")
    (folder / "labels.txt").write_text("one\ntwo\n")
    with pytest.raises(InputError, match="names 2 classes, and a label is 2"):
        load(folder)


def test_one_file_and_other_spellings(folder):
    assert load(folder / "train-images-idx3-ubyte").splits == ("train",)
    (folder / "x").mkdir()
    (folder / "x" / "emnist-letters-test-images.idx3-ubyte").write_bytes(images())
    (folder / "x" / "emnist-letters-test-labels.idx1-ubyte").write_bytes(labels())
    assert load(folder / "x").split("test").labels().tolist() == [1, 0, 2]
    (folder / "x" / "emnist-digits-test-images.idx3-ubyte").write_bytes(images())
    with pytest.raises(InputError, match="several sets"):
        idx.read(folder / "x")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (images()[:-1], "= 72 values and holds 71"),
        (images() + b"\0", "= 72 values and holds more"),
        (b"\0\0\x0d\3" + images()[4:], "expected the magic number 0x00000803, received 0x00000d03"),
        (labels(), "received 0x00000801"),
        (b"", "received 0x"),
        (struct.pack(">IIII", 0x803, *[0xFFFFFFFF] * 3), "over the limit"),
        (struct.pack(">IIII", 0x803, 50_000, 100, 100) + b"\0", "= 500,000,000 values and holds 1"),
        (gzip.compress(images(), mtime=0)[:-4], "cannot be unpacked"),
        (b"\x1f\x8b" + bytes(50), "cannot be unpacked"),
    ],
)
def test_headers_that_lie(folder, content, message):
    (folder / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(InputError, match=message):
        idx.read(folder)


def test_a_gzip_bomb_is_unpacked_no_further_than_its_header(folder):
    bomb = gzip.compress(images() + bytes(200_000_000), 9)
    assert len(bomb) < 300_000
    (folder / "train-images-idx3-ubyte").write_bytes(bomb)
    tracemalloc.start()
    with pytest.raises(InputError, match="holds more"):
        idx.read(folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


def test_labels_that_are_missing_or_too_few(folder):
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels([1])))
    with pytest.raises(InputError, match="received 3 pictures, labels"):
        idx.read(folder)
    (folder / "train-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(InputError, match="has no labels beside it"):
        idx.read(folder)


def test_written_files_byte_for_byte(tmp_path):
    data = Dataset(
        tuple(Sample(PIXELS[i], Classification(label=v), split="train") for i, v in enumerate((1, 0, 2))),
        ("a", "b", "c"),
    )
    assert idx.write(data, tmp_path / "out") == ()
    assert (tmp_path / "out" / "train-images-idx3-ubyte").read_bytes() == images()
    assert (tmp_path / "out" / "train-labels-idx1-ubyte").read_bytes() == labels()
    assert (tmp_path / "out" / "labels.txt").read_text() == "a\nb\nc\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": np.zeros((4, 6, 3), np.uint8)}, "grey"),
        ({"image": np.zeros((5, 6), np.uint8)}, "one size"),
        ({"target": None}, "one label"),
        ({"split": "extra"}, "extra"),
    ],
)
def test_what_the_files_cannot_hold(tmp_path, change, message):
    sample = Sample(PIXELS[0], Classification(label=0), "s")
    with pytest.raises(InputError, match=message):
        idx.write(Dataset((sample, sample.replace(**change)), ("a",)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.data("mnist")
def test_mnist(data_folder):
    data = load(data_folder)
    train, test = data.split("train"), data.split("test")
    assert list(train.counts().values()) == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert (len(test), test.labels()[:4].tolist()) == (10_000, [7, 2, 1, 0])
    assert train.labels()[:5].tolist() == [5, 0, 4, 1, 9]
    pixels = np.stack([s.image for s in train]) / np.float32(255)
    assert abs(pixels.mean(dtype=np.float64) - 0.13066) < 1e-5
    assert abs(pixels.std(dtype=np.float64) - 0.30811) < 1e-5


@pytest.mark.data("fashion-mnist")
def test_fashion_mnist(data_folder):
    data = load(data_folder)
    assert data.class_names[0] == "T-shirt/top"
    assert set(data.split("train").counts().values()) == {6000}
    assert data.split("test")[0].target.label == 9
