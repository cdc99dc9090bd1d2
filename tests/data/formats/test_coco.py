"""COCO JSON: real documents, the text of runs against pycocotools, repairs that are counted, damage that is said."""

import copy
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from visus.data import load
from visus.data.formats import coco
from visus.structures import Detections, InputError, Mask, Sample


@pytest.fixture
def folder(tmp_path):
    """Two pictures of 40 x 60 in `images`, and a document beside that names them."""
    (tmp_path / "images").mkdir()
    for name in ("a", "b"):
        Image.new("RGB", (60, 40)).save(tmp_path / "images" / f"{name}.png")
    document = {
        "images": [
            {"id": 7, "file_name": "a.png", "height": 40, "width": 60},
            {"id": 3, "file_name": "b.png", "height": 40, "width": 60},
        ],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 18, "bbox": [1, 2, 10, 20], "area": 150.5, "iscrowd": 0},
            {"id": 2, "image_id": 7, "category_id": 1, "bbox": [5, 5, 9, 9], "iscrowd": 1},
        ],
        "categories": [{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}],
    }
    return tmp_path, document


def saved(folder, document):
    path = folder / "instances_val.json"
    path.write_text(json.dumps(document))
    return path


def test_what_a_document_says(folder):
    data = coco.read(saved(*folder))
    assert data.class_names == ("person", "dog")
    assert [s.source for s in data] == ["a.png", "b.png"]
    assert data.splits == ("val",)
    first, second = (s.target for s in data)
    assert first.boxes.tolist() == [[1, 2, 11, 22], [5, 5, 14, 14]]
    assert first.labels.tolist() == [1, 0]
    assert first.areas.tolist() == [150.5, 81]
    assert first.crowd.tolist() == [False, True]
    assert first.image_size == (40, 60)
    assert len(second) == 0
    assert data.notes == ()
    assert data.counts() == {"person": 1, "dog": 1}


def test_outlines_runs_and_keypoints(folder):
    where, document = folder
    square, runs = [10, 10, 20, 10, 20, 30, 10, 30], Mask.from_array(np.eye(40, 60)).runs.tolist()
    document["annotations"] = [
        {"id": 1, "image_id": 7, "category_id": 1, "segmentation": [square]},
        {"id": 2, "image_id": 7, "category_id": 1, "segmentation": {"size": [40, 60], "counts": runs}},
        {"id": 3, "image_id": 7, "category_id": 1, "bbox": [0, 0, 5, 5], "keypoints": [3, 4, 2, 0, 0, 0]},
    ]
    objects = coco.read(saved(where, document))[0].target
    assert objects.boxes.tolist() == [[10, 10, 20, 30], [0, 0, 40, 40], [0, 0, 5, 5]]
    assert [None if m is None else m.area for m in objects.masks] == [200, 40, None]
    assert objects.keypoints[:, 0].tolist() == [[0, 0, 0], [0, 0, 0], [3, 4, 2]]


