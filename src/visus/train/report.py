"""The report of a judged model: one page to show, and beside it the plots, tables and figures in it."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from visus.data.dataset import Dataset
from visus.data.formats._walk import MARK
from visus.data.store import decode
from visus.draw import plots
from visus.draw.page import Page
from visus.evaluate import (
    ClassificationResult,
    Comparison,
    Diagnosis,
    MultilabelResult,
    advise,
    apply_temperature,
    diagnose,
    fit_temperature,
    reliability,
    uncertain,
)
from visus.evaluate.confusion import write_matrix_csv
from visus.image.io import read
from visus.image.resize import resize
from visus.structures import Estimate, InputError
from visus.train.run import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Result = ClassificationResult | MultilabelResult
Explain = Callable[[list[NDArray[np.uint8]], list[int]], Sequence[NDArray[np.uint8]]]

MISTAKES = 24
"""Pictures shown of the worst mistakes."""
DOUBTS = 12
"""Pictures shown of the least certain answers."""
AUGMENTATION = "plots/augmentation.png"
"""Where a run keeps the sheet of what the model sees while it learns."""
_SELECTION = "The judged pictures also chose the best epoch, so these figures are a little too good."
_STAGES = {
    "decode": "fetching a picture, decoded already where there was room",
    "augment": "augmenting and resizing it",
    "mix": "mixing a batch",
    "wait": "waiting for a batch, ahead of the training",
}
_ENOUGH = (320, 320)  # a JPEG in the gallery is decoded at a reduced scale above this

_LABELS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "precision": "precision (mean of the classes)",
    "recall": "recall (mean of the classes)",
    "f1": "F1 (mean of the classes)",
    "weighted_precision": "precision (weighted by pictures)",
    "weighted_recall": "recall (weighted by pictures)",
    "weighted_f1": "F1 (weighted by pictures)",
    "micro_precision": "precision (over all decisions)",
    "micro_recall": "recall (over all decisions)",
    "micro_f1": "F1 (over all decisions)",
    "kappa": "Cohen's kappa",
    "mcc": "Matthews correlation",
    "log_loss": "log loss",
    "brier": "Brier score",
    "ece": "calibration error (ECE)",
    "roc_auc": "ROC AUC (mean of the classes)",
    "average_precision": "average precision (mean of the classes)",
    "mAP": "mAP (mean average precision)",
    "subset_accuracy": "all labels right",
    "hamming_loss": "wrong decisions (Hamming)",
}


def write_report(
    folder: Path,
    *,
    title: str,
    result: Result,
    history: Sequence[Mapping[str, Any]] | None = None,
    dataset: Dataset | None = None,
    scores: NDArray[Any] | None = None,
    run: Mapping[str, Any] | None = None,
    published: Sequence[tuple[str, float, str]] | None = None,
    explain: Explain | None = None,
    selection: bool | str = False,
    comparison: Comparison | None = None,
    timing: Mapping[str, float] | None = None,
) -> Path:
    """Writes `report.html`, `predictions.csv`, `evaluation.json`, `confusion_matrix.csv` and `plots/*.png`.

    The page is one file that needs nothing else: figures with intervals beside the majority answer and
    published figures, what to try next, curves with a diagnosis, the worst mistakes and the least certain
    answers as pictures, the confusion matrix, every class, ROC and precision-recall curves, calibration,
    top-k, the data and the arguments. What is not given is left out. A picture that cannot be read leaves an
    empty place.

    Args:
        folder: Where to; made if need be.
        title: Heading of the page.
        result: What `evaluate` or `evaluate_multilabel` found.
        history: One mapping for each epoch, with `epoch`, `phase`, `loss`, `accuracy`, `val_loss`,
            `val_accuracy`, `learning_rate`, `seconds`.
        dataset: The judged pictures, in the order of the result.
        scores: `(N, K)` as judged; the result's own by default.
        run: What `run.json` holds: `arguments`, `data`, `environment`, `judged`, `seconds`.
        published: `(name, value, note)` of figures to put beside the accuracy (of `mAP`, with several
            labels).
        explain: Maps pictures and class indices to heat maps laid over the pictures; called for one picture
            at a time. Without it no heat maps are shown.
        selection: Whether the judged pictures had a say in the training (chose the best epoch, say): the
            figures are then marked as selection scores. A sentence says so in its own words.
        comparison: Another model on the same pictures.
        timing: Name -> milliseconds for one picture.

    Returns:
        The path of `report.html`.

    Raises:
        InputError: `dataset` or `scores` have another length than the result.

    Example:
        >>> write_report(Path("out"), title="Flowers", result=result, dataset=val)     # doctest: +SKIP
        PosixPath('out/report.html')
    """
    if dataset is not None and len(dataset) != result.count:
        raise InputError(f"The result judges {result.count} pictures, the data set holds {len(dataset)}.")
    given = result.scores if scores is None else np.asarray(scores, np.float64)
    if given.shape != result.scores.shape:
        raise InputError(f"The result judges scores of {result.scores.shape}, received {given.shape}.")
    record = run or {}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plots").mkdir(exist_ok=True)
    (folder / MARK).touch()
    diagnosis = diagnose(history) if history else None
    counts = record.get("data", {}).get("splits", {}).get("train", {})
    advice = advise(result, diagnosis=diagnosis, train_counts=counts, settings=record.get("arguments", {}))
    names = (
        [_name(s.source) for s in dataset] if dataset is not None else [f"#{i}" for i in range(result.count)]
    )

    write_atomically(folder / "predictions.csv", prediction_table(result, names))
    document = result.to_dict() | {
        "selection_score": bool(selection),
        "diagnosis": None
        if diagnosis is None
        else {"verdict": diagnosis.verdict, "text": diagnosis.sentence},
        "advice": [asdict(a) for a in advice],
        "published": [{"name": name, "value": value, "note": note} for name, value, note in published or ()],
        "comparison": None if comparison is None else comparison.to_dict(),
        "milliseconds": dict(timing or {}),
    }
    if len(result.class_names) > 100:
        document["confusion"] = (
            None  # a million numbers, which confusion_matrix.csv holds in a tenth of the space
        )
    write_atomically(folder / "evaluation.json", json.dumps(document, indent=2, ensure_ascii=False))
    if isinstance(result, ClassificationResult):
        write_matrix_csv(folder / "confusion_matrix.csv", result.confusion, result.class_names)

    page = Page(title, _subtitle(result, record))
    if selection:
        why = selection if isinstance(selection, str) else _SELECTION
        page.callout(
            f"{why} Keep a test part that training never sees for figures to publish.",
            "warning",
            "Selection score.",
        )
    draw = _Figures(page, folder / "plots")
    _summary(page, result, published or (), selection)
    page.heading("What to try next")
    for item in advice:
        page.callout(item.text, "note", f"{item.title}.")
    if record.get("transfer"):
        page.paragraph("How the trunk's pretraining is best used depends on the pictures:")
        page.items(record["transfer"])
    if comparison is not None:
        _comparison(page, comparison)
    if history and diagnosis is not None:
        _training(page, draw, history, diagnosis, record.get("pipeline", {}))
        if (folder / AUGMENTATION).is_file():
            with page.section("What the model saw while it learned"):
                page.image(read(folder / AUGMENTATION), caption="A picture as it is, then versions of it.")
    if record.get("left_out"):
        page.callout(
            "; ".join(
                f"{_name(source)}: {reason}" for source, reason in list(record["left_out"].items())[:20]
            ),
            "warning",
            f"{len(record['left_out'])} pictures could not be read and were not learned from.",
        )
    if dataset is not None:
        if isinstance(result, ClassificationResult):
            _mistakes(page, result, dataset, explain)
        else:
            _multilabel_mistakes(page, result, dataset)
    if isinstance(result, ClassificationResult):
        _confusion(page, draw, result)
    _classes(page, draw, result)
    _ranking(page, draw, result)
    if isinstance(result, ClassificationResult):
        _calibration(page, draw, result)
    _data(page, result, dataset, record)
    _arguments(page, record, timing)
    return page.write(folder / "report.html")


def prediction_table(result: Result, names: Sequence[str]) -> str:
    """The predictions as CSV, one row for each picture, in their order, none left out.

    With one label: `file,true,predicted,right,probability,uncertain`, then the next answers (up to five in
    all) with their probabilities; `uncertain` says that the picture may show none of the classes (see
    `visus.evaluate.uncertain`). With several labels: `file,true,predicted`, then the score of each label.

    Args:
        result: What was judged.
        names: `(N,)` names of the files.
    """
    classes = result.class_names
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if isinstance(result, MultilabelResult):
        writer.writerow(["file", "true", "predicted", *classes])
        for name, truth, given, row in zip(names, result.truth, result.predicted, result.scores):
            labels = ("; ".join(c for c, v in zip(classes, part) if v) for part in (truth, given))
            writer.writerow([name, *labels, *(f"{v:.6f}" for v in row)])
        return text.getvalue()
    k = min(5, len(classes))
    order = np.argsort(-result.scores, axis=1, kind="stable")[:, :k]
    further = [f"{what}{i}" for i in range(2, k + 1) for what in ("top", "probability")]
    writer.writerow(["file", "true", "predicted", "right", "probability", "uncertain", *further])
    doubt = uncertain(result.scores)
    for i, (name, best) in enumerate(zip(names, order)):
        row = [name, classes[result.truth[i]], classes[best[0]], _yes(best[0] == result.truth[i])]
        row += [f"{result.scores[i, best[0]]:.6f}", _yes(doubt[i])]
        for j in best[1:]:
            row += [classes[j], f"{result.scores[i, j]:.6f}"]
        writer.writerow(row)
    return text.getvalue()


# --- sections --------------------------------------------------------------------------------------------


class _Figures:
    """Puts a figure into the page and, as PNG, into the folder of plots."""

    def __init__(self, page: Page, folder: Path) -> None:
        self.page, self.folder = page, folder

    def __call__(self, figure: Figure, name: str, caption: str = "") -> None:
        plots.save(figure, self.folder / f"{name}.png")
        self.page.figure(figure, caption=caption, alt=caption or name.replace("_", " "))


def _subtitle(result: Result, record: Mapping[str, Any]) -> str:
    split = record.get("judged", {}).get("split")
    part = f" of the split {split!r}" if split else ""
    model = record.get("arguments", {}).get("model")
    by = f", judged with {model}" if model else ""
    return f"{result.count:,} pictures{part} in {len(result.class_names)} classes{by}"


def _summary(
    page: Page, result: Result, published: Sequence[tuple[str, float, str]], selection: bool | str
) -> None:
    page.heading("Summary")
    figures = result.figures
    if isinstance(result, ClassificationResult):
        chosen = ["accuracy", "f1", "roc_auc", "ece"]
        top = [name for name in figures if name.startswith("top")]
        chosen[1:1] = top[-1:]
        cards: dict[str, Any] = {_label(name): figures[name] for name in chosen}
        cards[f"always {result.majority_class!r}"] = result.majority_accuracy
        main, baseline = "accuracy", result.majority_accuracy
        against = f"always {result.majority_class!r}"
    else:
        cards = {_label(name): figures[name] for name in ("mAP", "f1", "roc_auc", "subset_accuracy")}
        cards["never any label: all right"] = result.empty_subset_accuracy
        main, baseline, against = "mAP", None, ""
    page.key_figures(cards)
    if published:
        rows: list[list[Any]] = [["this model", figures[main], "selection score" if selection else ""]]
        rows += [[name, value, note] for name, value, note in published]
        if baseline is not None:
            rows.append([against, baseline, "baseline"])
        rows.sort(key=lambda row: -(row[1].value if isinstance(row[1], Estimate) else row[1]))
        page.table(
            ["", _label(main), "note"], rows, caption="Beside published figures", bars={_label(main): 1.0}
        )
    if result.resamples:
        page.paragraph(
            f"Figures stand with their 95 % interval: {result.resamples:,} bootstrap resamples of the judged "
            "pictures."
        )
    for note in result.notes:
        page.paragraph(note)
    with page.section("All figures"):
        page.table(["figure", "value"], [[_label(name), figure] for name, figure in figures.items()])


def _training(
    page: Page,
    draw: _Figures,
    history: Sequence[Mapping[str, Any]],
    diagnosis: Diagnosis,
    pipeline: Mapping[str, Mapping[str, float]],
) -> None:
    page.heading("Training")
    tone: Any = {"healthy": "good", "overfit": "warning", "underfit": "warning", "diverged": "error"}.get(
        diagnosis.verdict, "note"
    )
    page.callout(diagnosis.sentence, tone)
    draw(plots.curves(history, best=diagnosis.best), "curves", "Training solid, validation dashed.")
    seconds = plots.series(history, "seconds")
    if np.isfinite(seconds).any():
        phases = dict.fromkeys(str(epoch.get("phase") or "training") for epoch in history)
        parts = []
        for phase in phases:
            of = [s for s, e in zip(seconds, history) if str(e.get("phase") or "training") == phase]
            parts.append(f"{phase}: {len(of)} epochs of {np.nanmedian(of):.3g} s")
        page.paragraph(f"Time: {'; '.join(parts)}.")
    if "wait" in pipeline:
        page.table(
            ["milliseconds for a picture or a batch", "mean", "median", "95 % below"],
            [
                [_STAGES.get(stage, stage), *(round(of[ms], 2) for ms in ("mean_ms", "p50_ms", "p95_ms"))]
                for stage, of in pipeline.items()
            ],
            caption="Preparing the pictures, in threads, while the net learns.",
        )


def _mistakes(page: Page, result: ClassificationResult, dataset: Dataset, explain: Explain | None) -> None:
    wrong = np.flatnonzero(result.predicted != result.truth)
    page.heading("Worst mistakes")
    if not wrong.size:
        page.paragraph("There is none: every picture was recognised.")
    else:
        worst = wrong[np.argsort(-result.confidence[wrong], kind="stable")]
        page.paragraph(
            f"{len(wrong):,} of {result.count:,} answers are wrong; here are those the model was most sure of. "
            "A wrong label shows up here first."
            + (" Beside each picture: what spoke for the wrong answer." if explain is not None else "")
        )
        _gallery(page, result, dataset, worst, MISTAKES, explain)
    with page.section(f"The {min(DOUBTS, result.count)} least certain answers"):
        _gallery(page, result, dataset, np.argsort(result.confidence, kind="stable"), DOUBTS, None)
    doubtful = int(uncertain(result.scores).sum())
    if doubtful:
        page.paragraph(
            f"{doubtful:,} answers are weak (below 50 %, or less than 10 points ahead of the next class): such "
            "pictures may show none of the classes. predictions.csv marks them."
        )


def _gallery(
    page: Page,
    result: ClassificationResult,
    dataset: Dataset,
    order: NDArray[np.int64],
    limit: int,
    explain: Explain | None,
) -> None:
    names = result.class_names

    def tiles() -> Iterator[tuple[NDArray[np.uint8] | None, str]]:
        for i in order[:limit]:
            predicted = int(result.predicted[i])
            lines = [f"actual: {names[result.truth[i]]}", f"predicted: {names[predicted]}, "]
            lines[1] += f"{result.confidence[i]:.1%}"
            caption = "\n".join([*lines, _name(dataset[int(i)].source)])
            yield _picture(dataset, int(i), predicted, explain), caption

    page.gallery(
        tiles(), limit=limit, side=170 if explain is None else 300, aspect=1 if explain is None else 2.0
    )


def _multilabel_mistakes(page: Page, result: MultilabelResult, dataset: Dataset) -> None:
    page.heading("Worst mistakes")
    far = np.abs(result.scores - result.truth)
    order = [i for i in np.argsort(-far.max(axis=1), kind="stable") if far[i].max() >= 0.5]
    if not order:
        page.paragraph("There is none worth showing: no score is more than 0.5 off.")
        return
    page.paragraph("The pictures with the label that is furthest off.")

    def tiles() -> Iterator[tuple[NDArray[np.uint8] | None, str]]:
        for i in order[:MISTAKES]:
            j = int(far[i].argmax())
            what = "missed" if result.truth[i, j] else "wrongly given"
            score = result.scores[i, j]
            caption = f"{what}: {result.class_names[j]}, {score:.1%}\n{_name(dataset[int(i)].source)}"
            yield _picture(dataset, int(i), j, None), caption

    page.gallery(tiles(), limit=MISTAKES, side=170, total=len(order))


def _picture(
    dataset: Dataset, index: int, class_index: int, explain: Explain | None
) -> NDArray[np.uint8] | None:
    """The picture, with its heat map beside it where one can be made; None where it cannot be read."""
    try:
        picture = decode(dataset[index], 3, _ENOUGH)
    except (InputError, OSError):
        return None
    if explain is None:
        return picture
    try:
        heat = np.asarray(explain([picture], [class_index])[0])
    except Exception:  # a heat map that fails must not cost the report
        return picture
    height, width = picture.shape[:2]
    size = (height, max(1, round(heat.shape[1] * height / heat.shape[0])))
    gap = np.full((height, max(2, width // 60), 3), 255, np.uint8)
    return np.concatenate([picture, gap, resize(heat, size)], axis=1)


def _comparison(page: Page, comparison: Comparison) -> None:
    a, b = comparison.names
    page.heading("Comparison")
    page.callout(comparison.sentence, "good" if comparison.mcnemar.p < 0.05 else "note")
    rows = [
        [_label(name), d.a, d.b, d.difference, "" if math.isnan(d.p) else f"{d.p:.3f}"]
        for name, d in comparison.differences.items()
    ]
    page.table(
        ["figure", a, b, "difference", "p"],
        rows,
        align=["left", "right", "right", "right", "right"],
        caption="Both models on the same pictures; intervals and p from paired resamples",
    )
    test = comparison.mcnemar
    page.table(
        ["", f"{b} right", f"{b} wrong"],
        [[f"{a} right", test.both, test.only_a], [f"{a} wrong", test.only_b, test.neither]],
        caption=f"McNemar's test ({'exact' if test.method == 'exact' else 'chi-square'}): p = {test.p:.4f}",
    )


def _confusion(page: Page, draw: _Figures, result: ClassificationResult) -> None:
    page.heading("Confusion matrix")
    draw(
        plots.confusion_matrix(result.confusion, result.class_names),
        "confusion_matrix",
        "Rows are the actual classes, columns the predicted ones; colour is the share of the row. Blue is "
        "right.",
    )
    pairs = result.confused(8)
    if pairs:
        page.table(
            ["actual", "taken for", "pictures", "of the class"],
            [[actual, predicted, n, f"{share:.1%}"] for actual, predicted, n, share in pairs],
            caption="Most frequent mistakes",
            align=["left", "left", "right", "right"],
        )


def _classes(page: Page, draw: _Figures, result: Result) -> None:
    page.heading("Classes")
    hardest = sorted(result.per_class, key=lambda c: (math.isnan(c.f1.value), c.f1.value))
    shown = hardest[:100]
    parts = ("precision", "recall", "f1") if len(shown) <= 40 else ("f1",)
    draw(
        plots.class_bars([c.name for c in shown], {p: [getattr(c, p) for c in shown] for p in parts}),
        "classes",
        f"{'The 100 hardest classes' if len(hardest) > 100 else 'Every class'} with 95 % intervals, hardest "
        "first.",
    )
    page.table(
        ["class", "pictures", "precision", "recall", "F1", "specificity", "ROC AUC", "average precision"],
        [
            [
                c.name,
                c.support,
                c.precision,
                c.recall,
                c.f1,
                c.specificity.value,
                c.roc_auc.value,
                c.average_precision.value,
            ]
            for c in hardest
        ],
        align=["left", "right", "right", "right", "right", "right", "right", "right"],
    )


def _ranking(page: Page, draw: _Figures, result: Result) -> None:
    page.heading("ROC and precision-recall")
    known = [i for i, c in enumerate(result.per_class) if not math.isnan(c.roc_auc.value)]
    if not known:
        page.paragraph("No class has pictures both of itself and of another one.")
        return
    areas = {c.name: (c.roc_auc, c.average_precision) for c in (result.per_class[i] for i in known)}
    draw(
        plots.ranking({result.class_names[i]: result.curve(i) for i in known}, areas),
        "roc_pr",
        "Each class against the rest, over all thresholds.",
    )
    top = [(name, figure) for name, figure in result.figures.items() if name.startswith("top")]
    if top:
        rows = [["1", result.figures["accuracy"]]]
        rows += [[name.removeprefix("top").removesuffix("_accuracy"), figure] for name, figure in top]
        page.table(
            ["k", "right within the first k"],
            rows,
            align=["left", "left"],
            bars={"right within the first k": 1.0},
            caption="Top-k accuracy",
        )


def _calibration(page: Page, draw: _Figures, result: ClassificationResult) -> None:
    page.heading("Calibration")
    table = result.reliability
    over = table.overconfidence
    temperature = fit_temperature(result.scores, result.truth)
    repaired = apply_temperature(result.scores, temperature)
    after = reliability(repaired.max(axis=1), repaired.argmax(axis=1) == result.truth).ece
    page.paragraph(
        f"The model is {result.confidence.mean():.1%} sure on average and right in "
        f"{result.figures['accuracy'].value:.1%}: it promises {100 * abs(over):.1f} points too "
        f"{'much' if over > 0 else 'little'}. "
        + (
            f"The temperature that fits these pictures best is {temperature:.2f} (calibration error "
            f"{table.ece:.3f} before, {after:.3f} after)."
            if after < table.ece
            else f"The calibration error is {table.ece:.3f}, and no temperature makes it smaller."
        )
    )
    right = result.predicted == result.truth
    draw(
        plots.beside(
            lambda part: plots.reliability(
                table.edges, table.count, table.confidence, table.accuracy, ece=table.ece, into=part
            ),
            lambda part: plots.score_histogram(result.confidence, right, into=part),
        ),
        "calibration",
        "Left, dots on the diagonal: the model is right as often as it says. Right: how sure right and wrong "
        "answers are.",
    )


def _data(page: Page, result: Result, dataset: Dataset | None, record: Mapping[str, Any]) -> None:
    data = record.get("data", {})
    splits: Mapping[str, Mapping[str, int]] = data.get("splits", {})
    if not splits and dataset is not None:
        splits = {"judged": dataset.counts()}
    if not splits:
        return
    page.heading("Data")
    rows = [[name, *(splits[s].get(name, 0) for s in splits)] for name in result.class_names]
    totals = ["all", *(sum(splits[s].values()) for s in splits)]
    page.table(["class", *splits], [*rows, totals], caption=data.get("name", ""))
    fingerprint = data.get("fingerprint") or (dataset.fingerprint() if dataset is not None else None)
    if fingerprint:
        page.paragraph(f"Fingerprint of files, labels and splits (SHA-256): {fingerprint}")
    unreadable: Mapping[str, str] = record.get("judged", {}).get("unreadable", {})
    if unreadable:
        page.callout(f"{len(unreadable)} pictures could not be read and were not judged.", "warning")
        with page.section("Which, and why"):
            page.table(["file", "reason"], [[_name(f), reason] for f, reason in unreadable.items()])
    notes = data.get("notes") or (dataset.notes if dataset is not None else ())
    if notes:
        page.items(str(note) for note in notes)


def _arguments(page: Page, record: Mapping[str, Any], timing: Mapping[str, float] | None) -> None:
    arguments, environment = record.get("arguments"), record.get("environment")
    if not (arguments or environment or timing):
        return
    page.heading("How it was made")
    if timing:
        page.table(["inference", "ms for one picture"], [[name, ms] for name, ms in timing.items()])
    if "seconds" in record:
        page.paragraph(f"The whole run took {float(record['seconds']):,.0f} s.")
    if arguments:
        with page.section("Training arguments"):
            page.table(
                ["argument", "value"], [[k, _plain(v)] for k, v in arguments.items()], align=["left"] * 2
            )
    if environment:
        with page.section("Machine and versions"):
            rows = [[k, _plain(v)] for k, v in _flat(environment)]
            page.table(["", "value"], rows, align=["left", "left"])


# --- words -----------------------------------------------------------------------------------------------


def _label(name: str) -> str:
    if name.startswith("top") and name.endswith("_accuracy"):
        return f"right within the first {name[3:-9]}"
    return _LABELS.get(name, name)


def _name(source: str) -> str:
    """A file's name as text that can be written as UTF-8, whatever bytes it holds."""
    return source.encode("utf-8", "backslashreplace").decode("utf-8")


def _yes(value: Any) -> str:
    return "yes" if value else "no"


def _plain(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value))
    return "" if value is None else str(value)


def _flat(mapping: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key} ")
        else:
            yield f"{prefix}{key}", value
