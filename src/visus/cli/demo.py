"""`visus demo`: the main job on real pictures, with nothing downloaded at run time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from visus.cli._output import message
from visus.cli.train import show
from visus.structures import InputError

# Deitsch et al., "Automatic classification of defective photovoltaic module cells in electroluminescence images",
# Solar Energy 185 (2019) 455-468: accuracy on a 75/25 split, defect probability above 0.5 counted as defective.
PUBLISHED = {
    "elpv": (
        ("SVM on KAZE features", 0.824, "Deitsch et al. 2019, 75/25 split"),
        ("fine-tuned VGG-19", 0.884, "Deitsch et al. 2019, 75/25 split"),
    )
}


def demo(
    data: Annotated[str, typer.Option(help="elpv (solar cells), flowers, or a folder of your own.")] = "elpv",
    out: Annotated[Path, typer.Option(help="Where everything goes.")] = Path("demo"),
    minutes: Annotated[float, typer.Option(help="Budget for the training.")] = 4.0,
    seed: Annotated[int, typer.Option(help="One seed for everything.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Teach a pretrained net to find defective solar cells (or flowers, or your classes), judge and explain it."""
    from visus import data as vdata
    from visus.data.datasets import known
    from visus.data.split import split
    from visus.train import train

    dataset = vdata.load(data)
    if data in known():
        message(f"{known()[data].DESCRIPTION}\nlicence: {known()[data].LICENCE}")
    if not dataset.splits:
        # The published figures judge on a quarter of the pictures; part of the rest chooses the best epoch.
        dataset = split(dataset, test=0.25, val=0.075, seed=seed)
    folder = _free(out)
    published = PUBLISHED.get(data, ())
    options: dict[str, Any] = {"domain": "aerial"} if data == "elpv" else {}  # a cell has no upright
    run = train(dataset, out=folder, minutes=minutes, seed=seed, published=published, say=message, **options)
    _annotate(run, dataset)
    show(run, json)
    ours = run.record.get("results", {}).get("accuracy")
    if ours:
        message(f"\naccuracy {ours['value']:.3f} (95 % interval {ours['low']:.3f} to {ours['high']:.3f})")
    for name, value, note in published:
        message(f"         {value:.3f} {name} ({note})")
    message(f"annotated predictions  {run.folder / 'predictions'}")


def _free(out: Path) -> Path:
    """The folder itself, or the next free `NAME-2`, `NAME-3`: a second demo never overwrites the first."""
    candidates = [out, *(out.with_name(f"{out.name}-{i}") for i in range(2, 1000))]
    for folder in candidates:
        if not folder.exists():
            return folder
    raise InputError(f"{out} and its 998 successors exist. Name another folder with --out.")


def _annotate(run: Any, dataset: Any, count: int = 24) -> None:
    """Writes some judged pictures with the prediction on them."""
    import numpy as np

    from visus.data.split import read_split
    from visus.data.store import decode
    from visus.draw.text import caption
    from visus.image.io import write
    from visus.predict import predict

    if "judged" not in run.record:
        return
    judged = read_split(dataset, run.folder / "split.csv").split(run.record["judged"]["split"])
    chosen = [judged[i] for i in np.unique(np.linspace(0, len(judged) - 1, count).round().astype(int))]
    folder = run.folder / "predictions"
    folder.mkdir(exist_ok=True)
    for i, (sample, prediction) in enumerate(
        zip(chosen, predict(run.model_file, [sample.image for sample in chosen])), 1
    ):
        if prediction.result is None:
            continue
        name, score = prediction.result.top(1, dataset.class_names)[0]
        labels = (
            [sample.target.label] if sample.target.labels is None else np.flatnonzero(sample.target.labels)
        )
        truth = [dataset.class_names[label] for label in labels]
        told = "" if name in truth else f" (is {', '.join(truth) or 'none of them'})"
        picture = caption(decode(sample), f"{name} {score:.0%}{told}")
        write(folder / f"{i:02d}-{Path(sample.source).stem}.png", picture)
