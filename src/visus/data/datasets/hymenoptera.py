"""Hymenoptera: ants and bees, the small set of PyTorch's transfer learning tutorial."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from visus.data.dataset import Dataset
from visus.data.datasets._download import File
from visus.data.datasets._locate import inside, locate
from visus.data.formats import class_folders

DESCRIPTION = "ants and bees, 244 train + 153 val pictures, 47 MB"
LICENCE = "none stated; pictures from ImageNet, for non-commercial research and teaching"
CITATION = "S. Chilamkurthy, Transfer Learning for Computer Vision Tutorial, PyTorch, 2017"
HOMEPAGE = "https://download.pytorch.org/tutorial/hymenoptera_data.zip"
LAYOUT = "hymenoptera_data/ with train/ants, train/bees, val/ants, val/bees"
FILES = (
    File(
        "https://download.pytorch.org/tutorial/hymenoptera_data.zip",
        47_286_322,
        "fbc41b31d544714d18dd1230b1e2b455e1557766e13e67f9f5a7a23af7c02209",
        "as published by a third party, the examples of rktorch",
    ),
)


def load(folder: str | Path | None = None) -> Dataset:
    """Ants and bees with their splits train and val.

    One file, `train/ants/imageNotFound.gif`, is a web server's placeholder and is left out.

    Raises:
        InputError: They are not here and cannot be downloaded.
    """
    found = locate(sys.modules[__name__], folder, ("hymenoptera_data",))
    dataset = class_folders.read(inside(found, "hymenoptera_data"))
    kept = tuple(s for s in dataset if not s.source.endswith("/imageNotFound.gif"))
    notes = (
        dataset.notes if len(kept) == len(dataset) else (*dataset.notes, "imageNotFound.gif was left out.")
    )
    return replace(dataset, samples=kept, notes=notes, name="hymenoptera")
