"""Freezing, with the parameter counts of the books, and what training then really changes."""

import re

import keras
import numpy as np
import pytest

from visus.structures import InputError
from visus.train import freeze as f

layers = keras.layers


def dense_net():
    return keras.Sequential([
        keras.Input((784,)),
        layers.Dense(32, name="hidden1"),
        layers.Dense(32, name="out"),
    ])  # fmt: skip


@pytest.fixture(scope="module")
def vgg():
    """No top, 150 x 150."""
    return keras.applications.VGG16(weights=None, include_top=False, input_shape=(150, 150, 3))


@pytest.fixture(scope="module")
def resnet():
    return keras.applications.ResNet50(weights=None)


@pytest.fixture(autouse=True)
def thawed(request):
    for name in ("vgg", "resnet"):
        if name in request.fixturenames:
            model = request.getfixturevalue(name)
            for layer in model.layers:  # model.trainable = True would do nothing: it is True already
                layer.trainable = True


def test_the_small_net_of_the_book():
    model = dense_net()
    assert f.counts(model) == f.Counts(26_176, 0)
    change = f.freeze(model, "hidden1")
    assert (change.frozen, change.unfrozen) == (("hidden1",), ())
    assert (change.before.trainable, change.after.trainable, change.after.frozen) == (26_176, 1_056, 25_120)
    assert str(change).splitlines() == [
        "1 layers frozen, 0 unfrozen",
        "             trainable        frozen         total",
        "before          26,176             0        26,176",
        "after            1,056        25,120        26,176",
    ]
    assert f.freeze(model, "hidden1").frozen == ()  # nothing new
    assert f.unfreeze(model, "hidden1").unfrozen == ("hidden1",)
    assert f.counts(model).frozen == 0


def test_vgg_with_two_dense_layers(vgg):
    f.freeze(vgg, slice(15))
    assert len(vgg.layers) == 19
    model = keras.Sequential([vgg, layers.Flatten(), layers.Dense(1024), layers.Dense(8)])
    model.build((None, 150, 150, 3))
    assert f.counts(model) == f.Counts(15_477_256, 23_112_520 - 15_477_256)


def test_vgg_with_pooling(vgg):
    pooled = layers.GlobalAveragePooling2D()(vgg.output)
    model = keras.Model(vgg.input, layers.Dense(2)(layers.Dense(1024)(pooled)))
    assert len(model.layers) == 22 and f.counts(model).total == 15_242_050
    assert f.freeze(model, slice(20)).after.trainable == 527_362


@pytest.mark.parametrize("stage", ["conv5", "stage:4", "stage:-1", "conv5_*", re.compile("^conv5_")])
def test_resnet_before_its_last_stage(resnet, stage):
    change = f.freeze_before(resnet, stage, only=layers.Conv2D)
    assert change.after == f.Counts(17_055_592, 8_581_120)
    convolutions = [layer for layer in resnet.layers if isinstance(layer, layers.Conv2D)]
    assert (sum(not c.trainable for c in convolutions), len(convolutions)) == (43, 53)
    # With the scale and offset of their normalisation, 2 for each of 15,296 channels:
    assert f.freeze_before(resnet, stage).after.frozen == 8_581_120 + 2 * 15_296


def test_xception_from_unit_seven():
    model = keras.applications.Xception(weights=None, include_top=False)
    assert model.layers[56].name.startswith("block7")
    assert f.freeze(model, slice(56)).after.trainable == 16_472_240
    assert list(f.stages(model)) == [f"block{i}" for i in range(1, 15)]


def test_stages_by_name(vgg, resnet):
    assert list(f.stages(vgg)) == [f"block{i}" for i in range(1, 6)]
    assert f.stages(vgg)["block2"] == ["block2_conv1", "block2_conv2", "block2_pool"]
    assert list(f.stages(resnet)) == [f"conv{i}" for i in range(1, 6)]
    assert sum(map(len, f.stages(resnet).values())) == len(resnet.layers) - 2  # without the head
    assert f.stages(resnet)["conv1"][1] == "conv1_pad" and f.stages(resnet)["conv5"][-1] == "conv5_block3_out"
    with pytest.raises(InputError, match="no stages"):
        f.stages(dense_net())
    with pytest.raises(InputError, match="no stages"):
        f.freeze(dense_net(), "stage:1")


