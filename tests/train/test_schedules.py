"""Schedules against the sources' figures, Keras' own schedules, and closed forms."""

import json

import keras
import numpy as np
import pytest

from visus.structures import InputError
from visus.train import schedules as s

keras_schedules = keras.optimizers.schedules


@pytest.mark.parametrize(
    "schedule, step, rate",
    [
        (s.Exponential(0.004, 800_720, 0.95), 0, 0.004),
        (s.Exponential(0.004, 800_720, 0.95), 10_000, 0.00399744),
        (s.Exponential(0.004, 800_720, 0.95), 100_000, 0.00397446),
        (s.Exponential(0.004, 800_720, 0.95), 800_720, 0.0038),
        (s.Exponential(0.004, 800_720, 0.95, staircase=True), 800_719, 0.004),
        (s.Cosine(0.1, 100), 25, 0.0853553),
        (s.Cosine(0.1, 100), 50, 0.05),
        (s.Cosine(0.1, 100), 100, 0.0),
        (s.InverseTime(0.01, 0.001), 100, 0.00909091),
        (s.InverseTime(0.01, 0.001), 1000, 0.005),
        (s.Polynomial(0.1, 0.01, 100, 2), 50, 0.0325),
        (s.Polynomial(0.1, 0.01, 100, 2), 200, 0.01),
        (s.BurnIn(s.Constant(1e-3)), 499, 6.2001e-5),
        (s.BurnIn(s.Constant(1e-3)), 5000, 1e-3),
        (s.Piecewise((10, 20), (1.0, 0.1, 0.01)), 10, 1.0),
        (s.Piecewise((10, 20), (1.0, 0.1, 0.01)), 11, 0.1),
        (s.Piecewise((10, 20), (1.0, 0.1, 0.01)), 21, 0.01),
        (s.WarmUp(s.Constant(0.4), 4, start=0.5), 2, 0.3),
    ],
)
def test_known_values(schedule, step, rate):
    assert schedule(step) == pytest.approx(rate, rel=1e-5, abs=1e-12)


@pytest.mark.parametrize(
    "ours, theirs",
    [
        (
            s.Piecewise((3, 7), (1.0, 0.5, 0.1)),
            keras_schedules.PiecewiseConstantDecay([3, 7], [1.0, 0.5, 0.1]),
        ),
        (s.Exponential(0.1, 7, 0.5, True), keras_schedules.ExponentialDecay(0.1, 7, 0.5, True)),
        (s.InverseTime(0.1, 0.3, 7, True), keras_schedules.InverseTimeDecay(0.1, 7, 0.3, True)),
        (s.Polynomial(0.1, 0.001, 30, 0.7), keras_schedules.PolynomialDecay(0.1, 30, 0.001, 0.7)),
        (s.Cosine(0.1, 30, 0.2), keras_schedules.CosineDecay(0.1, 30, 0.2)),
        (s.Cosine(0.1, 6, 0.1, True, 2.0, 0.5), keras_schedules.CosineDecayRestarts(0.1, 6, 2.0, 0.5, 0.1)),
        (s.warm_up_cosine(0.1, 40, warm_up=8), keras_schedules.CosineDecay(0.0, 32, 0.0, "c", 0.1, 8)),
    ],
)
def test_the_same_as_keras_at_every_step(ours, theirs):
    steps = range(41)
    assert [ours(t) for t in steps] == pytest.approx([float(theirs(t)) for t in steps], abs=1e-7)


def test_one_cycle_rises_and_falls():
    cycle = s.OneCycle(0.5, 101, rise=0.3)
    rates = np.array([cycle(t) for t in range(101)])
    assert rates[0] == pytest.approx(0.02) and rates[-1] == pytest.approx(0.5 / 250_000)
    assert rates.max() == pytest.approx(0.5, rel=1e-3) and 28 <= rates.argmax() <= 30
    assert (np.diff(rates[:29]) > 0).all() and (np.diff(rates[31:]) < 0).all()
    assert cycle(500) == cycle(100)
    for degenerate in (s.OneCycle(0.5, 1), s.OneCycle(0.5, 3, rise=0.0), s.OneCycle(0.5, 3, rise=1.0)):
        assert all(0 < degenerate(t) <= 0.5 for t in range(4))


