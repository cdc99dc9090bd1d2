"""The runtime that is Keras itself, and a predictor on it, on whichever backend Keras has."""

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose

from visus import runtime
from visus.models import create
from visus.predict import Predictor
from visus.runtime.frozen import infer

pytestmark = pytest.mark.backend


@pytest.fixture(scope="module")
def model():
    return create("histology-v1", class_names=("a", "b", "c"), image_size=(48, 60), weights="none", seed=1)


@pytest.mark.parametrize("size", [0, 1, 3, 32, 37])
def test_keras_computes_batches_of_any_size(model, tmp_path, size):
    run = runtime.compile(model, kind="keras", cache_dir=tmp_path)
    assert (run.kind, run.parity, run.class_names) == ("keras", 0.0, ("a", "b", "c"))
    batch = np.random.default_rng(size).uniform(0, 255, (size, 48, 60, 3)).astype(np.float32)
    found = run(batch)["logits"]
    assert found.shape == (size, 3)
    if size:
        truth = keras.ops.convert_to_numpy(infer(model, batch)["logits"])
        assert_allclose(found, truth, atol=1e-5 * np.abs(truth).max())


def test_a_predictor_on_keras(model, tmp_path):
    pictures = np.random.default_rng(0).integers(0, 256, (5, 70, 50, 3), np.uint8)
    alone = Predictor(model, runtime="keras", batch_size=1, cache_dir=tmp_path).scores(pictures)[0]
    together = Predictor(model, runtime="keras", batch_size=4, cache_dir=tmp_path).scores(pictures)[0]
    assert_allclose(alone, together, atol=1e-5)
    assert_allclose(alone.sum(axis=1), 1, atol=1e-6)