def test_one_kind_of_layer_and_several_at_once(resnet):
    change = f.freeze(resnet, [layers.BatchNormalization, "predictions", 2])
    assert len(change.frozen) == 53 + 2 and {"predictions", "conv1_conv"} < set(change.frozen)
    assert f.unfreeze(resnet, "conv5", batch_norm=False).unfrozen == ()
    assert len(f.unfreeze(resnet, "conv5").unfrozen) == 10
    assert f.unfreeze(resnet, resnet.get_layer("conv1_conv")).unfrozen == ("conv1_conv",)


@pytest.mark.parametrize(
    "which, hint",
    [
        ("res5a_branch2a", "Did you mean .*conv5"),
        ("conv5_block9_out", "Did you mean .*conv5_block3_out"),
        ("res5*", "no layer 'res5"),
        ("stage:5", "5 stages, counted from 0"),
        (500, "177 layers"),
        (slice(400, 500), "177 layers"),
        (layers.LSTM, "177 layers"),
        (re.compile("nothing"), "'nothing'"),
        (layers.Dense(3, name="stranger"), "'stranger'"),
        ([], r"\[\]"),
    ],
)
@pytest.mark.parametrize("function", [f.freeze, f.unfreeze, f.freeze_before])
def test_what_is_not_there_is_an_error_and_changes_nothing(resnet, function, which, hint):
    before = f.counts(resnet)
    with pytest.raises(InputError, match=hint):
        function(resnet, which)
    assert f.counts(resnet) == before


def test_a_position_is_no_name(resnet):
    with pytest.raises(TypeError, match=r"3\.5"):
        f.freeze(resnet, 3.5)


