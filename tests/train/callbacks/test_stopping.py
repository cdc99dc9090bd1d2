"""Early stopping and the plateau rule: the specification's runs, Keras' callbacks as the judge, resuming."""

import json
import math
import types
import warnings

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visus.structures import InputError
from visus.train.callbacks import (
    EarlyStopping,
    ReduceLROnPlateau,
    StopOnNaN,
    TimeBudget,
    direction,
    look_up,
    restore_states,
    states,
)


class FakeModel:
    """Just enough of a model: the weights are the number of the epoch."""

    def __init__(self, learning_rate=0.1):
        self.stop_training = False
        self.optimizer = types.SimpleNamespace(learning_rate=learning_rate, iterations=7)
        self.weights = [np.array(-1.0)]
        self.metrics = []

    def get_weights(self):
        return [w.copy() for w in self.weights]

    def set_weights(self, weights):
        self.weights = weights


def run(callback, values, *, first=0, model=None, name="val_loss", end=True):
    """Feeds one value an epoch; returns the model and the index of the last epoch that ran."""
    model = model or FakeModel()
    callback.set_model(model)
    callback.on_train_begin()
    epoch = first
    for epoch, value in enumerate(values, first):
        model.weights = [np.array(float(epoch))]
        callback.on_epoch_end(epoch, {name: value})
        if model.stop_training:
            break
    if end:
        callback.on_train_end({})
    return model, epoch


LOSSES = [1, 0.8, 0.7, 0.72, 0.71, 0.70, 0.69, 0.5]


@pytest.mark.parametrize(
    "arguments, last, best",
    [
        ({"patience": 3}, 5, 2),
        ({"patience": 4}, 7, 7),
        ({"patience": 2, "min_delta": 0.05}, 4, 2),
        ({"patience": 0}, 3, 2),
        ({"patience": 0, "start_from_epoch": 5}, 7, 7),
    ],
)
def test_early_stopping_on_the_known_run(arguments, last, best):
    stopping = EarlyStopping(**arguments)
    model, stopped = run(stopping, LOSSES)
    assert (stopped, stopping.best_epoch) == (last, best)
    assert model.weights[0] == best  # restored, also where it did not stop early
    assert stopping.stopped_epoch == (last if last < 7 else None)


def test_without_restoring_the_last_weights_stay():
    model, _ = run(EarlyStopping(patience=3, restore_best=False), LOSSES)
    assert model.weights[0] == 5


@settings(max_examples=150, deadline=None)
@given(
    values=st.lists(st.integers(0, 12).map(lambda i: i / 4), min_size=1, max_size=12),
    patience=st.integers(0, 4),
    min_delta=st.sampled_from([0.0, 0.25, 0.6]),
    baseline=st.sampled_from([None, 0.5, 1.5]),
    start=st.integers(0, 3),
    name=st.sampled_from(["val_loss", "loss"]),
)
def test_early_stopping_decides_as_keras_does(values, patience, min_delta, baseline, start, name):
    arguments = {
        "patience": patience,
        "min_delta": min_delta,
        "baseline": baseline,
        "start_from_epoch": start,
        "mode": "min",
    }
    ours = EarlyStopping(name, **arguments)
    theirs = keras.callbacks.EarlyStopping(name, restore_best_weights=True, **arguments)
    our_model, our_last = run(ours, values, name=name)
    their_model, their_last = run(theirs, values, name=name)
    assert our_last == their_last
    assert our_model.weights[0] == their_model.weights[0]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_nan_is_no_improvement_not_even_at_first(bad):
    stopping = EarlyStopping(patience=2)
    model, last = run(stopping, [bad, 0.9, bad, bad, 0.1])
    assert (last, stopping.best_epoch, model.weights[0]) == (3, 1, 1)
    model, last = run(EarlyStopping(patience=2), [bad, bad, 0.5])
    assert (last, model.weights[0]) == (1, 1)  # nothing to restore


def test_a_missing_figure_is_reported_once_with_those_there_are():
    stopping = EarlyStopping("val_iou")
    with pytest.warns(
        UserWarning, match=r"'val_iou', which is not logged\. Available: loss, mae\."
    ) as caught:
        stopping.set_model(FakeModel())
        stopping.on_train_begin()
        for epoch in range(3):
            stopping.on_epoch_end(epoch, {"loss": 1.0, "mae": 1.0})
    assert len(caught) == 1 and not stopping.model.stop_training


