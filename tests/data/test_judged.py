"""Boxes from files: documents and texts say the same, damage is said with its line."""

import json

import numpy as np
import pytest

from visus.data.judged import read_judged
from visus.evaluate.detection import evaluate_boxes
from visus.structures import InputError

# The worked example of COCO: two pictures, three truths, five detections.
TRUTHS = {"a": [(10, 10, 30, 30), (50, 50, 70, 70)], "b": [(10, 10, 50, 50)]}
RESULTS = {
    "a": [(0.9, 10, 10, 30, 30), (0.8, 12, 12, 32, 32), (0.7, 52, 50, 72, 70)],
    "b": [(0.6, 10, 10, 50, 40), (0.5, 70, 70, 80, 80)],
}


def texts(folder, rows, name="big cat", extra=0):
    folder.mkdir()
    for picture, boxes in rows.items():
        lines = [" ".join([name, *(str(v) for v in (*b[:-2], b[-2] - extra, b[-1] - extra))]) for b in boxes]
        (folder / f"{picture}.txt").write_text("\n".join(lines) + "\n\n")
    return folder


def documents(folder):
    truth = {
        "images": [{"id": 20, "file_name": "a.jpg"}, {"id": 10, "file_name": "b.jpg"}],
        "categories": [{"id": 5, "name": "big cat"}],
        "annotations": [
            {"image_id": i, "category_id": 5, "bbox": [x1, y1, x2 - x1, y2 - y1]}
            for i, name in ((20, "a"), (10, "b"))
            for x1, y1, x2, y2 in TRUTHS[name]
        ],
    }
    results = [
        {"image_id": i, "category_id": 5, "bbox": [x1, y1, x2 - x1, y2 - y1], "score": s}
        for i, name in ((20, "a"), (10, "b"))
        for s, x1, y1, x2, y2 in RESULTS[name]
    ]
    (folder / "truth.json").write_text(json.dumps(truth))
    (folder / "results.json").write_text(json.dumps(results))
    return folder / "truth.json", folder / "results.json"


def figures(judged, **options):
    result = evaluate_boxes(
        judged.truths, judged.results, len(judged.pictures), judged.class_names, resamples=0, **options
    )
    return {name: figure.value for name, figure in result.figures.items()}


def test_documents_texts_and_mixtures_say_the_same(tmp_path):
    truth, results = documents(tmp_path)
    lists = texts(tmp_path / "t", TRUTHS), texts(tmp_path / "r", RESULTS)
    for pair in ((truth, results), lists, (truth, lists[1])):
        judged = read_judged(*pair)
        assert judged.class_names == ("big cat",)
        assert judged.notes == ()
        assert figures(judged)["AP"] == pytest.approx(0.656931, abs=1e-6)
        assert figures(judged)["AR10"] == pytest.approx(0.766667, abs=1e-6)


def test_inclusive_pixels_are_one_larger(tmp_path):
    inclusive = texts(tmp_path / "t", TRUTHS, extra=1), texts(tmp_path / "r", RESULTS, extra=1)
    judged = read_judged(*inclusive, pixels="inclusive")
    assert judged.truths.xywh.tolist() == [[10, 10, 20, 20], [50, 50, 20, 20], [10, 10, 40, 40]]
    assert figures(judged)["AP"] == pytest.approx(0.656931, abs=1e-6)
    with pytest.raises(InputError, match="'closed'"):
        read_judged(*inclusive, pixels="closed")


def test_difficult_objects_and_positions_for_names(tmp_path):
    truth, results = texts(tmp_path / "t", TRUTHS, name="0"), texts(tmp_path / "r", RESULTS, name="0")
    (truth / "b.txt").write_text("0 10 10 50 50 difficult\n")
    judged = read_judged(truth, results, class_names=["cat"])
    assert judged.truths.ignore.tolist() == [False, False, True]
    assert figures(judged, style="voc10")["AP50"] == pytest.approx((1 + 2 / 3) / 2)


def test_what_is_not_judged_is_counted(tmp_path):
    truth, results = texts(tmp_path / "t", TRUTHS), texts(tmp_path / "r", RESULTS)
    (results / "c.txt").write_text("big cat 0.5 1 1 5 5\n")
    (results / "b.txt").write_text("dog 0.5 1 1 5 5\nbig cat 0.6 10 10 50 40\n")
    notes = " ".join(read_judged(truth, results).notes)
    assert "1 detections are of pictures without truth (the first: c)" in notes
    assert "1 boxes in" in notes
    assert "dog" in notes


def test_a_picture_without_lines_has_no_objects(tmp_path):
    truth, results = texts(tmp_path / "t", TRUTHS | {"c": []}), texts(tmp_path / "r", {"a": []})
    judged = read_judged(truth, results)
    assert (len(judged.pictures), len(judged.results)) == (3, 0)
    assert figures(judged)["AP"] == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("cat 0.5 1 2 3", "line 2: expected 'class score left top right bottom'"),
        ("cat 0.5 1 2 x 4", "line 2"),
        ("cat 0.5 1 2 nan 4", "line 2"),
        ("cat 0.5 9 2 3 4", "line 2: right is left of left"),
        ("cat " * 2000, "line 2 has 8,001 characters"),
    ],
)
def test_bad_lines_are_named(tmp_path, line, message):
    truth, results = texts(tmp_path / "t", TRUTHS), texts(tmp_path / "r", RESULTS)
    (results / "a.txt").write_text(f"big cat 0.5 1 2 3 4\n{line}\n")
    with pytest.raises(InputError, match=r"a\.txt") as error:
        read_judged(truth, results)
    assert message in str(error.value)


def test_bad_documents_are_named(tmp_path):
    truth, results = documents(tmp_path)
    good = json.loads(results.read_text())
    for change, message in (
        ({"category_id": 9}, "no category with the id 9"),
        ({"score": None}, "a finite number as 'score'"),
        ({"bbox": [1, 2]}, "4 numbers"),
    ):
        results.write_text(json.dumps([good[0], good[1] | change]))
        with pytest.raises(InputError, match=r"results\.json, \[1\]") as error:
            read_judged(truth, results)
        assert message in str(error.value)
    results.write_text('{"images": 3}')
    with pytest.raises(InputError, match="holds no results"):
        read_judged(truth, results)
    with pytest.raises(InputError, match="no text files"):
        read_judged(tmp_path, results)
    with pytest.raises(InputError, match="no file or folder"):
        read_judged(tmp_path / "gone.json", results)


@pytest.mark.data("coco128")
def test_a_real_document_against_pycocotools(data_folder, tmp_path):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    document = data_folder / "annotations" / "instances_train2017.json"
    rng, answers = np.random.default_rng(0), []
    for annotation in json.loads(document.read_text())["annotations"]:
        x, y, w, h = annotation["bbox"]
        for _ in range(rng.integers(0, 3)):
            dx, dy, dw, dh = rng.normal(0, 0.08, 4)
            box = [x + dx * w, y + dy * h, w * (1 + dw), h * (1 + dh)]
            answers.append(
                {k: annotation[k] for k in ("image_id", "category_id")}
                | {"bbox": box, "score": round(float(rng.random()), 2)}
            )
    (tmp_path / "results.json").write_text(json.dumps(answers))
    truth = COCO(str(document))
    judge = COCOeval(truth, truth.loadRes(str(tmp_path / "results.json")), "bbox")
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    ours = figures(read_judged(document, tmp_path / "results.json"))
    assert list(ours.values()) == pytest.approx(
        [judge.stats[i] for i in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)], abs=1e-12
    )
