"""Multiply-adds by layer, against loops by hand and published figures."""

import keras
import pytest

from visus.models import multiply_adds
from visus.models.entries import find


def test_each_kind_of_layer_by_hand():
    x = keras.Input((12, 20, 6))
    same = {"padding": "same"}
    cases = {
        keras.layers.Conv2D(8, (3, 5), **same): 12 * 20 * 3 * 5 * 6 * 8,
        keras.layers.Conv2D(8, 3, 2, **same): 6 * 10 * 9 * 6 * 8,
        keras.layers.Conv2D(8, 3): 10 * 18 * 9 * 6 * 8,
        keras.layers.Conv2D(8, 3, groups=2, **same): 12 * 20 * 9 * 3 * 8,
        keras.layers.DepthwiseConv2D(3, **same): 12 * 20 * 9 * 6,
        keras.layers.SeparableConv2D(8, 3, **same): 12 * 20 * (9 * 6 + 6 * 8),
        keras.layers.Dense(5): 12 * 20 * 6 * 5,
        keras.layers.BatchNormalization(): 0,
    }
    for layer, expected in cases.items():
        assert multiply_adds(keras.Model(x, layer(x))) == expected


def test_nested_models_are_walked():
    inner = keras.Sequential([keras.Input((8, 8, 2)), keras.layers.Conv2D(4, 1)])
    outer = keras.Sequential([keras.Input((8, 8, 2)), inner, keras.layers.Flatten(), keras.layers.Dense(3)])
    assert multiply_adds(outer) == 64 * 2 * 4 + 64 * 4 * 3


@pytest.mark.parametrize(
    ("name", "published", "tolerance"),
    [
        ("vgg-16", 15.47e9, 0.001),
        ("mobilenet-v2", 0.30e9, 0.01),
        ("efficientnet-b0", 0.39e9, 0.02),
        # Its publishers' 407 M also count norms and activations; their own B0 figure bounds it from above.
        ("efficientnet-lite0", 0.407e9, 0.06),
        ("resnet-18", 1.8e9, 0.01),
        ("resnet-34", 3.6e9, 0.02),
    ],
)
def test_the_catalogue_agrees_with_the_publications(name, published, tolerance):
    assert find(name).multiply_adds == pytest.approx(published, rel=tolerance)
