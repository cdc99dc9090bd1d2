"""Saved models: names, which of them is the latest, what is in them."""

import os

import keras
import numpy as np
import pytest

from visus.structures import InputError
from visus.train.callbacks import SaveModel, checkpoint_name, latest_checkpoint

X, Y = np.linspace(-1, 1, 30, dtype="float32").reshape(10, 3), np.arange(10, dtype="float32")[:, None]


def new_model(**optimizer):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(0.01, **optimizer), loss="mse")
    return model


def fit(*callbacks, epochs=10, model=None, **more):
    model = model or new_model()
    model.fit(X, Y, batch_size=2, epochs=epochs, shuffle=False, verbose=0, callbacks=list(callbacks), **more)
    return model


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_ten_epochs_and_the_beginning(tmp_path):
    fit(SaveModel(tmp_path / "cp-{epoch:04d}.weights.h5", initial=True))
    assert names(tmp_path) == [f"cp-{i:04d}.weights.h5" for i in range(11)]
    os.utime(tmp_path / "cp-0003.weights.h5", (2e9, 2e9))  # the clock does not matter
    last = tmp_path / "cp-0010.weights.h5"
    for where in (tmp_path, tmp_path / "cp", tmp_path / "cp-0010", tmp_path / "cp-{epoch:04d}.weights.h5"):
        assert latest_checkpoint(where) == last
    assert latest_checkpoint(tmp_path / "cp-000") == tmp_path / "cp-0009.weights.h5"
    model = new_model()
    model.load_weights(tmp_path / "cp-0000.weights.h5")
    assert model.get_weights()[0].tolist() == [[1.0]] * 3


def test_where_nothing_is_nothing_is_the_latest(tmp_path):
    assert latest_checkpoint(tmp_path) is None
    assert latest_checkpoint(tmp_path / "none" / "cp") is None
    (tmp_path / ".tmp-cp-0009.keras").touch()
    (tmp_path / "cp-0009.txt").touch()
    assert latest_checkpoint(tmp_path) is None


@pytest.mark.parametrize(
    "files, where, latest",
    [
        (["cp-0002-0.99.keras", "cp-0010-0.25.keras"], "", 1),
        (["cp-9-0.99.keras", "cp-10-0.25.keras"], "cp-{epoch}-{val_loss:.2f}.keras", 1),
        (["run2-e9.h5", "run2-e10.h5", "run3.h5"], "run2", 1),
        (["e1-s200.keras", "e2-s100.keras"], "e{epoch}-s{step}.keras", 0),
    ],
)
def test_the_latest_by_number(tmp_path, files, where, latest):
    for name in files:
        (tmp_path / name).touch()
    assert latest_checkpoint(tmp_path / where) == tmp_path / files[latest]


def test_a_template_without_a_number_has_no_latest(tmp_path):
    with pytest.raises(InputError, match="neither"):
        latest_checkpoint(tmp_path / "cp-{val_loss}.keras")


@pytest.mark.parametrize(
    "template", ["{val_los}.keras", "{epoch.real}.keras", "{loss[0]}.keras", "{}.keras", "{loss:q}.keras"]
)
def test_a_field_that_is_not_there(template):
    with pytest.raises(InputError, match="Available: loss, epoch, step"):
        checkpoint_name(template, epoch=1, step=2, logs={"loss": 0.5})


def test_every_so_many_epochs_and_the_newest_two(tmp_path):
    fit(SaveModel(tmp_path / "{epoch}.weights.h5", every=3, keep=2), epochs=10)
    assert names(tmp_path) == ["6.weights.h5", "9.weights.h5"]


def test_every_so_many_batches(tmp_path):
    fit(SaveModel(tmp_path / "{epoch}-{step}.weights.h5", every=0, every_batches=4), epochs=2)
    assert names(tmp_path) == ["1-4.weights.h5", "2-8.weights.h5"]


def test_by_time(tmp_path):
    now = iter(range(1000))
    fit(
        SaveModel(tmp_path / "{step}.weights.h5", every=0, every_seconds=5, clock=lambda: next(now)), epochs=3
    )
    assert len(names(tmp_path)) > 1 and names(tmp_path)[0] != "1.weights.h5"


def test_the_best_and_a_resumed_best(tmp_path):
    def save(callback, values, first=0):
        model = new_model()
        callback.set_model(model)
        callback.on_train_begin()
        for epoch, value in enumerate(values, first):
            callback.on_epoch_end(epoch, {"val_accuracy": value})
        return names(tmp_path)

    path = tmp_path / "{epoch}.weights.h5"
    first = SaveModel(path, best_only=True, monitor="val_acc", threshold=0.5, keep=2)
    assert save(first, [0.4, 0.6, 0.55, float("nan")]) == ["2.weights.h5"]
    second = SaveModel(path, best_only=True, monitor="val_acc", threshold=0.5, keep=2)
    second.restore(first.state())
    assert save(second, [0.58, 0.7, 0.8], first=4) == ["6.weights.h5", "7.weights.h5"]


def test_a_whole_model_goes_on_where_it_was(tmp_path):
    model = fit(SaveModel(tmp_path / "m.keras"), epochs=2, model=new_model(momentum=0.9))
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    assert int(loaded.optimizer.iterations) == 10 and names(tmp_path) == ["m.keras"]
    for one in (model, loaded):
        fit(epochs=1, model=one)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), loaded.get_weights()))


def test_the_best_has_the_averaged_weights(tmp_path):
    model = new_model(use_ema=True, ema_momentum=0.5)
    fit(SaveModel(tmp_path / "best.weights.h5", best_only=True, monitor="loss"), epochs=1, model=model)
    saved = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    saved.load_weights(tmp_path / "best.weights.h5")
    assert np.array_equal(saved.get_weights()[0], model.get_weights()[0])  # fit ends with the average


def test_a_full_disk_does_not_end_the_training(tmp_path):
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="Training goes on"):
        model = fit(SaveModel(tmp_path / "file" / "m.keras"), epochs=1)
    assert int(model.optimizer.iterations) == 5
    with pytest.raises(ValueError, match=r"\.keras"):
        SaveModel("model.pt")
