"""Predictor: the numbers of the model's own decode, in order, errors as rows, lazily and in bounded memory."""

import gc
import subprocess
import sys
import threading
import time
import weakref

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from visus.data import Dataset
from visus.data.store import decode
from visus.image.io import write
from visus.image.prepare import prepare
from visus.image.resize import resize
from visus.models import create, save
from visus.predict import Prediction, Predictor, predict
from visus.structures import Classification, ImageSpec, InputError, Sample

NAMES = ("ant", "bee", "cat")


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def model():
    return _model(seed=1)


def _model(seed, names=NAMES, **options):
    spec = ImageSpec(48, 60, resize="crop", crop_fraction=0.8)
    model = create("histology-v1", class_names=names, image_spec=spec, weights="none", seed=seed, **options)
    # The logits of a random net hardly depend on the picture; centred and enlarged, they do.
    probes = np.random.default_rng(9).integers(0, 256, (20, 6, 6, 3)).repeat(8, axis=1).repeat(10, axis=2)
    logits = keras.ops.convert_to_numpy(model(probes.astype(np.float32), training=False)["logits"])
    kernel, _ = model.get_layer("logits").get_weights()
    scale = 2 / logits.std(axis=0)
    model.get_layer("logits").set_weights([kernel * scale, -logits.mean(axis=0) * scale])
    return model


@pytest.fixture(scope="module")
def predictor(model, cache_dir):
    return Predictor(model, cache_dir=cache_dir)


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    small = [rng.integers(0, 256, (5 + i, 7, 3), np.uint8) for i in range(6)]
    return [p.repeat(9 + i, axis=0).repeat(14 - i, axis=1) for i, p in enumerate(small)]


def _truth(model, picture):
    batch = prepare(picture, model.image_spec)[0][None].astype(np.float32)
    outputs = {
        name: keras.ops.convert_to_numpy(value) for name, value in model(batch, training=False).items()
    }
    return model.decode(outputs)[0]


def test_equals_prepare_then_keras_then_decode(predictor, model, pictures):
    found = list(predictor(pictures))
    assert [p.source for p in found] == [f"picture {i}" for i in range(1, 7)]
    for prediction, picture in zip(found, pictures):
        truth = _truth(model, picture)
        assert prediction.error is None
        assert prediction.result.label == truth.label
        assert prediction.result.labels is None
        assert_allclose(prediction.result.scores, truth.scores, atol=1e-5)
    assert np.ptp([p.result.scores for p in found], axis=0).max() > 0.1  # they do tell pictures apart


def test_any_mixture_of_pictures(predictor, model, pictures, tmp_path):
    for i, picture in enumerate(pictures):
        write(tmp_path / f"{i}.png", picture)
    gray = pictures[0][..., 0]
    mixture = [str(tmp_path / "0.png"), pictures[1], tmp_path / "2.png", Sample(pictures[3], source="mine#3")]
    mixture += [Sample(tmp_path / "4.png"), gray, gray[..., None]]
    found = list(predictor(iter(mixture)))
    names = [str(tmp_path / "0.png"), "picture 2", str(tmp_path / "2.png"), "mine#3", str(tmp_path / "4.png")]
    assert [p.source for p in found] == [*names, "picture 6", "picture 7"]
    for prediction, picture in zip(found, [*pictures[:5], gray, gray]):
        assert_allclose(prediction.result.scores, _truth(model, picture).scores, atol=1e-5)
    one = next(predictor(tmp_path / "1.png"))
    assert_array_equal(one.result.scores, next(predictor(pictures[1])).result.scores)
    assert_array_equal(next(predictor(Sample(pictures[1]))).result.scores, one.result.scores)


def test_an_array_of_pictures(predictor):
    stack = np.random.default_rng(1).integers(0, 256, (4, 30, 20, 3), np.uint8)
    found = list(predictor(stack))
    assert len(found) == 4
    assert_array_equal(found[3].result.scores, next(predictor(stack[3])).result.scores)
    assert list(predictor([])) == list(predictor(stack[:0])) == []


def test_alone_and_among_others_to_the_last_bit(model, predictor, pictures, cache_dir):
    assert predictor.runtimes[0].piece == 1
    together = [p.result.scores for p in Predictor(model, batch_size=4, cache_dir=cache_dir)(pictures)]
    for picture, scores in zip(pictures, together):
        assert_array_equal(next(predictor(picture)).result.scores, scores)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
