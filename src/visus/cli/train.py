"""`visus train FOLDER`: a trained, judged and explained model from a folder of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from visus.cli._options import Format
from visus.cli._output import message, print_json, print_table
from visus.structures import InputError


def train(
    data: Annotated[
        str | None,
        typer.Argument(
            help="A folder with one folder for each class (or train/val/test above them), a CSV file with the columns "
            "path and label, IDX or .npz files, or the name of a known set.",
            show_default=False,
        ),
    ] = None,
    format: Format = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Continue the run in this folder, exactly where it stopped.", metavar="RUN"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder; by default runs/NAME-1, -2, ...")] = None,
    model: Annotated[str | None, typer.Option(help="A name from `visus models`.")] = None,
    size: Annotated[
        int | None, typer.Option(help="Height and width of the model's input, in pixels.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Passes over the pictures with the whole net learning.")
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(help="Budget: from measured times, a schedule is planned that ends within it."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="One seed for weights, order, augmentation and splits.")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Pictures in a batch.")] = None,
    rate: Annotated[
        float | None, typer.Option(help="Peak learning rate with the whole net learning.")
    ] = None,
    policy: Annotated[str | None, typer.Option(help="Augmentation: none, light, standard, strong.")] = None,
    domain: Annotated[
        str | None,
        typer.Option(
            help="What is shown (generic, street, aerial, text, medical, macro, faces): keeps flips honest."
        ),
    ] = None,
    mix: Annotated[str | None, typer.Option(help="mixup or cutmix.")] = None,
    soft: Annotated[bool, typer.Option("--soft", help="Train on the annotators' probabilities.")] = False,
    balanced: Annotated[bool, typer.Option("--balanced", help="Rare classes weigh more.")] = False,
    from_scratch: Annotated[bool, typer.Option("--from-scratch", help="Start from random weights.")] = False,
    tta: Annotated[
        str | None, typer.Option(help="Views that the judgement averages over, such as flip.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Any other field of visus.train.Settings; repeatable."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Train a classifier on your pictures; judge, explain and save it.

    Without any option: the pretrained EfficientNet-Lite0 trunk, first frozen with its outputs cached, then tuned.
    """
    if (data is None) == (resume is None):
        raise InputError(
            "visus train needs a folder of pictures, or --resume RUN and no folder: the run knows its pictures."
        )
    from visus.train import resume as continue_run
    from visus.train import train as start_run

    if resume is not None:
        run = continue_run(resume, say=message)
    else:
        given: dict[str, Any] = {
            "model": model,
            "size": None if size is None else (size, size),
            "epochs": epochs,
            "minutes": minutes,
            "seed": seed,
            "batch_size": batch,
            "learning_rate": rate,
            "policy": policy,
            "domain": domain,
            "mix": mix,
            "soft": soft or None,
            "class_weights": "balanced" if balanced else None,
            "weights": "none" if from_scratch else None,
            "tta": tta,
        }
        settings = {name: value for name, value in given.items() if value is not None}
        settings |= _parse(set_ or [])
        from visus.data.datasets import known

        if data in known():
            message(f"{known()[data].DESCRIPTION}\nlicence: {known()[data].LICENCE}")
        run = start_run(data, out=out, format=format, say=message, **settings)
    show(run, json)


def show(run: Any, json: bool) -> None:
    """Prints the outcome of a run."""
    results = run.record.get("results", {})
    if json:
        print_json(
            {
                "run": str(run.folder),
                "model": str(run.model_file),
                "report": str(run.folder / "report.html"),
                "judged": run.record.get("judged"),
                "seconds": run.record.get("seconds"),
                **results,
            }
        )
        return
    rows = [(name, _figure(value)) for name, value in results.items()]
    judged = run.record.get("judged", {})
    if rows:
        print_table(
            f"{judged['pictures']} pictures of the split {judged['split']}", ("figure", "value"), rows
        )
    message(f"model   {run.model_file}\nreport  {run.folder / 'report.html'}")


def _figure(value: dict[str, float | None]) -> str:
    if value["value"] is None:
        return "n/a"
    if value["low"] is None:
        return f"{value['value']:.4f}"
    return f"{value['value']:.4f} [{value['low']:.4f}, {value['high']:.4f}]"


def _parse(pairs: list[str]) -> dict[str, Any]:
    """`NAME=VALUE` pairs; a value is JSON where it can be read as such, else text."""
    import json as jsonlib

    parsed: dict[str, Any] = {}
    for pair in pairs:
        name, separator, text = pair.partition("=")
        if not separator:
            raise InputError(f"--set takes NAME=VALUE, such as --set patience=5. Received {pair!r}.")
        try:
            parsed[name] = jsonlib.loads(text)
        except ValueError:
            parsed[name] = text
    return parsed
