"""`visus models`: what there is, what it costs, which fits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visus.cli._options import Json
from visus.cli._output import message, print_json, print_table
from visus.structures import Estimate, InputError

if TYPE_CHECKING:
    from visus.models import Entry

RUNS = 30
SECONDS = 3.0


def models(
    names: Annotated[
        list[str] | None, typer.Argument(help="Only models whose name contains one of these words.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="Only this folder, such as classify.")] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure milliseconds for one picture on this machine.")
    ] = False,
    runtime: Annotated[
        str, typer.Option(help="What to measure with; auto takes the best installed.")
    ] = "auto",
    under_ms: Annotated[
        float | None, typer.Option(help="At most so many milliseconds here (implies --measure).")
    ] = None,
    under_cpu_ms: Annotated[
        float | None, typer.Option(help="At most so many published CPU milliseconds (batch 32, EPYC).")
    ] = None,
    under_gpu_ms: Annotated[
        float | None, typer.Option(help="At most so many published GPU milliseconds (batch 32, A100).")
    ] = None,
    under_mb: Annotated[float | None, typer.Option(help="At most so many megabytes in float32.")] = None,
    under_parameters: Annotated[float | None, typer.Option(help="At most so many parameters.")] = None,
    min_top1: Annotated[float | None, typer.Option(help="At least this ImageNet top-1, in percent.")] = None,
    min_top5: Annotated[float | None, typer.Option(help="At least this ImageNet top-5, in percent.")] = None,
    pareto: Annotated[
        bool, typer.Option("--pareto", help="Only models that no other beats in both cost and accuracy.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the models: size, cost, accuracy, time here; pick by constraints.

    A star marks the Pareto front: top-1 against the measured time, or against megabytes where nothing was
    measured.
    """
    from visus.models import catalogue, find, pick
    from visus.models import pareto as front_of

    entries = list(catalogue(task).values())
    if names:
        for name in names:
            if not any(name in entry.name for entry in entries):
                find(name)
        entries = [entry for entry in entries if any(name in entry.name for name in names)]
    bounds = {
        "under_cpu_ms": under_cpu_ms,
        "under_gpu_ms": under_gpu_ms,
        "under_mb": under_mb,
        "under_parameters": under_parameters,
        "min_top1": min_top1,
        "min_top5": min_top5,
    }
    if any(bound is not None for bound in bounds.values()):
        entries = pick(entries, **bounds)
    times: dict[str, Estimate] = {}
    kinds: dict[str, str] = {}
    if measure or under_ms is not None:
        entries = _measured(entries, runtime, times, kinds)
    if under_ms is not None:
        entries = pick(entries, under_ms=under_ms)
    cost = "ms" if times else "mb"
    front = [entry.name for entry in front_of(entries, cost)]
    if pareto:
        entries = [entry for entry in entries if entry.name in front]
    if as_json:
        print_json(
            {
                "models": [
                    _document(e)
                    | {"ms": times.get(e.name), "runtime": kinds.get(e.name), "pareto": e.name in front}
                    for e in entries
                ],
                "pareto": {"cost": cost, "gain": "top1", "names": front},
            }
        )
        return
    if len(entries) == 1:
        shown = _document(entries[0]) | {"ms": times.get(entries[0].name)}
        print_table(entries[0].name, ("", "value"), ((k, v) for k, v in _flat(shown) if v is not None))
        return
    header = ["model", "M params", "MB", "M MACs", "top-1", "top-5", "ms here" if times else "CPU ms", "W"]
    for folder in dict.fromkeys(entry.task for entry in entries):
        rows = [_row(e, bool(times), e.name in front) for e in entries if e.task == folder]
        legend = f"* Pareto front by {cost} and top-1; W: ImageNet weights installed (i), downloaded (d) or by hand (b)"
        published = "" if times else "; CPU ms: published, batches of 32"
        print_table(
            f"{folder}: {len(rows)} models\n{legend}{published}",
            header,
            rows,
        )


def _row(entry: Entry, measured: bool, front: bool) -> list[str]:
    def shown(value: float | None, digits: int = 1) -> str:
        return "" if value is None else f"{value:.{digits}f}"

    weights = "" if entry.weights is None else entry.weights.way[0]
    return [
        entry.variant + ("*" if front else ""),
        shown(entry.parameters / 1e6, 2),
        shown(entry.mb),
        shown(entry.multiply_adds / 1e6, 1 if entry.multiply_adds < 1e8 else 0),
        shown(entry.top1),
        shown(entry.top5),
        shown(entry.ms, 2) if measured else shown(entry.cpu_ms),
        weights,
    ]


def _flat(document: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a nested dictionary, as `outer.inner` and value."""
    for key, value in document.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _document(entry: Entry) -> dict[str, Any]:
    weights = entry.weights
    return {
        "name": entry.name,
        "image_spec": entry.image_spec.to_dict(),
        "minimum": entry.minimum,
        "num_classes": entry.num_classes,
        "parameters": entry.parameters,
        "mb": entry.mb,
        "multiply_adds": entry.multiply_adds,
        "top1": entry.top1,
        "top5": entry.top5,
        "cpu_ms": entry.cpu_ms,
        "gpu_ms": entry.gpu_ms,
        "weights": None if weights is None else vars(weights) | {"online": weights.online},
    }


def _measured(
    entries: Sequence[Entry], runtime: str, times: dict[str, Estimate], kinds: dict[str, str]
) -> list[Entry]:
    """The entries with their milliseconds; a model that cannot be measured keeps none and is named."""
    results = []
    for i, entry in enumerate(entries, 1):
        message(f"measuring {entry.name} ({i} of {len(entries)})")
        try:
            times[entry.name], kinds[entry.name] = _milliseconds(entry, runtime)
            results.append(replace(entry, ms=times[entry.name].value))
        except InputError as error:
            message(f"{entry.name} was not measured: {error}")
            results.append(entry)
    return results


def _milliseconds(entry: Entry, runtime: str) -> tuple[Estimate, str]:
    """The median time for one picture after warm-up, with a 95 % interval from the order of the times."""
    import gc
    import tempfile
    import time

    import keras
    import numpy as np

    from visus.models import create
    from visus.runtime import compile

    keras.backend.clear_session()
    gc.collect()
    taken: list[float] = []
    with tempfile.TemporaryDirectory() as cache:  # converted models would fill the user's own cache
        model = create(entry.name, weights="none")
        compiled = compile(model, kind=runtime, cache_dir=cache)
        picture = np.random.default_rng(0).integers(0, 256, (1, *entry.image_spec.shape)).astype(np.float32)
        for _ in range(3):
            compiled(picture)
        while len(taken) < RUNS and sum(taken) < 1000 * SECONDS:
            start = time.perf_counter()
            compiled(picture)
            taken.append(1000 * (time.perf_counter() - start))
    taken.sort()
    n = len(taken)
    reach = 0.98 * n**0.5  # 1.96 standard deviations of a Binomial(n, 1/2)
    low, high = max(0, int(n / 2 - reach)), min(n - 1, int(n / 2 + reach))
    return Estimate((taken[(n - 1) // 2] + taken[n // 2]) / 2, taken[low], taken[high]), compiled.kind
