"""The adviser's table, and times that can be added by hand."""

import pytest

from visus.train.recipes import LITTLE, advise, cache_gain, run_time


@pytest.mark.parametrize(
    "similar, pictures, case, learns, cut",
    [
        (True, LITTLE - 1, "head", ["head"], 0),
        (True, LITTLE, "top", ["head", 2], 0),
        (False, LITTLE - 1, "early features", ["head", "all"], 2),
        (False, LITTLE, "all", ["head", "all"], 0),
        (None, 10, "head", ["head"], 0),
        (None, 1e6, "top", ["head", 2], 0),
    ],
)
def test_the_four_cases(similar, pictures, case, learns, cut):
    advice = advise(similar, pictures)
    assert (advice.case, [step.learns for step in advice.steps], advice.cut) == (case, learns, cut)
    assert advice.pretrained and f"{pictures:,.0f} pictures per class" in advice.sentence
    rates = [step.learning_rate for step in advice.steps]
    assert rates == sorted(rates, reverse=True)  # each step is gentler than the one before
    assert ("taken for similar" in advice.sentence) == (similar is None)


@pytest.mark.parametrize("similar", [True, False, None])
def test_another_modality_is_not_transferred(similar):
    advice = advise(similar, 50, same_modality=False)
    assert (advice.case, advice.pretrained) == ("from scratch", False)


def test_two_phases_of_the_recipe():
    head, top = advise(True, 1000, stages=14).steps
    assert (head.epochs, head.learning_rate) == (3, 0.1)
    assert (top.epochs, top.learning_rate, top.learns) == (10, 0.01, 6)


@pytest.mark.parametrize("pictures", [-1, float("nan")])
def test_a_wrong_number_of_pictures(pictures):
    with pytest.raises(ValueError, match="from 0 on"):
        advise(True, pictures)


def test_run_time():
    assert run_time([60.0], 10) == (540.0, 600.0)
    assert run_time([100.0, 10.0, 20.0], 5) == (30.0, 160.0)
    assert run_time([1.0, 1.0], 2) == (0.0, 2.0)
    with pytest.raises(ValueError, match="at least one"):
        run_time([], 5)


def test_a_cache_pays_when_its_making_is_earned_back():
    gain = cache_gain(10, in_graph_epoch=270, extraction=1000, cached_epoch=6)
    assert (gain.in_graph, gain.cached, gain.pays_from) == (2700, 1060, 4)
    for epochs in range(1, 8):
        at = cache_gain(epochs, in_graph_epoch=270, extraction=1000, cached_epoch=6)
        assert (at.cached < at.in_graph) == (epochs >= 4)
    assert "pays from epoch 4 on" in str(gain)
    assert cache_gain(10, in_graph_epoch=1, extraction=5, cached_epoch=2).pays_from is None
