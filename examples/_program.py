"""What the examples share: arguments, data or its substitute, three parts, and the comparison at the end."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from visus.data import Dataset, datasets, load
from visus.data.split import select, split
from visus.structures import Classification, Estimate, InputError, Sample

NOTEBOOK = "ipykernel" in sys.modules


def arguments(about: str, **options: tuple[Any, Any, str]) -> argparse.Namespace:
    """The command line of an example; in a notebook, what its first cell says in `VISUS_EXAMPLE`.

    Args:
        about: The docstring of the example.
        **options: Name of an option -> (value, value with --quick, what it is).

    Returns:
        `quick`, `data`, `used` (the data's name, for the comparison), `out` (an empty folder), `seed`, and the
        options.
    """
    name = "notebook" if NOTEBOOK else Path(sys.argv[0]).stem
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="about a minute on a CPU: a part of the data or a substitute, no network",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="FOLDER",
        help="the data; else it is looked for in VISUS_DATA, and without --quick downloaded",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help=f"a new folder for everything; by default runs/{name}-1, -2, ...",
    )
    parser.add_argument("--seed", type=int, default=0, help="one seed for everything (0)")
    for option, (full, quick, text) in options.items():
        both = f"{full}" if full == quick else f"{full}; with --quick {quick}"
        parser.add_argument(f"--{option.replace('_', '-')}", type=type(full), help=f"{text} ({both})")
    asked = parser.parse_args(os.environ.get("VISUS_EXAMPLE", "").split() if NOTEBOOK else None)
    for option, (full, quick, _) in options.items():
        if getattr(asked, option) is None:
            setattr(asked, option, quick if asked.quick else full)
    if asked.out is None:
        asked.out = next(p for i in range(1, 10**6) if not (p := Path("runs") / f"{name}-{i}").exists())
    elif asked.out.exists() and any(asked.out.iterdir()):
        parser.error(f"{asked.out} is not empty. Name a new folder.")
    asked.out.mkdir(parents=True, exist_ok=True)
    asked.used = str(asked.data or "what comes with the example")
    if asked.quick:
        os.environ["VISUS_OFFLINE"] = "1"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if not NOTEBOOK:
        print(about.strip().partition("\n")[0])
    return asked


# --- data ------------------------------------------------------------------------------------------------


def find(asked: argparse.Namespace, name: str, *substitutes: Callable[[], Dataset]) -> Dataset:
    """A known set; with --quick, where it is not on this machine, the first substitute that is."""
    known = datasets.get(name)
    print(f"Data: {name}, {known.DESCRIPTION}.\nLicence: {known.LICENCE}.")
    asked.used = str(asked.data or name)
    try:
        return known.load(asked.data)
    except InputError as missing:
        if asked.data or not asked.quick:
            refuse(
                f"{missing}\nExpected in the folder: {known.LAYOUT}. Or try --quick, which has a substitute."
            )
    for substitute in substitutes:
        try:
            dataset = substitute()
        except InputError:
            continue
        asked.used = dataset.name
        print(f"It is not on this machine (expected: {known.LAYOUT}), so {dataset.name} takes its place.")
        if dataset.name in datasets.names():
            print(f"Its licence: {datasets.get(dataset.name).LICENCE}.")
        return dataset
    return refuse(f"{name} is not on this machine, and neither is a substitute.")


def refuse(why: str) -> NoReturn:
    """Ends the program: it cannot do what it was asked for."""
    print(why, file=sys.stderr)
    sys.exit(2)


def in_visus_data(*parts: str) -> Path:
    """A path below the folder that the environment variable VISUS_DATA names."""
    return Path(os.environ.get("VISUS_DATA") or "VISUS_DATA").joinpath(*parts)


def three_parts(
    asked: argparse.Namespace,
    dataset: Dataset,
    *,
    test: float = 0.2,
    val: float = 0.1,
    most: tuple[int, int, int] = (2000, 300, 500),
    **how: Any,
) -> Dataset:
    """Train to learn from, val to choose by, and test, which is looked at once, at the end.

    Where a set brings train and val only, as many do, that val has been used for choosing nothing yet: it is
    the test part here, and a part of train becomes val. With --quick at most so many pictures are taken.
    """
    if "test" not in dataset.splits and "val" in dataset.splits:
        moved = (s.replace(split="test") if s.split == "val" else s for s in dataset)
        dataset = replace(dataset, samples=tuple(moved))
    dataset = split(dataset, test=test, val=val, seed=asked.seed, **how)
    if asked.quick:
        parts = zip(("train", "val", "test"), most)
        dataset = select(dataset, "+".join(f"{name}[:{n}]" for name, n in parts), seed=asked.seed)
    print(", ".join(f"{name} {len(dataset.split(name)):,}" for name in dataset.splits) + " pictures")
    return dataset


def small_digits() -> Dataset:
    """The 1,797 digits of 8 x 8 pixels that come with scikit-learn."""
    from sklearn.datasets import load_digits

    pictures, labels = load_digits(return_X_y=True)
    images = (pictures.reshape(-1, 8, 8) * 255 / 16).round().astype(np.uint8)
    return load((images, labels), name="the small digits of scikit-learn")


def textures(classes: int, each: int, *, side: int = 96, seed: int = 0) -> Dataset:
    """Pictures made by code: classes differ by wavelength and by stripes or checks, all else is chance."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, : side + side // 4]
    samples = []
    for label in range(classes):
        wavelength, checks = 5 * 1.7 ** (label // 2), label % 2
        for i in range(each):
            angle, phase = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi, 2)
            turned = [x * np.cos(a) + y * np.sin(a) for a in (angle, angle + np.pi / 2)]
            waves = [np.sin(2 * np.pi * t / wavelength + p) for t, p in zip(turned, phase)]
            share = (waves[0] * waves[1] if checks else waves[0])[..., None] / 2 + 0.5
            dark, light = rng.uniform(0, 140, 3), rng.uniform(115, 255, 3)
            picture = dark + (light - dark) * share + rng.normal(0, 25, (*share.shape[:2], 3))
            samples.append(
                Sample(picture.clip(0, 255).astype(np.uint8), Classification(label), f"texture-{label}/{i}")
            )
    names = tuple(f"texture-{label}" for label in range(classes))
    return Dataset(tuple(samples), names, name=f"a set of {classes} made textures")


# --- the end ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """A figure, and what it is held against.

    Attributes:
        what: What was measured.
        reached: The figure, with its 95 % interval where it has one.
        baseline: What no learning reaches.
        claimed: What the source says, and which source.
        accepted: What a full run must reach; None where nobody knows: then the quick line.
        above: How far above the baseline a quick run must get; None for no line.
    """

    what: str
    reached: Estimate
    baseline: float
    claimed: str
    accepted: float | None
    above: float | None = 0.2

    @classmethod
    def of(cls, run: Any, what: str, claimed: str, accepted: float | None, above: float | None = 0.2) -> Line:
        """The accuracy of a run on its test part, beside always answering the most frequent class."""
        judged = evaluation(run)
        reached = Estimate(**judged["figures"]["accuracy"])
        return cls(what, reached, judged["majority"]["accuracy"]["value"], claimed, accepted, above)

    def least(self, quick: bool) -> float | None:
        """The line: what must be reached."""
        if self.accepted is not None and not quick:
            return self.accepted
        return None if self.above is None else self.baseline + self.above


def evaluation(run: Any) -> dict[str, Any]:
    """What the report of a run says, as values."""
    return json.loads((run.folder / "evaluation.json").read_text(encoding="utf-8"))


def compare(asked: argparse.Namespace, *lines: Line) -> None:
    """Prints claimed and reached side by side, writes `comparison.json`, and exits with 1 if a line is missed."""
    rows: list[Sequence[object]] = [("", "reached", "without learning", "line", "", "claimed")]
    document = []
    for line in lines:
        least = line.least(asked.quick)
        met = least is None or line.reached.value >= least
        verdict = ("", "") if least is None else (least, "met" if met else "MISSED")
        rows.append((line.what, line.reached, line.baseline, *verdict, line.claimed))
        document.append({**vars(line), "reached": line.reached.to_dict(), "line": least, "met": met})
    show(rows)
    mode = "quick" if asked.quick else "full"
    record = {"mode": mode, "data": asked.used, "seed": asked.seed, "lines": document}
    (asked.out / "comparison.json").write_text(json.dumps(record, indent=2), encoding="utf-8")
    print(f"Everything is in {asked.out}.")
    if not all(each["met"] for each in document) and not NOTEBOOK:
        sys.exit(1)


def show(rows: Sequence[Sequence[object]]) -> None:
    """Prints a table, its first row being the header."""
    texts = [[f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts)]
    print()
    for row in texts:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    print()
