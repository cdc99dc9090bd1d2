"""Checkpoints: bit for bit, atomic, and one broken file never ends a training."""

import errno
import os

import keras
import numpy as np
import pytest

from visus.structures import InputError
from visus.train import checkpoint as ckpt
from visus.train.callbacks import averaged_weights


def make(units=3, use_ema=True):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(8),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
        ]
    )
    model.add(keras.layers.Dense(units))
    model.compile(keras.optimizers.AdamW(0.01, use_ema=use_ema), "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def data(n=32):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 4)).astype(np.float32), rng.normal(size=(n, 3)).astype(np.float32)


def fit(model, epochs, first=0, callbacks=()):
    x, y = data()
    return model.fit(x, y, 8, epochs, 0, list(callbacks), shuffle=False, initial_epoch=first)


def values(model):
    return [np.array(v) for v in model.weights]


def test_going_on_from_a_checkpoint_gives_the_same_bits(tmp_path):
    whole = make()
    fit(whole, 6)

    first = make()
    fit(first, 3, callbacks=[ckpt.Checkpoint(tmp_path, "tune", 0)])
    state, record = ckpt.latest(tmp_path)
    assert (record["phase"], record["next_epoch"], record["number"]) == ("tune", 3, 2)
    second = make()
    ckpt.restore(second, state)
    fit(second, 6, first=3)

    for a, b in zip(values(whole), values(second), strict=True):
        np.testing.assert_array_equal(a, b)


def test_random_states_and_moving_averages_are_part_of_the_state():
    names = " ".join(ckpt.capture(make()))
    assert "seed_generator_state" in names
    assert "average" in names
    assert "momentum" in names


def test_only_the_newest_checkpoints_are_kept_and_numbers_count_not_clocks(tmp_path):
    fit(make(), 5, callbacks=[ckpt.Checkpoint(tmp_path, "tune", 7)])
    assert [p.name for p in ckpt.checkpoints(tmp_path)] == ["state-000011.npz", "state-000010.npz"]
    os.utime(tmp_path / "state-000010.npz")
    assert ckpt.latest(tmp_path)[1]["number"] == 11


@pytest.mark.parametrize("damage", [0.0, 0.3, 0.9, "flip"])
def test_a_broken_checkpoint_is_passed_over_with_a_message(tmp_path, damage):
    fit(make(), 3, callbacks=[ckpt.Checkpoint(tmp_path, "tune", 0)])
    newest = ckpt.checkpoints(tmp_path)[0]
    content = bytearray(newest.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 0xFF
    else:
        content = content[: int(len(content) * damage)]
    newest.write_bytes(content)
    said = []
    _, record = ckpt.latest(tmp_path, said.append)
    assert record["number"] == 1
    assert len(said) == 1
    assert newest.name in said[0]


def test_no_checkpoint_is_none(tmp_path):
    assert ckpt.latest(tmp_path) is None


def test_a_half_written_file_is_never_taken_for_a_checkpoint(tmp_path):
    (tmp_path / "state-000009.npz.part").write_bytes(b"half")
    assert ckpt.checkpoints(tmp_path) == []


def test_a_full_disk_is_reported_and_training_goes_on(tmp_path, monkeypatch):
    said = []
    writer = ckpt.Checkpoint(tmp_path, "tune", 0, report=said.append)
    fit(make(), 1, callbacks=[writer])

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    fit(make(), 2, callbacks=[writer])
    assert len(said) == 2
    assert "No space left" in said[0]
    assert [p.name for p in tmp_path.iterdir()] == ["state-000000.npz"]


def test_the_state_of_another_model_is_refused_and_changes_nothing():
    model = make()
    before = values(model)
    with pytest.raises(InputError, match="another model"):
        ckpt.restore(model, ckpt.capture(make(units=2)))
    for a, b in zip(before, values(model)):
        np.testing.assert_array_equal(a, b)


def test_a_pickle_inside_a_checkpoint_is_never_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "trapped"),)

    path = tmp_path / "state-000000.npz"
    np.savez(path, record=np.frombuffer(b"{}", np.uint8), evil=np.array([Trap()], dtype=object))
    with pytest.raises(InputError, match="broken"):
        ckpt.load(path)
    assert not (tmp_path / "trapped").exists()


def test_keep_best_gives_back_the_best_epoch_with_its_moving_average(tmp_path):
    model = make()
    best = ckpt.KeepBest(tmp_path / "best.npz", "val_loss")
    averages = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["val_loss"] = [3.0, 1.0, 2.0][epoch]
            with averaged_weights(self.model):
                averages.append(values(self.model))

    x, y = data()
    model.fit(x, y, 8, 3, 0, [Watch(), best])
    assert (best.epoch, best.value) == (1, 1.0)
    best.restore_best(model)
    for a, b in zip(averages[1], values(model), strict=True):
        np.testing.assert_array_equal(a, b)


def test_keep_best_resumes(tmp_path):
    best = ckpt.KeepBest(tmp_path / "best.npz")
    assert best.state() == {"value": None, "epoch": None}
    best.set_model(make())
    best.keep(4, 0.5)
    kept, remembered = best.file.read_bytes(), best.state()
    best = ckpt.KeepBest(tmp_path / "best.npz")
    best.restore(remembered)
    best.set_model(make())
    best.on_epoch_end(5, {"val_loss": 0.6})
    assert best.file.read_bytes() == kept
    best.on_epoch_end(6, {"val_loss": 0.4})
    assert best.state() == {"value": 0.4, "epoch": 6}


def test_keep_best_tells_that_the_best_weights_are_lost(tmp_path):
    said = []
    best = ckpt.KeepBest(tmp_path / "best.npz", report=said.append)
    best.restore({"value": 0.5, "epoch": 4})
    assert best.state() == {"value": None, "epoch": None}
    assert "lost" in said[0]


def test_keep_best_gives_back_the_weights_before_a_training_that_only_did_harm(tmp_path):
    model = make()
    before = values(model)
    best = ckpt.KeepBest(tmp_path / "best.npz", "loss")
    best.begin_with(model, 0.0)
    model.fit(*data(), 8, 2, 0, [best])
    assert (best.epoch, best.value) == (-1, 0.0)
    best.restore_best(model)
    for a, b in zip(before, values(model), strict=True):
        np.testing.assert_array_equal(a, b)
