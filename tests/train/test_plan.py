"""The plan: arithmetic on measured times, by hand."""

import pytest

from visus.train.plan import make_plan
from visus.train.settings import Settings

MEASURED = {
    "train": 1600,
    "val": 160,
    "judged": 400,
    "step_seconds": 1.0,
    "view_seconds": 0.01,
    "elapsed": 30.0,
}


def test_without_a_budget_everything_asked_for_is_done():
    plan = make_plan(Settings(epochs=2, variants=3), **MEASURED)
    assert (plan.variants, plan.epochs, plan.steps) == (3, 2, 100)
    # 2 epochs of 100 steps at 1 s, and 160 pictures forward at a third of a sixteenth of a step.
    assert plan.tune_seconds == pytest.approx(2 * (100 + 160 / 48))
    assert "2 epochs of 100 steps at 1.00 s" in str(plan)


def test_a_budget_buys_views_then_epochs():
    # 600 s: 30 gone, 4 + 20 to finish; 0.9 of the rest is 482.6... the head takes 4 views of 1600 and 160, then epochs
    # of 103.3 s each.
    plan = make_plan(Settings(minutes=10), **MEASURED)
    left = 0.9 * (600 - 30 - 400 / 48 - 20)
    left -= 0.01 * (4 * 1600 + 160) + 40 * (0.05 + 5e-5 * 1600)
    assert (plan.variants, plan.epochs, plan.steps) == (4, int(left / (100 + 160 / 48)), 100)
    assert plan.head_seconds + plan.tune_seconds < 0.9 * 600


def test_a_small_budget_buys_a_part_of_an_epoch_or_none():
    some = make_plan(Settings(minutes=3), **MEASURED)
    assert some.epochs == 1
    assert 30 <= some.steps < 100
    assert some.variants == 3  # half of 0.9 * (180 - 30 - 8.3 - 20) s buys 3.4 passes of 16 s
    none = make_plan(Settings(minutes=1), **MEASURED)
    assert (none.variants, none.epochs) == (1, 0)


def test_what_does_not_buy_two_epochs_of_the_whole_net_buys_some_of_its_last_stage():
    quick = {**MEASURED, "top_step_seconds": 0.2}
    plan = make_plan(Settings(minutes=3), **quick)
    left = 0.9 * (180 - 30 - 400 / 48 - 20)
    left -= 0.01 * (1600 + 160) + 40 * (0.05 + 5e-5 * 1600)
    epoch = 0.2 * (100 + 160 / 48)
    assert (plan.variants, plan.epochs, plan.top_epochs) == (1, 0, int(left / epoch))
    assert plan.top_seconds == pytest.approx(plan.top_epochs * epoch)
    assert "last stage" in str(plan)
    assert make_plan(Settings(minutes=10), **quick).top_epochs == 0


def test_fixed_epochs_win_over_the_budget_and_nothing_is_tuned_without_a_step():
    assert make_plan(Settings(minutes=1, epochs=5), **MEASURED).epochs == 5
    assert make_plan(Settings(epochs=0), **{**MEASURED, "step_seconds": 0.0}).tune_seconds == 0


def test_from_scratch_something_is_always_learned():
    plan = make_plan(Settings(minutes=1), **{**MEASURED, "view_seconds": None, "train": 20_000})
    assert (plan.epochs, plan.steps) == (1, 30)
    assert plan.seconds < 60


def test_from_scratch_there_is_no_head():
    plan = make_plan(Settings(), **{**MEASURED, "view_seconds": None})
    assert (plan.variants, plan.epochs, plan.head_seconds) == (0, 30, 0.0)
    assert "views" not in str(plan)
