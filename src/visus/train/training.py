"""From a folder of pictures to a trained, judged and explained model: starting a run, and continuing one."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import keras

from visus import data as vdata
from visus.data.split import read_split, split, write_split
from visus.structures import InputError
from visus.train.callbacks import check_callbacks
from visus.train.phases import Training
from visus.train.run import Run
from visus.train.settings import Settings

Say = Callable[[str], object]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def train(
    data: Any,
    *,
    out: str | Path | None = None,
    callbacks: Iterable[keras.callbacks.Callback] = (),
    published: Sequence[tuple[str, float, str]] = (),
    say: Say = _say,
    **settings: Any,
) -> Run:
    """Trains a classifier on a folder of pictures and judges it.

    Args:
        data: Anything `visus.data.load` takes: a folder, a CSV file, the name of a known set, a `Dataset`.
        out: The run folder, new or empty; by default `runs/NAME-1`, `runs/NAME-2`, ...
        callbacks: Any Keras callbacks; those with `state()` and `restore(state)` are resumed exactly.
        published: `(name, accuracy, note)` of figures to put beside ours in the report.
        say: Called with each message; by default they go to stderr.
        **settings: The fields of `Settings`.

    Returns:
        The finished `Run`: its folder holds the model, the report and everything that led to them.

    Raises:
        InputError: The data or an argument cannot be used; the message says how to repair it.

    Example:
        >>> run = train("flowers/", out="runs/flowers", minutes=5)    # doctest: +SKIP
        >>> run.record["results"]["accuracy"]["value"]                # doctest: +SKIP
        0.94
    """
    chosen = Settings(**settings)
    check_callbacks(callbacks)
    dataset = vdata.load(data)
    folder = Path(out) if out is not None else _free_folder(dataset.name or "run")
    source = str(Path(data).resolve()) if isinstance(data, (str, Path)) and Path(data).exists() else str(data)
    dataset = _with_splits(dataset, chosen)
    run = Run.create(folder, chosen.to_dict())
    write_split(dataset, folder / "split.csv")
    run.save(
        source=source if not isinstance(data, vdata.Dataset) else None,
        data=_describe(dataset),
        published=[list(p) for p in published],
    )
    return Training(run, dataset, chosen, list(callbacks), say).finish()


def resume(
    folder: str | Path,
    *,
    data: Any = None,
    callbacks: Iterable[keras.callbacks.Callback] = (),
    say: Say = _say,
) -> Run:
    """Continues a run that was stopped, killed or broken off.

    On the same machine and CPU it ends with the same weights, bit for bit, as if it had never stopped.

    Args:
        folder: The run folder.
        data: The data set, only where it was given as a `Dataset` object.
        callbacks: The callbacks that training was started with.
        say: Called with each message.

    Returns:
        The finished `Run`.

    Raises:
        InputError: The folder is no run, or the data has changed since.
    """
    run = Run.open(Path(folder))
    chosen = Settings.from_dict(run.record["arguments"])
    source = data if data is not None else run.record.get("source")
    if source is None:
        raise InputError(f"{folder} was trained on a Dataset object: pass it again as data=... to resume.")
    dataset = read_split(vdata.load(source), run.folder / "split.csv")
    before, now = run.record["data"]["fingerprint"], dataset.fingerprint()
    if before != now:
        raise InputError(
            f"The pictures in {source} have changed since {folder} was started (fingerprint {before[:12]} then, "
            f"{now[:12]} now), so the run cannot be continued exactly. Restore them, or start a new run."
        )
    if run.record["status"] == "done":
        say(f"{folder} is finished; there is nothing to resume.")
        return run
    return Training(run, dataset, chosen, list(callbacks), say).finish()


def _free_folder(name: str) -> Path:
    numbers = (Path("runs") / f"{name}-{i}" for i in range(1, 1_000_000))
    return next(p for p in numbers if not p.exists())


def _with_splits(dataset: vdata.Dataset, settings: Settings) -> vdata.Dataset:
    """Completes the splits: no split at all -> train, val and test; no val -> part of train."""
    if not dataset.splits:
        return split(dataset, test=settings.test or None, val=settings.val or None, seed=settings.seed)
    if "train" not in dataset.splits:
        raise InputError(
            f"The data set {dataset.name} has the splits {', '.join(dataset.splits)} but no split named train. Add "
            "one, or remove the split so that visus makes one."
        )
    return split(dataset, val=settings.val or None, seed=settings.seed)


def _describe(dataset: vdata.Dataset) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "fingerprint": dataset.fingerprint(),
        "class_names": list(dataset.class_names),
        "splits": {name: dataset.split(name).counts() for name in dataset.splits},
        "notes": list(dataset.notes),
    }
