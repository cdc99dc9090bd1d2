"""`visus check DATA`: a read-only doctor, and a gate before training."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visus.cli._options import Format, Json
from visus.cli._output import console, message, print_json, print_table
from visus.structures import InputError

if TYPE_CHECKING:
    from visus.data.survey import Survey


def check(
    data: Annotated[
        str, typer.Argument(help="Class folders, a CSV, idx files or a known set.", show_default=False)
    ],
    format: Format = None,
    json: Json = False,
    page: Annotated[
        Path | None, typer.Option(help="Write a page with thumbnails here.", metavar="FILE.html")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Write check.html and check.json into this folder.", metavar="DIR")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Threads that read; by default one per processor.", min=1)
    ] = None,
) -> None:
    """Say whether training on this data would be sound. Reads every picture; changes none.

    Exit code 0: sound. 1: there are errors, such as unreadable files or a picture in two splits. 2: wrong usage.
    """
    pages = [p for p in (page, out / "check.html" if out else None) if p is not None]
    document = out / "check.json" if out else None
    for path in [*pages, *filter(None, [document])]:
        _must_be_free(path)
    from visus.data.load import load

    dataset = load(data, format=format, task=None)
    result = _surveyed(dataset, Path(data), workers)
    if pages:
        from visus.data.survey.page import survey_page

        built = survey_page(result)
        for path in pages:
            message(f"page: {built.write(path)}")
    if document:
        _write(document, result.to_dict())
    if json:
        print_json(result.to_dict())
    else:
        _print(result)
    raise typer.Exit(0 if result.sound else 1)


def _surveyed(dataset: Any, source: Path, workers: int | None) -> Survey:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from visus.data.survey import survey

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(), transient=True) as bar:
        task = bar.add_task("reading pictures", total=len(dataset))
        return survey(
            dataset,
            folder=source if source.is_dir() else None,
            workers=workers,
            progress=lambda done, _: bar.update(task, completed=done),
        )


def _print(result: Survey) -> None:
    numbers = result.statistics
    if rows := [[f.severity, f.code, f.message, len(f.sources) or ""] for f in result.findings]:
        print_table("Findings", ["", "kind", "finding", "files"], rows, left=3)
    classes = numbers["classes"]
    if classes:
        columns = [c for c in classes[0] if c != "name"]
        shown = [[row["name"], *(row[c] for c in columns)] for row in classes[:50]]
        if len(classes) > 50:
            shown.append([f"and {len(classes) - 50} more", *("" for _ in columns)])
        print_table("Classes", ["class", *columns], shown)
    print_table("Pictures", ["", ""], _facts(numbers))
    verdict = "sound" if result.sound else "not sound"
    errors, warnings, notes = (result.count(s) for s in ("error", "warning", "note"))
    print_table(
        "Verdict", ["training would be", "errors", "warnings", "notes"], [[verdict, errors, warnings, notes]]
    )


def _facts(numbers: dict[str, Any]) -> list[list[Any]]:
    rows: list[list[Any]] = [["read", f"{numbers['readable']:,} of {numbers['pictures']:,}"]]
    if majority := numbers["always_majority"]:
        shares = ", ".join(f"{split} {share:.1%}" for split, share in majority["accuracy"].items())
        rows.append([f"accuracy of always saying {majority['class']}", shares])
    if "height" in numbers:
        for name in ("height", "width", "brightness", "sharpness"):
            low, middle, high = (numbers[name][k] for k in ("min", "median", "max"))
            rows.append([f"{name} (least, median, most)", f"{low:.0f}, {middle:.0f}, {high:.0f}"])
        rows.append(["mean of red, green, blue", ", ".join(f"{v:.1f}" for v in numbers["mean"])])
        rows.append(["standard deviation", ", ".join(f"{v:.1f}" for v in numbers["std"])])
        for name in ("formats", "channels", "bits"):
            rows.append([name, ", ".join(f"{k}: {n:,}" for k, n in numbers[name].items())])
        rows.append(["memory as uint8 RGB", f"{numbers['bytes']['uint8'] / 1e6:,.0f} MB"])
    for cue in numbers["cues"]:
        rows.append(
            [
                f"class told from {cue['cue']} alone",
                f"{cue['balanced_accuracy']['value']:.2f} (chance {cue['chance']:.2f})",
            ]
        )
    return rows


def _must_be_free(path: Path) -> None:
    """Nothing of the user's is overwritten: only a page or document of an earlier check.

    Raises:
        InputError: Something else is there, or the suffix is wrong.
    """
    if path.suffix not in (".html", ".htm", ".json"):
        raise InputError(f"The page is an HTML file. Received --page {path}. Name one that ends in .html.")
    if path.is_dir():
        raise InputError(f"{path} is a folder. Name a file in it.")
    if path.exists():
        with path.open("rb") as file:
            if b"visus" not in file.read(2048):
                raise InputError(f"{path} exists and was not written by visus. Name another file or folder.")


def _write(path: Path, document: dict[str, Any]) -> None:
    import json

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(json.dumps({"command": "visus check", **document}, indent=2) + "\n", encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
