"""Tables: every way to say a label, every way to get a line wrong."""

import csv
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visus.data import Dataset, load
from visus.data.formats import table
from visus.structures import Classification, InputError, Sample


@pytest.fixture
def folder(tmp_path):
    for name in ("a.jpg", "b.jpg", "c.jpg", "d e,f.jpg"):
        (tmp_path / name).touch()
    return tmp_path


def read(folder, text, name="t.csv", **options):
    data = text if isinstance(text, bytes) else text.encode()
    (folder / name).write_bytes(data)
    return table.read(folder / name, **options)


def named(data):
    return [(s.source, data.class_names[s.target.label], s.split, s.group) for s in data]


@pytest.mark.parametrize(
    "text",
    [
        "path,label\na.jpg,cat\nb.jpg,dog\n",
        "path,label\r\na.jpg,cat\r\n\r\nb.jpg,dog\r\n",
        "\ufeffpath,label\na.jpg,cat\nb.jpg,dog",
        "image;class\na.jpg;cat\nb.jpg;dog\n",
        "file\tcategory\na.jpg\tcat\nb.jpg\tdog\n",
        ' "Filename" , "Target" \n"a.jpg","cat"\n"b.jpg", dog \n'.replace(' "', '"').replace('" ', '"'),
        "a.jpg,cat\nb.jpg,dog\n",
        "label,image\ncat,a.jpg\ndog,b.jpg\n",
        "cat,a.jpg\ndog,b.jpg\n",
        "index,path\ncat,a.jpg\ndog,b.jpg\n",
        "path,label,,\na.jpg,cat,,\nb.jpg,dog,,\n",
        "path,label\na.jpg,cat\nb.jpg,dog\n".encode("utf-16"),
    ],
)
def test_one_label_a_line(folder, text):
    data = read(folder, text)
    assert named(data) == [("a.jpg", "cat", None, None), ("b.jpg", "dog", None, None)]
    assert data.class_names == ("cat", "dog")
    assert data[0].image == folder / "a.jpg"


def test_splits_groups_and_quotes(folder):
    data = read(
        folder, 'path,label,split,patient\n"d e,f.jpg",x,Training,p1\nb.jpg,y,valid,\nc.jpg,x,holdout,p1\n'
    )
    assert named(data) == [
        ("d e,f.jpg", "x", "train", "p1"),
        ("b.jpg", "y", "val", None),
        ("c.jpg", "x", "holdout", "p1"),
    ]


def test_columns_by_name_and_position(folder):
    text = "n,what,where,part\n1,cat,a.jpg,test\n2,dog,b.jpg,train\n"
    data = read(folder, text, label_column="what", split_column=-1)
    assert named(data) == [("a.jpg", "cat", "test", None), ("b.jpg", "dog", "train", None)]
    assert (
        named(read(folder, text, path_column=2, label_column=1, split_column="part", group_column="n"))[0][3]
        == "1"
    )
    headless = "1,cat,a.jpg,test\n2,dog,b.jpg,train\n"
    assert named(read(folder, headless, label_column=1))[0] == ("a.jpg", "cat", "test", None)
    with pytest.raises(InputError, match="no column that is clearly the label: n, what, where, part"):
        read(folder, text)
    with pytest.raises(InputError, match="0 columns named 'who'"):
        read(folder, text, label_column="who")
    with pytest.raises(InputError, match="the position 4"):
        read(folder, text, label_column=4)
    with pytest.raises(InputError, match="no header"):
        read(folder, headless, label_column="what")


def test_numbers_are_positions_or_names(folder):
    text = "path,label\na.jpg,10\nb.jpg,9\nc.jpg,10\n"
    data = read(folder, text)
    assert data.class_names == ("9", "10")
    assert data.labels().tolist() == [1, 0, 1]
    names = [f"class {i}" for i in range(11)]
    assert read(folder, text, class_names=names).labels().tolist() == [10, 9, 10]
    with pytest.raises(InputError, match=r"t\.csv, line 2 has the label '10'.*0\.\.9"):
        read(folder, text, class_names=names[:10])
    text = "path,label\na.jpg,cat\nb.jpg,1\n"
    with pytest.raises(InputError, match=r"line 3 has the label '1'"):
        read(folder, text, class_names=["dog", "cat"])
    with pytest.raises(InputError, match=r"Received twice: cat\."):
        read(folder, "path,label\na.jpg,cat\n", class_names=["cat", "cat"])
    with pytest.raises(InputError, match="label '-1'"):
        read(folder, "path,label\na.jpg,-1\nb.jpg,0\n", class_names=["dog", "cat"])


