"""Chest X-rays of children, normal or with pneumonia. For learning only, never for diagnosis."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path

from visus.data.dataset import Dataset
from visus.data.datasets._download import File
from visus.data.datasets._locate import inside, locate
from visus.data.formats import class_folders

DESCRIPTION = (
    "chest X-rays of children, normal or pneumonia, 5,856 pictures with train, test and (Kaggle) val, 1.2 GB; "
    "for learning only, never for diagnosis"
)
LICENCE = "CC BY 4.0"
CITATION = (
    "D. Kermany, K. Zhang, M. Goldbaum, Labeled OCT and Chest X-Ray Images, Mendeley Data, 2018, rscbjbr9sj"
)
HOMEPAGE = "https://data.mendeley.com/datasets/rscbjbr9sj/2 (ChestXRay2017.zip, 1.2 GB)"
LAYOUT = "chest_xray/ with train, test and perhaps val, each with the folders NORMAL and PNEUMONIA"
FILES: tuple[File, ...] = ()  # nobody's sum of the archive could be found: fetch it by hand

_PATIENT = re.compile(r"person\d+|IM-\d+")


def load(folder: str | Path | None = None) -> Dataset:
    """The X-rays with the splits of the archive; the group of a picture is its patient, from the file name.

    Raises:
        InputError: They are not here; the message says where to get them.
    """
    found = locate(sys.modules[__name__], folder, ("chest_xray", "chest-xray-pneumonia"))
    dataset = class_folders.read(inside(found, "chest_xray/chest_xray", "chest_xray"))
    samples = tuple(
        s.replace(group=match[0]) if (match := _PATIENT.search(Path(s.source).name)) else s for s in dataset
    )
    return replace(dataset, samples=samples, name="pneumonia")
