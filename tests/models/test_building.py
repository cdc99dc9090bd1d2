"""From a name to a model: defaults, seeds, sizes, classes, weights, and a sentence for each mistake."""

import random

import keras
import numpy as np
import pytest

from visus.models import create, imagenet_classes, save, trunk
from visus.models.surgery import variables
from visus.structures import ImageSpec, InputError


def weights_of(model):
    return {name: np.array(v) for name, v in variables(model).items()}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def test_imagenet_classes_are_sorted_ids_with_unique_names():
    ids, names = zip(*imagenet_classes())
    assert len(ids) == 1000
    assert list(ids) == sorted(set(ids))
    assert len(set(names)) == 1000
    assert imagenet_classes()[281] == ("n02123045", "tabby")
    assert imagenet_classes()[999] == ("n15075141", "toilet tissue")


@pytest.mark.data("imagenet_samples")
def test_imagenet_classes_agree_with_the_data_set(data_folder):
    lines = (data_folder / "labels.txt").read_text(encoding="utf-8").splitlines()
    changed = {134: "crane (animal)", 517: "crane (artifact)", 639: "tank suit"}
    for (wnid, name), line in zip(imagenet_classes(), lines, strict=True):
        index, expected_id, expected = line.split("\t")
        assert wnid == expected_id
        assert name == changed.get(int(index), expected.replace("_", " "))


def test_seed_fixes_the_weights_and_no_global_state_moves():
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    states = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    first, again, other = (weights_of(create("mnist-a", seed=s)) for s in (1, 1, 2))
    assert same(first, again)
    assert not same(first, other)
    assert random.getstate() == states[0]
    assert np.array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002


def test_classes_and_sizes():
    model = create("lenet-5-modern", class_names=("a", "b", "c"), image_size=(30, 44), dropout=0.3)
    assert model.class_names == ("a", "b", "c")
    assert model.image_spec == ImageSpec(30, 44, channels=1)
    assert model.dropout == 0.3
    assert model.input_shape == (None, 30, 44, 1)
    assert model.output["logits"].shape == (None, 3)
    assert create("lenet-5", num_classes=4).class_names == ("0", "1", "2", "3")
    assert create("mlp-128", image_size=16).image_spec.size == (16, 16)
    spec = ImageSpec(40, 30, channels=1, resize="letterbox")
    assert create("lenet-5", image_spec=spec).image_spec == spec


def test_the_published_model_keeps_its_rule_and_ones_own_cuts_nothing_away():
    published = create("resnet-18", weights="none")
    assert published.image_spec.resize == "crop"
    assert published.class_names[0] == "tench"
    own = create("resnet-18", num_classes=2, image_size=64)
    assert own.image_spec == ImageSpec(64, 64, resize="stretch")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"name": "lenet5"}, "Did you mean lenet-5"),
        ({"name": "lenet-5", "image_size": (20, 40)}, r"at least 28 x 28 .*Received 20 x 40"),
        ({"name": "lenet-5", "image_size": (28, 0)}, "image_size is one number or"),
        ({"name": "lenet-5", "image_size": (28, 28, 1)}, "image_size is one number or"),
        ({"name": "lenet-5", "image_size": 32, "image_spec": ImageSpec(28, 28, 1)}, "Give one"),
        ({"name": "lenet-5", "class_names": ("a", "b"), "num_classes": 3}, "Give one"),
        ({"name": "lenet-5", "class_names": "ab"}, "one string 'ab'"),
        ({"name": "lenet-5", "class_names": ("a", "a")}, "'a' occurs 2 times"),
        ({"name": "lenet-5", "num_classes": 1}, "at least two classes"),
        ({"name": "lenet-5", "style": "baroque"}, "classic, modern or original"),
        ({"name": "lenet-5", "droput": 0.1}, "lenet-5 knows no argument 'droput'"),
        ({"name": "lenet-5", "label_smoothing": 1.0}, r"label_smoothing lies in \[0, 1\)"),
        ({"name": "lenet-5", "weights": "imagenet"}, "'default', 'none' or a file"),
        (
            {"name": "mobilenet-v2", "image_spec": ImageSpec(64, 64, 1), "weights": "none"},
            r"takes 3 channels",
        ),
        (
            {"name": "efficientnet-lite0", "image_spec": ImageSpec(64, 64, 1)},
            r"for 3 channels.*weights='none'",
        ),
    ],
)
def test_each_mistake_has_its_sentence(arguments, reason):
    with pytest.raises(InputError, match=reason):
        create(**arguments)