def labels(data):
    return [s.target.labels.tolist() for s in data]


def test_several_labels_in_columns(folder):
    for text in (
        "path,x,y,z\na.jpg,1,0,1\nb.jpg,0,0,0\n",
        "path,label:x,label:y,label:z\na.jpg,1,0,1\nb.jpg,0,0,0\n",
        "path, x, y, z\na.jpg, 1.0, 0.0, True\nb.jpg, 0, 0, false\n",
    ):
        data = read(folder, text)
        assert (data.task, data.class_names) == ("multi", ("x", "y", "z"))
        assert labels(data) == [[1, 0, 1], [0, 0, 0]]
    data = read(folder, "path,x,y,age\na.jpg,1,0,44\nb.jpg,0,1,5\n", label_columns=["y", "x"])
    assert (data.class_names, labels(data)) == (("y", "x"), [[0, 1], [1, 0]])
    text = "path,x,a:y,\na.jpg,0,1,\nb.jpg,1,0,\n"
    data = read(folder, text)
    assert (data.task, data.class_names, data.labels().tolist()) == ("single", ("x", "a:y"), [1, 0])
    assert "single 1 in every line" in data.notes[0]
    assert labels(read(folder, text, label_columns=["x", "a:y"])) == [[0, 1], [1, 0]]
    with pytest.raises(InputError, match="line 3 has '2'"):
        read(folder, "path,x,y\na.jpg,1,0\nb.jpg,0,2\n", label_columns=["x", "y"])


def test_several_labels_in_one_column(folder):
    data = read(folder, "path,tags\na.jpg,sun | sea\nb.jpg,\nc.jpg,sea\n")
    assert (data.class_names, labels(data)) == (("sea", "sun"), [[1, 1], [0, 0], [1, 0]])
    data = read(folder, "path,label\na.jpg,2 0\nb.jpg,1\n", label_separator=" ", class_names=["p", "q", "r"])
    assert labels(data) == [[1, 0, 1], [0, 1, 0]]
    with pytest.raises(InputError, match=r"line 3 has the label 'moon'"):
        read(folder, "path,tags\na.jpg,sun\nb.jpg,sun|moon\n", class_names=["sun", "sea"])


def test_a_probability_is_a_soft_label(folder):
    text = "path,probability\na.jpg,0.0\nb.jpg,0.6666\nc.jpg,0.5\n"
    data = read(folder, text, class_names=("functional", "defective"))
    assert data.labels().tolist() == [0, 1, 0]
    np.testing.assert_allclose(data.targets(soft=True), [[1, 0], [0.3334, 0.6666], [0.5, 0.5]], atol=1e-6)
    assert read(folder, text, threshold=0.7).counts() == {"negative": 3, "positive": 0}
    data = read(
        folder, "path,p,label\na.jpg,0.9,no\nb.jpg,0.1,no\n", probability="p", class_names=["no", "yes"]
    )
    assert data.labels().tolist() == [0, 0]  # the label column has the last word
    with pytest.raises(InputError, match="two classes apart"):
        read(folder, text, class_names=("a", "b", "c"))
    for wrong in ("1.1", "-0.1", "nan", "x", ""):
        with pytest.raises(InputError, match=rf"t\.csv, line 3 has '{wrong}'"):
            read(folder, f"path,probability\na.jpg,0.5\nb.jpg,{wrong}\n")


def test_a_probability_for_every_class(folder):
    data = read(folder, "path,probability:x,probability:y,probability:z\na.jpg,.2,.5,.3\nb.jpg,1,0,0\n")
    assert (data.task, data.class_names, data.labels().tolist()) == ("single", ("x", "y", "z"), [1, 0])
    np.testing.assert_allclose(data.targets(soft=True)[0], [0.2, 0.5, 0.3])
    data = read(folder, "path,x,y\na.jpg,.9,.8\nb.jpg,.1,.2\n", probability_columns=["x", "y"])
    assert (data.task, labels(data)) == ("multi", [[1, 1], [0, 0]])


def test_where_paths_start(folder):
    (folder / "pictures" / "deep").mkdir(parents=True)
    for name in ("pictures/p.jpg", "pictures/deep/q.jpg"):
        (folder / name).touch()
    data = read(folder, "p.jpg,0\ndeep/q.jpg,1\n")
    assert [s.source for s in data] == ["p.jpg", "deep/q.jpg"]
    assert data.notes == ("The paths start at the subfolder pictures.",)
    assert data.root == folder / "pictures"
    with pytest.raises(InputError, match="2 of 2 pictures do not exist"):
        read(folder, f"{'x' * 400}.jpg,0\n{'y/' * 3000}z.jpg,1\n")
    assert read(folder, "p.jpg,0\ndeep\\q.jpg,1\n", root=folder / "pictures")[1].image.is_file()
    data = read(folder, f"a.jpg,0\n{folder / 'b.jpg'},1\n")
    assert [s.source for s in data] == ["a.jpg", "b.jpg"]


