"""Every model of the catalogue, discovered by folder, is asked the same questions.

The cheap ones are built, trained and saved; of the large ones the facts are checked, and the slow tests build
them.
"""

import ast

import keras
import numpy as np
import pytest

from visus.models import catalogue, create, load, multiply_adds, save
from visus.models.entries import MODELS
from visus.models.surgery import split, variables
from visus.structures import Classification, InputError

ENTRIES = catalogue()
CHEAP = [name for name, entry in ENTRIES.items() if entry.module.endswith((".lenet", ".simple"))]
# One of each file and family whose build takes about a second, at a small size.
SMALL = [*CHEAP, "classify/efficientnet-lite0", "classify/resnet-18", "classify/mobilenet"]
EXPENSIVE = [name for name in ENTRIES if name not in SMALL]
CLASSES = ("ä", "b c", "d")


def small(name, **arguments):
    """The model at about its smallest size, not square, with three classes."""
    entry = ENTRIES[name]
    height, width = max(entry.minimum[0] + 2, 24), max(entry.minimum[1] + 13, 35)
    return create(name, class_names=CLASSES, image_size=(height, width), weights="none", seed=1, **arguments)


def pictures(model, count=2, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *model.image_spec.shape)).astype("f4")


@pytest.fixture(scope="module", params=SMALL)
def model(request):
    """Each small model, built once."""
    return small(request.param)


def test_every_file_declares_the_same_names_twice():
    for path in MODELS.glob("*/[!_]*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found = {n.target.id: ast.literal_eval(n.value) for n in tree.body if isinstance(n, ast.AnnAssign) and n.value
                 and n.target.id in ("VARIANTS", "CARDS")}  # fmt: skip
        assert found["VARIANTS"].keys() == found["CARDS"].keys(), path
        assert ast.get_docstring(tree), path
        assert {"create"} <= {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}, path


@pytest.mark.parametrize("name", ENTRIES)
def test_facts_are_sane(name):
    entry = ENTRIES[name]
    assert entry.parameters > 0 < entry.multiply_adds
    assert all(side <= whole for side, whole in zip(entry.minimum, entry.image_spec.size))
    assert entry.top1 is None or 50 < entry.top1 < (entry.top5 or 100) < 100.1
    assert entry.top1 is None or entry.weights is not None
    if entry.weights is not None:
        assert entry.weights.licence
        assert (entry.weights.way == "installed") == (entry.weights.sha256 is not None)


@pytest.mark.parametrize(
    "name", [*CHEAP, *(pytest.param(n, marks=pytest.mark.slow) for n in ENTRIES if n not in CHEAP)]
)
def test_the_published_net_has_the_published_cost(name):
    entry = ENTRIES[name]
    model = create(name, weights="none")
    assert model.count_params() == entry.parameters
    assert multiply_adds(model) == entry.multiply_adds
    assert model.num_classes == entry.num_classes
    assert model.image_spec == entry.image_spec
    keras.backend.clear_session()


@pytest.mark.parametrize("name", [n for n in ENTRIES if ENTRIES[n].minimum != (1, 1)])
def test_a_size_below_the_minimum_is_a_sentence_and_the_minimum_is_none(name):
    height, width = ENTRIES[name].minimum
    for size in ((height - 1, width), (height, width - 1)):
        with pytest.raises(InputError, match=f"needs pictures of at least {height} x {width}"):
            create(name, num_classes=2, image_size=size, weights="none")
    if name in SMALL:
        model = create(name, num_classes=2, image_size=(height, width), weights="none")
        assert np.isfinite(model(pictures(model))["logits"]).all()


def test_the_output_is_the_contract(model):
    images = pictures(model)
    outputs = model(images, training=False)
    assert list(outputs) == ["logits"]
    logits = np.array(outputs["logits"])
    assert logits.shape == (2, 3)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()
    assert model.input_shape[1:] == model.image_spec.shape
    assert model.image_spec.height != model.image_spec.width
    assert model.class_names == CLASSES
    assert np.array_equal(np.array(model(images, training=True)["logits"]).shape, (2, 3))


def test_each_picture_is_judged_alone(model):
    """In inference a batch changes nothing: no statistics of the batch, no dropout."""
    images = pictures(model, 3)
    together = np.array(model(images, training=False)["logits"])
    alone = np.concatenate([np.array(model(images[i : i + 1], training=False)["logits"]) for i in range(3)])
    np.testing.assert_allclose(together, alone, rtol=1e-3, atol=1e-4)


def test_features_and_logits_are_where_the_contract_says(model):
    features, logits = model.get_layer("features"), model.get_layer("logits")
    assert len(features.output.shape) == 2
    assert logits is model.layers[-1]
    lower, upper = split(model, "features")
    images = pictures(model)
    np.testing.assert_allclose(
        upper(lower(images))["logits"], model(images, training=False)["logits"], rtol=1e-4, atol=1e-5
    )


