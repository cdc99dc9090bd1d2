"""`visus evaluate MODEL DATA`: every figure with its interval; two models compared; detections judged from files."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visus.cli._options import Format, Json, Runtime, Views
from visus.cli._output import console, message, print_json, print_table, short
from visus.structures import InputError

if TYPE_CHECKING:
    import numpy as np

    from visus.data import Dataset
    from visus.evaluate import Comparison
    from visus.train.report import Result
    from visus.train.run import Run


_CLASSES = 50  # that the terminal shows; all of them are in --json and in the report
_NEW = "new"  # the split of pictures that the run did not know


def evaluate(
    model: Annotated[
        str | None,
        typer.Argument(
            help="A run folder, a .keras file, or the name of a pretrained model.", show_default=False
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Argument(
            help="Labelled pictures: a folder with one folder for each class, a CSV file, a known set.",
            show_default=False,
        ),
    ] = None,
    format: Format = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="The part to judge on: test, val, train, new (to the run), all. By default test, else val, "
            "else all."
        ),
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="A second model, compared on the same pictures.", metavar="MODEL")
    ] = None,
    json: Json = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Write report.html, predictions.csv and plots into this folder.", metavar="DIR"),
    ] = None,
    tta: Views = None,
    runtime: Runtime = "auto",
    seed: Annotated[int, typer.Option(help="Seeds the bootstrap.")] = 0,
    truth: Annotated[
        Path | None,
        typer.Option(help="Without a model: the true boxes, a COCO document or a folder of text files."),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(help="With --truth: a detector's boxes, COCO results or a folder of text files."),
    ] = None,
    style: Annotated[
        str, typer.Option(help="Average precision of boxes: coco, voc07, voc10 (voc12), step, trapezoid.")
    ] = "coco",
    pixels: Annotated[
        str, typer.Option(help="In text files, right and bottom are half-open (outside) or inclusive.")
    ] = "half-open",
) -> None:
    """Judge a model on labelled pictures, two models on the same ones, or (--truth, --results) boxes in files.

    Classes are matched by name. Exit code 0: every picture was judged. 1: some could not be read, and are listed.
    2: wrong usage or input.
    """
    if truth is not None or results is not None:
        from visus.cli._boxes import judge_boxes

        if truth is None or results is None or model is not None:
            raise InputError("Boxes are judged with --truth and --results, both, and without a model.")
        judge_boxes(truth, results, style=style, pixels=pixels, seed=seed, json=json)
        return
    if model is None or data is None:
        raise InputError(
            "Name a model and labelled pictures; or, to judge boxes in files, --truth and --results."
        )
    _check_folder(out)
    import numpy as np

    from visus import data as vdata
    from visus.data.match import match_classes
    from visus.evaluate import compare, evaluate_multilabel
    from visus.evaluate import evaluate as judge
    from visus.predict import Predictor

    dataset = vdata.load(data, format=format)
    predictor = Predictor(model, runtime=runtime, tta=tta)
    rival, columns = None, []
    if against is not None:
        rival = Predictor(against, runtime=runtime, tta=tta)
        columns = _columns(rival.class_names, predictor.class_names, against)
    run = _run(model)
    places = _places(dataset, run)
    whole = _with_splits(match_classes(dataset, predictor.class_names), places)
    part, judged = _part(whole, split, places)
    if predictor.multi_label != (judged.task == "multi"):
        raise InputError(
            f"The model gives {'several labels' if predictor.multi_label else 'one label'} to a picture, "
            f"and the pictures of {data} carry {'several' if judged.task == 'multi' else 'one'}. Judge it "
            "on its own kind."
        )
    if predictor.multi_label and against is not None:
        raise InputError(
            "--against compares models that give one label to a picture; this one gives several."
        )
    for note in whole.notes:
        message(note)

    begin = time.perf_counter()
    scores, errors = predictor.scores(_shown(judged, model))
    milliseconds = 1000 * (time.perf_counter() - begin) / len(judged)
    others = None
    if rival is not None:
        others, more = rival.scores(_shown(judged, str(against)))
        others, errors = others[:, columns], errors | more
    known = ~np.isnan(scores).any(axis=1)
    if others is not None:
        known &= ~np.isnan(others).any(axis=1)
    for source, reason in errors.items():
        message(f"not judged: {source}: {reason}")
    if not known.any():
        raise InputError(f"None of the {len(judged)} pictures can be read.")
    judged, scores = judged.subset(known), scores[known]
    seen = _seen(judged, places)
    if seen:
        message(f"Warning: {seen}")
    if against is not None and (learned := _learned(judged, _places(judged, _run(against)))):
        message(f"Warning: {against} was trained on {learned} of the {len(judged)} judged pictures.")

    result: Result
    comparison = None
    if predictor.multi_label:
        result = evaluate_multilabel(judged.targets().astype(int), scores, judged.class_names, seed=seed)
    else:
        result = judge(judged.labels(), scores, judged.class_names, seed=seed)
    if others is not None and against is not None:
        comparison = compare(
            judged.labels(),
            scores,
            others[known],
            judged.class_names,
            names=_names(model, against),
            seed=seed,
        )
    about: dict[str, Any] = {
        "model": model,
        "data": data,
        "split": part,
        "pictures": len(judged),
        "unreadable": errors,
        "learned_from": _learned(judged, places),
        "seen_in_training": seen,
        "milliseconds": {predictor.runtimes[0].kind: milliseconds},
        "report": None,
    }
    if out is not None:
        about["report"] = str(_report(out, about, result, judged, run, comparison))
    if json:
        document = result.to_dict()
        figures = document.pop("figures")
        del document["count"]  # said as `pictures`
        print_json(about | figures | document | {"against": comparison})
    else:
        _print(about, result, comparison)
    if errors:
        raise typer.Exit(1)


def _check_folder(out: Path | None) -> None:
    """Refuses a folder in which the report would replace something else than an older one of this command."""
    if out is None or not out.exists():
        return
    if not out.is_dir() or (any(out.iterdir()) and not (out / "evaluation.json").exists()):
        raise InputError(f"{out} holds something already. Name a new or empty folder with --out.")
    if (out / "run.json").exists():
        raise InputError(f"{out} is a run with a report of its own. Name another folder with --out.")


def _run(model: str) -> Run | None:
    """The run that made the model, named by its folder or by a .keras file in it."""
    folder = Path(model) if Path(model).is_dir() else Path(model).parent
    if not Path(model).exists() or not (folder / "run.json").is_file():
        return None
    from visus.train.run import Run

    try:
        return Run.open(folder)
    except InputError as error:
        message(f"{error} What {model} was trained on is not known.")
        return None


def _places(dataset: Dataset, run: Run | None) -> dict[str, str] | None:
    """Source -> the split that the run had the picture in, for those that it knew; None without its list.

    Pictures are told by their paths below the folder that the run was trained on, so some may have come or gone
    since, or only a folder in it be judged. Elsewhere the path and the content must agree.
    """
    if run is None or not (run.folder / "split.csv").is_file():
        return None
    from visus.data.content import content

    path = run.folder / "split.csv"
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            known = {r["source"]: (r["split"], r.get("content")) for r in csv.DictReader(file, strict=True)}
    except (csv.Error, KeyError):
        message(f"{path} is no list of pictures and splits. What the model was trained on is not known.")
        return None
    home = run.record.get("source")
    if home and dataset.root is not None and dataset.root.resolve().is_relative_to(str(home)):
        inside = dataset.root.resolve().relative_to(str(home)).as_posix()
        prefix = "" if inside == "." else f"{inside}/"
        return {s.source: known[prefix + s.source][0] for s in dataset if prefix + s.source in known}
    return {
        s.source: known[s.source][0]
        for s in dataset
        if s.source in known and known[s.source][1] in (None, content(s))  # None: an older run
    }


def _with_splits(dataset: Dataset, places: dict[str, str] | None) -> Dataset:
    """The data in the splits of the run; a picture that it did not know keeps its own split, or is `new`."""
    if not places:
        return dataset
    return replace(
        dataset,
        samples=tuple(s.replace(split=places.get(s.source) or s.split or _NEW) for s in dataset),
    )


def _part(dataset: Dataset, split: str | None, places: dict[str, str] | None) -> tuple[str, Dataset]:
    """The part to judge on, and its name: test, else val; but the new pictures if there are more of them."""
    if split is None:
        held = [s for s in ("test", "val") if s in dataset.splits][:1]
        new = [_NEW] if places and _NEW in dataset.splits else []
        if new:
            message(
                f"{len(dataset.split(_NEW))} of {len(dataset)} pictures are not among those of the run: "
                f"--split {_NEW} judges on them."
            )
        split = max(held + new, key=lambda name: len(dataset.split(name)), default="all")
    return split, dataset if split == "all" else dataset.split(split)


def _learned(dataset: Dataset, places: dict[str, str] | None) -> int | None:
    """How many of the pictures the model has learned from; None if that is not known."""
    return None if places is None else sum(places.get(s.source) == "train" for s in dataset)


def _seen(dataset: Dataset, places: dict[str, str] | None) -> str | None:
    """What the model has seen of the judged pictures, as a warning."""
    if learned := _learned(dataset, places):
        return (
            f"The model was trained on {learned} of the {len(dataset)} judged pictures: "
            "the figures say little about new ones."
        )
    if chose := sum((places or {}).get(s.source) == "val" for s in dataset):
        return (
            f"{chose} of the {len(dataset)} judged pictures chose the best epoch of this model, "
            "so its figures are a little too good."
        )
    return None


def _shown(dataset: Dataset, name: str) -> Iterator[Any]:
    """The samples, with progress on stderr."""
    from rich.progress import Progress

    screen = console()
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as progress:
        yield from progress.track(dataset, description=Path(name).name)


def _columns(names: tuple[str, ...], wanted: tuple[str, ...], model: str) -> list[int]:
    """Where the second model has each of the first one's classes."""
    if set(names) != set(wanted):
        odd = sorted(set(names) ^ set(wanted))
        raise InputError(
            f"Two models are compared on the same classes, and {model} differs in {', '.join(odd[:5])}"
            f"{' ...' if len(odd) > 5 else ''}."
        )
    return [names.index(name) for name in wanted]


