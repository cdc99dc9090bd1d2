"""Pascal VOC: real sets, tags by name, repairs that are counted, damage that is said with its line."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from visus.data import Dataset, load
from visus.data.formats import voc
from visus.structures import Detections, InputError, Mask, Sample

ONE = """<annotation><object><bndbox><ymin>2</ymin><xmin>1</xmin><ymax>22</ymax><xmax>11.5</xmax></bndbox>
<difficult>1</difficult><name> big cat </name><pose>Left</pose><truncated>1</truncated></object>
<filename>{name}</filename><size><height>40</height><width>60</width><depth>3</depth></size></annotation>"""


@pytest.fixture
def folder(tmp_path):
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("a", "b", "c"):
        Image.new("RGB", (60, 40)).save(tmp_path / "JPEGImages" / f"{name}.png")
    (tmp_path / "Annotations" / "a.xml").write_text(ONE.format(name="a.png"))
    (tmp_path / "Annotations" / "b.xml").write_text("<annotation><filename>b</filename></annotation>")
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("a 1\n")
    (tmp_path / "ImageSets" / "Main" / "test.txt").write_text("b\n")
    return tmp_path


def test_tags_are_found_by_name(folder):
    data = load(folder, task=None)
    assert data.class_names == ("big cat",)
    assert [(s.source, s.split) for s in data] == [("a.png", "train"), ("b.png", "test")]
    objects = data[0].target
    assert objects.boxes.tolist() == [[1, 2, 11.5, 22]]
    assert objects.difficult.tolist() == [True]
    assert objects.attributes == ({"truncated": True, "pose": "Left"},)
    assert objects.image_size == (40, 60)
    assert len(data[1].target) == 0
    assert data.notes == ("1 pictures beside them have no XML file.",)


def test_pascal_counts_from_one(folder):
    assert voc.read(folder, one_based=True)[0].target.boxes.tolist() == [[0, 1, 11.5, 22]]


def test_only_the_annotations_folder_is_named(folder):
    assert len(voc.read(folder / "Annotations")) == 2
    (folder / "JPEGImages").rename(folder / "photos")
    assert len(voc.read(folder / "Annotations", images=folder / "photos")) == 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<xmin>1</xmin>", "<xmin>one</xmin>", "<xmin> in <bndbox> is a number. Received 'one'"),
        ("<xmin>1</xmin>", "", "<xmin> in <bndbox> is a number"),
        ("<xmin>1</xmin>", "<xmin>nan</xmin>", "Received 'nan'"),
        ("<name> big cat </name>", "", "has no <name>"),
        ("bndbox", "box", "has no <bndbox>"),
        ("</filename>", "", "line 3"),
        ("<annotation>", '<!DOCTYPE x [<!ENTITY a "aaaa">]><annotation>', "defines entities"),
    ],
)
def test_damage_is_said(folder, old, new, message):
    file = folder / "Annotations" / "a.xml"
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(InputError, match=r"a\.xml") as error:
        voc.read(folder)
    assert message in str(error.value)


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_whatever_the_bytes_it_is_read_or_refused(tmp_path_factory, data):
    where = tmp_path_factory.mktemp("fuzz")
    Image.new("RGB", (60, 40)).save(where / "a.png")
    text = bytearray(ONE.format(name="a.png").encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    (where / "a.xml").write_bytes(bytes(text))
    try:
        voc.read(where)
    except InputError as error:
        assert len(str(error)) > 20


def test_repairs_are_counted(folder):
    file = folder / "Annotations" / "a.xml"
    file.write_text(file.read_text().replace("<xmin>1<", "<xmin>30<").replace("<ymax>22<", "<ymax>90<"))
    (folder / "Annotations" / "d.xml").write_text(ONE.format(name="gone.png"))
    data = voc.read(folder)
    assert data[0].target.boxes.tolist() == [[11.5, 2, 30, 40]]
    notes = " ".join(data.notes)
    assert "1 boxes had their corners exchanged" in notes
    assert "1 boxes reached beyond" in notes
    assert "1 pictures were not found" in notes
    assert "d.xml" in notes


def test_what_is_written_comes_back_and_the_rest_is_counted(folder, tmp_path):
    objects = Detections(
        [[1.25, 2, 30, 17], [4, 4, 9, 8]],
        [1, 0],
        difficult=[False, True],
        attributes=({"pose": "Left", "weather": "rain"}, {"occluded": True}),
        image_size=(40, 60),
    )
    more = objects.replace(masks=(Mask((40, 60), runs=[2400]), None), crowd=[True, False], track_ids=[1, 2])
    photo = folder / "JPEGImages" / "a.png"
    samples = (
        Sample(photo, more, "x/a.png", group="g", split="train"),
        Sample(photo, objects, "y/a.png", split="val"),
        Sample(photo, Detections.none((40, 60)), "z/a.png"),
        Sample(photo, None, "c.png"),
    )
    lost = voc.write(Dataset(samples, ("dog", "cat")), folder / "out")
    assert sorted(lost) == [
        "1 crowd regions were written as single objects (the first: x/a.png).",
        "1 groups of pictures have no place in XML files (the first: x/a.png).",
        "1 masks have no place in XML files (the first: x/a.png).",
        "1 pictures that nobody annotated were left out (the first: c.png).",
        "2 attributes other than pose, truncated and occluded were left out (the first: x/a.png).",
        "2 classes were written; their order was not: pass class_names when you read.",
        "2 track numbers have no place in XML files (the first: x/a.png).",
    ]
    again = voc.read(folder / "out", class_names=["dog", "cat"])
    assert [(s.source, s.split) for s in again] == [("a-2.png", "val"), ("a-3.png", None), ("a.png", "train")]
    expected = objects.replace(attributes=({"pose": "Left"}, {"occluded": True}))
    assert again[0].target.digest() == again[2].target.digest() == expected.digest()
    assert len(again[1].target) == 0
    based = tmp_path / "based"
    voc.write(Dataset(samples[:2], ("dog", "cat")), based, one_based=True)
    assert "<xmin>2.25</xmin>" in (based / "Annotations" / "a.xml").read_text()
    assert np.allclose(voc.read(based, one_based=True)[0].target.boxes, objects.boxes)


@pytest.mark.data("neu_det")
def test_steel_defects(data_folder):
    data = load(data_folder, task=None)
    assert (len(data), data.num_classes, sum(data.counts().values())) == (1800, 6, 4189)
    assert data.splits == ("train", "val")


@pytest.mark.data("bccd")
def test_blood_cells_and_their_quirks(data_folder):
    data = load(data_folder, task=None)
    assert (len(data), sum(data.counts().values())) == (364, 4886)
    assert data.notes[0].startswith("2 boxes without area")
