"""`visus predict MODEL PICTURES`: the best classes of each picture, as a table, CSV or JSON."""

from __future__ import annotations

import csv
import io
import json as json_text
import os
import re
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visus.cli._options import Json, Model, Pictures, Runtime, Views
from visus.cli._output import message, print_json
from visus.cli._pictures import Named, claim, named_pictures, shown
from visus.structures import InputError

if TYPE_CHECKING:
    from visus.predict import Prediction, Predictor

FORMATS = ("table", "csv", "jsonl", "json")
_SUFFIXES = (".csv", ".jsonl", ".json", ".txt", "")
_EARLIER = re.compile(  # how each of them begins; only a table whose first row is an error is not recognised
    rb'path,label,score,uncertain,|\{"path": .*, "label": .*, "score": .*, "uncertain": |\{"model": \["'
    rb"|[^\x00-\x1f]+  [^\x00-\x1f]+ \d{1,3}\.\d%(   |\n)"
)


def predict(
    model: Model,
    pictures: Pictures,
    top: Annotated[int | None, typer.Option(help="How many classes to name; 3 by default.", min=1)] = None,
    format: Annotated[
        str | None,
        typer.Option(help="table, csv, jsonl or json; by default what the suffix of --out says, or table."),
    ] = None,
    json: Json = False,
    out: Annotated[Path | None, typer.Option(help="Write to this file instead of stdout.")] = None,
    tta: Views = None,
    also: Annotated[
        list[str] | None,
        typer.Option("--and", help="Average with this model too; repeatable.", metavar="MODEL"),
    ] = None,
    annotate: Annotated[
        Path | None,
        typer.Option(help="Also write each picture with its best classes below it here.", metavar="DIR"),
    ] = None,
    runtime: Runtime = "auto",
    batch: Annotated[int | None, typer.Option(help="Pictures computed in one call.", min=1)] = None,
) -> None:
    """Say what is on pictures.

    Exit code 0: every picture was read. 1: some were not; their rows say why. 2: wrong usage.
    """
    form = _format(format, json, out)
    if out is not None:
        _must_be_free(out)
        _must_be_free(_partial(out))
    if annotate is not None:
        claim(annotate)
    from visus.predict import Predictor

    predictor = Predictor([model, *(also or [])], runtime=runtime, batch_size=batch, tta=tta)
    for note in {note for each in predictor.runtimes for note in each.notes}:
        message(note)
    top = _top(top, len(predictor.class_names))
    count = _Count()
    rows = _rows(predictor, named_pictures(pictures), top, annotate, count)
    about = {
        "model": [model, *(also or [])],
        "runtime": predictor.runtimes[0].kind,
        "class_names": predictor.class_names,
    }
    rows = chain(list(islice(rows, 1)), rows)  # what is wrong with the arguments shows before any output
    lines = {"table": _table, "csv": _csv, "jsonl": _jsonl, "json": _json}[form](rows, top, about, count)
    if out is None:
        _print(lines)
    else:
        _write(lines, out, count)
    if json and out is not None:
        print_json({**about, "pictures": count.pictures, "errors": count.errors, "out": str(out)})
    seconds = time.perf_counter() - count.start
    message(
        f"{count.pictures} pictures in {seconds:.1f} s ({count.pictures / seconds:.1f} per second, "
        f"{predictor.runtimes[0].kind})" + (f"; {count.errors} could not be read" if count.errors else "")
    )
    if count.errors:
        raise typer.Exit(1)


class _Count:
    """How many pictures went through, and how many of them could not be read."""

    def __init__(self) -> None:
        self.pictures = self.errors = 0
        self.start = time.perf_counter()


def _format(name: str | None, json: bool, out: Path | None) -> str:
    if out is not None and out.is_dir():
        raise InputError(f"{out} is a folder. Name a file for the predictions.")
    if name is None:
        suffix = "" if out is None else out.suffix.lower()
        if suffix not in _SUFFIXES:
            raise InputError(
                f"The suffix of --out says the format: {', '.join(filter(None, _SUFFIXES))}. Received {suffix}. "
                "Name one of these, or give --format."
            )
        suffix = suffix.removeprefix(".")
        name = "json" if json and out is None else suffix if suffix in FORMATS else "table"
    if name not in FORMATS:
        raise InputError(f"The format is one of {', '.join(FORMATS)}. Received {name!r}.")
    if json and out is None and name != "json":
        raise InputError(
            f"--json prints one JSON document, and --format {name} another text. Choose one of them."
        )
    return name


def _must_be_free(out: Path) -> None:
    """Nothing of the user's is overwritten: only predictions of an earlier call, or an empty file."""
    if not out.exists():
        return
    if out.is_file():
        with out.open("rb") as file:
            start = file.readline(4096)
        if not start or _EARLIER.match(start):
            return
    raise InputError(f"{out} exists and holds no predictions of visus. Name another file with --out.")


def _top(top: int | None, classes: int) -> int:
    if top is not None and top > classes:
        raise InputError(
            f"The model knows {classes} classes, and --top asks for {top}. Ask for at most {classes}."
        )
    return min(3, classes) if top is None else top