@pytest.mark.parametrize("runtime", ["auto", "keras"])
def test_a_picture_that_cannot_be_read_is_a_row(model, pictures, cache_dir, tmp_path, batch_size, runtime):
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8 no picture")
    predictor = Predictor(model, runtime=runtime, batch_size=batch_size, cache_dir=cache_dir)
    mixture = [tmp_path / "bad.jpg", pictures[0], "missing.png", tmp_path, pictures[1], None, pictures[2]]
    found = list(predictor(mixture))
    assert [p.result is None for p in found] == [True, False, True, True, False, True, False]
    assert [p.error is None for p in found] == [False, True, False, False, True, False, True]
    assert "bad.jpg cannot be read" in found[0].error
    assert "missing.png" in found[2].error
    assert "A picture is a path or a uint8 array. Received a NoneType." in found[5].error
    for prediction, picture in zip(found[1::3], pictures):
        assert_allclose(prediction.result.scores, _truth(model, picture).scores, atol=1e-5)
    only_errors = list(predictor(["missing.png"] * 7))
    assert [p.result for p in only_errors] == [None] * 7


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (np.random.default_rng(0).random((9, 8, 3)), "uint8 values 0..255. Received float64 values 0.0"),
        (np.ones((9, 8, 3), np.float32) * 255, "Received float32 values 255..255"),
        (np.zeros((9, 8), bool), "Received bool values"),
        (np.zeros((9, 8, 4), np.uint8), r"Received \(9, 8, 4\)"),
        (np.zeros((0, 8, 3), np.uint8), r"Received \(0, 8, 3\)"),
        (np.zeros((9,), np.uint8), r"Received \(9,\)"),
    ],
)
def test_arrays_that_are_no_pictures_are_refused(predictor, picture, reason):
    (found,) = predictor([picture])
    assert found.result is None
    with pytest.raises(InputError, match=reason):
        raise InputError(found.error)


def test_scores_of_a_data_set(predictor, model, pictures, tmp_path):
    samples = [Sample(p, Classification(label=0), source=f"set#{i}") for i, p in enumerate(pictures)]
    samples[2] = Sample(tmp_path / "gone.jpg", Classification(label=1), source="gone.jpg")
    scores, errors = predictor.scores(Dataset(tuple(samples), NAMES))
    assert scores.dtype == np.float32
    assert scores.shape == (6, 3)
    assert list(errors) == ["gone.jpg"]
    assert np.isnan(scores[2]).all()
    kept = [0, 1, 3, 4, 5]
    assert_allclose(scores[kept].sum(axis=1), 1, atol=1e-6)
    assert_allclose(scores[kept], [_truth(model, pictures[i]).scores for i in kept], atol=1e-5)
    assert predictor.scores([])[0].shape == (0, 3)


def test_flip_is_the_mean_of_a_picture_and_its_mirror_image(model, predictor, pictures, cache_dir):
    flip = Predictor(model, tta="flip", cache_dir=cache_dir)
    for picture in pictures[:3]:
        view = prepare(picture, model.image_spec)[0]
        logits = predictor.runtimes[0](np.stack([view, view[:, ::-1]]).astype(np.float32))["logits"].astype(
            np.float64
        )
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        assert_allclose(next(flip(picture)).result.scores, probabilities.mean(axis=0), atol=1e-6)
    symmetric = np.concatenate([pictures[0], pictures[0][:, ::-1]], axis=1)
    assert_allclose(next(flip(symmetric)).result.scores, next(predictor(symmetric)).result.scores, atol=0.03)
    for one, several in zip(
        flip(pictures), Predictor(model, tta="flip", batch_size=4, cache_dir=cache_dir)(pictures)
    ):
        assert_allclose(one.result.scores, several.result.scores, atol=1e-6)
    assert len(list(Predictor(model, tta="ten-crop", cache_dir=cache_dir)(pictures))) == 6
    assert Predictor(model, tta="none", cache_dir=cache_dir).tta is None
    with pytest.raises(InputError, match="no views named 'flop'"):
        Predictor(model, tta="flop", cache_dir=cache_dir)


def test_an_ensemble_is_the_mean_of_the_probabilities(model, pictures, cache_dir, tmp_path):
    other = create("histology-v1", class_names=NAMES, image_size=(50, 48), weights="none", seed=7)
    save(model, tmp_path / "model.keras")
    both = Predictor([tmp_path, other], cache_dir=cache_dir)
    for prediction, picture in zip(both(pictures), pictures):
        mean = (_truth(model, picture).scores + _truth(other, picture).scores) / 2
        assert_allclose(prediction.result.scores, mean, atol=1e-5)
        assert prediction.result.label == mean.argmax()
    with pytest.raises(
        InputError, match=r"have the same classes.*\['ant', 'bee', 'cat'\] and \['ant', 'cat', 'bee'\]"
    ):
        Predictor([model, _model(1, ("ant", "cat", "bee"))], cache_dir=cache_dir)
    with pytest.raises(InputError, match="at least one model"):
        Predictor([])


def test_temperature(model, pictures, cache_dir):
    cool = next(Predictor(model, temperature=2.0, cache_dir=cache_dir)(pictures[0])).result.scores
    plain = _truth(model, pictures[0]).scores
    assert_allclose(cool, np.sqrt(plain) / np.sqrt(plain).sum(), atol=1e-5)  # softmax(z/2) by hand
    with pytest.raises(InputError, match="temperature is above 0"):
        Predictor(model, temperature=0.0, cache_dir=cache_dir)


