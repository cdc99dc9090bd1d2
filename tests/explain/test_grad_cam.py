"""Grad-CAM against its closed form for a linear head, and in the pixels of the picture."""

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose

from visus.explain.grad_cam import grad_cam, map_layer
from visus.explain.place import to_picture
from visus.image.prepare import prepare
from visus.models.classify._base import Classifier
from visus.structures import Affine, ImageSpec, InputError

pytestmark = pytest.mark.backend


class Bright(Classifier):
    """Class `dark` is the mean of 255 - x, class `red` of the first channel; maps of an eighth of the size."""

    def __init__(self, spec, head="linear"):
        image = keras.Input(spec.shape, name="image")
        maps = keras.layers.AveragePooling2D(8, name="grid")(image)
        maps = keras.layers.Rescaling(1 / 255, name="maps")(maps)
        features = keras.layers.GlobalAveragePooling2D(name="features")(maps)
        x = keras.layers.Dense(6, activation="tanh", name="hidden")(features) if head == "deep" else features
        logits = keras.layers.Dense(2, name="logits")(x)
        super().__init__(image, logits, image_spec=spec, class_names=("dark", "red"))
        if head == "linear":
            kernel = np.array([[-1, 1], [-1, -0.5], [-1, -0.5]], np.float32)
            self.get_layer("logits").set_weights([kernel, np.zeros(2, np.float32)])


@pytest.fixture(scope="module")
def model():
    return Bright(ImageSpec(48, 64))


@pytest.fixture
def picture():
    """Gray, with a red square at rows 80-119, columns 20-59."""
    image = np.full((144, 128, 3), 90, np.uint8)
    image[80:120, 20:60] = (250, 10, 10)
    return image


def test_a_linear_head_has_a_closed_form(model, picture):
    """The class's weights times the maps (Zhou et al. 2016), as the gradient of a mean is its weight / (h w)."""
    prepared, placed = prepare(picture, model.image_spec)
    grid = prepared.reshape(6, 8, 8, 8, 3).mean(axis=(1, 3)) / 255.0
    for index, column in enumerate(([-1, -1, -1], [1, -0.5, -0.5])):
        cam = np.maximum(grid @ np.array(column), 0)
        expected = to_picture(cam / (cam.max() or 1), placed, model.image_spec, (144, 128))
        found = grad_cam(model, picture, class_index=index)
        assert found.dtype == np.float32
        assert found.shape == (144, 128)
        assert_allclose(found, expected, atol=1e-5)


def test_shows_where_the_evidence_is(model, picture):
    heat = grad_cam(model, picture, class_index=1)
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert heat.max() == pytest.approx(1, abs=0.02)
    assert 80 <= row < 120
    assert 20 <= column < 60
    assert heat[85:115, 25:55].min() > 0.5 > 0.01 > heat[:60].max()
    assert grad_cam(model, picture, class_index=0).max() == 0.0  # nothing in a picture speaks for darkness


def test_the_predicted_class_is_the_default(model, picture):
    logits = keras.ops.convert_to_numpy(
        model(prepare(picture, model.image_spec)[0][None].astype(np.float32))["logits"]
    )
    best = int(logits.argmax())
    np.testing.assert_array_equal(grad_cam(model, picture), grad_cam(model, picture, class_index=best))


@pytest.mark.parametrize("resize", ["stretch", "letterbox", "crop"])
def test_lies_where_the_picture_shows_it(resize):
    """The hot place has the coordinates of the original picture, whatever preparing does to it."""
    model = Bright(ImageSpec(64, 64, resize=resize))
    image = np.full((200, 320, 3), 90, np.uint8)
    image[60:110, 140:200] = (250, 10, 10)
    heat = grad_cam(model, image, class_index=1)
    rows, columns = np.indices(heat.shape) + 0.5
    assert (heat * rows).sum() / heat.sum() == pytest.approx(85, abs=6)
    assert (heat * columns).sum() / heat.sum() == pytest.approx(170, abs=8)
    if resize == "crop":  # the sides are cut off: the model sees nothing of them
        assert heat[:, :59].max() == heat[:, 261:].max() == 0.0


def test_any_head_and_any_layer(picture):
    model = Bright(ImageSpec(48, 64), head="deep")
    heat = grad_cam(model, picture, class_index=1)
    assert 0 <= heat.min() <= heat.max() <= 1
    assert grad_cam(model, picture, class_index=1, layer="grid").shape == (144, 128)
    assert map_layer(model) is model.get_layer("maps").output
    assert map_layer(model, "grid") is model.get_layer("grid").output
    with pytest.raises(InputError, match=r"no maps at a layer named 'hidden'. Choose from: .*grid, maps"):
        grad_cam(model, picture, layer="hidden")
    with pytest.raises(InputError, match=r"classes 0..1. Received 2"):
        grad_cam(model, picture, class_index=2)


def test_without_a_pooling_layer_the_last_maps_are_taken():
    image = keras.Input((16, 24, 3))
    maps = keras.layers.Conv2D(4, 3, name="conv")(image)
    logits = keras.layers.Dense(2)(keras.layers.Dense(3, name="features")(keras.layers.Flatten()(maps)))
    assert map_layer(keras.Model(image, {"logits": logits})) is maps
    vector = keras.Input((7,))
    with pytest.raises(InputError, match="needs a layer with maps"):
        map_layer(keras.Model(vector, {"logits": keras.layers.Dense(2, name="features")(vector)}))


def test_overlay_and_gray_pictures(model, picture):
    laid = grad_cam(model, picture, class_index=1, overlay=True)
    assert laid.shape == picture.shape
    assert laid.dtype == np.uint8
    assert (laid[:50] == picture[:50]).all()
    assert grad_cam(model, picture[..., 0], class_index=1).shape == (144, 128)


def test_a_grid_spread_over_a_picture():
    """By hand: cell centres keep their values, halfway between two is their mean, outside the input is 0."""
    grid = np.array([[0.0, 1.0]], np.float32)
    spec = ImageSpec(4, 8)
    shifted = Affine.translation(-2, 0)  # the input begins at column 2 of the picture
    heat = to_picture(grid, shifted, spec, (4, 12))
    assert_allclose(heat[0], [0, 0, 0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1, 0, 0], atol=0.04)
    assert (heat == heat[0]).all()
