"""What to try next, derived from the figures by rules that are written down."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from visus.evaluate.calibration import apply_temperature, fit_temperature, reliability
from visus.evaluate.classification import ClassificationResult
from visus.evaluate.diagnosis import Diagnosis
from visus.evaluate.multilabel import MultilabelResult

ENOUGH = 100
"""Pictures of a class in training from which on its number is no reason for concern."""


@dataclass(frozen=True)
class Advice:
    """One thing to try.

    Attributes:
        title: What was found, in a few words.
        text: The figures behind it, and what to do.
    """

    title: str
    text: str


def advise(
    result: ClassificationResult | MultilabelResult,
    *,
    diagnosis: Diagnosis | None = None,
    train_counts: Mapping[str, int] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> list[Advice]:
    """What to try next, the most important first.

    The rules, each with the figures that trigger it:

    1. No better than always answering the majority class (its interval reaches down to that): check the
       labels.
    2. The curves (see `diagnose`): overfit -> more augmentation, mixing, more pictures; underfit -> more
       epochs, a larger size, the whole trunk; diverged -> a tenth of the rate; stopped -> a fresh rate or a
       larger model; unfinished -> more epochs.
    3. A class whose recall lies 10 points or more below the mean, with 3 mistakes or more: whom it is taken
       for.
    4. Mistakes made with 95 % confidence or more: labels to look at.
    5. Fewer than 100 training pictures in a class: collect more of these.
    6. A class with three times as many training pictures as another whose recall is 5 points below the mean:
       balanced weights.
    7. Calibration error above 0.05: the temperature that repairs it, and to what.
    8. An interval of the accuracy wider than 3 points on one side: more test pictures, and how many.
    9. None of these: a larger size, test-time averaging.

    Args:
        result: What `evaluate` or `evaluate_multilabel` found.
        diagnosis: What `diagnose` found.
        train_counts: Class name -> number of training pictures.
        settings: The arguments of the training, so that nothing is advised that was done already.
    """
    found = [
        *_majority(result),
        *_curves(diagnosis, settings or {}),
        *_weak_classes(result),
        *_sure_mistakes(result),
        *_few_pictures(train_counts or {}),
        *_imbalance(result, train_counts or {}, settings or {}),
        *_calibration(result, settings or {}),
        *_small_test(result),
    ]
    return found or [
        Advice(
            "Nothing stands out",
            "For the last points: larger pictures (--size), test-time averaging (--tta flip), or more "
            "pictures of the classes at the bottom of the table.",
        )
    ]


def _majority(result: ClassificationResult | MultilabelResult) -> list[Advice]:
    if isinstance(result, MultilabelResult):
        return []
    accuracy, majority = result.figures["accuracy"], result.majority_accuracy.value
    reached = accuracy.value if math.isnan(accuracy.low) else accuracy.low
    if reached > majority or len(result.class_names) < 2:
        return []
    return [
        Advice(
            "No better than always the same answer",
            f"{accuracy.value:.1%} are right, and always answering {result.majority_class!r} would give "
            f"{majority:.1%}. Check that the labels belong to the pictures; if they do, the pictures may "
            "not show what is asked for.",
        )
    ]


def _curves(diagnosis: Diagnosis | None, settings: Mapping[str, Any]) -> list[Advice]:
    if diagnosis is None:
        return []
    stronger = {"none": "light", "light": "standard", "standard": "strong"}.get(str(settings.get("policy")))
    augment = f"--policy {stronger}" if stronger else "--mix mixup" if not settings.get("mix") else ""
    size = settings.get("size")
    larger = f"--size {round(max(size) * 1.25 / 32) * 32}" if size else "a larger --size"
    if settings.get("epochs") == 0:
        whole = " the trunk learning too (--epochs 6),"
    elif settings.get("unfreeze") == "all":
        whole = ""
    else:
        whole = " the whole trunk learning (--set unfreeze=all),"
    by = {
        "overfit": (
            "The model learns its pictures by heart",
            f"More augmentation{f' ({augment})' if augment else ''}, more pictures, a higher weight decay"
            f"{'' if settings.get('epochs') == 0 else ' or fewer stages that learn (--set unfreeze=2)'}.",
        ),
        "underfit": (
            "The model has not learned enough",
            f"More epochs (--epochs), larger pictures ({larger}),{whole} or a larger model (`visus models`).",
        ),
        "diverged": ("Training diverged", "A tenth of the learning rate (--rate)."),
        "stopped": (
            "Training stood still",
            f"More epochs will not help at this rate: try{whole} larger pictures ({larger}) or a larger model "
            "(`visus models`).",
        ),
        "unfinished": ("Training was still improving", "More epochs (--epochs), or more time (--minutes)."),
    }
    if diagnosis.verdict not in by:
        return []
    title, text = by[diagnosis.verdict]
    return [Advice(title, f"{diagnosis.sentence} {text}")]


def _weak_classes(result: ClassificationResult | MultilabelResult, limit: int = 3) -> list[Advice]:
    if isinstance(result, MultilabelResult):
        return []
    recalls = np.array([c.recall.value for c in result.per_class])
    mean = float(np.nanmean(recalls)) if np.isfinite(recalls).any() else math.nan
    counts = np.zeros((len(recalls), len(recalls)), np.int64)
    np.add.at(counts, (result.truth, result.predicted), 1)
    np.fill_diagonal(counts, 0)
    advice = []
    for i in np.argsort(recalls, kind="stable")[:limit]:
        wrong = int(counts[i].sum())
        if not recalls[i] <= mean - 0.10 or wrong < 3:
            continue
        name, rival = result.class_names[i], result.class_names[int(counts[i].argmax())]
        taken = int(counts[i].max())
        support = result.per_class[i].support
        if 3 * taken >= wrong:
            advice.append(
                Advice(
                    f"{name} is taken for {rival}",
                    f"Only {support - wrong} of {support} pictures of {name!r} are recognised "
                    f"({recalls[i]:.1%}; the mean is {mean:.1%}), and {taken} of the {wrong} mistakes say "
                    f"{rival!r}. Look at those files: are the labels right, can the two be told apart in "
                    "these pictures? More pictures of both help, and larger ones (--size) where the "
                    "difference is small.",
                )
            )
        else:
            advice.append(
                Advice(
                    f"{name} is hard to recognise",
                    f"Only {support - wrong} of {support} pictures of {name!r} are recognised "
                    f"({recalls[i]:.1%}; the mean is {mean:.1%}), and the mistakes are spread over many "
                    "classes. More pictures of it that show its variety help most.",
                )
            )
    return advice


def _sure_mistakes(result: ClassificationResult | MultilabelResult) -> list[Advice]:
    if isinstance(result, MultilabelResult):
        return []
    wrong = result.predicted != result.truth
    sure = int((wrong & (result.confidence >= 0.95)).sum())
    if not sure:
        return []
    return [
        Advice(
            f"{sure} {'mistake' if sure == 1 else 'mistakes'} made with certainty",
            f"{sure:,} of {wrong.sum():,} wrong answers were given with 95 % or more. "
            "Such pictures often carry a wrong label: look at the worst mistakes first.",
        )
    ]


def _few_pictures(train_counts: Mapping[str, int]) -> list[Advice]:
    few = {name: n for name, n in train_counts.items() if n < ENOUGH}
    if not few:
        return []
    worst = sorted(few.items(), key=lambda item: item[1])
    listed = ", ".join(f"{name!r} {n}" for name, n in worst[:5])
    more = f" and {len(worst) - 5} more" if len(worst) > 5 else ""
    return [
        Advice(
            "Few training pictures",
            f"{len(few)} of {len(train_counts)} classes have fewer than {ENOUGH} training pictures: "
            f"{listed}{more}. Doubling the pictures of a small class helps more than any setting.",
        )
    ]


def _imbalance(
    result: ClassificationResult | MultilabelResult,
    train_counts: Mapping[str, int],
    settings: Mapping[str, Any],
) -> list[Advice]:
    if settings.get("class_weights") or not train_counts:
        return []
    recalls = {c.name: c.recall.value for c in result.per_class}
    known = [v for v in recalls.values() if not math.isnan(v)]
    most = max(train_counts.values())
    rare = [
        name
        for name, n in train_counts.items()
        if 3 * n <= most and recalls.get(name, math.nan) <= float(np.mean(known)) - 0.05
    ]
    if not known or not rare:
        return []
    name = min(rare, key=lambda n: train_counts[n])
    return [
        Advice(
            "Rare classes come off badly",
            f"{name!r} has {train_counts[name]} training pictures where the largest class has {most}, and "
            f"its recall is {recalls[name]:.1%}. Let rare classes weigh more (--balanced), or collect more "
            "of them.",
        )
    ]


def _calibration(
    result: ClassificationResult | MultilabelResult, settings: Mapping[str, Any]
) -> list[Advice]:
    if isinstance(result, MultilabelResult) or not result.figures["ece"].value > 0.05:
        return []
    temperature = fit_temperature(result.scores, result.truth)
    repaired = apply_temperature(result.scores, temperature)
    after = reliability(repaired.max(axis=1), repaired.argmax(axis=1) == result.truth).ece
    if after > 0.8 * result.figures["ece"].value:  # nothing to gain, as with few pictures
        return []
    over = result.reliability.overconfidence
    says = f"promises {100 * abs(over):.0f} points too {'much' if over > 0 else 'little'}"
    if over < 0 and settings.get("label_smoothing"):
        says += f" (label smoothing, {settings['label_smoothing']:g} here, does that)"
    return [
        Advice(
            "Probabilities are off",
            f"The calibration error is {result.figures['ece'].value:.3f}: on average the model {says}. A "
            f"temperature of {temperature:.2f} would bring it to {after:.3f} on these pictures without "
            "changing an answer; fit it on validation pictures (visus.evaluate.fit_temperature).",
        )
    ]


def _small_test(result: ClassificationResult | MultilabelResult) -> list[Advice]:
    name = "subset_accuracy" if isinstance(result, MultilabelResult) else "accuracy"
    figure = result.figures[name]
    half = (figure.high - figure.low) / 2.0
    if not half > 0.03:
        return []
    p = min(max(figure.value, 0.05), 0.95)
    needed = math.ceil(p * (1.0 - p) * (1.96 / 0.02) ** 2 / 100) * 100
    return [
        Advice(
            "The test is small",
            f"On {result.count} pictures the {name.replace('_', ' ')} is known to ±{100 * half:.1f} points "
            f"only. For ±2 points it takes about {needed:,} pictures; until then, compare models on the "
            "same pictures (visus evaluate --against).",
        )
    ]
