"""Occlusion against covering the picture by hand."""

import keras
import numpy as np
import pytest

from visus import runtime
from visus.explain.occlusion import occlusion
from visus.models.classify._base import Classifier
from visus.structures import ImageSpec, InputError


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Class `red` scores by how much redder than green the picture is."""
    spec = ImageSpec(48, 64)
    image = keras.Input(spec.shape, name="image")
    features = keras.layers.GlobalAveragePooling2D(name="features")(image)
    logits = keras.layers.Dense(2, name="logits")(features)
    model = Classifier(image, logits, image_spec=spec, class_names=("green", "red"))
    kernel = np.array([[0, 0.2], [0, -0.2], [0, 0]], np.float32)
    model.get_layer("logits").set_weights([kernel, np.zeros(2, np.float32)])
    return runtime.compile(model, kind="keras", cache_dir=tmp_path_factory.mktemp("cache"))


def test_the_place_that_counts(run):
    picture = np.full((96, 128, 3), 114, np.uint8)
    picture[48:72, 64:96] = (250, 10, 10)  # rows 24-35, columns 32-47 of the input
    heat = occlusion(run, picture, patch=0.25, steps=8)
    assert heat.shape == (96, 128)
    assert heat.dtype == np.float32
    assert heat.max() == pytest.approx(1, abs=0.02)
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert 48 <= row < 72
    assert 64 <= column < 96
    assert heat[:24].max() == heat[:, :32].max() == 0.0
    # Of the patch of 12 x 16 centred on row 27, column 36 (cell 4, 4), 9 x 12 pixels cover the square.
    share = [0.0 if covered == 0 else _score(1 - covered / (12 * 16)) for covered in (9 * 12, 0)]
    falls = _score(1.0) - share[0]
    most = max(_score(1.0) - _score(1 - c / 192) for c in (9 * 12,))
    assert heat[54, 72] == pytest.approx(falls / most, abs=0.15)
    assert occlusion(run, picture, class_index=0).max() == 0.0
    assert occlusion(run, picture, overlay=True).dtype == np.uint8
    with pytest.raises(InputError, match=r"classes 0..1. Received 5"):
        occlusion(run, picture, class_index=5)


def _score(share):
    """The probability of `red` when that share of the square is visible: 192 of 3,072 pixels, 240 redder."""
    return 1 / (1 + np.exp(-0.2 * 240 * share * 192 / 3072))