def test_values_come_in_as_0_to_255(model):
    """The graph normalises: a unit of brightness moves nothing by as much as it moves an unscaled net."""
    first = next(layer for layer in _flat(model) if layer.name != "image")
    assert type(first).__name__ in ("Rescaling", "Normalization", "GetItem")
    assert model.inputs[0].dtype == "float32"


def _flat(model):
    for layer in model.layers:
        yield from _flat(layer) if isinstance(layer, keras.Model) else [layer]


def test_the_trunk_gives_maps_by_stride(model):
    if model.trunk is None:
        return
    height, width = model.image_spec.size
    maps = model.trunk(pictures(model))
    assert list(maps) == [2, 4, 8, 16, 32]
    for stride, tensor in maps.items():
        assert tensor.shape[1] in (height // stride, -(-height // stride))
        assert tensor.shape[2] in (width // stride, -(-width // stride))
    stages = model.trunk.stages
    assert len(stages) == 5
    names = [name for stage in stages for name in stage]
    assert len(names) == len(set(names))
    last = model.trunk.get_layer(stages[-1][-1])
    assert last.output is model.trunk.outputs[-1]


def test_saved_and_loaded_is_the_same(model, tmp_path):
    loaded = load(save(model, tmp_path / "model.keras"))
    images = pictures(model)
    np.testing.assert_array_equal(loaded(images)["logits"], model(images)["logits"])
    assert type(loaded) is type(model)
    assert loaded.class_names == model.class_names
    assert loaded.image_spec == model.image_spec
    assert (loaded.trunk and loaded.trunk.stages) == (model.trunk and model.trunk.stages)


def test_the_configuration_builds_the_same_net(model):
    again = type(model).from_config(model.get_config())
    assert again.get_config() == model.get_config()
    shapes = {name: tuple(v.shape) for name, v in variables(model).items()}
    assert {name: tuple(v.shape) for name, v in variables(again).items()} == shapes


def test_every_trainable_number_gets_a_gradient(model):
    """A step of plain SGD on a loss moves every trainable variable and no other."""
    fresh = type(model).from_config(model.get_config())
    for layer in _flat(fresh):  # a dead ReLU is no fault of the graph
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    before = {name: np.array(v) for name, v in variables(fresh).items()}
    trainable = {id(v) for v in fresh.trainable_variables}
    fresh.compile(optimizer=keras.optimizers.SGD(10.0), run_eagerly=True)
    images = pictures(fresh, 12)
    fresh.train_on_batch(images, np.arange(12) % 3)
    moved = {name: not np.array_equal(before[name], np.array(v)) for name, v in variables(fresh).items()}
    still = [name for name, v in variables(fresh).items() if id(v) in trainable and not moved[name]]
    assert not still
    fixed = [name for name, v in variables(fresh).items() if id(v) not in trainable and moved[name]]
    assert all("moving_" in name for name in fixed)


def test_truth_encoded_and_decoded_is_the_truth(model):
    truth = [Classification(label=i) for i in (2, 0)]
    targets = model.encode(truth)
    assert [c.label for c in model.decode({"logits": 9.0 * targets})] == [2, 0]


@pytest.mark.parametrize(
    "name",
    [
        "lenet-5",
        "lenet-5-modern",
        "mlp-128",
        "mnist-a",
        pytest.param("lenet-5-original", marks=pytest.mark.slow),
    ],
)
def test_it_fits_eight_real_digits(name):
    """The only proof that loss and targets agree: a net must be able to learn a tiny real set by heart."""
    from sklearn.datasets import load_digits

    digits = load_digits(n_class=4)
    chosen = np.concatenate([np.flatnonzero(digits.target == k)[:2] for k in range(4)])
    images = np.kron(digits.images[chosen], np.ones((4, 4)))[..., None].astype("f4") * (255 / 16)
    model = create(name, num_classes=4, image_size=(32, 32), seed=0)
    model.compile(optimizer=keras.optimizers.Adam(3e-3))
    for _ in range(40):
        model.train_on_batch(images, digits.target[chosen])
    decided = model.decode(model(images, training=False))
    assert [c.label for c in decided] == digits.target[chosen].tolist()


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in EXPENSIVE if ENTRIES[n].parameters < 3e7])
def test_large_ones_at_their_smallest_size_keep_the_contract(name, tmp_path):
    model = create(
        name,
        class_names=CLASSES,
        image_size=tuple(s + 8 * i for i, s in enumerate(ENTRIES[name].minimum)),
        weights="none",
    )
    images = pictures(model)
    test_the_output_is_the_contract(model)
    if model.trunk is not None:
        assert list(model.trunk(images)) == [2, 4, 8, 16, 32]
        assert len(model.trunk.stages) == 5
    test_saved_and_loaded_is_the_same(model, tmp_path)
    keras.backend.clear_session()
