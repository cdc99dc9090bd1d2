"""The averaged weights against the recurrence, and their place in the model."""

import keras
import numpy as np
import pytest

from visus.train.callbacks import EarlyStopping, EvaluateAverage, averaged_weights

X = np.linspace(-1, 1, 30, dtype="float32").reshape(10, 3)
Y = np.arange(10, dtype="float32")[:, None]


def new_model(optimizer=None):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(optimizer or keras.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.9), loss="mse")
    return model


def averages(raw):
    """After every step: the first weights, then 0.9 average + 0.1 weights."""
    out = [raw[0]]
    for weights in raw[1:]:
        out.append([0.9 * a + 0.1 * w for a, w in zip(out[-1], weights)])
    return out


class Weights(keras.callbacks.Callback):
    """The raw weights after each step, and those that validation saw."""

    def __init__(self):
        super().__init__()
        self.raw, self.tested = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.raw.append(self.model.get_weights())

    def on_test_batch_end(self, batch, logs=None):
        self.tested.append(self.model.get_weights())


def test_validation_sees_the_average_and_training_goes_on_exactly():
    seen, model, plain = Weights(), new_model(), new_model(keras.optimizers.SGD(0.05))
    arguments = {"batch_size": 2, "epochs": 3, "shuffle": False, "verbose": 0}
    history = model.fit(X, Y, validation_data=(X, Y), callbacks=[EvaluateAverage(), seen], **arguments)
    raw = Weights()
    plain.fit(X, Y, callbacks=[raw], **arguments)
    for ours, theirs in zip(seen.raw, raw.raw, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(ours, theirs))  # bit for bit
    expected = averages(raw.raw)
    for epoch in range(3):
        kernel, bias = expected[5 * epoch + 4]
        assert np.allclose(seen.tested[5 * epoch][0], kernel, atol=1e-6)
        loss = np.mean((X @ kernel + bias - Y) ** 2)
        assert history.history["val_loss"][epoch] == pytest.approx(loss, rel=1e-4)
    assert np.allclose(model.get_weights()[0], expected[-1][0], atol=1e-6)  # what fit leaves behind


def test_early_stopping_keeps_the_average_of_the_best_epoch():
    seen, model = Weights(), new_model()
    stopping = EarlyStopping("val_loss", mode="max", patience=1)  # upside down: the first epoch is the best
    model.fit(X, Y, batch_size=2, epochs=5, shuffle=False, verbose=0, validation_data=(X, Y),
              callbacks=[EvaluateAverage(), seen, stopping])  # fmt: skip
    assert (stopping.best_epoch, len(seen.raw)) == (0, 10)
    assert np.allclose(model.get_weights()[0], averages(seen.raw)[4][0], atol=1e-6)


def test_in_and_out_leaves_no_trace():
    model = new_model()
    before = model.get_weights()
    with averaged_weights(model):  # no step yet: there is no average
        assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before))
    for _ in range(3):
        model.train_on_batch(X, Y)
    raw = model.get_weights()
    with pytest.raises(RuntimeError), averaged_weights(model):
        assert not np.array_equal(model.get_weights()[0], raw[0])
        raise RuntimeError
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), raw))


def test_without_an_average_and_without_an_optimiser_nothing_happens():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    with averaged_weights(model):
        pass
    model = new_model(keras.optimizers.SGD())
    model.train_on_batch(X, Y)
    raw = model.get_weights()
    with averaged_weights(model):
        assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), raw))
