"""The contract of classifiers: loss, metrics, targets and results, against NumPy by hand."""

import keras
import numpy as np
import pytest

from visus.models import TrunkClassifier, create, load, save, trunk
from visus.models.classify._base import check_range
from visus.models.classify.resnet import ResNet
from visus.models.classify.simple import SimpleNet
from visus.structures import Classification, ImageSpec, InputError

SPEC = ImageSpec(6, 9, channels=1)
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (8, 6, 9, 1)).astype("float32")


def net(k=3, **arguments):
    return SimpleNet([f"c{i}" for i in range(k)], SPEC, body="mlp", units=(16,), **arguments)


def softmax(x):
    return np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def cross_entropy(logits, targets, smoothing=0.0):
    """Mean over the batch of -sum t log p, by hand."""
    targets = targets * (1 - smoothing) + smoothing / targets.shape[1]
    return -(targets * np.log(softmax(logits))).sum(axis=1)


def binary(logits, targets, smoothing=0.0):
    targets = targets * (1 - smoothing) + smoothing / 2
    p = sigmoid(logits)
    return -(targets * np.log(p) + (1 - targets) * np.log(1 - p)).mean(axis=1)


# --- loss -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_of_hard_soft_and_multi_hot_targets(smoothing):
    logits = RNG.normal(size=(8, 3)).astype("f4") * 3
    hard = np.eye(3, dtype="f4")[RNG.integers(0, 3, 8)]
    soft = RNG.dirichlet((1, 1, 1), 8).astype("f4")
    multi = RNG.integers(0, 2, (8, 3)).astype("f4")
    weight = RNG.uniform(0, 2, 8).astype("f4")
    single, several = net(label_smoothing=smoothing), net(label_smoothing=smoothing, multi_label=True)
    for model, formula, targets in (
        (single, cross_entropy, hard),
        (single, cross_entropy, soft),
        (several, binary, multi),
    ):
        each = formula(logits, targets, smoothing)
        plain = model.loss_terms(targets, {"logits": logits})
        weighted = model.loss_terms(targets, {"logits": logits}, weight)
        assert list(plain) == ["cross_entropy"]
        assert float(plain["cross_entropy"]) == pytest.approx(each.mean(), rel=1e-5)
        assert float(weighted["cross_entropy"]) == pytest.approx((each * weight).mean(), rel=1e-5)


def test_weight_decay_is_part_of_the_loss():
    model = net()
    model.get_layer("features").kernel.regularizer = keras.regularizers.L2(0.25)
    outputs = model(IMAGES)
    targets = np.eye(3, dtype="f4")[[0, 1, 2, 0, 1, 2, 0, 1]]
    plain = float(model.loss_terms(targets, outputs)["cross_entropy"])
    decay = 0.25 * float(np.square(np.array(model.get_layer("features").kernel)).sum())
    total = float(model.compute_loss(y=targets, y_pred=outputs))
    assert decay > 0.1
    assert total == pytest.approx(plain + decay, rel=1e-5)


@pytest.mark.parametrize(
    "labels", [np.array([0, 2]), np.array([[0], [2]]), np.array([[1, 0, 0], [0, 0, 1]], "f8")]
)
def test_labels_in_any_shape_become_targets(labels):
    np.testing.assert_array_equal(net().dense_targets(labels), [[1, 0, 0], [0, 0, 1]])


def test_targets_of_one_question_and_of_wrong_shape():
    one = net(1, multi_label=True)
    np.testing.assert_array_equal(one.dense_targets(np.array([0, 1, 1])), [[0], [1], [1]])
    with pytest.raises(InputError, match=r"targets \(B, 3\)\. Received shape \(2, 4\)"):
        net().dense_targets(np.zeros((2, 4)))


# --- fit and evaluate -------------------------------------------------------------------------------------


