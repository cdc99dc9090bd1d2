"""Arrays: what they may look like, and that no file runs code or eats the memory."""

import io
import struct
import zipfile

import numpy as np
import pytest

from visus.data import Dataset, load
from visus.data.formats import arrays
from visus.data.formats.arrays import from_arrays, from_iterable
from visus.structures import Classification, InputError, Sample

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (5, 4, 6), dtype=np.uint8)
RGB = RNG.integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "images", [GRAY, RGB, GRAY[..., None], list(RGB), tuple(GRAY), [GRAY[0], RGB[0][:2, :3]]]
)
def test_pictures(images):
    data = from_arrays(images, None)
    assert data.task == "single"
    for i, sample in enumerate(data):
        np.testing.assert_array_equal(sample.image, np.squeeze(images[i]))
        assert (sample.target, sample.source) == (None, f"arrays#{i}")


def test_nothing_is_copied():
    assert all(np.shares_memory(s.image, RGB) for s in from_arrays(RGB))


@pytest.mark.parametrize(
    ("labels", "names", "expected", "classes"),
    [
        ([0, 2, 1, 0, 2], None, [0, 2, 1, 0, 2], ("0", "1", "2")),
        ([[0], [2], [1], [0], [2]], None, [0, 2, 1, 0, 2], ("0", "1", "2")),
        ([0.0, 1.0, 1.0, 0.0, 1.0], ("no", "yes"), [0, 1, 1, 0, 1], ("no", "yes")),
        ([True, False, True, True, False], None, [1, 0, 1, 1, 0], ("0", "1")),
        (["b", "a", "b", "b", "a"], None, [1, 0, 1, 1, 0], ("a", "b")),
        ([b"b", b"a", b"b", b"b", b"a"], ("b", "a"), [0, 1, 0, 0, 1], ("b", "a")),
        (np.eye(5, dtype=int), None, [0, 1, 2, 3, 4], tuple("01234")),
        (np.eye(5)[::-1], None, [4, 3, 2, 1, 0], tuple("01234")),
    ],
)
def test_labels(labels, names, expected, classes):
    data = from_arrays(GRAY, np.asarray(labels), names)
    assert data.labels().tolist() == expected
    assert data.class_names == classes


def test_several_labels_and_soft_ones():
    flags = np.array([[1, 1], [0, 0], [1, 0], [0, 1], [1, 0]])
    data = from_arrays(GRAY, flags, ("x", "y"))
    assert data.task == "multi"
    np.testing.assert_array_equal(data.targets(), flags)
    soft = RNG.dirichlet(np.ones(3), 5)
    data = from_arrays(GRAY, soft)
    assert data.labels().tolist() == soft.argmax(1).tolist()
    np.testing.assert_allclose(data.targets(soft=True), soft, atol=1e-7)


@pytest.mark.parametrize(
    ("images", "labels", "names", "message"),
    [
        (GRAY / 255.0, None, None, r"float64.*nothing rescales silently.*\(255 \* images\)"),
        (GRAY.astype(np.int32), None, None, "int32"),
        (RGB.transpose(0, 3, 1, 2), None, None, r"transpose\(0, 2, 3, 1\)"),
        (np.zeros((2, 4, 6, 4), np.uint8), None, None, "alpha"),
        (np.zeros((2, 0, 6), np.uint8), None, None, "not empty"),
        (GRAY[0], None, None, r"\(N, height, width\)"),
        (GRAY, [0, 1], None, "received 5 pictures, labels"),
        (GRAY, [0, 1, 2, 3, -1], None, "Picture 4 has the label -1"),
        (GRAY, [0, 1, 2, 3, 1], ("a", "b"), r"Picture 2 has the label 2, and labels lie in 0\.\.1"),
        (GRAY, [0.5, 1, 1, 1, 1], None, "float64"),
        (GRAY, np.full((5, 2), 0.6), None, "sum to 1"),
        (GRAY, np.full((5, 2), 2), None, r"\[0, 1\]"),
        (GRAY, np.eye(5)[:, :3] * 0 + 1 / 3, ("a",), "3 columns and class_names 1"),
        (GRAY, np.zeros((5, 2, 2)), None, r"\(5, 2, 2\)"),
        (GRAY, np.full(5, 10**12), None, "1000000000000"),
    ],
)
def test_arrays_that_are_wrong(images, labels, names, message):
    with pytest.raises(InputError, match=message):
        from_arrays(images, labels, names)


