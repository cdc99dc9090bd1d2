"""`visus convert`: from one format to another and back, with a ledger of what is lost."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from visus.cli.main import build
from visus.data import load


def run(*arguments):
    return CliRunner().invoke(build(), ["convert", *map(str, arguments)])


@pytest.fixture
def boxes(tmp_path):
    """Two pictures of 40 x 60 with three boxes, one of them a crowd, in a COCO document."""
    for name in "ab":
        Image.new("RGB", (60, 40)).save(tmp_path / f"{name}.png")
    document = {
        "images": [{"id": i, "file_name": f"{n}.png", "height": 40, "width": 60} for i, n in enumerate("ab")],
        "annotations": [
            {"id": 1, "image_id": 0, "category_id": 1, "bbox": [3, 4, 12, 20]},
            {"id": 2, "image_id": 0, "category_id": 2, "bbox": [30, 10, 15, 30], "iscrowd": 1},
            {"id": 3, "image_id": 1, "category_id": 2, "bbox": [0, 0, 60, 40]},
        ],
        "categories": [{"id": 1, "name": "ant"}, {"id": 2, "name": "bee"}],
    }
    (tmp_path / "boxes.json").write_text(json.dumps(document))
    return tmp_path / "boxes.json"


def objects(data):
    return {
        s.image.stem: sorted(
            (data.class_names[k], *np.round(b, 2).tolist()) for k, b in zip(s.target.labels, s.target.boxes)
        )
        for s in data
    }


def test_a_circle_of_formats(boxes, tmp_path):
    before = objects(load(boxes, task=None))
    steps = (("yolo", tmp_path / "yolo"), ("voc", tmp_path / "voc"), ("coco", tmp_path / "voc" / "all.json"))
    source = boxes
    for name, target in steps:
        answer = run(source, target, "--to", name, "--json", *(["--format", "voc"] if name == "coco" else []))
        assert answer.exit_code == 0, answer.exception
        document = json.loads(answer.stdout)
        assert (document["pictures"], document["format"]) == (2, name)
        after = load(target, format=name, task=None)
        assert {k: [b[0] for b in v] for k, v in objects(after).items()} == {
            k: [b[0] for b in v] for k, v in before.items()
        }
        for picture, rows in objects(after).items():
            assert np.allclose([r[1:] for r in rows], [r[1:] for r in before[picture]], atol=0.02)
        source = target


def test_what_is_lost_is_counted(boxes, tmp_path):
    answer = run(boxes, tmp_path / "out", "--to", "yolo")
    assert answer.exit_code == 0
    assert "not held by yolo" in answer.stderr
    assert "1 crowd regions were written as single objects" in answer.stderr


def test_the_name_tells_the_format(boxes, tmp_path):
    assert run(boxes, tmp_path / "copy.json").exit_code == 0
    answer = run(boxes, tmp_path / "copy")
    assert "--to" in str(answer.exception)
    assert "coco" in str(answer.exception)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--to", "pictures"], "pictures is not written"),
        (["--to", "nothing"], "no format named 'nothing'"),
        (["--to", "class_folders"], "one label per picture"),
    ],
)
def test_what_cannot_be_is_said(boxes, tmp_path, options, message):
    answer = run(boxes, tmp_path / "out", *options)
    assert answer.exit_code != 0
    assert message in str(answer.exception)
    assert not (tmp_path / "out").exists()


def test_nothing_is_overwritten(boxes, tmp_path):
    before = boxes.read_bytes()
    answer = run(boxes, boxes)
    assert "overwritten" in str(answer.exception)
    assert boxes.read_bytes() == before
