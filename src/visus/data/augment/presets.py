"""Ready policies by strength and domain, and what class names say about the augmentation they survive."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import get_args

from visus.data.augment.color import (
    Blur,
    ColorJitter,
    Gamma,
    GaussianNoise,
    JpegQuality,
    MotionBlur,
    SunFlare,
)
from visus.data.augment.erase import RandomErasing
from visus.data.augment.geometry import (
    Crop,
    HorizontalFlip,
    Perspective,
    QuarterTurn,
    RandomResizedCrop,
    Rotate,
    Shear,
    Shift,
    VerticalFlip,
    Zoom,
)
from visus.data.augment.op import Hazard, Op
from visus.data.augment.policies import Domain, Policy
from visus.data.augment.rand_augment import RandAugment
from visus.structures import InputError

STRENGTHS = ("none", "light", "standard", "strong")
DOMAINS: tuple[str, ...] = get_args(Domain)

Steps = tuple[tuple[Op, float], ...]


def policy(
    name: str = "standard",
    *,
    domain: Domain = "generic",
    class_names: Sequence[str] = (),
    protect: Iterable[Hazard] = (),
    allow: Iterable[Hazard] = (),
) -> Policy:
    """A ready policy; ops that would confuse the classes are left out of it.

    Args:
        name: `none`, `light`, `standard` or `strong`.
        domain: `generic`; `street` (one way up, shake and sun); `aerial` (no way up); `text` (no mirror
            image, print and scan faults); `medical` (colour carries the finding, nothing is hidden); `macro`
            (close-ups of surfaces: no way up, nothing is hidden); `faces` (one way up).
        class_names: Names such as `left` and `right`, `6` and `9`, `red` and `green` protect what tells them
            apart.
        protect: More that the classes are told by: `left-right`, `up-down`, `colour`.
        allow: What may be confused nevertheless.

    Raises:
        InputError: The name or the domain is unknown.

    Example:
        >>> print(policy("light").describe())
        Augmentation 'light' for generic pictures:
          RandomResizedCrop(scale=(0.7, 1.0), ratio=(0.9, 1.1), aspect=1.0), always
          HorizontalFlip(), probability 0.5
          ColorJitter(exposure=0.1, contrast=0.1, saturation=0.1, hue=0.01), probability 0.8
    """
    if name not in STRENGTHS:
        raise InputError(f"There is no augmentation preset {name!r}. Choose one of {', '.join(STRENGTHS)}.")
    if domain not in DOMAINS:
        raise InputError(f"There is no augmentation domain {domain!r}. Choose one of {', '.join(DOMAINS)}.")
    empty = Policy(
        name=name,
        domain=domain,
        protect=tuple(sorted({*protect, *told_by(class_names)})),
        allow=tuple(allow),
    )
    steps = _PRESETS[domain][name] if name != "none" else ()
    return empty.replace(
        steps=tuple((op, chance) for op, chance in steps if not op.hazards & empty.protected)
    )


def told_by(class_names: Sequence[str]) -> dict[Hazard, str]:
    """What the names of the classes say they are told by, each with the names that say so.

    It sees words, not pictures: classes that look asymmetric without saying so need `protect`.

    Example:
        >>> told_by(["turn_left", "turn_right", "stop"])
        {'left-right': 'left, right'}
    """
    words = [set(re.findall(r"[a-z]+|\d+", name.casefold())) for name in class_names]
    found: dict[Hazard, str] = {}
    for hazard, groups in _TELLING.items():
        for group in groups:
            # Two classes must differ by it: that all are red says nothing.
            said = [group & each for each in words]
            if len({frozenset(each) for each in said if each}) > 1:
                found[hazard] = ", ".join(sorted(set().union(*said)))
    return found


_TELLING: Mapping[Hazard, tuple[set[str], ...]] = {
    "left-right": (
        *({"left", "right"}, {"l", "r"}, {"east", "west"}, {"clockwise", "counterclockwise"}),
        *({"b", "d"}, {"p", "q"}, {"s", "z"}, {"2", "5"}),
    ),
    "up-down": (
        *({"up", "down"}, {"upper", "lower"}, {"top", "bottom"}, {"upright", "inverted"}, {"north", "south"}),
        *({"6", "9"}, {"n", "u"}, {"m", "w"}, {"b", "p"}, {"d", "q"}),
    ),
    "colour": (
        {"red", "orange", "yellow", "green", "blue", "purple", "violet", "pink", "brown", "black", "white",
         "gray", "grey", "color", "colour", "ripe", "unripe"},
    ),
}  # fmt: skip


def _generic(name: str) -> Steps:
    # Fine-tuning with a few hundred pictures: half of the area is kept at least, or small things are lost.
    scale = {"light": (0.7, 1.0), "standard": (0.5, 1.0), "strong": (0.25, 1.0)}[name]
    ratio = (0.9, 1.1) if name == "light" else (3 / 4, 4 / 3)
    steps: Steps = ((RandomResizedCrop(scale, ratio), 1.0), (HorizontalFlip(), 0.5))
    if name == "light":
        return (*steps, (ColorJitter(0.1, 0.1, 0.1, 0.01), 0.8))
    if name == "standard":
        return (*steps, (Rotate(10), 0.2), (ColorJitter(0.2, 0.2, 0.2, 0.02), 0.8))
    return (*steps, (RandAugment(2, 7), 1.0), (RandomErasing(), 0.25))


def _street(name: str) -> Steps:
    amount = _amount(name)
    steps: Steps = (
        (RandomResizedCrop((round(1 - 0.2 * amount, 2), 1.0), (0.9, 1.1)), 1.0),
        (HorizontalFlip(), 0.5),
        (_jitter(amount, 0.12, 0.1, 0.005), 0.8),
    )
    if name == "light":
        return steps
    return (
        *steps,
        (Rotate(3), 0.2),
        (MotionBlur(3 + 2 * amount), 0.1),
        (SunFlare(), 0.05),
        (GaussianNoise(8 * amount), 0.1),
        *(((RandomErasing((0.02, 0.2)), 0.25),) if name == "strong" else ()),
    )


def _aerial(name: str) -> Steps:
    amount = _amount(name)
    return (
        (RandomResizedCrop((round(1 - 0.25 * amount, 2), 1.0), (0.9, 1.1)), 1.0),
        (HorizontalFlip(), 0.5),
        (QuarterTurn(), 1.0),
        *(((Rotate(15 * amount), 0.3),) if name != "light" else ()),
        (_jitter(amount, 0.1, 0.1, 0.01), 0.8),
        *(((RandomErasing((0.02, 0.15)), 0.25),) if name == "strong" else ()),
    )


def _text(name: str) -> Steps:
    amount = _amount(name)
    return (
        (Rotate(4 * amount), 0.5),
        (Shear(5 * amount), 0.5),
        (Zoom(round(0.08 * amount, 2), per_axis=True), 0.5),
        (Shift(round(0.03 * amount, 2)), 0.5),
        *(((Perspective(round(0.07 * amount, 2)), 0.2),) if name == "strong" else ()),
        (_jitter(amount, 0.12, 0.0, 0.0), 0.5),
        (Gamma(round(1 + 0.2 * amount, 2)), 0.3),
        (Blur(0.5 * amount), 0.2),
        (GaussianNoise(8 * amount), 0.2),
        *(((JpegQuality(), 0.2),) if name == "strong" else ()),
    )


def _medical(name: str) -> Steps:
    amount = _amount(name)
    return (
        (Crop((round(1 - 0.08 * amount, 2), 1.0)), 1.0),
        (HorizontalFlip(), 0.5),
        (VerticalFlip(), 0.5),
        *(((Rotate(10 * amount), 0.3),) if name != "light" else ()),
        # Stain and tissue are told by colour: light may change, hue hardly.
        (_jitter(amount, 0.06, 0.04, 0.004), 0.8),
        *(((Blur(1.0), 0.1), (GaussianNoise(6), 0.1)) if name == "strong" else ()),
    )


def _macro(name: str) -> Steps:
    amount = _amount(name)
    return (
        # A defect may lie anywhere, so nearly all of the surface stays in view.
        (Crop((round(1 - 0.06 * amount, 2), 1.0)), 1.0),
        (HorizontalFlip(), 0.5),
        (QuarterTurn(), 1.0),
        *(((Rotate(5 * amount), 0.3),) if name != "light" else ()),
        (_jitter(amount, 0.1, 0.06, 0.008), 0.8),
        *(((Blur(1.0), 0.1), (GaussianNoise(8), 0.1)) if name == "strong" else ()),
    )


def _faces(name: str) -> Steps:
    amount = _amount(name)
    return (
        # FaceNet's crop of 160 out of 182 at standard strength.
        (Crop((round(1 - 0.06 * amount, 2), 1.0)), 1.0),
        (HorizontalFlip(), 0.5),
        *(((Rotate(5 * amount), 0.3),) if name != "light" else ()),
        (_jitter(amount, 0.1, 0.1, 0.01), 0.8),
        *(((Blur(1.0), 0.1), (JpegQuality(), 0.2)) if name != "light" else ()),
        *(((RandomErasing((0.02, 0.15)), 0.2),) if name == "strong" else ()),
    )


def _amount(name: str) -> int:
    return STRENGTHS.index(name)


def _jitter(amount: int, light: float, saturation: float, hue: float) -> ColorJitter:
    """`light` for exposure and contrast; all per unit of strength."""
    exposure, saturation, hue = (round(amount * each, 3) for each in (light, saturation, hue))
    return ColorJitter(exposure, exposure, saturation, hue)


_PRESETS: Mapping[str, Mapping[str, Steps]] = {
    domain: {name: make(name) for name in STRENGTHS[1:]}
    for domain, make in {
        "generic": _generic,
        "street": _street,
        "aerial": _aerial,
        "text": _text,
        "medical": _medical,
        "macro": _macro,
        "faces": _faces,
    }.items()
}