def _names(model: str, against: str) -> tuple[str, str]:
    """Short names of the two models that differ."""
    short = Path(model).name, Path(against).name
    return short if short[0] != short[1] else (model, against)


def _report(
    out: Path,
    about: dict[str, Any],
    result: Result,
    judged: Dataset,
    run: Run | None,
    comparison: Comparison | None,
) -> Path:
    from functools import cache

    from visus.train.report import write_report

    @cache
    def keras_model() -> Any:
        from visus.models import load

        return load(about["model"])

    def explain(pictures: list[np.ndarray], classes: list[int]) -> list[np.ndarray]:
        from visus.explain.grad_cam import grad_cam

        return [grad_cam(keras_model(), p, class_index=k, overlay=True) for p, k in zip(pictures, classes)]

    record = {
        "arguments": run.record["arguments"] if run is not None else {},
        "data": {
            "name": judged.name,
            "fingerprint": judged.fingerprint(),
            "splits": {about["split"]: judged.counts()},
            "notes": judged.notes,
        },
        "judged": {"split": about["split"], "unreadable": about["unreadable"]},
    }
    return write_report(
        out,
        title=f"{Path(about['model']).name} on {judged.name or about['data']}",
        result=result,
        dataset=judged,
        run=record,
        explain=explain,
        selection=about["seen_in_training"] or False,
        comparison=comparison,
        timing=about["milliseconds"],
    )