def test_multi_label(pictures, cache_dir):
    model = _model(3, multi_label=True)
    for prediction, picture in zip(Predictor(model, cache_dir=cache_dir)(pictures), pictures):
        truth = _truth(model, picture)
        assert_allclose(prediction.result.scores, truth.scores, atol=1e-5)
        assert_array_equal(prediction.result.labels, truth.labels)
        assert not prediction.uncertain


def test_a_large_jpeg_is_decoded_at_a_reduced_scale(model, predictor, tmp_path, monkeypatch):
    rng = np.random.default_rng(5)
    large = resize(rng.integers(0, 256, (3, 4, 3), np.uint8), (540, 780))
    write(tmp_path / "large.jpg", large)
    decoded = []
    monkeypatch.setattr("visus.predict.decode", lambda *a: decoded.append(decode(*a)) or decoded[-1])
    prepared = predictor._prepared(0, tmp_path / "large.jpg").views[0][0]
    assert decoded[0].shape == (68, 98, 3)  # an eighth; what is cut out is resized to 60 x 75
    difference = prepared.astype(int) - prepare(large, model.image_spec)[0]
    assert np.abs(difference).mean() < 2


@pytest.mark.parametrize(
    ("scores", "uncertain"),
    [
        ([0.6, 0.3, 0.1], False),
        ([0.49, 0.31, 0.2], True),
        ([0.52, 0.43, 0.05], True),
        ([0.55, 0.44, 0.01], False),
    ],
)
def test_uncertain_below_a_half_or_with_a_small_margin(scores, uncertain):
    assert Prediction("a", Classification(0, None, np.array(scores))).uncertain is uncertain
    assert not Prediction("a", None, "cannot be read").uncertain


def test_a_prediction_needs_neither_keras_nor_scipy():
    code = (
        "import sys, numpy as np\n"
        "from visus.predict import Prediction\n"
        "from visus.structures import Classification\n"
        "assert Prediction('a', Classification(0, None, np.array([0.4, 0.3, 0.3]))).uncertain\n"
        "print([m for m in ('keras', 'tensorflow', 'scipy', 'sklearn', 'matplotlib') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_only_a_few_pictures_are_ahead(predictor, pictures):
    taken = []

    def endless():
        while True:
            taken.append(len(taken))
            yield pictures[len(taken) % 6]

    results = predictor(endless())
    assert taken == []  # nothing happens before somebody asks
    for n in range(1, 60):
        next(results)
        assert len(taken) <= n + 2 * predictor.threads + 2
    results.close()
    time.sleep(0.05)
    assert not [t for t in threading.enumerate() if t.name.startswith("visus-decode")]


def test_pictures_are_let_go(predictor):
    alive = weakref.WeakSet()

    class Picture(np.ndarray):
        __hash__ = object.__hash__

    def many():
        for _ in range(300):
            picture = np.zeros((40, 50, 3), np.uint8).view(Picture)
            alive.add(picture)
            yield picture

    most = 0
    for prediction in predictor(many()):
        assert prediction.error is None
        most = max(most, len(alive))
    gc.collect()
    assert most <= 2 * predictor.threads + 6
    assert len(alive) <= 1


def test_a_slow_source_does_not_hold_back_results(predictor, pictures):
    """Whoever types file names one by one sees the answer to each before the last one is typed."""
    seen = []

    def typed():
        for i in range(5):
            yield pictures[0]
            time.sleep(0.2)
            seen.append((i, len(answered)))

    answered = []
    for prediction in predictor(typed()):
        answered.append(prediction)
    assert len(answered) == 5
    assert seen[-1][1] >= 2


def test_an_error_of_the_source_comes_through(predictor, pictures):
    def broken():
        yield pictures[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(predictor(broken()))
    assert not [t for t in threading.enumerate() if t.name.startswith("visus-decode")]


def test_predict_is_the_short_form(model, predictor, pictures, cache_dir):
    found = next(predict(model, pictures[0], cache_dir=cache_dir))
    assert_array_equal(found.result.scores, next(predictor(pictures[0])).result.scores)


def test_only_classifiers(cache_dir):
    plain = keras.Sequential([keras.Input((8, 9, 3)), keras.layers.Flatten(), keras.layers.Dense(3)])
    with pytest.raises(InputError, match=r"needs a classifier.*Received outputs .'output': \(3,\)"):
        Predictor(plain, cache_dir=cache_dir)
    with pytest.raises(InputError, match="batch size is at least 1"):
        Predictor(plain, batch_size=0)


@pytest.mark.data("flowers5")
def test_real_files_equal_the_pipeline(data_folder, model, predictor):
    """Predicting and training see the same pixels."""
    from visus.data.pipeline import Pipeline

    files = sorted((data_folder / "val").glob("*/*.jpg"))[::12]
    dataset = Dataset(tuple(Sample(f, Classification(label=0), source=f.name) for f in files), NAMES)
    pipeline = Pipeline(dataset, model.image_spec, batch_size=8)
    batches = [images for images, *_ in pipeline.epoch(0)]
    logits = np.concatenate([predictor.runtimes[0](batch)["logits"] for batch in batches]).astype(np.float64)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert_allclose(predictor.scores(dataset)[0], expected, atol=1e-6)
