"""The families of keras.applications: counts, taps, preprocessing, weights copied one for one."""

import ast
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format

from visus.models import TrunkClassifier, create, trunk
from visus.models.classify import keras_applications
from visus.models.classify.keras_applications import copy_weights, normalise
from visus.models.entries import catalogue, find
from visus.structures import InputError

# Total and headless parameters as printed, and the width of the features.
PRINTED = {
    "mobilenet-v2": (3_538_984, 2_257_984, 1280),
    "mobilenet": (4_253_864, 3_228_864, 1024),
    "nasnet-mobile": (5_326_716, 4_269_716, 1056),
    "efficientnet-b0": (5_330_571, 4_049_571, 1280),
    "efficientnet-b1": (7_856_239, 6_575_239, 1280),
    "efficientnet-b2": (9_177_569, 7_768_569, 1408),
    "efficientnet-b3": (12_320_535, 10_783_535, 1536),
    "efficientnet-b4": (19_466_823, 17_673_823, 1792),
    "efficientnet-b5": (30_562_527, 28_513_527, 2048),
    "efficientnet-b6": (43_265_143, 40_960_143, 2304),
    "efficientnet-b7": (66_658_687, 64_097_687, 2560),
    "inception-v3": (23_851_784, 21_802_784, 2048),
    "inception-resnet-v2": (55_873_736, 54_336_736, 1536),
    "xception": (22_910_480, 20_861_480, 2048),
    "resnet-50": (25_636_712, 23_587_712, 2048),
    "resnet-101": (44_707_176, None, 2048),
    "resnet-152": (60_419_944, None, 2048),
    "resnet-50-v2": (25_613_800, 23_564_800, 2048),
    "resnet-101-v2": (44_675_560, 42_626_560, 2048),
    "densenet-121": (8_062_504, None, 1024),
    "densenet-169": (14_307_880, None, 1664),
    "densenet-201": (20_242_984, None, 1920),
    "vgg-16": (138_357_544, 14_714_688, 512),
    "vgg-19": (143_667_240, 20_024_384, 512),
}
# Word for word but for the links: "released under the Apache License", "MIT license", "BSD license", "BSD 3-clause
# License", "Creative Commons Attribution License"; EfficientNet is younger than those pages.
LICENCES = {
    "mobilenet": "Apache-2.0",
    "nasnet": "Apache-2.0",
    "inception": "Apache-2.0",
    "xception": "MIT",
    "resnet": "MIT",
    "resnet-v2": "BSD",
    "densenet": "BSD-3-Clause",
    "vgg": "CC-BY-4.0",
    "efficientnet": "see the authors' page",
}
CHEAP = ("mobilenet", "mobilenet-v2", "resnet-50", "vgg-16", "densenet-121", "efficientnet-b0")


def test_licences_are_those_that_the_documentation_of_keras_states():
    assert {family: w["licence"] for family, w in keras_applications.WEIGHTS.items()} == LICENCES


def test_the_catalogue_has_the_printed_table():
    here = {e.variant: e for e in catalogue().values() if e.module.endswith("keras_applications")}
    assert here.keys() - {"histology-v4"} == PRINTED.keys()
    for name, (total, headless, features) in PRINTED.items():
        assert here[name].parameters == total
        if headless is not None and not name.startswith("vgg"):
            assert total - headless == features * 1000 + 1000


@pytest.mark.parametrize(
    "name", [*CHEAP, *(pytest.param(n, marks=pytest.mark.slow) for n in PRINTED if n not in CHEAP)]
)
def test_counts_and_strides_of_the_built_net(name):
    total, headless, features = PRINTED[name]
    model = create(name, weights="none")
    assert model.count_params() == total
    assert headless in (None, model.trunk.count_params())
    size = find(name).image_spec.height
    shapes = {
        stride: tensor.shape for stride, tensor in zip(model.trunk.strides, model.trunk.outputs, strict=True)
    }
    assert list(shapes) == [2, 4, 8, 16, 32]
    assert shapes[32][-1] == features
    for stride, shape in shapes.items():
        assert abs(shape[1] - size / stride) < 4  # unpadded stems lose a few pixels
    keras.backend.clear_session()


