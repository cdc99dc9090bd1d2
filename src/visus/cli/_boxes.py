"""Boxes in files judged without a model: `visus evaluate --truth T --results R`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from visus.cli._output import message, print_json, print_table, short
from visus.structures import InputError

_CLASSES = 50  # that the terminal shows; all of them are in --json


def judge_boxes(truth: Path, results: Path, *, style: str, pixels: str, seed: int, json: bool) -> None:
    """Reads both, prints the figures with their intervals.

    Raises:
        InputError: A file is no such, or the style is unknown.
    """
    from visus.data.judged import read_judged
    from visus.evaluate.detection import STYLES, evaluate_boxes

    known: Any = "voc10" if style == "voc12" else style
    if known not in STYLES:
        raise InputError(f"A style is one of {', '.join(STYLES)}, voc12. Received {style!r}.")
    judged = read_judged(truth, results, pixels=pixels)  # type: ignore[arg-type]
    for note in judged.notes:
        message(note)
    result = evaluate_boxes(
        judged.truths, judged.results, len(judged.pictures), judged.class_names, style=known, seed=seed
    )
    about = {"truth": str(truth), "results": str(results), "pictures": len(judged.pictures)}
    if json:
        document = result.to_dict()
        figures = document.pop("figures")
        del document["count"]  # said as `pictures`
        print_json(about | figures | document)
        return
    print_table(
        f"{results} on {truth}: {len(judged.pictures)} pictures, {len(judged.truths)} objects, "
        f"{len(judged.results)} detections",
        ("figure", "value"),
        list(result.figures.items()),
    )
    hardest = sorted(result.per_class, key=lambda c: (c.AP.value != c.AP.value, c.AP.value))
    mean = known == "coco"
    print_table(
        "classes, hardest first" + (f", {_CLASSES} of {len(hardest)}" if len(hardest) > _CLASSES else ""),
        ("class", "objects", *(["AP"] if mean else []), "AP50", "precision", "recall", "F1", "score"),
        [
            (
                *(c.name, c.support, *([short(c.AP)] if mean else []), short(c.AP50)),
                *("n/a" if v != v else f"{v:.3f}" for v in (c.precision, c.recall, c.f1, c.threshold)),
            )
            for c in hardest[:_CLASSES]
        ],
    )
    if len(hardest) > 1 or mean:
        message("precision, recall, F1: at the score where F1 is greatest, IoU 0.5")
    for note in result.notes:
        message(note)
