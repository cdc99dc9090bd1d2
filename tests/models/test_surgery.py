"""Cutting, splitting, grafting and restoring, against counts worked out by hand."""

import keras
import numpy as np
import pytest

from visus.models import create
from visus.models.surgery import Report, cut, drop_last, graft, restore, split, variables
from visus.structures import InputError


def mlp(*widths, name=None):
    """784 inputs, then Dense layers named d1, d2, ..."""
    layers = [keras.layers.Dense(width, name=f"d{i}") for i, width in enumerate(widths, 1)]
    return keras.Sequential([keras.Input((784,)), *layers], name=name)


def values(model):
    return {name: np.array(variable) for name, variable in variables(model).items()}


def test_freezing_dropping_and_grafting_of_the_textbook():
    two = mlp(32, 32)
    two.get_layer("d1").trainable = False
    assert two.count_params() == 26_176
    assert sum(int(np.prod(v.shape)) for v in two.trainable_variables) == 1_056
    three = mlp(32, 32, 32)
    assert three.count_params() == 27_232
    shorter = drop_last(three, 1)
    assert shorter.count_params() == 26_176
    assert three.count_params() == 27_232
    assert graft(shorter, keras.layers.Dense(16)).count_params() == 26_704


def test_cut_shares_weights_and_gives_the_layers_output():
    model = mlp(8, 4, 2)
    x = np.random.default_rng(0).normal(size=(3, 784)).astype("f4")
    by_hand = x @ np.array(model.get_layer("d1").kernel)
    by_hand = by_hand @ np.array(model.get_layer("d2").kernel)
    np.testing.assert_allclose(cut(model, "d2")(x), by_hand, rtol=1e-4, atol=1e-5)
    assert cut(model, "d2").get_layer("d1") is model.get_layer("d1")
    with pytest.raises(InputError, match=r"has no layer 'd9'. It has 3, from d1 to d3"):
        cut(model, "d9")
    with pytest.raises(InputError, match="no layer 9"):
        cut(model, 9)
    with pytest.raises(InputError, match="Cannot drop the last 7"):
        drop_last(model, 7)


def test_split_halves_compose_to_the_whole():
    model = create("lenet-5", num_classes=3, image_size=(28, 40))
    lower, upper = split(model, "features")
    x = np.random.default_rng(0).integers(0, 256, (2, 28, 40, 1)).astype("f4")
    features = np.array(lower(x))
    assert features.shape == (2, 84)
    np.testing.assert_allclose(upper(features)["logits"], model(x)["logits"], rtol=1e-5, atol=1e-6)
    assert upper.count_params() == 84 * 3 + 3
    upper.trainable_variables[0].assign(np.zeros((84, 3)))  # the very weights of the model
    assert not np.array(model.get_layer("logits").kernel).any()


def test_split_refuses_a_layer_that_a_path_goes_around():
    x = keras.Input((4,))
    middle = keras.layers.Dense(4, name="middle")(x)
    with pytest.raises(InputError, match="goes around"):
        split(keras.Model(x, keras.layers.Add()([x, middle])), "middle")


def test_restore_reports_matched_missing_mis_shaped_and_unused():
    target, source = mlp(8, 4, 2), mlp(8, 5, 2)
    source.add(keras.layers.Dense(3, name="extra"))
    del_from = values(source)
    del del_from["d1/bias"]
    before = values(target)
    report = restore(target, del_from)
    assert report.matched == ("d1/kernel", "d3/bias")
    assert report.missing == ("d1/bias",)
    assert report.mis_shaped[0] == "d2/kernel is (8, 4), received (8, 5)"
    assert report.unused == ("extra/kernel", "extra/bias")
    assert not report.complete
    after = values(target)
    for name in before:
        expected = del_from[name] if name in report.matched else before[name]
        np.testing.assert_array_equal(after[name], expected)
    assert str(report).startswith("2 variables matched, 1 missing (d1/bias), 3 mis-shaped (d2/kernel is")


def test_strict_restore_changes_nothing_unless_all_fits():
    target, source = mlp(8, 4, name="target"), mlp(8, 5)
    before = values(target)
    with pytest.raises(InputError, match=r"do not fit target: 2 variables matched.*2 mis-shaped"):
        restore(target, source, strict=True)
    for name, value in values(target).items():
        np.testing.assert_array_equal(value, before[name])
    assert restore(target, source, only="^d1/", strict=True) == Report(("d1/kernel", "d1/bias"))
    with pytest.raises(InputError, match="0 variables matched"):
        restore(target, {"nothing": np.zeros(1)})
    with pytest.raises(InputError, match="not a regular expression"):
        restore(target, source, only="(")


def test_names_do_not_depend_on_what_was_built_before():
    names = [list(variables(create("histology-v1", weights="none"))) for _ in range(2)]
    assert names[0] == names[1]
    assert names[0][:2] == ["conv1/kernel", "conv1/bias"]
    both = keras.Sequential([keras.Input((4,)), mlp_like("a"), mlp_like("b")])
    with pytest.raises(InputError, match="two variables named d1/bias"):
        variables(both)


def mlp_like(name):
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, name="d1")], name=name)
