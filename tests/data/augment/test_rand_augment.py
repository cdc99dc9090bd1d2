"""RandAugment and TrivialAugment: which ops, how often, how strong."""

from collections import Counter

import numpy as np
import pytest

from visus.data.augment import RandAugment, TrivialAugment


def draws(op, count):
    rng = np.random.default_rng(0)
    return [chosen for _ in range(count) for chosen in op.draw(rng, (50, 60))["chosen"]]


def test_the_fourteen_ops_are_equally_likely():
    chosen = draws(RandAugment(2, 5), 1400)
    counts = Counter(c.get("op") for c in chosen)
    # 14 entries: Shear and Shift stand for two each, None for the papers' Identity.
    assert len(counts) == 12
    expected = {op: 2800 / 14 * (2 if op in ("Shear", "Shift") else 1) for op in counts}
    assert all(abs(counts[op] - n) < 4 * np.sqrt(n) for op, n in expected.items())


def test_full_magnitude_reaches_the_papers_ranges():
    by_op = {}
    for c in draws(RandAugment(1, 10), 2000):
        for value in (c or {"parameters": {}})["parameters"].values():
            by_op.setdefault(c["op"], set()).add(round(value, 4))
    assert by_op["Rotate"] == {-30.0, 30.0}
    assert by_op["Solarize"] == {0.0}
    assert by_op["Posterize"] == {4}
    assert by_op["Contrast"] == {0.1, 1.9}
    assert by_op["Shear"] == {0.0, 16.6992, -16.6992}  # atan 0.3
    assert by_op["Shift"] == {0.0, 0.4532, -0.4532}


def test_no_magnitude_changes_nothing_but_contrast():
    photo = np.random.default_rng(0).integers(0, 256, (50, 60, 3), np.uint8)
    rng = np.random.default_rng(0)
    op = RandAugment(1, 0)
    for _ in range(60):
        parameters = op.draw(rng, (50, 60))
        if parameters["chosen"][0].get("op") not in ("Equalize", "Autocontrast"):
            np.testing.assert_array_equal(op.apply(photo, parameters), photo)


def test_trivial_augment_draws_one_op_at_any_strength():
    rng = np.random.default_rng(0)
    op = TrivialAugment()
    angles = [
        c["parameters"]["degrees"]
        for _ in range(3000)
        for c in op.draw(rng, (50, 60))["chosen"]
        if c.get("op") == "Rotate"
    ]
    assert max(np.abs(angles)) == 135
    assert min(angles) < -120
    assert max(angles) > 120
    assert len(set(angles)) > 40
    assert "up-down" in op.hazards
    assert "up-down" not in TrivialAugment(wide=False).hazards


@pytest.mark.parametrize("arguments", [{"count": -1}, {"magnitude": 11}])
def test_impossible_settings(arguments):
    with pytest.raises(ValueError, match="Received"):
        RandAugment(**arguments)