def test_paths_that_lead_out(folder):
    outside = folder / "out.jpg"
    outside.touch()
    inner = folder / "inner"
    inner.mkdir()
    (inner / "in.jpg").touch()
    (inner / "link.jpg").symlink_to(outside)
    data = read(inner, f"in.jpg,0\n../out.jpg,1\n{folder / 'a.jpg'},0\n")
    assert [s.source for s in data] == ["in.jpg", str(outside), str(folder / "a.jpg")]
    assert data.notes == (f"2 pictures lie outside of {inner}.",)
    for path in ("../out.jpg", outside, "x/../../out.jpg", "link.jpg", "/etc/passwd"):
        with pytest.raises(InputError, match=r"t\.csv, line 2: .* leads out of"):
            read(inner, f"in.jpg,0\n{path},1\n", root=inner)


def test_missing_pictures_are_listed(folder):
    text = "path,label\na.jpg,0\ngone.jpg,1\n" + "".join(f"gone{i}.jpg,1\n" for i in range(20))
    with pytest.raises(
        InputError, match=r"21 of 22 pictures do not exist.*line 3: gone\.jpg, .*line 4: gone0"
    ):
        read(folder, text)
    data = read(folder, text, missing="skip")
    assert len(data) == 1
    assert data.notes[0].startswith("21 pictures do not exist and were left out: t.csv, line 3: gone.jpg")
    with pytest.raises(InputError, match="None of the 1 pictures"):
        read(folder, "gone.jpg,0\n", missing="skip")


def test_a_picture_listed_twice(folder):
    data = read(folder, "path,label\na.jpg,x\nb.jpg,y\n./a.jpg,x\n")
    assert len(data) == 2
    assert data.notes == ("1 lines list a picture again, with the same label; each picture was taken once.",)
    with pytest.raises(InputError, match=r"line 3 lists \./a.jpg again, with another label.*line 2"):
        read(folder, "path,label\na.jpg,x\n./a.jpg,y\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\na.jpg,\n", "line 2 has no label"),
        ("path,label\na.jpg\n", "line 2 has no label"),
        ("path,label\n\n,cat\n", "line 3 names no picture"),
        ("path,label\na.jpg,cat,dog\n", "line 2 has 3 cells where the header names 2"),
        ('path,label\na.jpg,"cat\n', "line 2 is no CSV"),
        ('path,label\na.jpg,"cat"x\n', "line 2 is no CSV"),
        ("path,label\na.jpg,c\0at\n", "line 2 holds a NUL byte"),
        ("path,label\nhttps://example.org/a.jpg,cat\n", "is a web address"),
        ("", "is empty"),
        ("path,label\n", "no line that names a picture"),
        ("x,y\n1,2\n", "no column that names pictures: x, y"),
        ("image,xmin,ymin,xmax,ymax\na.jpg,1,2,3,4\n", "holds boxes"),
        ("path,path,label\na.jpg,b.jpg,x\n", "columns named"),
        ("a.jpg," + "x" * (1 << 20), "longer than 1,048,576"),
        ("a.jpg," * 20_000, "at most 10,000"),
        ('a.jpg,"' + "x\n" * 200_000 + '"', "no CSV"),
    ],
)
def test_lines_that_are_wrong(folder, text, message):
    options = {"path_column": "path"} if text.startswith("path,path") else {}
    with pytest.raises(InputError, match=message) as error:
        read(folder, text, **options)
    assert "t.csv" in str(error.value)


def test_a_default_label(folder):
    assert read(folder, "path,label\na.jpg,\nb.jpg,x\n", default_label="none").class_names == ("none", "x")


def test_a_million_columns(folder):
    text = ",".join(f"c{i}" for i in range(1_000_000)) + "\n"
    with pytest.raises(InputError, match="longer than"):
        read(folder, text)
    assert not table.sniff(folder / "t.csv")


