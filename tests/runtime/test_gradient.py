"""Gradients against finite differences, on whichever backend Keras has."""

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose

from visus.runtime.gradient import gradient

pytestmark = pytest.mark.backend


def test_equals_finite_differences():
    keras.utils.set_random_seed(2)
    inputs = keras.Input((3, 4, 2))
    x = keras.layers.Conv2D(5, 3, padding="same", activation="tanh")(inputs)
    x = keras.layers.BatchNormalization()(x)
    logits = keras.layers.Dense(3)(keras.layers.Dropout(0.9)(keras.layers.Flatten()(x)))
    model = keras.Model(inputs, {"logits": logits, "other": x})
    at = np.random.default_rng(0).normal(size=(2, 3, 4, 2)).astype(np.float32)

    def logit(x):
        return keras.ops.convert_to_numpy(model(x, training=False)["logits"]).astype(np.float64)

    values, slopes = gradient(model, at, index=1)
    assert values.dtype == slopes.dtype == np.float32
    assert_allclose(values, logit(at), atol=1e-6)
    assert slopes.shape == at.shape
    step = 1e-2
    for index in np.ndindex(3, 4, 2):
        moved = np.zeros_like(at)
        moved[(slice(None), *index)] = step
        difference = (logit(at + moved) - logit(at - moved))[:, 1] / (2 * step)
        assert_allclose(slopes[(slice(None), *index)], difference, atol=2e-3)


def test_rows_do_not_mix():
    inputs = keras.Input((2, 2, 1))
    model = keras.Model(inputs, {"logits": keras.layers.Dense(2)(keras.layers.Flatten()(inputs) ** 2)})
    at = np.random.default_rng(1).normal(size=(3, 2, 2, 1)).astype(np.float32)
    together = gradient(model, at, index=0)[1]
    assert_allclose(
        together, np.concatenate([gradient(model, at[i : i + 1], index=0)[1] for i in range(3)]), atol=1e-6
    )