def test_taps_of_vgg_at_224_and_150():
    vgg = trunk("vgg-16", weights="none")
    taps = {
        name: vgg.get_layer(name).output.shape[1:] for name in ("block3_pool", "block4_pool", "block5_pool")
    }
    assert taps == {"block3_pool": (28, 28, 256), "block4_pool": (14, 14, 512), "block5_pool": (7, 7, 512)}
    assert trunk("vgg-16", image_size=150, weights="none").outputs[-1].shape[1:] == (4, 4, 512)


def test_vgg_with_a_small_head_for_two_classes():
    """15,242,050 parameters in 22 layers, of which the head's 527,362 are trained."""
    base = trunk("vgg-16", image_size=150, weights="none")
    model = TrunkClassifier(base, class_names=("bee", "wasp"), hidden=(1024,), dropout=0.0)
    assert model.count_params() == 15_242_050
    base.trainable = False
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == 527_362


def test_histology_v4_with_its_last_block_trained():
    model = create("histology-v4", weights="none")
    assert model.count_params() == 23_112_520
    for layer in model.trunk.layers:
        layer.trainable = layer.name.startswith("block5")
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == 15_477_256


def test_resnet_50_with_the_convolutions_below_its_last_stage_frozen():
    """43 of 53 convolutions; with the 1,000-class head 17,055,592 of 25,636,712 numbers stay trainable."""
    model = create("resnet-50", weights="none")
    last = set(model.trunk.stages[-1])
    convs = [layer for layer in model.trunk.layers if isinstance(layer, keras.layers.Conv2D)]
    below = [layer for layer in convs if layer.name not in last]
    assert (len(below), len(convs)) == (43, 53)
    for layer in below:
        layer.trainable = False
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == 17_055_592
    assert sum(int(np.prod(v.shape)) for v in model.non_trainable_weights) == 8_581_120


def test_xception_trained_from_its_seventh_unit():
    base = trunk("xception", image_size=71, weights="none")
    names = [layer.name for layer in base.layers]
    upper = base.layers[names.index("block7_sepconv1_act") :]
    assert sum(int(np.prod(v.shape)) for layer in upper for v in layer.trainable_weights) == 16_472_240


def test_the_preprocessing_of_each_mode():
    x = keras.Input((1, 2, 3))
    pixel = np.broadcast_to(np.array([255.0, 128.0, 0.0], "f4"), (1, 1, 2, 3))
    expected = {
        "caffe": [-103.939, 11.221, 131.32],
        "tf": [1.0, 0.003922, -1.0],
        "torch": [2.248908, 0.205182, -1.804444],
    }
    for mode, values in expected.items():
        received = keras.Model(x, normalise(x, mode))(pixel)
        np.testing.assert_allclose(np.array(received)[0, 0, 0], values, atol=1e-5)
    assert normalise(x, "own") is x
    with pytest.raises(InputError, match="mode is tf, caffe, torch or own"):
        normalise(x, "percent")


def test_efficientnet_normalises_by_mean_and_deviation_even_without_weights():
    base = trunk("efficientnet-b0", image_size=32, weights="none")
    layer = next(layer for layer in base.layers if isinstance(layer, keras.layers.Normalization))
    pixel = np.broadcast_to(np.array([255.0, 128.0, 0.0], "f4"), (1, 32, 32, 3))
    received = keras.Model(base.inputs[0], layer.output)(pixel)
    np.testing.assert_allclose(np.array(received)[0, 0, 0], [2.248908, 0.205182, -1.804444], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "module", "size"),
    [("mobilenet", "mobilenet", 128), ("resnet-50", "resnet", 64), ("densenet-121", "densenet", 64)],
)
def test_copied_weights_give_the_predictions_of_keras(name, module, size):
    keras.utils.set_random_seed(0)
    application = keras_applications.VARIANTS[name]["application"]
    theirs = getattr(keras.applications, application)(
        weights=None, classifier_activation=None, input_shape=(size, size, 3), classes=1000
    )
    ours = create(name, image_size=size, weights="none", seed=9)
    report = copy_weights(ours, theirs, head=True)
    assert report.complete
    images = np.random.default_rng(0).integers(0, 256, (2, size, size, 3)).astype("f4")
    prepared = getattr(keras.applications, module).preprocess_input(images.copy())
    expected = np.array(theirs(prepared, training=False))
    received = np.array(ours(images, training=False)["logits"])
    scale = np.abs(expected).max()
    assert scale > 1e-20  # random kernels fade over fifty layers
    np.testing.assert_allclose(received / scale, expected / scale, atol=1e-4)