@pytest.mark.parametrize(
    "keys",
    [("x", "y"), ("images", "labels"), ("data", "targets"), ("X", "y")],
)
def test_npz(tmp_path, keys):
    np.savez(tmp_path / "a.npz", **{keys[0]: RGB, keys[1]: [0, 1, 0, 1, 1]})
    data = load(tmp_path / "a.npz")
    assert (data.name, data.splits, data.labels().tolist()) == ("a", (), [0, 1, 0, 1, 1])
    np.testing.assert_array_equal(data[3].image, RGB[3])


@pytest.mark.parametrize("form", ["x_{0},y_{0}", "{0}_images,{0}_labels"])
def test_npz_with_splits(tmp_path, form):
    content = {}
    for split, n, top in (("train", 3, 1), ("test", 2, 4)):
        images, labels = form.format(split).split(",")
        content |= {images: GRAY[:n], labels: np.arange(n)[:, None] % 2 + (top == 4) * 3}
    np.savez(tmp_path / "set.npz", **content)
    data = load(tmp_path / "set.npz")
    assert [(s.source, s.split, s.target.label) for s in data] == [
        ("set/train#0", "train", 0),
        ("set/train#1", "train", 1),
        ("set/train#2", "train", 0),
        ("set/test#0", "test", 3),
        ("set/test#1", "test", 4),
    ]
    assert data.class_names == ("0", "1", "2", "3", "4")


def test_npz_of_texts_and_only_pictures(tmp_path):
    np.savez(tmp_path / "t.npz", x_train=GRAY[:2], y_train=["b", "c"], x_test=GRAY[2:3], y_test=["a"])
    assert load(tmp_path / "t.npz").class_names == ("a", "b", "c")
    np.savez(tmp_path / "u.npz", images=GRAY)
    assert load(tmp_path / "u.npz", task=None)[0].target is None
    with pytest.raises(InputError, match="5 of 5 pictures of u have no label"):
        load(tmp_path / "u.npz")


def test_npy_pairs(tmp_path):
    np.save(tmp_path / "images.npy", GRAY)
    np.save(tmp_path / "labels.npy", [1, 0, 1, 0, 0])
    assert load(tmp_path / "images.npy", labels=tmp_path / "labels.npy").labels().tolist() == [1, 0, 1, 0, 0]
    assert arrays.sniff(tmp_path / "images.npy")
    assert not arrays.sniff(tmp_path / "labels.npy")


def test_everything_that_a_sample_carries_survives(tmp_path):
    scores = np.array([[0.2, 0.8], [0.6, 0.4]], np.float32)
    samples = tuple(
        Sample(
            RGB[i],
            Classification(label=1 - i, scores=scores[i]),
            f"s{i}",
            group=("g", None)[i],
            split=("a", None)[i],
        )
        for i in range(2)
    )
    data = Dataset(samples, ("no", "yes"))
    assert arrays.write(data, tmp_path / "out.npz") == ()
    again = arrays.read(tmp_path / "out.npz")
    assert again.class_names == ("no", "yes")
    for old, new in zip(data, again):
        np.testing.assert_array_equal(old.image, new.image)
        assert (old.source, old.group, old.split, old.target) == (
            new.source,
            new.group,
            new.split,
            new.target,
        )
    flags = from_arrays(GRAY[:2], np.array([[1, 1], [0, 1]]), ("x", "y"))
    arrays.write(flags, tmp_path / "flags.npz")
    assert [s.target for s in arrays.read(tmp_path / "flags.npz")] == [s.target for s in flags]


