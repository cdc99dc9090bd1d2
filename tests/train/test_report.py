"""The report: what stands beside the page agrees with the figures, and nothing breaks it."""

import base64
import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visus.data.dataset import Dataset
from visus.evaluate import compare, evaluate, evaluate_multilabel
from visus.structures import Classification, InputError, Sample
from visus.train.report import prediction_table, write_report

NAMES = ("daisy", "rose", "tulip")
HISTORY = [
    {
        "epoch": 1,
        "phase": "head",
        "loss": 1.0,
        "accuracy": 0.7,
        "val_loss": 0.9,
        "val_accuracy": 0.7,
        "seconds": 2,
    },
    {
        "epoch": 2,
        "phase": "head",
        "loss": 0.6,
        "accuracy": 0.85,
        "val_loss": 0.8,
        "val_accuracy": 0.8,
        "seconds": 2,
    },
]


def case(n: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % 3
    logits = rng.normal(size=(n, 3))
    logits[np.arange(n), truth] += 2
    scores = np.exp(logits)
    return truth, scores / scores.sum(axis=1, keepdims=True)


def dataset_of(truth: np.ndarray) -> Dataset:
    rng = np.random.default_rng(1)
    samples = tuple(
        Sample(rng.integers(0, 256, (24, 36, 3), np.uint8), Classification(int(t)), f"val/{NAMES[t]}/{i}.png")
        for i, t in enumerate(truth)
    )
    return Dataset(samples, NAMES, "flowers", notes=("1 file is no picture.",))


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def headings(page: str) -> list[str]:
    return re.findall(r"<h2[^>]*>(.*?)</h2>", page)


def pictures(page: str) -> list[Image.Image]:
    found = re.findall(r"data:image/(?:png|jpeg);base64,([A-Za-z0-9+/=]+)", page)
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in found]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with everything in it."""
    folder = tmp_path_factory.mktemp("report") / "run"
    truth, scores = case()
    asked: list[int] = []

    def explain(images: list[np.ndarray], classes: list[int]) -> list[np.ndarray]:
        asked.extend(classes)
        return [255 - image for image in images]

    run = {
        "arguments": {"model": "classify/lenet", "policy": "standard", "size": [28, 28]},
        "data": {
            "name": "flowers",
            "fingerprint": "ab" * 32,
            "splits": {"train": {"daisy": 300, "rose": 20, "tulip": 300}, "val": {"daisy": 20, "rose": 20}},
        },
        "environment": {"python": "3.11", "versions": {"numpy": "2"}},
        "judged": {"split": "val", "unreadable": {"val/rose/broken.jpg": "it is truncated"}},
        "seconds": 61.2,
    }
    result = evaluate(truth, scores, NAMES)
    path = write_report(
        folder,
        title="Flowers & <friends>",
        result=result,
        history=HISTORY,
        dataset=dataset_of(truth),
        run=run,
        published=[("a paper", 0.95, "2019")],
        explain=explain,
        selection=True,
        comparison=compare(truth, scores, case(seed=5)[1], NAMES, names=("new", "old")),
        timing={"openvino": 1.25},
    )
    assert path == folder / "report.html"
    wrong = np.flatnonzero(result.predicted != truth)
    worst = wrong[np.argsort(-result.confidence[wrong], kind="stable")]
    assert asked == result.predicted[worst].tolist()[:24]
    return folder


def test_page_holds_every_section(whole: Path):
    page = (whole / "report.html").read_text()
    assert headings(page) == [
        "Summary",
        "What to try next",
        "Comparison",
        "Training",
        "Worst mistakes",
        "Confusion matrix",
        "Classes",
        "ROC and precision-recall",
        "Calibration",
        "Data",
        "How it was made",
    ]
    for said in (
        "Selection score.",
        "a paper",
        "ab" * 32,
        "it is truncated",
        "Few training pictures",
        "openvino",
    ):
        assert said in page
    assert "Flowers &amp; &lt;friends&gt;" in page
    assert "<friends>" not in page


def test_page_is_one_file_that_fetches_nothing(whole: Path):
    page = (whole / "report.html").read_text()
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert "<script" not in page


def test_mistakes_stand_beside_their_heat_maps(whole: Path):
    truth, scores = case()
    wrong = int((scores.argmax(axis=1) != truth).sum())
    pairs = [p for p in pictures((whole / "report.html").read_text()) if p.height == 24 and p.width > 70]
    assert len(pairs) == min(wrong, 24)
    pair = np.asarray(pairs[0].convert("RGB"))
    left, right = pair[:, :36].astype(int), pair[:, -36:].astype(int)
    assert np.abs(left + right - 255).mean() < 30  # the heat map of this test is the negative


def test_predictions_are_whole_unshuffled_and_ranked(whole: Path):
    truth, scores = case()
    table = rows((whole / "predictions.csv").read_text())
    assert [r["file"] for r in table] == [f"val/{NAMES[t]}/{i}.png" for i, t in enumerate(truth)]
    assert [r["true"] for r in table] == [NAMES[t] for t in truth]
    order = np.argsort(-scores, axis=1)
    for i, r in enumerate(table):
        assert [r["predicted"], r["top2"], r["top3"]] == [NAMES[j] for j in order[i]]
        assert float(r["probability"]) == pytest.approx(scores[i].max(), abs=1e-6)
        assert (r["right"] == "yes") == (order[i, 0] == truth[i])
        best, second = np.sort(scores[i])[:-3:-1]
        assert (r["uncertain"] == "yes") == (best < 0.5 or best - second < 0.1)


def test_evaluation_and_matrix_agree_with_the_result(whole: Path):
    truth, scores = case()
    document = json.loads((whole / "evaluation.json").read_text())
    assert document["figures"]["accuracy"]["value"] == pytest.approx((scores.argmax(axis=1) == truth).mean())
    assert document["selection_score"] is True
    assert document["published"] == [{"name": "a paper", "value": 0.95, "note": "2019"}]
    assert document["comparison"]["names"] == ["new", "old"]
    assert document["milliseconds"] == {"openvino": 1.25}
    with (whole / "confusion_matrix.csv").open(newline="") as file:
        table = list(csv.reader(file))
    assert [[int(v) for v in row[1:]] for row in table[1:]] == document["confusion"]


def test_plots_are_png_and_nothing_is_left_over(whole: Path):
    names = ["calibration", "classes", "confusion_matrix", "curves", "roc_pr"]
    assert sorted(p.name for p in (whole / "plots").iterdir()) == [f"{n}.png" for n in names]
    assert sorted(p.name for p in whole.iterdir()) == [
        ".visus",
        "confusion_matrix.csv",
        "evaluation.json",
        "plots",
        "predictions.csv",
        "report.html",
    ]


def test_report_of_a_bare_result(tmp_path: Path):
    truth, scores = case()
    write_report(tmp_path, title="Bare", result=evaluate(truth, scores, NAMES, resamples=20))
    page = (tmp_path / "report.html").read_text()
    assert "Worst mistakes" not in headings(page)
    assert "Training" not in headings(page)
    assert rows((tmp_path / "predictions.csv").read_text())[7]["file"] == "#7"


def test_broken_pictures_and_failing_heat_maps_leave_the_rest(tmp_path: Path):
    truth, scores = case(30)
    wrong = np.flatnonzero(scores.argmax(axis=1) != truth)
    samples = list(dataset_of(truth))
    (tmp_path / "no.png").write_bytes(b"not a picture")
    samples[wrong[0]] = samples[wrong[0]].replace(image=tmp_path / "no.png")
    samples[wrong[1]] = samples[wrong[1]].replace(image=tmp_path / "gone.png")

    def explain(images: list[np.ndarray], classes: list[int]) -> list[np.ndarray]:
        raise RuntimeError("no memory")

    result = evaluate(truth, scores, NAMES, resamples=20)
    path = write_report(
        tmp_path / "out",
        title="Broken",
        result=result,
        dataset=Dataset(tuple(samples), NAMES),
        explain=explain,
    )
    page = path.read_text()
    assert page.count('class="missing"') >= 2
    assert len([p for p in pictures(page) if p.size == (36, 24)]) >= len(wrong) - 2


def test_names_of_any_bytes_are_written(tmp_path: Path):
    truth, scores = case(30)
    samples = list(dataset_of(truth))
    samples[0] = samples[0].replace(source="val/\udcff\n=cmd()<b>.png")
    result = evaluate(truth, scores, NAMES, resamples=0)
    write_report(tmp_path, title="Odd", result=result, dataset=Dataset(tuple(samples), NAMES))
    first = rows((tmp_path / "predictions.csv").read_text(encoding="utf-8"))[0]
    assert first["file"] == "val/\\udcff\n=cmd()<b>.png"
    assert "<b>.png" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_all_right_and_one_class(tmp_path: Path):
    truth = np.zeros(6, int)
    page = write_report(
        tmp_path,
        title="Sure",
        result=evaluate(truth, np.tile([0.9, 0.06, 0.04], (6, 1)), NAMES),
        dataset=dataset_of(truth),
        history=HISTORY[:1],
    ).read_text()
    assert "every picture was recognised" in page
    assert "No picture shows &#x27;rose&#x27;" in page


def test_several_labels(tmp_path: Path):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, (40, 3)).astype(np.uint8)
    scores = np.clip(rng.normal(0.3 + 0.4 * truth, 0.2), 0, 1)
    samples = tuple(
        Sample(rng.integers(0, 256, (24, 36), np.uint8), Classification(labels=t), f"{i}.png")
        for i, t in enumerate(truth)
    )
    result = evaluate_multilabel(truth, scores, NAMES, resamples=50)
    path = write_report(
        tmp_path, title="Labels", result=result, dataset=Dataset(samples, NAMES), published=[("x", 0.9, "")]
    )
    page = path.read_text()
    assert "Confusion matrix" not in headings(page)
    assert "wrongly given" in page or "missed" in page
    table = rows((tmp_path / "predictions.csv").read_text())
    for i, r in enumerate(table):
        assert r["true"] == "; ".join(n for n, v in zip(NAMES, truth[i]) if v)
        assert float(r["rose"]) == pytest.approx(scores[i, 1], abs=1e-6)


def test_what_does_not_belong_together_is_refused(tmp_path: Path):
    truth, scores = case(30)
    result = evaluate(truth, scores, NAMES, resamples=0)
    with pytest.raises(InputError, match="30 pictures, the data set holds 10"):
        write_report(tmp_path, title="", result=result, dataset=dataset_of(truth[:10]))
    with pytest.raises(InputError, match="scores"):
        write_report(tmp_path, title="", result=result, scores=scores[:5])
    assert list(tmp_path.iterdir()) == []


def test_table_of_two_classes_has_two_answers():
    result = evaluate([0, 1], [[0.9, 0.1], [0.45, 0.55]], ["a", "b"], resamples=0)
    assert prediction_table(result, ["x", "y"]).splitlines() == [
        "file,true,predicted,right,probability,uncertain,top2,probability2",
        "x,a,a,yes,0.900000,no,b,0.100000",
        "y,b,b,yes,0.550000,no,a,0.450000",
    ]
