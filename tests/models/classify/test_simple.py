"""Small nets: counts recomputed from their tables, maps where the books print them."""

from itertools import pairwise

import pytest

from visus.models import TrunkClassifier, create, trunk
from visus.models.surgery import split


def conv(k, c_in, c_out):
    return (k * k * c_in + 1) * c_out


def dense(*widths):
    return sum((a + 1) * b for a, b in pairwise(widths))


TABLE = {
    "mlp-128": (101_770, dense(784, 128, 10)),
    "mlp-128-60": (108_830, dense(784, 128, 60, 10)),
    "mlp-512": (407_050, dense(784, 512, 10)),
    "mlp-128-128": (118_282, dense(784, 128, 128, 10)),
    "mlp-1024-1024": (1_863_690, dense(784, 1024, 1024, 10)),
    "mlp-64-32": (52_650, dense(784, 64, 32, 10)),
    "mnist-a": (592_074, conv(5, 1, 32) + dense(12 * 12 * 32, 128, 10)),
    "mnist-b": (1_199_882, conv(3, 1, 32) + conv(3, 32, 64) + dense(12 * 12 * 64, 128, 10)),
    "fashion": (
        1_413_834,
        conv(7, 1, 64) + conv(3, 64, 128) + conv(3, 128, 128) + conv(3, 128, 256) + conv(3, 256, 256)
        + dense(2_304, 128, 64, 10),
    ),
    "inception-cifar": (
        2_106_250,
        3 * conv(1, 3, 64) + conv(3, 64, 64) + conv(5, 64, 64) + dense(32 * 32 * 192, 10),
    ),
    "cats-dogs": (
        19_024_513, conv(3, 3, 16) + conv(3, 16, 64) + conv(3, 64, 128) + dense(17 * 17 * 128, 512, 1)
    ),
    "pneumonia": (
        15_838_658, conv(3, 3, 32) + conv(3, 32, 64) + conv(3, 64, 128) + dense(123_008, 128, 2)
    ),
    "histology-v1": (85_512, conv(3, 3, 32) + conv(3, 32, 64) + dense(4 * 4 * 64, 64, 8)),
    "histology-v2": (
        5_447_912, conv(5, 3, 128) + conv(3, 128, 64) + conv(3, 64, 64) + dense(18 * 18 * 64, 256, 64, 32, 8)
    ),
    "histology-v3": (
        639_240,
        conv(3, 3, 16) + 2 * conv(3, 16, 16) + conv(3, 16, 32) + 2 * conv(3, 32, 32) + conv(3, 32, 64)
        + 2 * conv(3, 64, 64) + conv(3, 64, 128) + conv(3, 128, 128) + conv(3, 128, 256) + dense(256, 8),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE)
def test_counts_of_the_table(name):
    published, by_hand = TABLE[name]
    assert published == by_hand
    assert create(name).count_params() == published


def test_maps_of_the_table():
    pneumonia = create("pneumonia")
    sides = [pneumonia.get_layer(n).output.shape[1] for n in ("conv1", "pool1", "conv2", "pool2", "conv3")]
    assert sides == [511, 255, 127, 63, 31]
    assert pneumonia.get_layer("flatten").output.shape == (None, 123_008)
    fashion = create("fashion")
    assert [fashion.get_layer(n).output.shape[1] for n in ("pool1", "pool3", "pool5")] == [14, 7, 3]
    assert fashion.get_layer("flatten").output.shape == (None, 2_304)
    v1 = create("histology-v1")
    assert [v1.get_layer(n).output.shape[1] for n in ("conv1", "pool1", "conv2", "pool2")] == [50, 25, 8, 4]


def test_fashion_starts_from_he_and_the_others_heads_from_glorot():
    assert type(create("fashion").get_layer("features").kernel_initializer).__name__ == "HeNormal"
    assert type(create("mnist-a").get_layer("features").kernel_initializer).__name__ == "GlorotUniform"
    assert type(create("mnist-a").get_layer("conv1").kernel_initializer).__name__ == "HeNormal"


def test_a_yes_or_no_net_becomes_a_softmax_for_several_classes():
    assert create("cats-dogs", image_size=(30, 40)).multi_label
    two = create("cats-dogs", class_names=("cat", "dog"), image_size=(30, 40))
    assert not two.multi_label
    assert two.output["logits"].shape == (None, 2)
    tags = create("cats-dogs", class_names=("cat", "dog"), image_size=(30, 40), multi_label=True)
    assert tags.multi_label


def test_the_head_on_flattened_vgg_features():
    vgg = trunk("vgg-16", image_size=150, weights="none")
    model = TrunkClassifier(
        vgg, class_names=("dog",), multi_label=True, pooling="flatten", hidden=(512, 512), dropout=0.3
    )
    _, head = split(model, "features")
    assert head.count_params() == dense(8192, 512, 512, 1) == 4_457_985
