"""The figures of a detector: equal to pycocotools on random and adversarial sets, and by hand where it has no word."""

import contextlib
import io

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from visus.evaluate.detection import evaluate
from visus.structures import Detections, InputError

NAMES = (
    *("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large"),
    *("AR1", "AR10", "AR100", "AR_small", "AR_medium", "AR_large"),
)


def reference(truths, results, classes):
    """What pycocotools says; -1 where it has nothing to say."""
    truth = COCO()
    truth.dataset = {
        "images": [{"id": i + 1} for i in range(len(truths))],
        "categories": [{"id": k + 1, "name": str(k)} for k in range(classes)],
        "annotations": [],
    }
    answers = []
    for i, (objects, found) in enumerate(zip(truths, results), 1):
        for n, (x1, y1, x2, y2) in enumerate(objects.boxes.astype(float)):
            area = (x2 - x1) * (y2 - y1) if objects.areas is None else float(objects.areas[n])
            truth.dataset["annotations"].append(
                {
                    "id": len(truth.dataset["annotations"]) + 1,
                    "image_id": i,
                    "category_id": int(objects.labels[n]) + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": area,
                    "iscrowd": int(objects.crowd is not None and objects.crowd[n]),
                }
            )
        for n, (x1, y1, x2, y2) in enumerate(found.boxes.astype(float)):
            label, score = int(found.labels[n]) + 1, float(found.scores[n])
            answers.append(
                {"image_id": i, "category_id": label, "bbox": [x1, y1, x2 - x1, y2 - y1], "score": score}
            )
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        judged = COCOeval(truth, truth.loadRes(answers), "bbox")
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    return judged.stats


def random_set(seed):
    """Pictures with crowds, ties of score and of overlap, doubles, wrong classes, nothing, and more than 100 boxes."""
    rng = np.random.default_rng(seed)
    whole, tied, classes = seed % 2 == 0, seed % 3 == 0, int(rng.integers(1, 4))
    truths, results = [], []
    for _ in range(rng.integers(1, 7)):
        count = int(rng.integers(0, 7))
        corner, size = rng.uniform(0, 300, (count, 2)), np.exp(rng.normal(3.5, 1, (count, 2))).clip(1, 300)
        labels = rng.integers(0, classes, count)
        boxes = np.concatenate([corner, corner + size], axis=1)
        boxes = np.round(boxes) if whole else boxes
        truths.append(
            Detections(
                boxes,
                labels,
                crowd=rng.random(count) < 0.15,
                areas=size.prod(axis=1) * rng.uniform(0.5, 1, count) if seed % 5 else None,
            )
        )
        chosen = rng.integers(0, max(1, count), int(rng.integers(0, 3 * count + 1)))
        near = boxes[chosen] + rng.normal(0, 0.1, (len(chosen), 4)) * np.tile(size[chosen], 2)
        wild = rng.uniform(0, 300, (int(rng.integers(0, 130 if seed % 10 == 0 else 9)), 2))
        guesses = np.concatenate(
            [near, np.concatenate([wild, wild + rng.uniform(1, 90, wild.shape)], axis=1)]
        )
        guesses = np.round(guesses) if whole else guesses
        guesses[:, 2:] = np.maximum(guesses[:, 2:], guesses[:, :2] + 0.5)
        named = np.concatenate([labels[chosen], rng.integers(0, classes, len(wild))])
        scores = rng.random(len(guesses))
        results.append(Detections(guesses, named, scores=np.round(scores, 1) if tied else scores))
    return truths, results, classes


@pytest.mark.parametrize("seed", range(60))
def test_equal_to_pycocotools(seed):
    truths, results, classes = random_set(seed)
    if not sum(map(len, results)):
        pytest.skip("pycocotools needs a detection")
    figures = evaluate(truths, results, [str(k) for k in range(classes)], resamples=0).figures
    ours = [np.nan_to_num(figures[name].value, nan=-1) for name in NAMES]
    assert ours == pytest.approx(reference(truths, results, classes).tolist(), abs=1e-12)


def test_worked_example():
    truths = [Detections([[10, 10, 30, 30], [50, 50, 70, 70]], [0, 0]), Detections([[10, 10, 50, 50]], [0])]
    results = [
        Detections([[10, 10, 30, 30], [12, 12, 32, 32], [52, 50, 72, 70]], [0] * 3, scores=[0.9, 0.8, 0.7]),
        Detections([[10, 10, 50, 40], [70, 70, 80, 80]], [0, 0], scores=[0.6, 0.5]),
    ]
    figures = evaluate(truths, results, ["thing"], resamples=0).figures
    expected = [0.656931, 0.834158, 0.834158, 0.735974, 0.6, np.nan, 0.533333, 0.766667, 0.766667]
    assert [figures[n].value for n in NAMES[:9]] == pytest.approx(expected, abs=1e-6, nan_ok=True)


def test_coco_takes_the_best_free_truth_and_voc_the_best_truth():
    truths = [Detections([[0, 0, 10, 10], [2, 0, 12, 10]], [0, 0])]
    results = [Detections([[0, 0, 10, 10], [0.8, 0, 10.8, 10]], [0, 0], scores=[0.9, 0.8])]
    ap = {
        s: evaluate(truths, results, ["a"], style=s, resamples=0).figures["AP50"].value
        for s in ("coco", "voc10")
    }
    assert ap == {"coco": pytest.approx(1), "voc10": pytest.approx(0.5)}


