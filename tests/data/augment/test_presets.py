"""Presets keep every label, and class names say what they are told by."""

import numpy as np
import pytest

from visus.data.augment import DOMAINS, STRENGTHS, HorizontalFlip, VerticalFlip, policy, told_by
from visus.structures import ImageSpec, InputError, Sample


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("name", STRENGTHS)
def test_every_preset_can_be_made_and_works(name, domain):
    made = policy(name, domain=domain)
    assert (made.name, made.domain) == (name, domain)
    assert bool(made.steps) == (name != "none")
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    for seed in range(5):
        out = made.apply(Sample(image), np.random.default_rng(seed), ImageSpec(32, 40)).image
        assert out.shape == (32, 40, 3)
        assert out.std() > 3


def ops(made):
    return {type(op) for op, _ in made.steps}


def test_flips_by_domain():
    assert HorizontalFlip in ops(policy("standard"))
    assert VerticalFlip not in ops(policy("standard"))
    assert HorizontalFlip not in ops(policy("strong", domain="text"))
    assert VerticalFlip in ops(policy("standard", domain="medical"))
    for domain in ("street", "faces"):
        assert not any("up-down" in op.hazards for op, _ in policy("strong", domain=domain).steps)


def test_stronger_changes_more():
    image = np.kron(np.random.default_rng(0).integers(40, 216, (6, 8, 3)), np.ones((10, 10, 1))).astype(
        np.uint8
    )
    for domain in DOMAINS:
        change = []
        for name in STRENGTHS:
            outs = [
                policy(name, domain=domain)
                .apply(Sample(image), np.random.default_rng(s), ImageSpec(60, 80))
                .image.astype(float)
                for s in range(40)
            ]
            change.append(np.mean([np.abs(np.sort(o, None) - np.sort(image, None)).mean() for o in outs]))
        assert change[0] == 0
        assert change[1] < change[3], domain


@pytest.mark.parametrize(
    ("names", "hazards"),
    [
        (["daisy", "rose", "tulip"], set()),
        (["turn left", "turn_right"], {"left-right"}),
        (["ArrowUp up", "arrow down"], {"up-down"}),
        ([str(d) for d in range(10)], {"left-right", "up-down"}),
        (["0", "1"], set()),
        (["red light", "green light"], {"colour"}),
        (["red car", "red bus"], set()),
        (["T-shirt/top", "Trouser", "Bag"], set()),
        (["bright", "leftover"], set()),
        (list("abcdefghijklmnopqrstuvwxyz"), {"left-right", "up-down"}),
    ],
)
def test_what_class_names_say(names, hazards):
    assert set(told_by(names)) == hazards
    made = policy("strong", class_names=names)
    assert not any(op.hazards & hazards for op, _ in made.steps)
    assert set(made.protect) == hazards


def test_protect_and_allow():
    assert HorizontalFlip not in ops(policy("standard", protect=["left-right"]))
    assert HorizontalFlip in ops(policy("standard", class_names=["left", "right"], allow=["left-right"]))


def test_unknown_names_list_the_known_ones():
    with pytest.raises(InputError, match="none, light, standard, strong"):
        policy("medium")
    with pytest.raises(InputError, match="generic, street"):
        policy("light", domain="space")
