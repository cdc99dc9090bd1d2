"""How to use a pretrained trunk: the four cases of transfer learning, and what a plan will cost in time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

LITTLE = 100
"""Fewer pictures per class than this are little. A rule of thumb: where two cases are close, try both and let the
validation set decide."""


@dataclass(frozen=True)
class Step:
    """One part of a training, for SGD with momentum 0.9.

    Attributes:
        learns: What learns: the `head`, the so many `top` stages of the trunk with the head (an integer), or
            `all`.
        epochs: Passes over the data.
        learning_rate: The rate to begin with.
    """

    learns: Literal["head", "all"] | int
    epochs: int
    learning_rate: float


@dataclass(frozen=True)
class Advice:
    """What to do with a pretrained trunk.

    Attributes:
        case: Its short name.
        sentence: What to do and why, for people.
        pretrained: Whether to start from the pretrained weights at all.
        cut: How many stages to cut off the top of the trunk.
        steps: What learns, in this order; recompile in between.
    """

    case: Literal["head", "top", "all", "early features", "from scratch"]
    sentence: str
    pretrained: bool
    cut: int
    steps: tuple[Step, ...]


def advise(
    similar: bool | None, pictures_per_class: float, *, same_modality: bool = True, stages: int = 5
) -> Advice:
    """Which of the four ways of transfer learning fits.

    | | little data (fewer than `LITTLE` per class) | much data |
    |---|---|---|
    | similar pictures | freeze the trunk, train a head | then also its last stages, at a smaller rate |
    | dissimilar pictures | cut the last stages, train a small head on early features | train all of it |

    Pictures of another modality (radar, spectrograms, depth, as against photographs) gain nothing from a
    trunk that has seen photographs only: do not transfer.

    Args:
        similar: Whether the pictures, and what matters in them, are like those of the pretraining: everyday
            things in photographs are like ImageNet, X-rays and tissue under the microscope are not. None: not
            known; it is then taken for similar, which costs least to try.
        pictures_per_class: Of the training part; for unequal classes the median.
        same_modality: Whether both are the same kind of recording.
        stages: How many stages the trunk has.

    Returns:
        The `Advice`.

    Raises:
        ValueError: The number of pictures is negative.

    Example:
        >>> advise(True, 50).case
        'head'
        >>> [step.learns for step in advise(True, 600).steps]
        ['head', 2]
    """
    if not pictures_per_class >= 0:
        raise ValueError(f"pictures_per_class is a number from 0 on. Received {pictures_per_class}.")
    amount = f"{pictures_per_class:,.0f} pictures per class"
    if not same_modality:
        return Advice(
            "from scratch",
            f"Do not transfer: the trunk has seen another kind of recording. Train a net of your own on {amount}.",
            False,
            0,
            (Step("all", 100, 0.1),),
        )
    little = pictures_per_class < LITTLE
    top = max(1, round(0.4 * stages))
    unknown = " (taken for similar: say so if they are not)" if similar is None else ""
    head = Step("head", 3, 0.1)
    if similar or similar is None:
        if little:
            return Advice(
                "head",
                f"Similar pictures{unknown}, little data ({amount}): freeze the trunk and train the head alone. More "
                "would learn the few pictures by heart.",
                True,
                0,
                (Step("head", 20, 0.1),),
            )
        return Advice(
            "top",
            f"Similar pictures{unknown}, much data ({amount}): train the head, then the last {top} stages of "
            "the trunk, too, at a tenth of the rate.",
            True,
            0,
            (head, Step(top, 10, 0.01)),
        )
    if little:
        return Advice(
            "early features",
            f"Dissimilar pictures, little data ({amount}): cut the last {top} stages off the trunk, whose features are "
            "too special, train a small head on the early ones, then everything that is left at a small rate.",
            True,
            top,
            (Step("head", 20, 0.1), Step("all", 10, 0.001)),
        )
    return Advice(
        "all",
        f"Dissimilar pictures, much data ({amount}): start from the pretrained weights and train all of them.",
        True,
        0,
        (head, Step("all", 30, 0.01)),
    )


def run_time(epoch_seconds: Sequence[float], epochs: int) -> tuple[float, float]:
    """How long a training will take, from the epochs that have passed.

    The first epoch, which also compiles, is the estimate while it is the only one; afterwards it no longer
    counts for the others.

    Args:
        epoch_seconds: Duration of each epoch so far, at least one.
        epochs: How many there will be.

    Returns:
        `(remaining, total)` in seconds.

    Raises:
        ValueError: No epoch has passed.

    Example:
        >>> run_time([10.0, 4.0, 6.0], 10)
        (35.0, 55.0)
    """
    if not epoch_seconds:
        raise ValueError("An estimate needs at least one epoch that has passed.")
    later = epoch_seconds[1:] or epoch_seconds
    remaining = max(0, epochs - len(epoch_seconds)) * sum(later) / len(later)
    return remaining, sum(epoch_seconds) + remaining


@dataclass(frozen=True)
class CacheGain:
    """A frozen trunk within the training, against its outputs cached once.

    Attributes:
        in_graph: Seconds with the trunk computed anew in every epoch.
        cached: Seconds with the cache, its making included.
        pays_from: Number of epochs from which the cache is quicker, or None: never.
    """

    in_graph: float
    cached: float
    pays_from: int | None

    def __str__(self) -> str:
        better = "never pays" if self.pays_from is None else f"pays from epoch {self.pays_from} on"
        return f"{self.in_graph:.0f} s with the trunk in the graph, {self.cached:.0f} s with the cache, which {better}"


def cache_gain(epochs: int, *, in_graph_epoch: float, extraction: float, cached_epoch: float) -> CacheGain:
    """Whether caching the outputs of a frozen trunk is worth it.

    Args:
        epochs: Epochs of the head.
        in_graph_epoch: Seconds of an epoch through trunk and head.
        extraction: Seconds to run the trunk over everything once, for all cached views.
        cached_epoch: Seconds of an epoch of the head on the cache.

    Example:
        >>> gain = cache_gain(30, in_graph_epoch=270, extraction=240, cached_epoch=6)
        >>> gain.in_graph, gain.cached, gain.pays_from
        (8100, 420, 1)
    """
    saved = in_graph_epoch - cached_epoch
    pays_from = max(1, math.floor(extraction / saved) + 1) if saved > 0 else None
    return CacheGain(epochs * in_graph_epoch, extraction + epochs * cached_epoch, pays_from)
