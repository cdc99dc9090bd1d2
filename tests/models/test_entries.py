"""The catalogue: quick to read, honest when nothing fits."""

import subprocess
import sys
from dataclasses import replace

import pytest

from visus.models.entries import CONSTRAINTS, Entry, catalogue, find, pareto, pick
from visus.structures import ImageSpec, InputError

# Columns MB, top-1, CPU ms, GPU ms as printed in Keras' table of applications.
PRINTED = {
    "mobilenet-v2": (14, 71.3, 25.9, 3.8),
    "mobilenet": (16, 70.4, 22.6, 3.4),
    "nasnet-mobile": (23, 74.4, 27.0, 6.7),
    "efficientnet-b0": (29, 77.1, 46.0, 4.9),
    "efficientnet-b1": (31, 79.1, 60.2, 5.6),
    "efficientnet-b2": (36, 80.1, 80.8, 6.5),
    "efficientnet-b3": (48, 81.6, 140.0, 8.8),
    "efficientnet-b4": (75, 82.9, 308.3, 15.1),
    "inception-v3": (92, 77.9, 42.2, 6.9),
    "resnet-50-v2": (98, 76.0, 45.6, 4.4),
    "efficientnet-b5": (118, 83.6, 579.2, 25.3),
    "efficientnet-b6": (166, 84.0, 958.1, 40.4),
    "resnet-101-v2": (171, 77.2, 72.7, 5.4),
    "inception-resnet-v2": (215, 80.3, 130.2, 10.0),
    "efficientnet-b7": (256, 84.3, 1578.9, 61.6),
}


def printed():
    """The printed table as entries: parameters such that `mb` is the printed size."""
    spec = ImageSpec(224, 224)
    return [
        Entry(name, "", spec, (32, 32), 1000, mb * 250_000, 0, top1=top1, cpu_ms=cpu, gpu_ms=gpu)
        for name, (mb, top1, cpu, gpu) in PRINTED.items()
    ]


@pytest.mark.parametrize(
    ("constraints", "best"),
    [
        ({"under_cpu_ms": 50}, "inception-v3"),
        ({"under_mb": 30}, "efficientnet-b0"),
        ({"under_gpu_ms": 5}, "efficientnet-b0"),
        ({"under_mb": 100, "under_cpu_ms": 100}, "efficientnet-b2"),
    ],
)
def test_the_picker_on_the_printed_table_and_on_the_catalogue(constraints, best):
    assert pick(printed(), **constraints)[0].name == best
    assert pick(catalogue("classify").values(), **constraints)[0].variant == best


def test_the_catalogue_carries_the_printed_figures():
    for name, (mb, top1, cpu, gpu) in PRINTED.items():
        entry = find(name)
        assert (entry.top1, entry.cpu_ms, entry.gpu_ms) == (top1, cpu, gpu)
        assert entry.mb == pytest.approx(mb, abs=12)  # files also carry names and, some, optimiser state


def test_an_empty_result_names_the_constraint_that_fails_and_the_nearest():
    with pytest.raises(InputError, match=r"under_cpu_ms = 20 fails.*22\.6.*mobilenet"):
        pick(printed(), under_cpu_ms=20, min_top1=70)
    with pytest.raises(InputError, match=r"each of .* can be met, but not all"):
        pick(printed(), under_mb=15, min_top1=80)
    with pytest.raises(InputError, match="ms is known of none"):
        pick(printed(), under_ms=10)
    with pytest.raises(InputError, match="Unknown constraint 'under_eur'"):
        pick(printed(), under_eur=10)


def test_picked_models_are_ranked_and_all_constraints_hold():
    chosen = pick(catalogue().values(), under_mb=100, min_top1=75)
    assert [e.top1 for e in chosen] == sorted((e.top1 for e in chosen), reverse=True)
    assert all(e.mb <= 100 and e.top1 >= 75 for e in chosen)
    everything = set(catalogue()) - {e.name for e in chosen}
    assert all(e.mb > 100 or (e.top1 or 0) < 75 for e in map(find, everything))


def test_pareto_front_of_the_printed_table():
    front = [e.name for e in pareto(printed())]
    assert front == ["mobilenet-v2", "nasnet-mobile", *(f"efficientnet-b{i}" for i in range(8))]


def test_pareto_front_against_the_slow_definition():
    entries = list(catalogue().values())
    known = [e for e in entries if e.top1 is not None]
    slow = {
        e.name
        for e in known
        if not any(
            (o.mb <= e.mb and o.top1 >= e.top1) and (o.mb < e.mb or o.top1 > e.top1)
            for o in known
            if o is not e
        )
    }
    assert {e.name for e in pareto(entries)} == slow
    assert not pareto(entries, cost="ms")
    timed = [replace(e, ms=float(i)) for i, e in enumerate(known)]
    assert pareto(timed, cost="ms")[0] is timed[0]


def test_find_accepts_short_names_and_suggests():
    assert find("resnet-18").name == "classify/resnet-18"
    assert find("classify/resnet-18").module == "visus.models.classify.resnet"
    with pytest.raises(InputError, match=r"Did you mean .*resnet-50"):
        find("resnet50")
    with pytest.raises(InputError, match="no task 'detectt'"):
        catalogue("detectt")


def test_reading_the_catalogue_loads_no_framework():
    code = (
        "import sys; from visus.models import catalogue, pick; n = len(catalogue());"
        "print(n, [m for m in ('keras', 'tensorflow', 'torch', 'jax', 'cv2', 'h5py') if m in sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert out.strip() == f"{len(catalogue())} []"


def test_every_figure_that_can_be_bounded_is_an_attribute():
    entry = find("lenet-5")
    assert all(hasattr(entry, figure) for figure, _ in CONSTRAINTS.values())
    assert entry.mb == 61_706 * 4 / 1e6
