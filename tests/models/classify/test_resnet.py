"""Residual networks: published counts, the unit by hand, and torch's common layout."""

import keras
import numpy as np
import pytest

from visus.models import create, trunk
from visus.models.classify import resnet
from visus.models.classify.resnet import basic_unit
from visus.models.surgery import variables
from visus.structures import InputError


def trainable(model):
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def test_published_counts():
    assert trainable(create("resnet-18")) == 11_689_512
    assert trainable(create("resnet-34")) == 21_797_672
    ten = create("resnet-34", num_classes=10, image_size=64)
    assert (ten.count_params(), trainable(ten)) == (21_306_826, 21_289_802)


def test_weight_layers_are_what_the_name_says():
    """2 (3 + 4 + 6 + 3) convolutions of units, one of the stem, one dense layer."""
    for name, depth in (("resnet-18", 18), ("resnet-34", 34)):
        model = create(name, num_classes=2, image_size=64)
        convs = [
            layer
            for layer in model.trunk.layers
            if isinstance(layer, keras.layers.Conv2D) and "shortcut" not in layer.name
        ]
        assert len(convs) + 1 == depth


@pytest.mark.parametrize(("channels", "stride", "projected"), [(8, 1, False), (8, 2, True), (5, 1, True)])
def test_a_zero_main_path_gives_relu_of_the_shortcut(channels, stride, projected):
    x = keras.Input((6, 10, channels))
    unit = keras.Model(x, basic_unit(x, 8, stride, "u"))
    assert ("u_shortcut_conv" in [layer.name for layer in unit.layers]) == projected
    for name in ("u_1_conv", "u_2_conv"):
        kernel = unit.get_layer(name).kernel
        kernel.assign(np.zeros(kernel.shape))
    values = np.random.default_rng(0).normal(size=(2, 6, 10, channels)).astype("f4")
    shortcut = values
    if projected:
        kernel = np.array(unit.get_layer("u_shortcut_conv").kernel)[0, 0]
        shortcut = values[:, ::stride, ::stride] @ kernel / np.sqrt(1 + 1e-5)
    np.testing.assert_allclose(unit(values), np.maximum(shortcut, 0), rtol=1e-4, atol=1e-5)


def test_the_normalisation_is_that_of_imagenet():
    model = trunk("resnet-18", image_size=(32, 64))
    pixel = np.broadcast_to(np.array([255.0, 128.0, 0.0], "f4"), (1, 32, 64, 3))
    first = keras.Model(model.inputs[0], model.get_layer("normalise").output)(pixel)
    np.testing.assert_allclose(np.array(first)[0, 0, 0], [2.248908, 0.205182, -1.804444], atol=1e-5)


def test_a_checkpoint_of_the_common_layout_fits(monkeypatch):
    """Every tensor of such a file finds its variable, transposed; the unused counters are no complaint."""
    model = create("resnet-18", num_classes=3, image_size=(32, 64), seed=1)
    rng = np.random.default_rng(0)
    shapes = {"conv1.weight": (64, 3, 7, 7), "fc.weight": (1000, 512), "fc.bias": (1000,)}
    norms = {"bn1": 64}
    width_before = 64
    for stage, width in enumerate((64, 128, 256, 512), 1):
        for unit in range(2):
            prefix = f"layer{stage}.{unit}."
            shapes[prefix + "conv1.weight"] = (width, width_before, 3, 3)
            shapes[prefix + "conv2.weight"] = (width, width, 3, 3)
            norms |= {prefix + "bn1": width, prefix + "bn2": width}
            if unit == 0 and stage > 1:
                shapes[prefix + "downsample.0.weight"] = (width, width_before, 1, 1)
                norms[prefix + "downsample.1"] = width
            width_before = width
    tensors = {name: rng.normal(size=shape).astype("f4") for name, shape in shapes.items()}
    for name, width in norms.items():
        for part in ("weight", "bias", "running_mean", "running_var"):
            tensors[f"{name}.{part}"] = rng.uniform(1, 2, width).astype("f4")
        tensors[f"{name}.num_batches_tracked"] = np.array(1)
    monkeypatch.setattr(resnet, "read_checkpoint", lambda path: tensors)
    report = resnet.load_weights(model, "file.pth", head=False)
    assert report.complete
    assert len(report.matched) == len(variables(model)) - 2
    got = variables(model)
    np.testing.assert_array_equal(
        got["stage3_unit1_shortcut_conv/kernel"][0, 0], tensors["layer3.0.downsample.0.weight"][:, :, 0, 0].T
    )
    np.testing.assert_array_equal(
        got["stage4_unit2_2_bn/moving_variance"], tensors["layer4.1.bn2.running_var"]
    )
    tensors.pop("layer4.1.bn2.running_var")
    with pytest.raises(InputError, match=r"1 missing .stage4_unit2_2_bn/moving_variance"):
        resnet.load_weights(model, "file.pth", head=False)
