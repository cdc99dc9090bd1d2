"""The one-sentence diagnosis: each rule on curves made for it, and just beside it."""

import math

import pytest

from visus.evaluate.diagnosis import best_epoch, diagnose


def history(*epochs: tuple[float, float, float, float], phase: str | None = None) -> list[dict[str, float]]:
    names = ("loss", "accuracy", "val_loss", "val_accuracy")
    return [dict(zip(names, e)) | ({"phase": phase} if phase else {}) for e in epochs]


GOOD = history(
    (1.0, 0.60, 1.0, 0.60), (0.5, 0.85, 0.55, 0.84), (0.40, 0.90, 0.45, 0.88), (0.35, 0.91, 0.449, 0.88)
)


def test_healthy():
    found = diagnose(GOOD)
    assert (found.verdict, found.best) == ("healthy", 3)
    assert found.gap == pytest.approx(0.03)
    assert str(found) == "Healthy: the loss fell from 1 to 0.35, training 3 points ahead of validation."


def test_overfit_needs_all_three_signs():
    over = [*GOOD, *history((0.1, 0.99, 0.6, 0.87))]
    found = diagnose(over)
    assert (found.verdict, found.best) == ("overfit", 3)
    assert "epoch is 4 of 5" in found.sentence
    assert "12 points" in found.sentence
    small_gap = [*GOOD, *history((0.3, 0.92, 0.6, 0.88))]
    assert diagnose(small_gap).verdict != "overfit"
    best_last = [*GOOD, *history((0.1, 0.99, 0.448, 0.87))]
    assert diagnose(best_last).verdict != "overfit"
    shrinking = history((1.0, 0.9, 0.4, 0.6), (0.5, 0.93, 0.5, 0.8), (0.3, 0.97, 0.5, 0.85))
    assert diagnose(shrinking).verdict != "overfit"


def test_a_wide_gap_is_overfit_in_itself():
    wide = history((1.0, 0.5, 1.0, 0.5), (0.8, 0.7, 0.9, 0.55), (0.6, 0.78, 0.85, 0.6))
    assert diagnose(wide).sentence == (
        "Overfit: at the end training is 18 points of accuracy ahead of validation (78.0% and 60.0%)."
    )


def test_underfit_is_below_the_target_on_both():
    low = history((1.5, 0.3, 1.5, 0.3), (1.2, 0.5, 1.2, 0.5), (1.1, 0.6, 1.1, 0.6))
    assert diagnose(low).verdict == "underfit"
    assert "60.0%" in diagnose(low).sentence
    assert diagnose(low, target=0.5).verdict == "unfinished"
    only_training = [{"loss": 1.0, "accuracy": 0.4}, {"loss": 0.9, "accuracy": 0.5}]
    assert diagnose(only_training).verdict == "underfit"


def test_stopped_and_unfinished():
    flat = [*GOOD, *history(*[(0.35, 0.91, 0.45, 0.88)] * 4)]
    assert diagnose(flat).verdict == "stopped"
    assert "last 3 of 8 epochs" not in diagnose(GOOD).sentence
    falling = history((1.0, 0.6, 1.0, 0.6), (0.6, 0.8, 0.6, 0.8), (0.3, 0.9, 0.3, 0.9))
    assert diagnose(falling).verdict == "unfinished"


def test_diverged():
    assert diagnose([*GOOD, *history((math.nan, 0.2, math.nan, 0.2))]).verdict == "diverged"
    assert diagnose([*GOOD, *history((math.inf, 0.2, 1.0, 0.2))]).verdict == "diverged"
    assert diagnose(history((1.0, 0.5, 1.0, 0.5), (1.6, 0.3, 1.6, 0.3))).verdict == "diverged"


def test_the_last_phase_decides_and_the_best_epoch_counts_from_the_start():
    over = history((1.0, 0.6, 0.5, 0.6), (0.1, 0.99, 0.9, 0.7), phase="head")
    found = diagnose(over + [e | {"phase": "tune"} for e in GOOD])
    assert (found.verdict, found.best) == ("healthy", 5)
    assert "of phase 'tune'" in found.sentence


def test_little_or_nothing_is_no_reason_to_fail():
    for short in ([], GOOD[:1], [{}, {}], [{"loss": ""}, {"loss": None}]):
        assert diagnose(short).verdict == "unknown"


def test_best_epoch_by_what_is_known():
    assert best_epoch([{"val_accuracy": 0.5}, {"val_accuracy": 0.7}, {"val_accuracy": 0.7}]) == 1
    assert best_epoch([{"loss": 2.0}, {"loss": "1.0"}]) == 1
    assert best_epoch([{"val_loss": math.nan}, {"val_loss": 1.0}]) == 1
    assert best_epoch([{}]) is None
