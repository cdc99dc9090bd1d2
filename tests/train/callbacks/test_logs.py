"""Logs: whole rows only, no doubled rows, and figures that can be computed another way."""

import csv
import json
import math

import keras
import numpy as np
import pytest

from visus.train.callbacks import BatchLosses, CSVLog, JSONLinesLog, MemoryReport


def log(callback, epochs, logs=lambda epoch: {"loss": 1 / (epoch + 1)}):
    callback.on_train_begin()
    for epoch in epochs:
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch, logs(epoch))
    callback.on_train_end()


def csv_rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_csv_has_full_precision_and_is_complete_after_every_epoch(tmp_path):
    path = tmp_path / "new" / "metrics.csv"
    callback = CSVLog(path)
    callback.on_train_begin()
    for epoch in range(3):
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch, {"loss": np.float32(1 / 3), "accuracy": 0.5})
        assert len(csv_rows(path)) == epoch + 1
    assert path.read_text().splitlines()[:2] == ["epoch,loss,accuracy", "1,0.3333333432674408,0.5"]
    assert [p.name for p in path.parent.iterdir()] == ["metrics.csv"]


@pytest.mark.parametrize("kind", [CSVLog, JSONLinesLog])
def test_a_resumed_training_drops_the_rows_it_repeats(tmp_path, kind):
    path = tmp_path / "log"
    log(kind(path), range(5))
    log(kind(path), range(3, 7), lambda epoch: {"loss": 100.0 + epoch})
    text = path.read_text().splitlines()
    if kind is CSVLog:
        rows = [(int(r["epoch"]), float(r["loss"])) for r in csv_rows(path)]
    else:
        rows = [(r["epoch"], r["loss"]) for r in map(json.loads, text)]
    assert rows == [(1, 1.0), (2, 0.5), (3, 1 / 3), *((e + 1, 100.0 + e) for e in range(3, 7))]


@pytest.mark.parametrize("kind", [CSVLog, JSONLinesLog])
def test_a_new_training_starts_a_new_log_unless_told_to_append(tmp_path, kind):
    path = tmp_path / "log"
    lines = {CSVLog: 1, JSONLinesLog: 0}[kind]  # the header
    log(kind(path), range(3))
    log(kind(path), range(2))
    assert len(path.read_text().splitlines()) == lines + 2
    log(kind(path, append=True), range(2))
    assert len(path.read_text().splitlines()) == lines + 4


def test_phases_share_a_file(tmp_path):
    path = tmp_path / "metrics.csv"
    log(CSVLog(path, phase="head"), range(3))
    log(CSVLog(path, phase="tune"), range(2))
    log(CSVLog(path, phase="tune"), range(1, 3))  # killed in epoch 2, resumed
    rows = [(r["phase"], r["epoch"]) for r in csv_rows(path)]
    assert rows == [("head", "1"), ("head", "2"), ("head", "3"), ("tune", "1"), ("tune", "2"), ("tune", "3")]
    log(CSVLog(path, phase="head"), range(2, 3))  # what came after is void
    assert [(r["phase"], r["epoch"]) for r in csv_rows(path)] == rows[:3]


def test_a_figure_that_comes_later_gets_its_column(tmp_path):
    path = tmp_path / "metrics.csv"
    log(CSVLog(path), range(2), lambda e: {"loss": 1.0} if e == 0 else {"loss": 0.5, "val_loss": math.nan})
    assert path.read_text() == "epoch,loss,val_loss\n1,1.0,\n2,0.5,nan\n"
    log(CSVLog(path), [2], lambda e: {"loss": 0.25})
    assert path.read_text() == "epoch,loss,val_loss\n1,1.0,\n2,0.5,nan\n3,0.25,\n"


def test_json_lines_are_strict_json(tmp_path):
    path = tmp_path / "metrics.jsonl"
    log(JSONLinesLog(path, phase="a"), [0], lambda e: {"loss": math.nan, "x": math.inf, "y": np.float32(0.5)})
    assert path.read_text() == '{"phase": "a", "epoch": 1, "loss": null, "x": null, "y": 0.5}\n'


def test_a_full_disk_does_not_end_the_training(tmp_path):
    (tmp_path / "file").write_text("")
    callback = CSVLog(tmp_path / "other.csv")
    callback.on_train_begin()
    callback.on_epoch_begin(0)
    callback.path = tmp_path / "file" / "metrics.csv"  # a folder that cannot be made
    with pytest.warns(UserWarning, match="Training goes on"):
        callback.on_epoch_end(0, {"loss": 1.0})


def test_batch_losses_are_recovered_from_the_running_means():
    x, y = np.linspace(-1, 1, 24, dtype="float32").reshape(8, 3), np.ones((8, 1), "float32")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(0.0), loss="mse")
    losses = BatchLosses()
    model.fit(x, y, batch_size=2, epochs=2, shuffle=False, verbose=0, callbacks=[losses])
    expected = ((x.sum(axis=1) - 1) ** 2).reshape(4, 2).mean(axis=1).tolist() * 2
    assert losses.each() == pytest.approx(expected, abs=1e-5)
    assert losses.epochs == [0] * 4 + [1] * 4
    assert losses.running[3] == pytest.approx(np.mean(expected), rel=1e-5)


def test_memory_report():
    resource = pytest.importorskip("resource")
    logs = {}
    MemoryReport().on_epoch_end(0, logs)
    assert 20 < logs["peak_memory_mb"] < 1e6
    assert logs["peak_memory_mb"] <= resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 * 1024
