"""The range test against the stability limit of gradient descent on a quadratic."""

import math

import keras
import numpy as np
import pytest

from visus.train.range_test import learning_rate_range

X, Y = np.linspace(-1, 1, 30, dtype="float32").reshape(10, 3), np.ones((10, 1), "float32")


def small_model(learning_rate=0.5):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, kernel_initializer="ones")])
    model.compile(keras.optimizers.SGD(learning_rate), loss="mse")
    return model


def test_range_test_finds_the_stable_rates_and_leaves_no_trace():
    model = small_model(0.25)
    before = model.get_weights()
    test = learning_rate_range(model, [(X, Y)] * 60, low=1e-4, high=100.0, steps=60, smoothing=0.0)
    # Gradient descent on this quadratic diverges above 2 / (largest curvature).
    inputs = np.hstack([X, np.ones((10, 1))])
    limit = 2 / np.linalg.eigvalsh(2 * inputs.T @ inputs / 10).max()
    assert test.rates[0] == pytest.approx(1e-4) and limit < test.rates[-1] < 60 * limit
    assert test.steepest < limit
    assert test.losses[0] == pytest.approx(np.mean((inputs @ [1, 1, 1, 0] - 1) ** 2), rel=1e-5)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights()))
    assert float(model.optimizer.learning_rate) == 0.25 and int(model.optimizer.iterations) == 0


def test_range_test_needs_a_batch():
    with pytest.raises(ValueError, match="no batch"):
        learning_rate_range(small_model(), [])
    with pytest.raises(ValueError, match="no batch"):
        learning_rate_range(small_model(), [(X, Y * math.nan)])