@pytest.mark.parametrize(
    "name, better",
    [
        ("val_loss", "min"),
        ("loss", "min"),
        ("mae", "min"),
        ("val_acc", "max"),
        ("sparse_top_k_categorical_accuracy", "max"),
        ("AUC", "max"),
        ("val_mean_io_u", "min"),  # Keras' class name does not hold "iou"; say mode="max"
        ("val_mIoU", "max"),
        ("f1_score", "max"),
        ("val_mAP", "max"),
        ("AP50", "max"),
        ("val_ap", "max"),
        ("gap", "min"),
        ("dice", "max"),
        ("dice_loss", "min"),
        ("mape", "min"),
        ("mean_absolute_percentage_error", "min"),
        ("top5_error", "min"),
        ("precision_1", "max"),
        ("recall", "max"),
    ],
)
def test_the_direction_is_told_by_the_name(name, better):
    assert direction(name) == better
    assert direction(name, "min") == "min" and direction(name, "max") == "max"


def test_a_wrong_mode_is_an_error():
    with pytest.raises(ValueError, match="auto, min or max"):
        EarlyStopping("loss", mode="down")


def test_acc_and_accuracy_are_one_name():
    assert look_up({"val_accuracy": 0.5}, "val_acc") == 0.5
    assert look_up({"acc": 0.25}, "accuracy") == 0.25
    assert look_up({"acc": 0.25, "accuracy": 0.5}, "acc") == 0.25
    assert look_up({"accuracy_2": 0.0}, "acc_2") == 0.0
    assert look_up(None, "acc") is None
    stopping = EarlyStopping("val_acc", patience=1)
    _, last = run(stopping, [0.5, 0.6, 0.6], name="val_accuracy")
    assert (last, stopping.best) == (2, 0.6)


@pytest.mark.parametrize("where", ["memory", "file"])
@pytest.mark.parametrize("cut", range(1, 8))
def test_a_resumed_training_stops_where_the_other_one_did(tmp_path, where, cut):
    def new():
        file = tmp_path / "best.npz" if where == "file" else None
        return EarlyStopping(patience=4, weights_file=file)

    first, second = new(), new()
    run(first, LOSSES[:cut], end=False)
    second.restore(json.loads(json.dumps(first.state())))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model, last = run(second, LOSSES[cut:], first=cut)
    assert (last, second.best_epoch, model.weights[0]) == (7, 7, 7)
    assert not caught
    # a new training does not remember the old one
    run(second, [5.0])
    assert (second.best, second.best_epoch) == (5.0, 0)


def test_best_weights_survive_an_interruption_in_a_file_only(tmp_path):
    for file in (tmp_path / "best.npz", None):
        first, second = (EarlyStopping(patience=9, weights_file=file) for _ in range(2))
        run(first, [0.5, 0.9], end=False)
        second.restore(first.state())
        if file:
            model, _ = run(second, [0.8, 0.7], first=2)
            assert model.weights[0] == 0
        else:
            with pytest.warns(UserWarning, match="of epoch 1, were lost"):
                model, _ = run(second, [0.8, 0.7], first=2)
            assert model.weights[0] == 3


def test_another_callbacks_state_is_refused():
    with pytest.raises(InputError, match="remembers best, best_epoch"):
        EarlyStopping().restore({"used": 3})


def test_states_are_named_by_class():
    two = [EarlyStopping(), keras.callbacks.History(), EarlyStopping("loss"), TimeBudget(5)]
    run(two[2], [3.0], name="loss")
    taken = json.loads(json.dumps(states(two)))
    assert list(taken) == ["EarlyStopping", "EarlyStopping:2", "TimeBudget"]
    fresh = [EarlyStopping(), EarlyStopping("loss")]
    restore_states(fresh, taken)
    assert [callback.best for callback in fresh] == [None, 3.0]


# --- plateau ---


def rates(callback, values, *, first=0, model=None):
    model = model or FakeModel()
    callback.set_model(model)
    callback.on_train_begin()
    seen = []
    for epoch, value in enumerate(values, first):
        callback.on_epoch_end(epoch, {"val_loss": value})
        seen.append(model.optimizer.learning_rate)
    return seen


