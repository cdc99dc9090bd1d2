"""The questions that every augmentation of the folder is asked."""

import dataclasses
import doctest
import importlib
import inspect
import json
import pkgutil

import numpy as np
import pytest

import visus.data.augment as augment
from visus.data.augment.moves import Move
from visus.data.augment.op import Choice, GeometricOp, PixelOp, catalogue, from_dict

KINDS = {name: kind for name, kind in catalogue().items() if kind.__module__.startswith("visus.")}
SHAPES = [(1, 1), (1, 1, 3), (5, 3), (5, 3, 1), (5, 3, 3), (40, 61), (40, 61, 1), (40, 61, 3)]

OPS = [kind() for kind in KINDS.values()]


def each(ops):
    return pytest.mark.parametrize("op", [pytest.param(op, id=type(op).__name__) for op in ops])


every_op = each(OPS)
every_geometric_op = each(op for op in OPS if isinstance(op, GeometricOp))
every_pixel_op = each(op for op in OPS if isinstance(op, PixelOp))


def picture(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def test_the_folder_was_searched():
    assert len(KINDS) >= 38
    assert {"HorizontalFlip", "Elastic", "PcaLighting", "RandomErasing", "RandAugment"} <= set(KINDS)
    assert set(KINDS) <= set(augment.__all__)


@every_op
def test_keeps_the_contract(op):
    for shape in SHAPES:
        image = picture(shape)
        image.setflags(write=False)
        before = image.copy()
        for seed in range(3):
            out = op.apply(image, op.draw(np.random.default_rng(seed), shape[:2]))
            assert out.dtype == np.uint8
            assert out.ndim == image.ndim
            assert out.shape[2:] == shape[2:]
            assert min(out.shape[:2]) >= 1
            if isinstance(op, PixelOp):
                assert out.shape == shape
            assert not np.shares_memory(out, image)
        np.testing.assert_array_equal(image, before)


@each(op for op in OPS if op.identity((5, 3)) is not None)
def test_identity_parameters_change_nothing(op):
    for shape in SHAPES:
        parameters = op.identity(shape[:2])
        np.testing.assert_array_equal(op.apply(picture(shape), parameters), picture(shape))


@every_op
def test_same_chance_same_pixels(op):
    image = picture((40, 61, 3))
    outs = [op.apply(image, op.draw(np.random.default_rng((3, 1, 4)), (40, 61))) for _ in range(2)]
    np.testing.assert_array_equal(*outs)
    others = [op.draw(np.random.default_rng(seed), (40, 61)) for seed in range(12)]
    assert others[0] == {} or any(other != others[0] for other in others)


@every_op
def test_parameters_and_op_survive_json(op):
    image = picture((40, 61, 3))
    parameters = op.draw(np.random.default_rng(2), (40, 61))
    back = from_dict(json.loads(json.dumps(op.to_dict())))
    assert back == op
    np.testing.assert_array_equal(
        back.apply(image, json.loads(json.dumps(parameters))), op.apply(image, parameters)
    )


@every_op
def test_documents_itself_and_its_fields(op):
    kind = type(op)
    assert kind.__doc__
    assert not kind.__doc__.startswith(kind.__name__ + "("), "only the dataclass's own signature"
    assert inspect.getdoc(kind.draw)
    for field in dataclasses.fields(op):
        assert f"{field.name}:" in kind.__doc__, f"{kind.__name__}.{field.name} is not documented"


@every_op
def test_is_frozen_and_hashable(op):
    assert hash(op) == hash(type(op)())
    for field in dataclasses.fields(op):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(op, field.name, None)


@every_op
def test_is_of_one_family(op):
    assert isinstance(op, GeometricOp) + isinstance(op, PixelOp) + isinstance(op, Choice) == 1


@every_pixel_op
def test_values_do_not_depend_on_the_size_of_the_picture(op):
    small, large = (op.draw(np.random.default_rng(6), size) for size in ((5, 3), (400, 610)))
    assert small == large


@every_geometric_op
@pytest.mark.parametrize("seed", range(4))
def test_a_painted_marker_moves_where_the_map_says(op, seed):
    height, width = 120, 170
    rows, columns = np.indices((height, width)) + 0.5
    rng = np.random.default_rng(seed)
    parameters = op.draw(rng, (height, width))
    move, size = op.move(parameters, (height, width))
    # A point whose image lies inside, found through the inverse.
    x, y = move.inverse().apply([[rng.uniform(0.3, 0.7) * size[1], rng.uniform(0.3, 0.7) * size[0]]])[0]
    blob = np.rint(255 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * 3.0**2))).astype(np.uint8)
    out = op.apply(blob, parameters).astype(float)
    assert out.shape == size
    out_rows, out_columns = np.indices(size) + 0.5
    centre = (out * out_columns).sum() / out.sum(), (out * out_rows).sum() / out.sum()
    np.testing.assert_allclose(centre, move.apply([x, y]), atol=0.5)


@every_geometric_op
def test_maps_can_be_undone(op):
    move: Move = op.move(op.draw(np.random.default_rng(9), (120, 170)), (120, 170))[0]
    points = np.random.default_rng(0).uniform(0, 120, (4, 5, 2))
    np.testing.assert_allclose(move.inverse().apply(move.apply(points)), points, atol=1e-6)


@pytest.mark.parametrize("module", [m.name for m in pkgutil.iter_modules(augment.__path__)])
def test_examples_in_docstrings_run(module):
    result = doctest.testmod(importlib.import_module(f"visus.data.augment.{module}"))
    assert result.failed == 0