@pytest.mark.skipif(sys.platform == "darwin", reason="file names are always UTF-8 there")
def test_other_encodings(folder):
    (folder / "café.jpg").touch()
    data = read(folder, "path,label\ncafé.jpg,größer\n".encode("latin-1"))
    assert named(data) == [("café.jpg", "größer", None, None)]
    assert data.notes == ("t.csv is not UTF-8; it was read as cp1252.",)
    Path(os.fsdecode(os.fsencode(folder) + b"/na\xefve.jpg")).touch()
    data = read(folder, b"path,label\nna\xefve.jpg,x\n")
    assert data[0].image.is_file()
    assert data[0].source == r"na\xefve.jpg"
    with pytest.raises(InputError, match="cannot be read as ascii"):
        read(folder, "path,label\ncafé.jpg,x\n", encoding="ascii")
    with pytest.raises(InputError, match="no encoding named 'klingon'"):
        read(folder, "path,label\na.jpg,x\n", encoding="klingon")


def test_a_table_for_every_split(folder):
    (folder / "train.csv").write_text("path,label\na.jpg,x\nb.jpg,y\n")
    (folder / "test.csv").write_text("path,label\nc.jpg,x\n")
    data = load(folder)
    assert {s.source: s.split for s in data} == {"a.jpg": "train", "b.jpg": "train", "c.jpg": "test"}
    (folder / "other.csv").write_text("path,label\nc.jpg,x\n")
    assert not table.sniff(folder)


def test_sniffing(folder):
    for text, looks in (
        ("path,label\na.jpg,x\n", True),
        ("a.jpg,x\n", True),
        ("time,value\n1,2\n3,4\n", False),
        ("path,label\nx,y\nz.jpg,0", False),
        ("source,label,split\na.jpg,x,train\n", True),
    ):
        (folder / "t.csv").write_text(text)
        assert table.sniff(folder / "t.csv") is looks
    assert not table.sniff(folder)  # a split file in a folder belongs to another set


names = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=8).map(str.strip)


@given(
    kinds=st.lists(names.filter(bool), min_size=2, max_size=4, unique=True),
    kind=st.sampled_from(["single", "multi", "soft"]),
    suffix=st.sampled_from([".csv", ".tsv"]),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_writing_is_undone_by_reading(tmp_path_factory, kinds, kind, suffix, seed):
    folder = tmp_path_factory.mktemp("t")
    rng = np.random.default_rng(seed)
    samples = []
    for i in range(6):
        path = folder / f"{i} , \"'.jpg"
        path.touch()
        scores = rng.dirichlet(np.ones(len(kinds))).astype(np.float32)
        target = {
            "single": Classification(label=i % len(kinds)),
            "multi": Classification(labels=rng.integers(0, 2, len(kinds))),
            "soft": Classification(label=int(scores.argmax()), scores=scores),
        }[kind]
        samples.append(Sample(path, target, path.name, group=kinds[i % 2], split=(None, "train")[i % 2]))
    data = Dataset(tuple(samples), tuple(kinds))
    lost = table.write(data, folder / f"t{suffix}")
    again = table.read(folder / f"t{suffix}", class_names=kinds)
    assert [s.target.label for s in again] == [s.target.label for s in data]
    np.testing.assert_array_equal(again.targets(soft=True), data.targets(soft=True))
    for old, new in zip(data, again):
        assert (old.image, old.source, old.group, old.split) == (new.image, new.source, new.group, new.split)
    if not lost:
        assert table.read(folder / f"t{suffix}").class_names == tuple(kinds)


def test_writing_arrays_is_refused(tmp_path):
    sample = Sample(np.zeros((4, 6), np.uint8), Classification(label=0), "x#0")
    with pytest.raises(InputError, match="1 samples are arrays: x#0"):
        table.write(Dataset((sample,), ("a",)), tmp_path / "t.csv")
    with pytest.raises(InputError, match="Without one: y"):
        table.write(Dataset((Sample(tmp_path / "y.jpg", None, "y"),), ("a",)), tmp_path / "t.csv")


@pytest.mark.data("imagenet_samples")
def test_imagenet_samples(data_folder):
    lines = [line.split("\t") for line in (data_folder / "labels.txt").read_text().splitlines()]
    with pytest.raises(InputError, match=r"Received twice: crane, maillot\."):
        load(data_folder, class_names=[name for _, _, name in lines])
    data = load(data_folder, class_names=[wordnet for _, wordnet, _ in lines])
    assert (len(data), data.num_classes) == (500, 1000)
    with (data_folder / "images.csv").open() as file:
        assert {s.source: s.target.label for s in data} == {
            r["file"]: int(r["index"]) for r in csv.DictReader(file)
        }
    assert load(data_folder).class_names == tuple(str(i) for i in range(0, 1000, 2))
