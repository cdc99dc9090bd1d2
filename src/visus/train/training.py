"""From a folder of pictures to a trained, judged and explained model: starting a run, and continuing one."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visus import data as vdata
from visus import models
from visus.data.formats._walk import MARK
from visus.data.split import keep_copies_together, read_split, same_content, split, write_split
from visus.structures import InputError
from visus.train.run import ONEDNN, Run, in_use
from visus.train.settings import Settings

if TYPE_CHECKING:
    import keras

# Keras takes seconds to import: wrong paths and arguments are told before that.

Say = Callable[[str], object]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def train(
    data: Any,
    *,
    out: str | Path | None = None,
    format: str | None = None,
    callbacks: Iterable[keras.callbacks.Callback] = (),
    published: Sequence[tuple[str, float, str]] = (),
    say: Say = _say,
    **settings: Any,
) -> Run:
    """Trains a classifier on a folder of pictures and judges it.

    Args:
        data: Anything `visus.data.load` takes: a folder, a CSV file, the name of a known set, a `Dataset`.
        format: How the data is stored (`visus.data.formats.names()`), where that is not to be recognised.
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
    chosen = Settings.from_dict(settings)
    models.find(chosen.model)  # refuses an unknown name before anything is written
    dataset = vdata.load(data, format=format)
    from visus.train.callbacks import check_callbacks

    callbacks = check_callbacks(callbacks)
    folder = Path(out) if out is not None else _free_folder(dataset.name or "run")
    if chosen.group is None:
        dataset, notes = keep_copies_together(dataset)
        for note in notes:
            say(note)
    dataset = _with_splits(dataset, chosen)
    path = isinstance(data, (str, Path)) and Path(data).exists()
    with in_use(folder):
        run = Run.create(
            folder,
            chosen.to_dict(),
            source=None if isinstance(data, vdata.Dataset) else str(Path(data).resolve() if path else data),
            source_format=format,
            data=_describe(dataset),
            published=[list(p) for p in published],
        )
        write_split(dataset, folder / "split.csv")
        try:
            return _finish(run, dataset, chosen, callbacks, say)
        except InputError:
            if not run.record.get("plan"):
                # Nothing was learned yet: leave no folder in the way of the next try.
                shutil.rmtree(folder)
            raise


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
    folder = Path(folder)
    Run.open(folder)  # before anything is made there
    with in_use(folder):
        run = Run.open(folder)
        try:
            chosen = Settings.from_dict(run.record["arguments"])
            fingerprint = run.record["data"]["fingerprint"]
        except (KeyError, TypeError):
            raise InputError(
                f"{folder / 'run.json'} lacks the arguments or the data of the training, so it cannot be continued."
            ) from None
        _as_before(run, say)
        source = data if data is not None else run.record.get("source")
        if source is None:
            raise InputError(
                f"{folder} was trained on a Dataset object: pass it again as data=... to resume."
            )
        read = vdata.load(source, format=run.record.get("source_format"))
        dataset = read_split(read, folder / "split.csv")
        now = dataset.fingerprint()
        if fingerprint != now and not same_content(dataset, folder / "split.csv"):
            raise InputError(
                f"The pictures in {source} have changed since {folder} was started (fingerprint "
                f"{str(fingerprint)[:12]} then, {now[:12]} now), so the run cannot be continued "
                "exactly. Restore them, or start a new run."
            )
        if run.record.get("status") == "done":
            say(f"{folder} is finished; there is nothing to resume.")
            return run
        from visus.train.callbacks import check_callbacks

        return _finish(run, dataset, chosen, check_callbacks(callbacks), say)


def _as_before(run: Run, say: Say) -> None:
    """Switches oneDNN as it was when the run was started: the last bits depend on it."""
    before = (run.record.get("environment") or {}).get("onednn", os.environ.get(ONEDNN))
    if before == os.environ.get(ONEDNN):
        return
    if "tensorflow" in sys.modules:
        say(
            f"TensorFlow is loaded with {ONEDNN}={os.environ.get(ONEDNN)}, and the run was started with {before}: "
            "it will agree closely, not bit for bit. Resume it in a fresh process."
        )
    elif before is None:
        del os.environ[ONEDNN]
    else:
        os.environ[ONEDNN] = str(before)


def _finish(run: Run, dataset: vdata.Dataset, settings: Settings, callbacks: list[Any], say: Say) -> Run:
    from visus.train.phases import Training

    try:
        return Training(run, dataset, settings, callbacks, say).finish()
    except KeyboardInterrupt:
        say(f"Continue with: visus train --resume {run.folder}")
        raise


def _free_folder(name: str) -> Path:
    runs = Path("runs")
    runs.mkdir(exist_ok=True)
    (runs / MARK).touch()  # also where the current folder is the one with the pictures
    return next(p for i in range(1, 1_000_000) if not (p := runs / f"{name}-{i}").exists())


def _with_splits(dataset: vdata.Dataset, settings: Settings) -> vdata.Dataset:
    """Completes the splits: no split at all -> train, val and test; no val -> part of train."""
    if not dataset.splits:
        return split(
            dataset,
            test=settings.test or None,
            val=settings.val or None,
            seed=settings.seed,
            group=settings.group,
        )
    if "train" not in dataset.splits:
        raise InputError(
            f"The data set {dataset.name} has the splits {', '.join(dataset.splits)} but no split named train. Add "
            "one, or remove the split so that visus makes one."
        )
    return split(dataset, val=settings.val or None, seed=settings.seed, group=settings.group)


def _describe(dataset: vdata.Dataset) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "fingerprint": dataset.fingerprint(),
        "class_names": list(dataset.class_names),
        "splits": {name: dataset.split(name).counts() for name in dataset.splits},
        "notes": list(dataset.notes),
    }