@pytest.mark.backend
@pytest.mark.parametrize("form", ["labels", "one_hot", "soft"])
def test_fit_reports_loss_and_accuracy_as_computed_by_hand(form):
    keras.utils.set_random_seed(0)
    model = net()
    soft = RNG.dirichlet((1, 1, 1), 8).astype("f4")
    labels = soft.argmax(axis=1)
    hard = np.eye(3, dtype="f4")[labels]
    y = {"labels": labels, "one_hot": hard, "soft": soft}[form]
    weight = RNG.uniform(0, 2, 8).astype("f4")
    model.compile(
        optimizer="sgd", metrics=["accuracy", keras.metrics.TopKCategoricalAccuracy(2, name="top2")]
    )
    logits = model.predict(IMAGES, verbose=0)["logits"]
    each = cross_entropy(logits, soft if form == "soft" else hard)
    ranks = (-logits).argsort(axis=1)
    expected = {
        "loss": each.mean(),
        "accuracy": (ranks[:, 0] == labels).mean(),
        "top2": (ranks[:, :2] == labels[:, None]).any(axis=1).mean(),
    }
    for batch in (8, 4):
        received = model.evaluate(IMAGES, y, batch_size=batch, return_dict=True, verbose=0)
        assert received == pytest.approx(expected, rel=1e-4)
    weighted = model.evaluate(IMAGES, y, sample_weight=weight, return_dict=True, verbose=0)
    assert weighted["loss"] == pytest.approx((each * weight).mean(), rel=1e-4)
    history = model.fit(IMAGES, y, epochs=30, batch_size=8, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert history.keys() == {"loss", "accuracy", "top2"}


@pytest.mark.backend
def test_multi_label_accuracy_counts_right_answers():
    model = net(4, multi_label=True)
    model.compile(metrics=["accuracy", keras.metrics.AUC(multi_label=True, num_labels=4, name="auc")])
    y = RNG.integers(0, 2, (8, 4)).astype("f4")
    logits = model.predict(IMAGES, verbose=0)["logits"]
    received = model.evaluate(IMAGES, y, return_dict=True, verbose=0)
    assert received["loss"] == pytest.approx(binary(logits, y).mean(), rel=1e-4)
    assert received["accuracy"] == pytest.approx(((logits > 0) == y).mean(), rel=1e-5)
    assert 0 <= received["auc"] <= 1
    model.fit(IMAGES, y, verbose=0)


@pytest.mark.backend
def test_several_loss_terms_have_a_mean_each():
    class TwoTerms(SimpleNet):
        loss_names = ("cross_entropy", "size")

        def loss_terms(self, targets, outputs, sample_weight=None):
            size = keras.ops.mean(keras.ops.square(outputs["logits"]))
            return {**super().loss_terms(targets, outputs, sample_weight), "size": size}

    model = TwoTerms(("a", "b"), SPEC, body="mlp", units=(4,))
    model.compile(optimizer="sgd")
    y = np.array([0, 1] * 4)
    logits = model.predict(IMAGES, verbose=0)["logits"]
    received = model.evaluate(IMAGES, y, return_dict=True, verbose=0)
    assert received["size"] == pytest.approx(np.square(logits).mean(), rel=1e-4)
    assert received["cross_entropy"] == pytest.approx(cross_entropy(logits, np.eye(2)[y]).mean(), rel=1e-4)
    assert received["loss"] == pytest.approx(received["size"] + received["cross_entropy"], rel=1e-4)
    assert model.fit(IMAGES, y, verbose=0).history.keys() == {"loss", "cross_entropy", "size"}


@pytest.mark.backend
def test_a_trunk_with_batch_norm_learns_eight_pictures(tmp_path):
    """Loss, gradients, frozen statistics and saving together, on every backend."""
    from skimage import data

    photos = [data.astronaut(), data.coffee()]  # eight crops, 2 of each quarter
    crops = [p[y : y + 64, x : x + 48] for p in photos for y in (0, 200) for x in (0, 300)]
    images, y = np.stack(crops).astype("float32"), np.repeat([0, 1], 4)
    keras.utils.set_random_seed(1)
    model = TrunkClassifier(ResNet(ImageSpec(64, 48), units=(1, 1)), class_names=("astronaut", "coffee"))
    model.compile(optimizer=keras.optimizers.Adam(1e-3), metrics=["accuracy"])
    model.fit(images, y, epochs=8, batch_size=8, verbose=0)
    model.trunk.trainable = False
    before = [np.array(v) for v in model.trunk.weights]
    model.compile(optimizer=keras.optimizers.Adam(1e-2), metrics=["accuracy"])
    model.fit(images, y, epochs=40, batch_size=8, verbose=0)
    for old, new in zip(before, model.trunk.weights):
        np.testing.assert_array_equal(old, np.array(new))
    assert model.evaluate(images, y, return_dict=True, verbose=0)["accuracy"] == 1.0
    save(model, tmp_path / "model.keras")
    loaded = load(tmp_path / "model.keras")
    np.testing.assert_allclose(
        loaded.predict(images, verbose=0)["logits"],
        model.predict(images, verbose=0)["logits"],
        rtol=1e-5,
        atol=1e-5,
    )
    assert [c.label for c in loaded.decode(loaded.predict(images, verbose=0))] == y.tolist()


def test_a_loss_argument_is_refused():
    with pytest.raises(InputError, match="brings its own loss"):
        net().compile(optimizer="sgd", loss="mse")


def test_a_compiled_model_saved_by_keras_loads_compiled(tmp_path):
    model = net()
    model.compile(optimizer="sgd", metrics=["accuracy"])
    model.fit(IMAGES, np.zeros(8), verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = keras.saving.load_model(tmp_path / "m.keras")
    expected = model.evaluate(IMAGES, np.zeros(8), return_dict=True, verbose=0)
    assert loaded.evaluate(IMAGES, np.zeros(8), return_dict=True, verbose=0) == pytest.approx(expected)


def test_logits_stay_float32_under_mixed_precision():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = create("lenet-5", num_classes=2)
        assert model.output["logits"].dtype == "float32"
        assert model.get_layer("c3").compute_dtype == "bfloat16"
        assert model.get_layer("normalise").compute_dtype == "float32"
        assert model.get_layer("c3").kernel.dtype == "float32"
    finally:
        keras.mixed_precision.set_global_policy("float32")


# --- targets and results ----------------------------------------------------------------------------------


def test_encode_prefers_soft_labels_and_refuses_what_does_not_fit():
    truth = [
        Classification(label=2),
        Classification(label=0, scores=np.array([0.75, 0.25, 0.0])),
        Classification(labels=np.array([1, 0, 1])),
    ]
    expected = [[0, 0, 1], [0.75, 0.25, 0], [1, 0, 1]]
    encoded = net().encode(truth)
    assert encoded.dtype == np.float32
    np.testing.assert_array_equal(encoded, expected)
    with pytest.raises(InputError, match="3 classes and cannot encode label 3"):
        net().encode([Classification(label=3)])
    with pytest.raises(InputError, match=r"a vector of shape \(2,\)"):
        net().encode([Classification(labels=np.array([1, 0]))])


def test_decode_is_softmax_or_sigmoid_without_overflow():
    logits = np.array([[1.0, 2.0, 3.0], [1e4, -1e4, 0.0], [-1e4, -1e4, -1e4]])
    received = net().decode({"logits": logits})
    np.testing.assert_allclose(received[0].scores, softmax(logits[:1])[0], rtol=1e-6)
    np.testing.assert_allclose(received[1].scores, [1, 0, 0])
    np.testing.assert_allclose(received[2].scores, [1 / 3] * 3, rtol=1e-6)
    assert [r.label for r in received] == [2, 0, 0]
    assert received[0].labels is None
    assert received[0].scores.dtype == np.float32
    several = net(multi_label=True).decode({"logits": np.array([[0.0, -1e4, 1e4]])})[0]
    np.testing.assert_allclose(several.scores, [0.5, 0, 1])
    np.testing.assert_array_equal(several.labels, [1, 0, 1])
    assert several.label == 2
    assert received[0].top(2, ("a", "b", "c"))[0][0] == "c"


def test_decode_of_encode_is_the_truth():
    model = net()
    truth = [Classification(label=i) for i in (2, 0, 1)]
    logits = np.log(model.encode(truth) + 1e-9)
    assert [c.label for c in model.decode({"logits": logits})] == [2, 0, 1]


def test_rescaled_pictures_are_refused():
    model = net()
    model.compile()
    for images, seen in (
        (IMAGES / 255, "0..1"),
        (IMAGES / 127.5 - 1, "-1"),
        (IMAGES * 257, "65"),
        (IMAGES * np.nan, "nan"),
    ):
        with pytest.raises(InputError, match=rf"0\.\.255, and the model normalises.*{seen}"):
            model.predict(images, verbose=0)
        with pytest.raises(InputError, match=r"leave out your own rescaling"):
            model.fit(images, np.zeros(8), verbose=0)
    for fine in (
        IMAGES,
        IMAGES.astype("uint8"),
        np.zeros((2, 6, 9, 1), "f4"),
        np.ones((2, 6, 9, 1), "f4"),
        IMAGES[:0],
    ):
        check_range(fine)


# --- the classifier that is a trunk with a head -----------------------------------------------------------


def test_heads_by_hand():
    def head(**arguments):
        base = trunk("resnet-18", image_size=(64, 96), weights="none")
        model = TrunkClassifier(base, class_names=("a", "b", "c"), **arguments)
        return model.count_params() - base.count_params(), model.get_layer("features").output.shape

    assert head() == (512 * 3 + 3, (None, 512))
    assert head(pooling="max") == (512 * 3 + 3, (None, 512))
    assert head(pooling="flatten") == (2 * 3 * 512 * 3 + 3, (None, 3072))
    assert head(hidden=(7, 5)) == (512 * 7 + 7 + 7 * 5 + 5 + 5 * 3 + 3, (None, 512))


def test_pooling_is_what_it_says():
    base = trunk("resnet-18", image_size=(64, 96), weights="none")
    x = RNG.integers(0, 256, (2, 64, 96, 3)).astype("f4")
    last = np.array(base(x)[32])
    for pooling, expected in (
        ("avg", last.mean(axis=(1, 2))),
        ("max", last.max(axis=(1, 2))),
        ("flatten", last.reshape(2, -1)),
    ):
        model = TrunkClassifier(base, class_names=("a", "b"), pooling=pooling)
        features = keras.Model(model.inputs[0], model.get_layer("features").output)(x)
        np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(InputError, match="avg, max, flatten"):
        TrunkClassifier(base, class_names=("a", "b"), pooling="median")
    with pytest.raises(InputError, match="The trunk takes"):
        TrunkClassifier(base, class_names=("a", "b"), image_spec=ImageSpec(32, 96))
    rule = ImageSpec(64, 96, resize="letterbox")
    assert TrunkClassifier(base, class_names=("a", "b"), image_spec=rule).image_spec == rule