def test_repairs_are_counted(folder):
    where, document = folder
    document["annotations"] += [
        {"id": 3, "image_id": 3, "category_id": 1, "bbox": [50, 30, 40, 5]},
        {"id": 4, "image_id": 3, "category_id": 1, "bbox": [30, 30, -10, -5]},
        {"id": 5, "image_id": 3, "category_id": 1, "bbox": [70, 30, 4, 4]},
        {"id": 6, "image_id": 99, "category_id": 1, "bbox": [1, 1, 4, 4]},
        {"id": 7, "image_id": 3, "category_id": 1},
    ]
    document["images"].append({"id": 4, "file_name": "gone.png", "height": 4, "width": 6})
    Image.new("RGB", (6, 4)).save(where / "images" / "c.png")
    data = coco.read(saved(where, document))
    assert data[1].target.boxes.tolist() == [[50, 30, 60, 35], [20, 25, 30, 30]]
    notes = " ".join(data.notes)
    for words in (
        "1 annotations belong to no picture",
        "1 pictures were not found",
        "gone.png",
        "1 annotations have neither a box nor an outline",
        "1 boxes had their corners exchanged",
        "2 boxes reached beyond",
        "1 boxes without area",
        "1 pictures beside them are not named",
    ):
        assert words in notes


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("annotations", 0, "bbox"), [1, 2, 3], "annotations[0]: expected a list of 4 numbers as 'bbox'"),
        (("annotations", 0, "bbox"), [1, 2, float("nan"), 4], "all finite"),
        (("annotations", 0, "bbox"), "1 2 3 4", "Received '1 2 3 4'"),
        (("annotations", 0, "bbox"), [[1], [2], [3], [4]], "list of 4 numbers"),
        (("annotations", 0, "category_id"), 5, "no category with the id 5"),
        (("annotations", 0, "category_id"), None, "a whole number or a text as 'category_id'"),
        (("annotations", 0, "area"), "large", "a finite number as 'area'"),
        (("annotations", 0, "segmentation"), [[1, 2, 3, 4]], "three or more corners"),
        (("annotations", 0, "segmentation"), {"size": [40, 60], "counts": [1, 2]}, "add up to 2400"),
        (
            ("annotations", 0, "segmentation"),
            {"size": [4, 6], "counts": [24]},
            "size is 4 x 6, the picture's 40 x 60",
        ),
        (("annotations", 0, "segmentation"), {"size": [40, 60], "counts": "\u00ff"}, "character 0"),
        (("annotations", 0, "keypoints"), [1, 2], "x, y and visibility"),
        (("annotations", 0), 7, "annotations[0]: expected an object"),
        (("annotations",), {"a": 1}, "expected a list as 'annotations'"),
        (("images", 0, "file_name"), 0.5, "none of them lies"),
        (("images", 0, "file_name"), "", "a text as 'file_name'"),
        (("images", 1, "id"), 7, "image id 7 occurs twice"),
        (("images", 0, "height"), 0, "at least 1 x 1"),
        (("images",), None, "no COCO document"),
        (("categories", 0, "name"), "person", "occurs twice"),
    ],
)
def test_damage_is_said_with_its_place(folder, path, value, message):
    where, document = folder
    if message == "none of them lies":
        document["images"] = document["images"][:1]
    inner = document
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    file = saved(where, document)
    with pytest.raises(InputError) as error:
        coco.read(file)
    assert message in str(error.value)
    assert file.name in str(error.value)


def test_a_broken_line_is_named(tmp_path):
    file = tmp_path / "x.json"
    file.write_text('{"images": [],\n"categories": [}')
    with pytest.raises(InputError, match="line 2"):
        coco.read(file)
    file.write_bytes(b'{"images": ["\xff"]}')
    with pytest.raises(InputError, match="UTF-8"):
        coco.read(file)
    file.write_text("[" * 100_000)
    with pytest.raises(InputError, match="no JSON"):
        coco.read(file)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_the_document_it_is_read_or_refused(tmp_path_factory, data):
    """Any value in any place: data, or a sentence; nothing else is raised."""
    where = tmp_path_factory.mktemp("fuzz")
    Image.new("RGB", (60, 40)).save(where / "a.png")
    document = {
        "images": [{"id": 1, "file_name": "a.png", "height": 40, "width": 60}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0}
            | {"segmentation": [[1, 1, 5, 1, 5, 5]], "keypoints": [1, 2, 2]}
        ],
        "categories": [{"id": 1, "name": "x"}],
    }
    anything = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=6,
    )
    damaged = copy.deepcopy(document)
    part = data.draw(st.sampled_from(["images", "annotations", "categories"]))
    key = data.draw(st.sampled_from([*document[part][0], None]))
    if key is None:
        damaged[part] = data.draw(anything)
    else:
        damaged[part][0][key] = data.draw(anything)
    file = where / "x.json"
    file.write_text(json.dumps(damaged))
    try:
        coco.read(file)
    except InputError as error:
        assert len(str(error)) > 20


def test_names_that_lead_out_of_the_folder_are_followed_to_pictures_only_and_counted(
    folder, tmp_path_factory
):
    where, document = folder
    other = tmp_path_factory.mktemp("other") / "far.png"
    Image.new("RGB", (60, 40)).save(other)
    (other.parent / "secret").write_text("x")
    for name in (str(other), f"../../{other.relative_to(where.parent.parent)}"):
        document["images"][0]["file_name"] = name
        data = coco.read(saved(where, document))
        assert [s.image.name for s in data] == ["far.png", "b.png"]
        assert "1 pictures lie outside of the folder." in data.notes
    for name in (str(other.parent / "secret"), "/etc/passwd", "\0", "x" * 300 + ".png", "b.png/../../.."):
        document["images"][0]["file_name"] = name
        assert [s.image.name for s in coco.read(saved(where, document))] == ["b.png"]


