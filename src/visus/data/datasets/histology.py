"""Kather's colorectal histology: 5,000 tiles of eight tissues. For learning only, never for diagnosis."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from visus.data.dataset import Dataset
from visus.data.datasets._download import File
from visus.data.datasets._locate import inside, locate
from visus.data.formats import file_names

DESCRIPTION = (
    "tissue tiles of colorectal cancer, 150 x 150 RGB, 8 classes of 625, without a split, 258 MB; "
    "for learning only, never for diagnosis"
)
LICENCE = "CC BY 4.0"
CITATION = (
    "J. N. Kather et al., Multi-class texture analysis in colorectal cancer histology, Scientific Reports 6, "
    "27988, 2016"
)
HOMEPAGE = "https://doi.org/10.5281/zenodo.53169"
LAYOUT = "Kather_texture_2016_image_tiles_5000/ with the folders 01_TUMOR, 02_STROMA, ..., 08_EMPTY"
FILES = (
    File(
        "https://zenodo.org/record/53169/files/Kather_texture_2016_image_tiles_5000.zip",
        258_098_431,
        "936d0b95ae0f04f1f7b18a2b7e8c55776c3e887d102f645bcee752d1a6626a32",
        "as published by TensorFlow Datasets",
    ),
)

PATTERN = r"(?:^|/)(?P<index>\d+)_(?P<label>[A-Z]+)/(?:[^/]*?(?P<group>CRC-Prim-HE-\d+))?[^/]*$"
TILE = r"(?P<source>[^/]+\.tif)_Row_(?P<row>\d+)_Col_(?P<column>\d+)\.tif$"


def load(folder: str | Path | None = None) -> Dataset:
    """The tiles, classes in the order of the folders' numbers; the group of a tile is its slide.

    `file_names.columns(dataset, histology.TILE)` gives source picture, row and column of every tile.

    Raises:
        InputError: They are not here and cannot be downloaded.
    """
    found = locate(sys.modules[__name__], folder, ("Kather_texture_2016_image_tiles_5000",))
    inner = inside(found, "Kather_texture_2016_image_tiles_5000")
    return replace(file_names.read(inner, pattern=PATTERN), name="histology")