def test_a_file_of_epochs(tmp_path):
    file = tmp_path / "rates.txt"
    file.write_text("# warm\n0: 0.1\n\n2: 1e-2 # lower\n5 : 0.001\n")
    table = s.EpochTable.read(file, steps_per_epoch=10)
    assert [table(t) for t in (0, 19, 20, 49, 50, 10_000)] == [0.1, 0.1, 0.01, 0.01, 0.001, 0.001]


@pytest.mark.parametrize(
    "text", ["", "1: 0.1", "0: x", "0: 0.1\n0: 0.2", "0 0.1", "0: -1", "0: nan", "0: 1e999", "-1: 1"]
)
def test_a_bad_file_of_epochs(tmp_path, text):
    file = tmp_path / "rates.txt"
    file.write_text(text)
    with pytest.raises(InputError, match=r"rates\.txt"):
        s.EpochTable.read(file, 10)
    with pytest.raises(InputError, match="missing"):
        s.EpochTable.read(tmp_path / "missing", 10)


ALL = [
    s.Constant(0.1),
    s.Piecewise((3,), (1.0, 0.5)),
    s.Exponential(0.1, 7, 0.5, True),
    s.InverseTime(0.1, 0.3),
    s.Polynomial(0.1, 0.001, 30),
    s.Cosine(0.1, 30, restarts=True),
    s.warm_up_cosine(0.1, 30),
    s.BurnIn(s.Cosine(0.1, 30), 5),
    s.OneCycle(0.1, 30),
    s.EpochTable((0, 2), (0.1, 0.01), 5),
]


@pytest.mark.parametrize("schedule", ALL, ids=lambda x: type(x).__name__)
def test_there_and_back_through_json(schedule):
    assert s.from_dict(json.loads(json.dumps(schedule.to_dict()))) == schedule


def test_every_schedule_is_tested():
    assert {type(x) for x in ALL} == set(s.Schedule.__subclasses__())


def test_unknown_schedules_are_an_error():
    with pytest.raises(InputError, match="Known are BurnIn"):
        s.from_dict({"schedule": "os.system"})
    with pytest.raises(ValueError, match="one rate more"):
        s.Piecewise((1, 2), (0.1, 0.2))


def small_model(learning_rate=0.5):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(learning_rate), loss="mse")
    return model


X, Y = np.linspace(-1, 1, 30, dtype="float32").reshape(10, 3), np.ones((10, 1), "float32")


class Rates(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(float(self.model.optimizer.learning_rate))


def test_the_callback_sets_every_step_and_resumes_by_the_optimisers_count():
    schedule, rates, model = s.warm_up_cosine(0.1, 10, warm_up=3), Rates(), small_model()
    for epochs in (1, 2):  # the second fit continues where the first stopped
        fit = model.fit(X, Y, batch_size=2, epochs=epochs, initial_epoch=epochs - 1, shuffle=False, verbose=0,
                        callbacks=[s.Scheduled(schedule), rates])  # fmt: skip
        assert fit.history["learning_rate"] == [schedule(5 * epochs - 1)]
    assert rates.seen == pytest.approx([schedule(t) for t in range(10)])


def test_in_the_graph_it_trains_alike():
    schedule = s.OneCycle(0.1, 10)
    by_callback, in_graph = small_model(), small_model(s.as_keras(schedule, 10))
    by_callback.fit(X, Y, batch_size=2, epochs=2, shuffle=False, verbose=0, callbacks=[s.Scheduled(schedule)])
    in_graph.fit(X, Y, batch_size=2, epochs=2, shuffle=False, verbose=0)
    for a, b in zip(by_callback.get_weights(), in_graph.get_weights()):
        assert np.array_equal(a, b)


def test_in_the_graph_it_is_saved_with_the_model(tmp_path):
    schedule = s.warm_up_cosine(0.1, 10)
    small_model(s.as_keras(schedule, 10)).save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras").optimizer._learning_rate
    assert [float(loaded(t)) for t in range(12)] == pytest.approx([schedule(min(t, 10)) for t in range(12)])