def _rows(
    predictor: Predictor,
    pictures: Iterator[Named],
    top: int,
    annotate: Path | None,
    count: _Count,
) -> Iterator[dict[str, Any]]:
    """One row for each picture, in order."""
    under_way: deque[Named] = deque()
    ids = _wordnet_ids(predictor.class_names)

    def paths() -> Iterator[Path]:
        for named in pictures:
            under_way.append(named)
            yield named.path

    for prediction in predictor(paths()):
        named = under_way.popleft()
        row = _row(prediction, predictor.class_names, top, ids)
        if annotate is not None and row["error"] is None:
            _annotate(named, row, annotate)
        count.pictures += 1
        count.errors += row["error"] is not None
        yield row


def _wordnet_ids(class_names: Sequence[str]) -> dict[str, str]:
    """Class name -> WordNet id, for a model that still has the thousand classes of ImageNet; else nothing."""
    from visus.models import imagenet_classes

    known = {name: wordnet_id for wordnet_id, name in imagenet_classes()}
    return known if tuple(known) == tuple(class_names) else {}


def _row(
    prediction: Prediction, class_names: Sequence[str], top: int, ids: Mapping[str, str]
) -> dict[str, Any]:
    row: dict[str, Any] = {"path": os.fsencode(prediction.source).decode("utf-8", "backslashreplace")}
    if prediction.result is None:
        return {**row, "label": None, "score": None, "uncertain": None, "top": [], "error": prediction.error}
    best = prediction.result.top(top, class_names)
    row |= {"label": best[0][0], "score": best[0][1], "uncertain": prediction.uncertain}
    if prediction.result.labels is not None:
        row["labels"] = [name for name, yes in zip(class_names, prediction.result.labels) if yes]
    named = [({"id": ids[name]} if ids else {}) | {"label": name, "score": score} for name, score in best]
    return {**row, "top": named, "error": None}


def _annotate(named: Named, row: dict[str, Any], folder: Path) -> None:
    from visus.draw.text import caption
    from visus.image.io import read, write

    text = "\n".join(f"{each['label']} {each['score']:.0%}" for each in row["top"])
    target = named.beside(folder)
    write(target, caption(read(named.path), text))


# --- the formats: text, piece by piece ----------------------------------------------------------------------

Lines = Iterator[str]


def _table(rows: Iterator[dict[str, Any]], top: int, about: dict[str, Any], count: _Count) -> Lines:
    width = 24
    for row in rows:
        path = shown(row["path"])
        width = max(width, min(len(path), 60))
        if row["error"] is not None:
            yield f"{path:{width}}  {shown(row['error'])}\n"
            continue
        best = "   ".join(f"{shown(each['label'])} {each['score']:.1%}" for each in row["top"])
        yield f"{path:{width}}  {best}{'   (uncertain)' if row['uncertain'] else ''}\n"


def _csv(rows: Iterator[dict[str, Any]], top: int, about: dict[str, Any], count: _Count) -> Lines:
    def line(cells: list[Any]) -> str:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(cells)
        return text.getvalue()

    more = [f"{name}_{i}" for i in range(2, top + 1) for name in ("label", "score")]
    yield line(["path", "label", "score", "uncertain", *more, "error"])
    for row in rows:
        cells = [cell for each in row["top"] for cell in (each["label"], f"{each['score']:.6f}")]
        cells += [""] * (2 * top - len(cells))
        unsure = "" if row["uncertain"] is None else int(row["uncertain"])
        yield line([row["path"], *cells[:2], unsure, *cells[2:], row["error"] or ""])


def _jsonl(rows: Iterator[dict[str, Any]], top: int, about: dict[str, Any], count: _Count) -> Lines:
    for row in rows:
        yield json_text.dumps(row, ensure_ascii=False) + "\n"


def _json(rows: Iterator[dict[str, Any]], top: int, about: dict[str, Any], count: _Count) -> Lines:
    # One document, written as it comes: a million pictures need not fit into memory.
    yield json_text.dumps(about, ensure_ascii=False)[:-1] + ', "predictions": ['
    for i, row in enumerate(rows):
        yield (",\n  " if i else "\n  ") + json_text.dumps(row, ensure_ascii=False)
    yield f'\n], "pictures": {count.pictures}, "errors": {count.errors}}}\n'


# --- where the text goes ------------------------------------------------------------------------------------


def _print(lines: Lines) -> None:
    try:
        for text in lines:
            sys.stdout.write(text)
            sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None


def _write(lines: Lines, out: Path, count: _Count) -> None:
    """Writes the file as a whole; when interrupted, what there is stays under `.part`."""
    partial = _partial(out)
    tell = _progress(count)
    try:
        with partial.open("w", encoding="utf-8", newline="") as stream:
            for text in lines:
                stream.write(text)
                tell()
    except BaseException:
        message(f"{partial} holds the first {count.pictures} predictions.")
        raise
    partial.replace(out)


def _partial(out: Path) -> Path:
    return out.with_name(out.name + ".part")


def _progress(count: _Count) -> Callable[[], None]:
    """Prints the number of pictures now and then, when a person is watching."""
    watched, last = sys.stderr.isatty(), time.monotonic()

    def tell() -> None:
        nonlocal last
        if watched and time.monotonic() - last > 1:
            last = time.monotonic()
            rate = count.pictures / (time.perf_counter() - count.start)
            typer.echo(f"\r{count.pictures} pictures, {rate:.0f} per second ", err=True, nl=False)

    return tell
