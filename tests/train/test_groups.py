"""Rates by group and exempt weights, against steps computed by hand."""

import keras
import numpy as np
import pytest

from visus.train.callbacks import ReduceLROnPlateau
from visus.train.groups import by_group, exempt_from_decay

layers = keras.layers


def new_model():
    return keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(4, name="trunk_1"),
            layers.BatchNormalization(name="bn"),
            layers.Dense(1, name="head"),
        ]
    )


X, Y = np.random.default_rng(0).normal(size=(8, 3)).astype("float32"), np.ones((8, 1), "float32")


def step(model):
    before = {w.path.split("/", 1)[1]: w.numpy() for w in model.trainable_weights}
    model.train_on_batch(X, Y)
    return {
        w.path.split("/", 1)[1]: w.numpy() - before[w.path.split("/", 1)[1]] for w in model.trainable_weights
    }


def test_each_group_moves_at_its_own_rate():
    keras.utils.set_random_seed(0)
    plain, grouped = new_model(), new_model()
    grouped.set_weights(plain.get_weights())
    plain.compile(keras.optimizers.SGD(0.5), loss="mse")
    grouped.compile(
        by_group(grouped, lambda k: keras.optimizers.SGD(0.5 * k), {r".*/trunk_1/.*": 0.1}), loss="mse"
    )
    ours, theirs = step(grouped), step(plain)
    for name in theirs:
        factor = 0.1 if "trunk_1" in name else 1.0
        assert np.allclose(ours[name], factor * theirs[name], atol=1e-7), name
    plateau = ReduceLROnPlateau("loss", patience=0, factor=0.5)
    plateau.set_model(grouped)
    plateau.on_train_begin()
    plateau.on_epoch_end(0, {"loss": float("nan")})
    assert sorted(float(o.learning_rate) for o in grouped.optimizer.optimizers) == pytest.approx(
        [0.025, 0.25]
    )


def test_a_pattern_without_weights_is_an_error():
    with pytest.raises(ValueError, match=r"'backbone/\.\*' matches no weight. Paths look like 'sequential"):
        by_group(new_model(), lambda k: keras.optimizers.SGD(k), {"backbone/.*": 0.1})


def test_only_kernels_decay():
    model = new_model()
    for weight in model.trainable_weights:
        weight.assign(np.ones(weight.shape))
    optimizer = keras.optimizers.SGD(0.1, weight_decay=0.5)
    exempt_from_decay(optimizer, model)
    optimizer.build(model.trainable_weights)
    optimizer.apply([np.zeros(w.shape, "float32") for w in model.trainable_weights])
    values = {w.path.split("/", 1)[1]: float(w.numpy().mean()) for w in model.trainable_weights}
    for name, value in values.items():
        assert value == pytest.approx(0.95 if "kernel" in name else 1.0), name