def _print(about: dict[str, Any], result: Result, comparison: Comparison | None) -> None:
    where = "" if about["split"] == "all" else f", split {about['split']}"
    print_table(
        f"{about['model']} on {about['data']}{where}: {about['pictures']} pictures",
        ("figure", "value"),
        [(name, figure) for name, figure in result.figures.items()],
    )
    hardest = sorted(result.per_class, key=lambda c: (c.f1.value != c.f1.value, c.f1.value))[:_CLASSES]
    print_table(
        "classes, hardest first"
        + (f", {_CLASSES} of {len(result.per_class)}" if len(hardest) == _CLASSES else ""),
        ("class", "pictures", "precision", "recall", "F1"),
        [(c.name, c.support, *map(short, (c.precision, c.recall, c.f1))) for c in hardest],
    )
    for note in result.notes:
        message(note)
    if comparison is not None:
        a, b = comparison.names
        print_table(
            comparison.sentence,
            ("figure", a, b, "difference", "p"),
            [
                (name, f"{d.a:.4f}", f"{d.b:.4f}", d.difference, f"{d.p:.3f}")
                for name, d in comparison.differences.items()
            ],
        )
    if about["unreadable"]:
        message(f"Pictures that could not be read and were not judged: {len(about['unreadable'])}")
    if about["report"]:
        message(f"report  {about['report']}")