class Bomb:
    """Would write a file if it were ever unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_pickled_objects_are_never_loaded(tmp_path):
    trap = np.array([Bomb(tmp_path / "owned")] * 5, object)
    np.savez(tmp_path / "a.npz", x=GRAY, y=trap)
    np.savez(tmp_path / "b.npz", x=trap)
    np.savez(tmp_path / "c.npz", x=GRAY, y=[0] * 5, class_names=trap)
    np.save(tmp_path / "d.npy", trap)
    (tmp_path / "e.npy").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    for path in sorted(tmp_path.iterdir()):
        arrays.sniff(path)
        with pytest.raises(InputError):
            arrays.read(path)
    assert not (tmp_path / "owned").exists()


def header(shape, dtype="|u1"):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


def test_headers_that_lie(tmp_path):
    lie = header((1 << 40, 28, 28)) + bytes(100)
    (tmp_path / "a.npy").write_bytes(lie)
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("x.npy", lie)
    with zipfile.ZipFile(tmp_path / "c.npz", "w") as archive:
        archive.writestr("x.npy", header((-5, 4, 6)) + bytes(100))
    for name in ("a.npy", "b.npz", "c.npz"):
        with pytest.raises(InputError, match=name.replace(".", r"\.")):
            arrays.read(tmp_path / name)


def test_a_zip_bomb_is_refused_before_it_unpacks(tmp_path):
    zeros = header((1000, 1000, 100)) + bytes(100_000_000)
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", zeros)
    assert (tmp_path / "bomb.npz").stat().st_size < 200_000
    with pytest.raises(InputError, match="100,000,000 bytes, over the limit of 50,000,000"):
        arrays.read(tmp_path / "bomb.npz", max_bytes=50_000_000)
    # The directory of the archive says that the member is small: then the header cannot be true.
    broken = bytearray((tmp_path / "bomb.npz").read_bytes())
    at = broken.rindex(b"PK\x01\x02")
    broken[at + 24 : at + 28] = struct.pack("<I", 5000)
    (tmp_path / "bomb.npz").write_bytes(broken)
    with pytest.raises(InputError, match="claims 100,000,000 bytes of values and holds 5,000"):
        arrays.read(tmp_path / "bomb.npz")


def test_parts_that_do_not_fit(tmp_path):
    np.savez(tmp_path / "a.npz", images=GRAY, labels=[0] * 5, splits=["train"] * 4)
    with pytest.raises(InputError, match="5 pictures but 4 splits"):
        arrays.read(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", weights=GRAY)
    with pytest.raises(InputError, match=r"holds no pictures.*Received weights"):
        arrays.read(tmp_path / "b.npz")
    with pytest.raises(InputError, match=r"ends in \.npz"):
        arrays.write(from_arrays(GRAY, [0] * 5), tmp_path / "out")
    with pytest.raises(InputError, match="these have 2"):
        arrays.write(from_arrays([GRAY[0], GRAY[0][:3]], [0, 0]), tmp_path / "out.npz")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npz", "b.npz"]


def test_generators():
    pairs = [(GRAY[i], i % 2) for i in range(5)]
    data = from_iterable(iter(pairs), ("even", "odd"))
    assert data.labels().tolist() == [0, 1, 0, 1, 0]
    assert [len(list(data)) for _ in range(2)] == [5, 5]  # no second epoch is empty
    assert len(from_iterable(lambda: iter(pairs))) == 5
    assert from_iterable(iter(GRAY))[0].target is None
    samples = [Sample(GRAY[0], Classification(label=0), "s")]
    assert from_iterable(iter(samples), ("a",)).samples == tuple(samples)
    with pytest.raises(InputError, match="yielded nothing"):
        from_iterable(iter([]))


def test_a_generator_that_never_ends():
    def forever():
        while True:
            yield GRAY[0], 1

    assert len(from_iterable(forever, limit=7)) == 7
    with pytest.raises(InputError, match="never ends"):
        from_iterable(forever, max_bytes=10_000)