def test_offline_the_message_says_what_to_do(monkeypatch):
    def offline(**arguments):
        raise OSError("URL fetch failure on https://example.org: None -- Name or service not known")

    model = create("vgg-16", weights="none", num_classes=2, image_size=32)
    monkeypatch.setattr(keras.applications, "VGG16", offline)
    with pytest.raises(InputError, match=r"VGG16 and could not: URL fetch.*efficientnet-lite0"):
        keras_applications.load_weights(model, find("vgg-16").weights, head=False)


def test_keras_checks_the_hash_of_whatever_it_is_asked_to_fetch():
    """As its source says: every download there has a hash, or visus does not ask for it."""
    calls = [
        (file.stem, {keyword.arg for keyword in node.keywords})
        for file in Path(keras.src.applications.__path__[0]).glob("*.py")
        if not file.stem.endswith("_test")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("get_file")
    ]
    assert len(calls) > 20
    unchecked = {f"keras.src.applications.{name}" for name, given in calls if "file_hash" not in given}
    applications = {v["application"] for v in keras_applications.VARIANTS.values()}
    modules = {name: getattr(keras.applications, name).__module__ for name in applications}
    assert {
        n for n, module in modules.items() if module in unchecked
    } == keras_applications.FETCHED_BY_HAND.keys()
    by_hand = {e.variant for e in catalogue().values() if e.weights and e.weights.by_hand}
    assert by_hand == {"mobilenet", "mobilenet-v2"}


def test_weights_without_a_hash_are_not_fetched(monkeypatch):
    def fetched(*arguments, **options):
        raise AssertionError(f"a download of {arguments}")

    monkeypatch.setattr(keras.src.utils.file_utils, "get_file", fetched)
    for name, file in (
        ("mobilenet", "mobilenet_1_0_224_tf{}.h5"),
        ("mobilenet-v2", "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224{}.h5"),
    ):
        with pytest.raises(InputError, match=rf"without a hash.*/{file.format('')}, .*weights='FILE\.h5'"):
            create(name)
        with pytest.raises(InputError, match=rf"without a hash.*/{file.format('_no_top')}, "):
            create(name, num_classes=2, image_size=64)
        assert not find(name).weights.online


def test_a_file_of_keras_fetched_by_hand_is_read(tmp_path):
    theirs = keras.applications.MobileNet(include_top=False, weights=None, input_shape=(96, 64, 3))
    path = tmp_path / "mobilenet_1_0_224_tf_no_top.h5"
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, theirs)
    model = create("mobilenet", num_classes=2, image_size=(96, 64), weights=path)
    assert model.trunk.pretrained.file == path.name
    images = np.random.default_rng(0).integers(0, 256, (2, 96, 64, 3)).astype("f4")
    expected = np.array(theirs(images / 127.5 - 1, training=False))
    received = np.array(model.trunk(images, training=False)[32])
    scale = np.abs(expected).max()
    np.testing.assert_allclose(received / scale, expected / scale, atol=1e-4)
    with pytest.raises(InputError, match=r"does not hold the weights of MobileNet with their head"):
        create("mobilenet", weights=path)
    path.write_bytes(b"no h5")
    with pytest.raises(InputError, match=r"does not hold the weights of MobileNet without a head"):
        create("mobilenet", num_classes=2, weights=path)
    with pytest.raises(
        InputError, match=r"cannot read weights from .*It reads \.keras, \.h5 and \.weights\.h5"
    ):
        create("mobilenet", num_classes=2, weights=path.rename(tmp_path / "a.bin"))


def test_the_top_convolution_can_be_left_out():
    for name, wide, narrow in (
        ("mobilenet-v2", 1280, 320),
        ("efficientnet-b0", 1280, 320),
        ("mobilenet", 1024, 1024),
    ):
        assert trunk(name, image_size=64, weights="none").outputs[-1].shape[-1] == wide
        assert trunk(name, image_size=64, weights="none", top_conv=False).outputs[-1].shape[-1] == narrow


def test_taps_do_not_depend_on_the_size():
    names = []
    for size in ((75, 80), (299, 160)):
        net = trunk("inception-v3", image_size=size, weights="none")
        names.append([t._keras_history.operation.name for t in net.outputs])
    assert names[0] == names[1]
    assert names[0][2:] == ["mixed2", "mixed7", "mixed10"]
