"""Progress: what is said, when it ends, and that stdout stays clean."""

import io

import keras
import numpy as np
import pytest

from visus.train.callbacks import PrintEvery, Progress
from visus.train.callbacks.progress import duration, figures


class Terminal(io.StringIO):
    def isatty(self):
        return True


def simulate(progress, clock, *, epochs, steps, step=1.0, compiling=50.0, validation=10.0):
    """A training whose first step also compiles; yields (epoch, steps done) before each end of a batch."""
    progress.set_params({"epochs": epochs, "steps": steps})
    progress.on_train_begin()
    for epoch in range(epochs):
        progress.on_epoch_begin(epoch)
        for batch in range(steps):
            clock[0] += step + (compiling if epoch == batch == 0 else 0)
            progress.on_train_batch_end(batch, {"loss": 0.5})
            yield epoch, batch + 1
        clock[0] += validation
        progress.on_epoch_end(epoch, {"loss": 0.5, "val_loss": 0.25})
    progress.on_train_end()


def test_time_left_knows_validation_and_forgets_compiling():
    clock = [0.0]
    progress = Progress("tune", stream=io.StringIO(), clock=lambda: clock[0])
    for epoch, done in simulate(progress, clock, epochs=3, steps=10):
        left = progress.seconds_left()
        if done == 1:
            assert left is None
        elif epoch == 0:
            assert left == pytest.approx((10 - done, 10 - done + 2 * 10))
        else:
            assert left == pytest.approx((20 - done, 20 - done + (2 - epoch) * 20))


def test_plain_lines_where_there_is_no_terminal():
    clock, stream = [0.0], io.StringIO()
    progress = Progress("tune", stream=stream, clock=lambda: clock[0])
    for _ in simulate(progress, clock, epochs=10, steps=10):
        pass
    lines = stream.getvalue().splitlines()
    assert lines[0] == "tune   1/10  loss 0.5000  val_loss 0.2500  70 s, 3 min left"
    assert lines[8] == "tune   9/10  loss 0.5000  val_loss 0.2500  20 s, 20 s left"
    assert lines[9] == "tune  10/10  loss 0.5000  val_loss 0.2500  20 s"
    assert len(lines) == 10


def test_a_moving_line_on_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("NO_COLOR", raising=False)
    clock, stream = [0.0], Terminal()
    progress = Progress("tune", stream=stream, clock=lambda: clock[0])
    for _ in simulate(progress, clock, epochs=1, steps=4, validation=0.0):
        pass
    drawn = [part for part in stream.getvalue().split("\r") if "step" in part]
    assert len(drawn) == 4 and "step 3/4" in drawn[2] and "epoch 1.0 s, all 1.0 s left" in drawn[2]
    assert drawn[2].count("━") == 16


def test_in_fit_nothing_goes_to_stdout(capsys):
    x = np.ones((4, 2), "float32")
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", loss="mse")
    model.fit(x, x[:, :1], epochs=3, verbose=0, validation_data=(x, x[:, :1]),
              callbacks=[Progress("head", 3), PrintEvery(2)])  # fmt: skip
    with Progress.bar("reading", 1000) as done:
        done(10)
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert [line[:9] for line in lines if line.startswith("head")] == ["head  1/3", "head  2/3", "head  3/3"]
    assert [line[:11] for line in lines if line.startswith("Epoch")] == ["Epoch    2:", "Epoch    3:"]
    assert lines[-1].startswith("reading: 1,000 in 0.")


def test_progress_in_evaluate_alone():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", loss="mse")
    model.evaluate(np.ones((4, 2)), np.ones(4), verbose=0, callbacks=[Progress()])


def test_words():
    assert figures({"loss": 0.123456, "lr": 1e-5, "zero": 0.0, "big": -1234.5}) == (
        "loss 0.1235  lr 1e-05  zero 0.0000  big -1234.5000"
    )
    logs = {"val_mae": 1, "mae": 2, "learning_rate": 0.5, "val_loss": 3, "loss": 4}
    assert figures(logs).split()[::2] == ["loss", "mae", "val_loss", "val_mae", "learning_rate"]
    assert [duration(s) for s in (-1, 0.42, 9.94, 9.96, 119, 200, 7300)] == (
        ["0.0 s", "0.4 s", "9.9 s", "10 s", "119 s", "3 min", "2 h 2 min"]
    )
    with pytest.raises(ValueError, match="at least 1"):
        PrintEvery(0)
