"""ELPV: 2,624 electroluminescence pictures of solar cells, functional or defective."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Literal

import numpy as np

from visus.data.dataset import Dataset
from visus.data.datasets._download import File
from visus.data.datasets._locate import locate
from visus.structures import Classification, InputError, Sample

DESCRIPTION = (
    "solar cells by electroluminescence, 300 x 300 grey, functional or defective, 2,624 pictures, 90 MB"
)
LICENCE = "CC BY-NC-SA 4.0 (not for commercial use)"
CITATION = (
    "S. Deitsch et al., Automatic classification of defective photovoltaic module cells in "
    "electroluminescence images, Solar Energy 185, 2019, 455-468; C. Buerhop-Lutz et al., EU PVSEC 2018"
)
HOMEPAGE = "https://github.com/zae-bayern/elpv-dataset"
LAYOUT = "labels.csv (lines: images/cell0001.png, probability, mono or poly) and the folder images"
FILES: tuple[File, ...] = ()
CLASS_NAMES = ("functional", "defective")

Cell = Literal["mono", "poly"]


def load(folder: str | Path | None = None, *, cell: Cell | None = None) -> Dataset:
    """The cells with the annotators' probability of a defect.

    A cell of probability above 0.5 is defective, as in the papers; the probability itself (0, 1/3, 2/3 or 1)
    is kept as the soft label. There is no official split: Deitsch et al. take 75 % at random, stratified.

    Args:
        folder: Where `labels.csv` lies, else searched for; the package `elpv-dataset` carries all of it.
        cell: Only the cells of one kind of silicon, monocrystalline or polycrystalline.

    Raises:
        InputError: The set is not here, or `labels.csv` is not what it should be.

    Example:
        >>> load().counts()                                                          # doctest: +SKIP
        {'functional': 1803, 'defective': 821}
    """
    root = _root(folder)
    samples = []
    for line in _lines(root):
        name, probability, kind = line
        if cell is None or kind == cell:
            target = Classification(
                label=int(probability > 0.5), scores=np.array([1 - probability, probability], np.float32)
            )
            samples.append(Sample(root / name, target, name))
    if not samples:
        raise InputError(f"elpv has cells of the kinds mono and poly. Received cell={cell!r}.")
    return Dataset(tuple(samples), CLASS_NAMES, name="elpv" if cell is None else f"elpv-{cell}", root=root)


def cell_kinds(folder: str | Path | None = None) -> dict[str, str]:
    """Source of every sample -> `mono` or `poly`, the silicon of its module."""
    return {name: kind for name, _, kind in _lines(_root(folder))}


def _root(folder: str | Path | None) -> Path:
    spec = importlib.util.find_spec("elpv_dataset") if folder is None else None
    carried = [Path(p) / "data" for p in (spec.submodule_search_locations or ())] if spec else []
    try:
        found = locate(sys.modules[__name__], folder, ("elpv-dataset",), package="elpv-dataset")
    except InputError:
        if not carried or not (carried[0] / "labels.csv").is_file():
            raise
        found = carried[0]
    below = (Path(), Path("data"), Path("src/elpv_dataset/data"), Path("utils"))
    root = next((found / sub for sub in below if (found / sub / "labels.csv").is_file()), None)
    if root is None:
        raise InputError(f"{found} has no labels.csv. Expected there: {LAYOUT}.")
    return root


def _lines(root: Path) -> list[tuple[str, float, str]]:
    lines = []
    for number, text in enumerate((root / "labels.csv").read_text(encoding="utf-8").splitlines(), 1):
        parts = text.split()
        try:
            name, probability, kind = parts[0], float(parts[1]), parts[2]
        except (IndexError, ValueError):
            raise InputError(
                f"{root / 'labels.csv'}, line {number}: expected {LAYOUT}. Received {text!r}."
            ) from None
        if not 0 <= probability <= 1 or ".." in Path(name).parts or Path(name).is_absolute():
            raise InputError(f"{root / 'labels.csv'}, line {number} is not of this set: {text!r}.")
        lines.append((name, probability, kind))
    return lines