@pytest.mark.parametrize(
    "arguments, values, expected",
    [
        ({"factor": 0.5, "patience": 2}, [1] + [0.9] * 7, [0.1, 0.1, 0.1, 0.05, 0.05, 0.025, 0.025, 0.0125]),
        ({"factor": 0.1, "patience": 2}, [1, 0.99995, 0.9999, 0.9998, 0.9997], [0.1, 0.1, 0.01, 0.01, 0.01]),
        ({"factor": 0.1, "patience": 1, "min_lr": 0.004}, [1, 1, 1, 1], [0.1, 0.01, 0.004, 0.004]),
        ({"factor": 0.5, "patience": 1, "cooldown": 2}, [1] * 6, [0.1, 0.05, 0.05, 0.025, 0.025, 0.0125]),
        ({"factor": 0.5, "patience": 2}, [math.nan] * 4, [0.1, 0.05, 0.05, 0.025]),
    ],
)
def test_plateau_on_known_runs(arguments, values, expected):
    assert rates(ReduceLROnPlateau(**arguments), values) == pytest.approx(expected)


@settings(max_examples=150, deadline=None)
@given(
    values=st.lists(st.integers(0, 12).map(lambda i: i / 4), min_size=1, max_size=14),
    patience=st.integers(1, 4),
    cooldown=st.integers(0, 3),
    min_delta=st.sampled_from([0.0, 0.1]),
)
def test_plateau_decides_as_keras_does(values, patience, cooldown, min_delta):
    arguments = {
        "patience": patience,
        "cooldown": cooldown,
        "min_delta": min_delta,
        "min_lr": 1e-4,
        "mode": "min",
    }
    ours, theirs = ReduceLROnPlateau(**arguments), keras.callbacks.ReduceLROnPlateau(**arguments)
    assert rates(ours, values) == pytest.approx(rates(theirs, values))


@pytest.mark.parametrize("cut", range(1, 8))
def test_plateau_resumes(cut):
    values, arguments = [1] + [0.9] * 7, {"factor": 0.5, "patience": 2, "cooldown": 1}
    whole = rates(ReduceLROnPlateau(**arguments), values)
    first, second, model = ReduceLROnPlateau(**arguments), ReduceLROnPlateau(**arguments), FakeModel()
    start = rates(first, values[:cut], model=model)
    second.restore(json.loads(json.dumps(first.state())))
    assert start + rates(second, values[cut:], first=cut, model=model) == pytest.approx(whole)


@pytest.mark.parametrize("factor", [0, 1, 1.5, -1])
def test_plateau_needs_a_factor_below_one(factor):
    with pytest.raises(ValueError, match="between 0 and 1"):
        ReduceLROnPlateau(factor=factor)


# --- time and NaN ---


def test_time_budget_counts_the_time_before_an_interruption():
    now = [100.0]
    first = TimeBudget(10, clock=lambda: now[0])
    first.set_model(FakeModel())
    first.on_train_begin()
    now[0] += 6
    first.on_epoch_end(0)
    assert not first.model.stop_training

    second = TimeBudget(10, clock=lambda: now[0])
    second.restore(json.loads(json.dumps(first.state())))
    second.set_model(FakeModel())
    now[0] += 1000  # the interruption itself does not count
    second.on_train_begin()
    now[0] += 3
    second.on_train_batch_end(0)
    second.on_epoch_end(1)
    assert not second.model.stop_training
    now[0] += 1
    second.on_train_batch_end(0)
    assert not second.model.stop_training
    second.on_epoch_end(2)
    assert second.model.stop_training and second.used == 10


def test_time_budget_at_a_batch():
    budget = TimeBudget(0, at="batch")
    budget.set_model(FakeModel())
    budget.on_train_begin()
    budget.on_train_batch_end(0)
    assert budget.model.stop_training
    with pytest.raises(ValueError, match="'epoch' or a 'batch'"):
        TimeBudget(1, at="minute")


def diverging_fit(callback):
    x = np.ones((8, 2), "float32")
    x[5] = np.nan
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", loss="mse")
    return model.fit(x, x[:, :1], batch_size=2, epochs=3, shuffle=False, verbose=0, callbacks=[callback])


def test_nan_stops_with_step_and_pictures():
    stop = StopOnNaN(lambda epoch, batch: [f"e{epoch}/{2 * batch}.png", f"e{epoch}/{2 * batch + 1}.png"])
    with pytest.warns(UserWarning, match=r"step 3 \(epoch 1, batch 3, with e0/4.png, e0/5.png\)"):
        history = diverging_fit(stop)
    assert len(history.history["loss"]) == 1 and stop.reason.startswith("The loss is nan")


def test_nan_as_an_error():
    with pytest.raises(FloatingPointError, match=r"step 3 \(epoch 1, batch 3\)"):
        diverging_fit(StopOnNaN(error=True))
