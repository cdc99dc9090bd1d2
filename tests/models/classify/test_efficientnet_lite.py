"""EfficientNet-Lite0: the published net, and weights that recognise real pictures."""

import numpy as np
import pytest

from visus.models import create, trunk
from visus.models.surgery import variables


@pytest.fixture(scope="module")
def model():
    return create("efficientnet-lite0")


def test_counts(model):
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == 4_652_008
    # All numbers of the file but one counter for each of the 49 norms.
    norms = [name for name in variables(model) if name.endswith("/gamma")]
    assert model.count_params() == 4_694_073 - len(norms)
    assert len(norms) == 49


def test_stages_cover_every_layer_once(model):
    stages = model.trunk.stages
    assert [stage[-1] for stage in stages] == [
        "block1a_project_bn", "block2b_add", "block3b_add", "block5c_add", "top_relu",
    ]  # fmt: skip
    flat = [name for stage in stages for name in stage]
    assert sorted(flat) == sorted(layer.name for layer in model.trunk.layers)
    assert stages[0][:3] == ["image", "normalise", "stem_conv"]


def test_what_it_says_about_photographs_that_every_machine_has(model):
    """Two pictures of scikit-image, named by ImageNet's classes: the cat and the espresso cup."""
    from skimage import data

    from visus.image.prepare import prepare

    pictures = [data.chelsea(), data.coffee(), data.rocket()]
    batch = np.stack([prepare(p, model.image_spec)[0] for p in pictures]).astype("f4")
    cat, cup, rocket = model.decode(model.predict(batch, verbose=0))
    assert cat.top(1, model.class_names)[0][0] in ("tabby", "tiger cat", "Egyptian cat")
    assert cup.top(1, model.class_names)[0][0] == "espresso"
    assert "missile" in [name for name, _ in rocket.top(3, model.class_names)]


@pytest.mark.slow
@pytest.mark.data("imagenet_samples")
def test_top1_and_top5_on_real_pictures(model, data_folder):
    """86.0 and 97.0 % with another reader and resizer; 79.7 % with symmetric padding, 75.5 % with another mean."""
    import csv

    from visus.image.io import read
    from visus.image.prepare import prepare

    with (data_folder / "images.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))[::3]
    batch = np.stack([prepare(read(data_folder / "images" / r["file"]), model.image_spec)[0] for r in rows])
    logits = model.predict(batch.astype("f4"), batch_size=32, verbose=0)["logits"]
    best = np.argsort(-logits, axis=1)[:, :5]
    truth = np.array([int(r["index"]) for r in rows])
    assert (best[:, 0] == truth).mean() > 0.82
    assert (best == truth[:, None]).any(axis=1).mean() > 0.94


def test_padding_is_that_of_tensorflow():
    """At an even size a strided "same" convolution starts at the pixel itself: no row or column before it."""
    import keras

    lite = trunk("efficientnet-lite0", image_size=(32, 48))
    x = np.random.default_rng(0).integers(0, 256, (1, 32, 48, 3)).astype("f4")
    kernel = np.array(lite.get_layer("stem_conv").kernel)
    patch = (x[0, :3, :3] - 127) / 128
    by_hand = np.einsum("hwc,hwcf->f", patch, kernel)
    stem = keras.Model(lite.inputs[0], lite.get_layer("stem_conv").output)(x)
    np.testing.assert_allclose(np.array(stem)[0, 0, 0], by_hand, rtol=1e-3, atol=1e-4)
