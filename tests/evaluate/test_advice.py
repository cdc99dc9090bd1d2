"""What to try next: each rule fires on the figures it names, and stays silent beside them."""

import numpy as np
import pytest

from visus.evaluate.advice import advise
from visus.evaluate.classification import ClassificationResult, evaluate
from visus.evaluate.diagnosis import Diagnosis
from visus.evaluate.multilabel import evaluate_multilabel

NAMES = ["daisy", "rose", "tulip"]


def judged(matrix: list[list[int]], confidence: float = 0.9, seed: int = 0) -> ClassificationResult:
    counts = np.array(matrix)
    rows, columns = np.indices(counts.shape)
    truth, predicted = np.repeat(rows.ravel(), counts.ravel()), np.repeat(columns.ravel(), counts.ravel())
    rest = (1 - confidence) / (len(counts) - 1)
    return evaluate(truth, np.eye(len(counts))[predicted] * (confidence - rest) + rest, NAMES, resamples=200)


def titles(result, **more) -> list[str]:
    return [a.title for a in advise(result, **more)]


FINE = [[905, 55, 40], [50, 900, 50], [45, 50, 905]]


def test_good_figures_leave_only_the_last_points():
    assert titles(judged(FINE)) == ["Nothing stands out"]


def test_class_taken_for_another_is_named_with_its_figures():
    found = advise(judged([[950, 30, 20], [10, 600, 390], [20, 30, 950]], 0.83))
    assert found[0].title == "rose is taken for tulip"
    assert "600 of 1000" in found[0].text
    assert "390 of the 400 mistakes" in found[0].text


def test_mistakes_spread_over_many_classes_are_no_confusion():
    counts = np.eye(6, dtype=int) * 100
    counts[0] = [40, 12, 12, 12, 12, 12]
    truth = np.repeat(np.arange(6), 100)
    predicted = np.concatenate([np.repeat(np.arange(6), row) for row in counts])
    scores = np.eye(6)[predicted] * 0.88 + 0.02
    found = advise(evaluate(truth, scores, list("abcdef"), resamples=0))
    assert found[0].title == "a is hard to recognise"


def test_sure_mistakes_may_be_label_errors():
    found = advise(judged(FINE, 0.96))
    assert "290 mistakes made with certainty" in [a.title for a in found]


def test_probabilities_off_give_the_temperature_that_repairs_them():
    found = {a.title: a.text for a in advise(judged(FINE, 0.6))}
    assert "promises 30 points too little" in found["Probabilities are off"]
    # Right 2710 of 3000 times with one margin: T follows from log odds, the error goes to 0.
    margin, odds = np.log(0.6 / 0.2), np.log((2710 / 3000) / (290 / 6000))
    assert f"temperature of {margin / odds:.2f} would bring it to 0.000" in found["Probabilities are off"]


def test_label_smoothing_is_named_as_the_cause():
    found = {a.title: a.text for a in advise(judged(FINE, 0.6), settings={"label_smoothing": 0.1})}
    assert "(label smoothing, 0.1 here, does that)" in found["Probabilities are off"]


def test_no_better_than_the_majority():
    assert titles(judged([[90, 5, 5], [45, 5, 0], [45, 0, 5]]))[0] == "No better than always the same answer"


def test_small_test_set_says_how_many_pictures_it_takes():
    found = {a.title: a.text for a in advise(judged([[18, 1, 1], [1, 18, 1], [1, 1, 18]]))}
    # 0.9 * 0.1 * (1.96 / 0.02)^2 = 864.4, in whole hundreds.
    assert "900 pictures" in found["The test is small"]


def test_few_and_rare_training_pictures():
    result = judged([[950, 25, 25], [25, 950, 25], [75, 75, 850]])
    counts = {"daisy": 400, "rose": 350, "tulip": 80}
    found = {a.title: a.text for a in advise(result, train_counts=counts)}
    assert "'tulip' 80" in found["Few training pictures"]
    assert "--balanced" in found["Rare classes come off badly"]
    again = titles(result, train_counts=counts, settings={"class_weights": "balanced"})
    assert "Rare classes come off badly" not in again


@pytest.mark.parametrize(
    ("verdict", "settings", "said"),
    [
        ("overfit", {"policy": "standard"}, "--policy strong"),
        ("overfit", {"policy": "strong"}, "--mix mixup"),
        ("underfit", {"size": (224, 224)}, "--size 288"),
        ("underfit", {"unfreeze": 2}, "unfreeze=all"),
        ("diverged", {}, "--rate"),
        ("stopped", {}, "larger model"),
        ("stopped", {"epochs": 0}, "--epochs 6"),
        ("unfinished", {}, "--epochs"),
    ],
)
def test_curves_lead_to_what_has_not_been_done_yet(verdict, settings, said):
    diagnosis = Diagnosis(verdict, "Because of this.", 0, 0.0)
    first = advise(judged(FINE), diagnosis=diagnosis, settings=settings)[0]
    assert first.text.startswith("Because of this.")
    assert said in first.text


def test_several_labels():
    truth = np.random.default_rng(0).integers(0, 2, (60, 3))
    result = evaluate_multilabel(truth, np.clip(truth * 0.8 + 0.1, 0, 1), NAMES, resamples=50)
    assert titles(result) == ["Nothing stands out"]
    assert titles(result, train_counts={"daisy": 5, "rose": 500, "tulip": 500})[0] == "Few training pictures"