def nested_model(seed=0):
    """A base with normalisation inside another model."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((6, 5, 3))
    x = layers.BatchNormalization(name="conv1_bn")(layers.Conv2D(4, 3, name="conv1_conv")(image))
    x = layers.BatchNormalization(name="conv2_bn")(layers.Conv2D(4, 3, name="conv2_conv")(layers.ReLU()(x)))
    base = keras.Model(image, x, name="base")
    inputs = keras.Input((6, 5, 3))
    outputs = layers.Dense(1, name="head")(layers.GlobalAveragePooling2D()(base(inputs)))
    model = keras.Model(inputs, outputs, name="whole")
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss="mse")
    return model


X = np.random.default_rng(0).normal(3, 2, (16, 6, 5, 3)).astype("float32")
Y = np.random.default_rng(1).normal(size=(16, 1)).astype("float32")


def changed_by_training(model):
    """Names of the layers whose weights differ after an epoch."""

    def values():
        return {w.path: w.numpy() for w in model.weights}

    before = values()
    model.fit(X, Y, batch_size=8, epochs=1, verbose=0)
    after = values()
    return {path.split("/")[-2] for path in before if not np.array_equal(before[path], after[path])}


def test_training_changes_what_it_should_and_frozen_statistics_stay():
    model = nested_model()
    f.freeze(model, "base")
    assert changed_by_training(model) == {"head"}
    f.unfreeze(model, ["conv2_conv", "conv2_bn"])  # inside the frozen base
    assert f.ensure_compiled(model)
    assert changed_by_training(model) == {"head", "conv2_conv", "conv2_bn"}
    f.freeze(model, "conv2_bn")
    assert f.ensure_compiled(model)
    assert changed_by_training(model) == {"head", "conv2_conv"}


def test_without_recompiling_fit_does_not_notice():
    model = nested_model()
    model.fit(X, Y, verbose=0)
    assert not f.needs_recompile(model)
    f.freeze(model, "base")
    assert f.needs_recompile(model)
    if keras.backend.backend() == "tensorflow":  # the trap; other backends raise
        assert "conv1_conv" in changed_by_training(model)
    with pytest.raises(InputError, match="which fit would not notice"):
        f.ensure_compiled(model, strict=True)
    assert f.ensure_compiled(model)
    assert changed_by_training(model) == {"head"}
    assert not f.ensure_compiled(model)
    f.unfreeze(model, "base")
    assert f.needs_recompile(model)


def test_recompiling_keeps_the_arguments():
    class Loss(keras.losses.Loss):  # not registered: it could not be rebuilt from a configuration
        def call(self, y_true, y_pred):
            return keras.ops.square(y_true - y_pred)

    model = nested_model()
    loss, optimizer = Loss(), keras.optimizers.AdamW(0.1, weight_decay=0.01, use_ema=True)
    optimizer.exclude_from_weight_decay(var_list=[model.get_layer("head").bias], var_names=["beta"])
    model.compile(optimizer, loss=loss, metrics=["mae"], steps_per_execution=2)
    model.optimizer.learning_rate = 0.025
    model.fit(X, Y, batch_size=8, verbose=0)
    f.recompile(model)
    assert model.loss is loss and model.steps_per_execution == 2
    new = model.optimizer
    assert new is not optimizer and not new.built and new.use_ema
    assert (float(new.learning_rate), new.weight_decay) == (pytest.approx(0.025), 0.01)
    assert not new._use_weight_decay(model.get_layer("head").bias)
    assert new._use_weight_decay(model.get_layer("head").kernel)
    assert "mae" in model.fit(X, Y, batch_size=8, verbose=0).history
    with pytest.raises(InputError, match="not been compiled"):
        f.recompile(dense_net())


@pytest.mark.parametrize("name, number", [("EfficientNetB0", 7), ("MobileNetV2", 16), ("DenseNet121", 5)])
def test_stages_of_other_families(name, number):
    base = getattr(keras.applications, name)(weights=None)
    assert len(f.stages(base)) == number


def test_names_without_stages():
    with pytest.raises(InputError, match="no stages"):
        f.stages(keras.applications.MobileNet(weights=None))  # conv1, then conv_dw_1, ...


class Trunked(keras.Model):
    """A model whose trunk shares its layers, as the classifiers of visus are made."""

    def __init__(self):
        image = keras.Input((6, 5, 3))
        x = layers.Conv2D(4, 3, name="a")(image)
        middle = layers.BatchNormalization(name="a_bn")(x)
        x = layers.Conv2D(4, 3, name="b")(middle)
        top = layers.BatchNormalization(name="b_bn")(x)
        trunk = keras.Model(image, {2: middle, 4: top})
        trunk.stages = [["a", "a_bn"], ["b", "b_bn"]]
        maps = trunk(image)
        super().__init__(image, layers.Dense(1, name="head")(layers.Flatten()(maps[4])))
        self.trunk = trunk


def learning(model):
    return {layer.name for layer in f._leaves(model) if layer.trainable and layer.weights}


def test_fine_tuning_of_the_top_stages():
    model = Trunked()
    assert f.freeze_for_tuning(model, 0).frozen == ("a", "a_bn", "b", "b_bn")
    assert learning(model) == {"head"}
    assert f.freeze_for_tuning(model, 1).unfrozen == ("b",)
    assert learning(model) == {"head", "b"}
    f.freeze_for_tuning(model, 1, batch_norm=True)
    assert learning(model) == {"head", "b", "b_bn"}
    f.freeze_for_tuning(model, "all")
    assert learning(model) == {"head", "a", "b"}
    f.freeze_for_tuning(model, 2, batch_norm=True)
    assert f.counts(model).frozen == 2 * (4 + 4)  # the statistics
    with pytest.raises(InputError, match="Received 3: give 0 to 2, or all"):
        f.freeze_for_tuning(model, 3)


def test_stage_numbers_of_a_trunk():
    model = Trunked()
    assert f.freeze(model, "stage:0").frozen == ("a", "a_bn")
    assert f.freeze(model, "stage:-1").frozen == ("b", "b_bn")
    with pytest.raises(InputError, match="It has 2 stages"):
        f.unfreeze(model, "stage:2")


def test_without_a_trunk_everything_learns():
    model = nested_model()
    f.freeze(model, "base")
    f.freeze_for_tuning(model, "all")
    assert f.counts(model).frozen == 16