def test_a_document_far_from_its_pictures_is_read_again(folder, tmp_path_factory):
    before = coco.read(saved(*folder))
    far = tmp_path_factory.mktemp("far") / "copy.json"
    assert coco.write(before, far) == ()
    assert [s.target.digest() for s in coco.read(far)] == [s.target.digest() for s in before]


def test_documents_of_several_splits_in_one_folder(folder):
    where, document = folder
    parts = where / "annotations"
    parts.mkdir()
    for split, image in (("train2017", 0), ("val2017", 1)):
        part = document | {"images": [document["images"][image]]}
        part["annotations"] = [a for a in document["annotations"] if a["image_id"] == part["images"][0]["id"]]
        (parts / f"instances_{split}.json").write_text(json.dumps(part))
    data = load(where, task=None)
    assert [(s.image.name, s.split) for s in data] == [("a.png", "train"), ("b.png", "val")]


def test_what_is_written_comes_back(folder, tmp_path):
    where, _ = folder
    rng = np.random.default_rng(0)
    mask = rng.random((40, 60)) < 0.4
    objects = Detections(
        [[1.25, 2, 30.125, 17], [4, 4, 9, 8]],
        [1, 0],
        masks=(
            Mask.from_array(mask),
            Mask((40, 60), outlines=[[(1, 2), (5.5, 2), (5, 8)], [(9, 9), (12, 9), (9, 20)]]),
        ),
        keypoints=rng.integers(0, 3, (2, 4, 3)),
        crowd=[True, False],
        areas=[100, 20.5],
        difficult=[True, False],
        image_size=(40, 60),
    )
    samples = (
        Sample(where / "images" / "a.png", objects, "a.png", group="g", split="train"),
        Sample(where / "images" / "b.png", Detections.none((40, 60)), "b.png", split="test"),
        Sample(where / "images" / "c.png", None, "c.png"),
    )
    from visus.data import Dataset

    lost = coco.write(Dataset(samples, ("x", "y")), where / "out.json")
    assert [line.split(" ", 1) for line in lost] == [
        ["1", "marks of difficult objects have no place in COCO (the first: a.png)."],
        ["1", "pictures that nobody annotated were left out (the first: c.png)."],
    ]
    again = coco.read(where / "out.json")
    assert [(s.split, s.group) for s in again] == [("train", "g"), ("test", None)]
    assert again[0].target.digest() == objects.replace(difficult=None).digest()
    assert again[1].target.digest() == Detections.none((40, 60)).digest()


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 10**6), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_the_text_of_runs_is_that_of_pycocotools(height, width, seed, share):
    from pycocotools import mask as reference

    array = np.random.default_rng(seed).random((height, width)) < share
    text = reference.encode(np.asfortranarray(array.astype(np.uint8)))["counts"].decode()
    runs = Mask.from_array(array).runs
    assert coco.encode_runs(runs) == text
    assert coco.decode_runs(text).tolist() == runs.tolist()


@given(st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_outlines_fill_the_pixels_that_pycocotools_fills(seed):
    from pycocotools import mask as reference

    rng = np.random.default_rng(seed)
    height, width = (int(v) for v in rng.integers(1, 60, 2))
    parts = [rng.uniform(-8, 70, (rng.integers(3, 9), 2)).round(int(rng.integers(0, 3))) for _ in range(3)]
    runs = reference.merge(reference.frPyObjects([p.ravel().tolist() for p in parts], height, width))
    assert np.array_equal(Mask((height, width), outlines=parts).to_array(), reference.decode(runs))


@pytest.mark.data("coco128")
def test_real_pictures(data_folder):
    data = load(data_folder, format="coco", task=None)
    assert (len(data), data.num_classes, data.counts()["person"]) == (128, 80, 259)
    assert sum(int(s.target.crowd.sum()) for s in data if s.target.crowd is not None) == 10
    # COCO's areas are those of its masks
    objects = next(s.target for s in data if s.source.endswith("000000000009.jpg"))
    filled = np.array([m.area for m in objects.masks])
    assert np.allclose(filled, objects.areas, rtol=0.05)
