"""The fused batch normalisation gives Keras' numbers: outputs, gradients, moving statistics."""

import keras
import numpy as np
import pytest
from keras import ops
from numpy.testing import assert_allclose

from visus.nn.normalization import BatchNormalization, fuse

pytestmark = pytest.mark.backend

RNG = np.random.default_rng(0)
X = RNG.normal(3, 2, (4, 7, 9, 5)).astype(np.float32)
WEIGHT = RNG.normal(size=X.shape).astype(np.float32)


def values(tensor):
    return ops.convert_to_numpy(tensor)


def twins(**arguments):
    pair = keras.layers.BatchNormalization(**arguments), BatchNormalization(**arguments)
    for layer in pair:
        layer.build(X.shape)
    for ours, theirs in zip(pair[1].weights, pair[0].weights, strict=True):
        theirs.assign(RNG.uniform(0.5, 1.5, theirs.shape))
        ours.assign(theirs)
    return pair


@pytest.mark.parametrize(
    "arguments", [{}, {"scale": False}, {"center": False}, {"momentum": 0.9, "epsilon": 1e-5}]
)
def test_outputs_and_moving_statistics_are_those_of_keras(arguments):
    keras_layer, layer = twins(**arguments)
    for training in (True, False):
        ours, theirs = (values(each(X, training=training)) for each in (layer, keras_layer))
        assert_allclose(ours, theirs, atol=2e-6)
    for ours, theirs in zip(layer.weights, keras_layer.weights, strict=True):
        assert_allclose(values(ours), values(theirs), rtol=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="elsewhere it is Keras' own layer")
@pytest.mark.parametrize("arguments", [{}, {"scale": False}, {"center": False}])
def test_gradients_are_those_of_keras(arguments):
    import tensorflow as tf

    found = []
    for layer in twins(**arguments):
        x = tf.constant(X)
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.sin(layer(x, training=True)) * WEIGHT)
        found.append(tape.gradient(loss, [x, *(v.value for v in layer.trainable_variables)]))
    for ours, theirs in zip(*found, strict=True):
        assert_allclose(ours, theirs, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("shape", [(8, 5), (4, 6, 5)])
def test_what_is_no_map_goes_through_keras(shape):
    x = RNG.normal(size=shape).astype(np.float32)
    layers = BatchNormalization(), keras.layers.BatchNormalization()
    ours, theirs = (values(layer(x, training=True)) for layer in layers)
    assert_allclose(ours, theirs, atol=1e-6)


def test_a_frozen_layer_keeps_its_statistics():
    _, layer = twins()
    layer.trainable = False
    before = values(layer.moving_mean)
    layer(X, training=True)
    assert_allclose(values(layer.moving_mean), before, rtol=0)


def test_a_network_of_others_is_made_fast_in_place():
    image = keras.Input((8, 8, 3))
    network = keras.Model(image, keras.layers.BatchNormalization(name="bn")(keras.layers.Conv2D(4, 3)(image)))
    x = RNG.normal(size=(2, 8, 8, 3)).astype(np.float32)
    before = values(network(x, training=True))
    fuse(network)
    assert type(network.get_layer("bn")) is BatchNormalization
    assert_allclose(values(network(x, training=True)), before, atol=2e-6)