@pytest.mark.parametrize("style", ["voc07", "voc10"])
def test_difficult_objects_are_neither_wanted_nor_wrong(style):
    truths = [Detections([[0, 0, 10, 10], [50, 50, 60, 60]], [0, 0], difficult=[False, True])]
    found = [[50, 50, 60, 60], [50, 50, 60, 61], [0, 0, 10, 10]]
    results = [Detections(found, [0] * 3, scores=[0.9, 0.8, 0.7])]
    judged = evaluate(truths, results, ["a"], style=style, resamples=0)
    assert judged.figures["AP50"].value == pytest.approx(1)
    assert judged.per_class[0].support == 1


def test_absent_classes_have_no_figures():
    truths = [Detections([[0, 0, 10, 10]], [0]), Detections.none()]
    results = [Detections([[0, 0, 10, 10]], [0], scores=[0.5]), Detections([[5, 5, 9, 9]], [1], scores=[0.9])]
    judged = evaluate(truths, results, ["a", "b", "c"], resamples=0)
    assert judged.figures["AP"].value == pytest.approx(1)
    assert [np.isnan(c.AP.value) for c in judged.per_class] == [False, True, True]
    assert "Nothing to find of b, c" in judged.notes[0]
    empty = evaluate([Detections.none()], [Detections.none().replace(scores=[])], ["a"], resamples=5)
    assert np.isnan(empty.figures["AP"].value)


def test_found_nothing():
    truths, nothing = [Detections([[0, 0, 10, 10]], [0])], [Detections.none().replace(scores=[])]
    judged = evaluate(truths, nothing, ["a"], resamples=0)
    assert judged.figures["AP"].value == judged.figures["AR100"].value == 0
    assert np.isnan(judged.per_class[0].precision)
    assert judged.per_class[0].recall == 0


def test_the_best_f1_by_hand():
    truths = [Detections([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]], [0] * 3)]
    found = [[0, 0, 10, 10], [70, 70, 80, 80], [20, 0, 30, 10], [90, 90, 95, 95]]
    results = [Detections(found, [0] * 4, scores=[0.9, 0.8, 0.8, 0.1])]
    (one,) = evaluate(truths, results, ["a"], resamples=0).per_class
    # 2 of 3 detections are right and 2 of 3 objects found; both of score 0.8 stand or fall together
    assert (one.precision, one.recall, one.f1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert one.threshold == pytest.approx(0.8)


def test_a_curve_and_the_document():
    truths, results, classes = random_set(4)
    judged = evaluate(truths, results, [str(k) for k in range(classes)], resamples=20)
    precision, recall, score = judged.curve(0)
    assert len(precision) == len(recall) == len(score)
    assert (np.diff(score) <= 0).all()
    assert (np.diff(recall) >= 0).all()
    document = judged.to_dict()
    assert set(document["figures"]["AP"]) == {"value", "low", "high"}
    assert document["task"] == "detect"
    assert len(document["per_class"]) == classes


def test_intervals_are_those_of_repeated_pictures():
    """A resample is a set in which pictures occur several times: its figure is that of the written-out set."""
    truths, results, classes = random_set(7)
    names = [str(k) for k in range(classes)]
    from visus.evaluate.detection import evaluation as module
    from visus.evaluate.detection.matching import match

    boxes = module.gathered(truths, classes), module.gathered(results, classes, scored=True)
    matches = match(
        *boxes, num_classes=classes, thresholds=module.THRESHOLDS, areas=list(module.AREAS.values())
    )
    figures = module._figures(matches, boxes[0], "coco", (1, 10, 100), len(truths))
    weights = np.random.default_rng(0).integers(0, 3, len(truths))
    drawn = figures(weights[:, None].astype(float))
    # Written out, copies of a picture stand one after the other, as their detections do in the weighted ranking.
    rows = np.repeat(np.arange(len(truths)), weights)
    plain = evaluate([truths[i] for i in rows], [results[i] for i in rows], names, resamples=0).figures
    for name in ("AR1", "AR10", "AR100", "AR_small"):
        assert drawn[name][0] == pytest.approx(plain[name].value, nan_ok=True)
    for name in ("AP", "AP50", "AP_large"):
        assert drawn[name][0] == pytest.approx(plain[name].value, abs=0.03, nan_ok=True)


def test_more_pictures_make_narrower_intervals():
    truths, results, classes = random_set(4)
    names = [str(k) for k in range(classes)]
    few, many = (evaluate(truths * n, results * n, names, resamples=200).figures["AP"] for n in (2, 20))
    assert few.low <= few.value <= few.high
    assert many.high - many.low < 0.6 * (few.high - few.low)
    again = [evaluate(truths, results, names, resamples=50).to_dict() for _ in range(2)]
    assert again[0] == again[1]


def test_bad_input_is_said():
    one, scored = Detections([[0, 0, 1, 1]], [0]), Detections([[0, 0, 1, 1]], [0], scores=[0.5])
    with pytest.raises(InputError, match="1 pictures with truths and 2"):
        evaluate([one], [scored, scored], ["a"])
    with pytest.raises(InputError, match="needs a score"):
        evaluate([one], [one], ["a"])
    with pytest.raises(InputError, match=r"0\.\.0.*Received 3"):
        evaluate([one.replace(labels=[3])], [scored], ["a"])
