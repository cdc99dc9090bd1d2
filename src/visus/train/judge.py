"""The end of a run: the model is judged on pictures it has not learned from, and the report is written."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from visus.data import Dataset
from visus.evaluate import evaluate, evaluate_multilabel
from visus.explain.grad_cam import grad_cam
from visus.predict import Predictor
from visus.train.report import Result, write_report
from visus.train.run import Run
from visus.train.settings import Settings


def judge(
    run: Run, model: keras.Model, dataset: Dataset, settings: Settings, say: Callable[[str], object]
) -> dict[str, Any]:
    """Judges a finished model and writes `report.html`, `evaluation.json`, `predictions.csv` and the plots.

    The judged split is `test` where there is one. Otherwise it is `val`, which has chosen the best epoch: the figure
    is then marked as a selection score.

    Args:
        run: The run folder, with `model.keras` in it.
        model: The same model in memory.
        dataset: The data set with its splits.
        settings: The arguments of the run.
        say: Called with each message.

    Returns:
        The figures by name, which also go into `run.json` under `results`.
    """
    split = next((s for s in ("test", "val") if s in dataset.splits), None)
    if split is None:
        say("There is neither a test nor a val split: nothing to judge the model on.")
        return {}
    judged = dataset.split(split)
    predictor = Predictor(run.model_file, tta=settings.tta)
    scores, errors = predictor.scores(judged)
    for source, reason in errors.items():
        say(f"not judged: {source}: {reason}")
    readable = ~np.isnan(scores).any(axis=1)
    judged, scores = judged.subset(readable), scores[readable]
    result: Result
    if dataset.task == "multi":
        result = evaluate_multilabel(judged.targets().astype(np.int32), scores, dataset.class_names)
    else:
        result = evaluate(judged.labels(), scores, dataset.class_names, seed=settings.seed)
    figures = {name: estimate.to_dict() for name, estimate in result.figures.items()}
    run.save(results=figures, judged={"split": split, "pictures": len(judged), "unreadable": errors})
    write_report(
        run.folder,
        title=f"{dataset.name or 'pictures'}: {settings.model}",
        result=result,
        history=read_history(run.metrics_file),
        dataset=judged,
        scores=scores,
        run=run.record,
        published=[tuple(p) for p in run.record.get("published", [])],
        explain=lambda pictures, classes: [
            grad_cam(model, picture, class_index=k, overlay=True) for picture, k in zip(pictures, classes)
        ],
        selection=split == "val",
    )
    return figures


def read_history(file: Path) -> list[dict[str, Any]]:
    """The rows of `metrics.csv`, with numbers as numbers; a figure that an epoch does not have is left out."""
    if not file.exists():
        return []
    with file.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    return [{k: v if k == "phase" else float(v) for k, v in row.items() if v} for row in rows]
