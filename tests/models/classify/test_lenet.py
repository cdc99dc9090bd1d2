"""LeNet-5: every layer's parameters, in all three styles."""

import numpy as np
import pytest

from visus.models import create
from visus.models.classify.lenet import C3_INPUTS, CodeDistance, TrainablePooling, scaled_tanh


def counts(model):
    return [layer.count_params() for layer in model.layers if layer.count_params()]


@pytest.mark.parametrize("name", ["lenet-5", "lenet-5-modern"])
def test_parameters_layer_by_layer(name):
    model = create(name)
    assert counts(model) == [156, 2_416, 48_120, 10_164, 850]
    assert model.count_params() == 61_706
    maps = [model.get_layer(layer).output.shape[1:] for layer in ("c1", "s2", "c3", "s4", "c5")]
    assert maps == [(28, 28, 6), (14, 14, 6), (10, 10, 16), (5, 5, 16), (1, 1, 120)]


def test_the_original_has_sixty_thousand_trainable_parameters():
    model = create("lenet-5-original")
    trainable = {
        layer.name: sum(int(np.prod(v.shape)) for v in layer.trainable_weights) for layer in model.layers
    }
    partial = sum(n for name, n in trainable.items() if name.startswith("c3_"))
    assert (trainable["c1"], trainable["s2"], partial, trainable["s4"]) == (156, 12, 1_516, 32)
    assert (trainable["c5"], trainable["features"], trainable["logits"]) == (48_120, 10_164, 0)
    assert sum(trainable.values()) == 60_000


def test_the_connection_table():
    """6 maps of three, 6 of four in a row, 3 of four with a gap, 1 of all; every map of S2 used equally often."""
    assert [len(set(inputs)) for inputs in C3_INPUTS] == [3] * 6 + [4] * 9 + [6]
    assert len(set(map(frozenset, C3_INPUTS))) == 16
    assert np.bincount(np.concatenate(C3_INPUTS)).tolist() == [10] * 6


def test_28_is_padded_to_32_and_32_is_not():
    small, large = create("lenet-5"), create("lenet-5", image_size=32, seed=0)
    picture = np.random.default_rng(0).integers(0, 256, (1, 28, 28, 1)).astype("f4")
    padded = np.pad(picture, ((0, 0), (2, 2), (2, 2), (0, 0)))
    np.testing.assert_allclose(small(picture)["logits"], large(padded)["logits"], rtol=1e-5, atol=1e-6)
    odd = create("lenet-5", image_size=(29, 40))
    assert odd.get_layer("border").output.shape[1:3] == (32, 40)


def test_trainable_pooling_and_code_distance_by_hand():
    x = np.arange(24, dtype="f4").reshape(1, 4, 3, 2)  # the last column has no partner and is dropped
    pooling = TrainablePooling()
    pooling.build(x.shape)
    pooling.scale.assign([2.0, -1.0])
    pooling.bias.assign([0.5, 0.0])
    first = x[0, :2, :2].mean(axis=(0, 1)) * [2, -1] + [0.5, 0]
    second = x[0, 2:, :2].mean(axis=(0, 1)) * [2, -1] + [0.5, 0]
    np.testing.assert_allclose(pooling(x), [[[first], [second]]])

    distance = CodeDistance(3)
    vector = np.random.default_rng(0).normal(size=(2, 5)).astype("f4")
    received = np.array(distance(vector))
    codes = np.array(distance.codes)
    assert set(np.unique(codes)) == {-1.0, 1.0}
    slow = [[-0.5 * sum((v[i] - c[i]) ** 2 for i in range(5)) for c in codes] for v in vector]
    np.testing.assert_allclose(received, slow, rtol=1e-5)
    assert not distance.trainable_weights


def test_scaled_tanh_is_one_at_one():
    np.testing.assert_allclose(scaled_tanh(np.array([-1.0, 0.0, 1.0])), [-1, 0, 1], atol=1e-4)