def test_default_weights_fill_the_trunk_and_leave_ones_own_head_alone():
    whole = weights_of(create("efficientnet-lite0"))
    own = create("efficientnet-lite0", class_names=("a", "b"), image_size=(64, 96), seed=7)
    bare = weights_of(
        create("efficientnet-lite0", num_classes=2, weights="none", image_size=(64, 96), seed=7)
    )
    for name, value in weights_of(own).items():
        if name.startswith("logits"):
            np.testing.assert_array_equal(value, bare[name])
        else:
            np.testing.assert_array_equal(value, whole[name])
    assert own.trunk.pretrained.licence == "Apache-2.0"
    assert create("efficientnet-lite0", num_classes=2, weights="none", image_size=32).trunk.pretrained is None


def test_weights_from_files(tmp_path):
    first = create("mnist-a", seed=1)
    save(first, tmp_path / "first.keras")
    first.save_weights(tmp_path / "first.weights.h5")
    expected = weights_of(first)
    assert same(weights_of(create("mnist-a", weights=tmp_path / "first.keras")), expected)
    assert same(weights_of(create("mnist-a", weights=tmp_path / "first.weights.h5")), expected)
    other = weights_of(create("mnist-a", num_classes=3, weights=tmp_path / "first.keras"))
    assert other["logits/kernel"].shape == (128, 3)
    assert all(np.array_equal(other[n], expected[n]) for n in expected if not n.startswith("logits"))
    with pytest.raises(InputError, match="do not fit"):
        create("mnist-b", weights=tmp_path / "first.keras")
    with pytest.raises(InputError, match="does not hold weights of classify/mnist-b"):
        create("mnist-b", weights=tmp_path / "first.weights.h5")
    (tmp_path / "broken.weights.h5").write_bytes(b"hello")
    with pytest.raises(InputError, match="does not hold weights"):
        create("mnist-a", weights=tmp_path / "broken.weights.h5")
    (tmp_path / "net.pth").write_bytes(b"hello")
    with pytest.raises(InputError, match="cannot read weights from"):
        create("mnist-a", weights=tmp_path / "net.pth")
    with pytest.raises(InputError, match=r"magic number|not a torch file"):
        create("resnet-18", weights=tmp_path / "net.pth")


def test_a_trunk_alone():
    lite = trunk("efficientnet-lite0", image_size=(64, 96), top_conv=False)
    maps = lite(np.zeros((1, 64, 96, 3), "f4"))
    shapes = {stride: tuple(tensor.shape) for stride, tensor in maps.items()}
    assert shapes == {
        2: (1, 32, 48, 16), 4: (1, 16, 24, 24), 8: (1, 8, 12, 40), 16: (1, 4, 6, 112), 32: (1, 2, 3, 320),
    }  # fmt: skip
    full = weights_of(create("efficientnet-lite0"))
    assert all(np.array_equal(value, full[name]) for name, value in weights_of(lite).items())
    with pytest.raises(InputError, match="has no trunk"):
        trunk("lenet-5")


def test_a_layer_is_drawn_from_the_seed_even_after_others():
    keras.layers.Dense(3).build((None, 4))
    first = weights_of(create("mlp-64-32", seed=3))
    keras.layers.Dense(3).build((None, 4))
    assert same(first, weights_of(create("mlp-64-32", seed=3)))
