"""Cats and dogs: Microsoft's 25,000 pet photos, or the filtered 3,000 of many tutorials."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from visus.data.dataset import Dataset
from visus.data.datasets._download import File
from visus.data.datasets._locate import inside, locate
from visus.data.formats import class_folders, file_names

DESCRIPTION = "photos of cats and dogs, 25,000 pictures without a split, 825 MB (about 60 of them are broken)"
LICENCE = "Microsoft Research data licence, in the archive (research use)"
CITATION = (
    "J. Elson, J. R. Douceur, J. Howell, J. Saul, Asirra: a CAPTCHA that exploits interest-aligned manual "
    "image categorization, ACM CCS 2007"
)
HOMEPAGE = "https://www.microsoft.com/en-us/download/details.aspx?id=54765"
LAYOUT = (
    "PetImages/Cat and PetImages/Dog; or cats_and_dogs_filtered/{train,validation}/{cats,dogs}; or files "
    "that are called cat.0.jpg, dog.0.jpg, ..."
)
FILES = (
    File(
        "https://download.microsoft.com/download/3/E/1/3E1C3F21-ECDB-4869-8368-6DEBA77B919F/"
        "kagglecatsanddogs_5340.zip",
        824_887_076,
        "b7974bd00a84a99921f36ee4403f089853777b5ae8d151c76a86e64900334af9",
        "as published by GoMLX's examples",
    ),
)


def load(folder: str | Path | None = None) -> Dataset:
    """Cats and dogs in any of the three forms in which they are around.

    Raises:
        InputError: They are not here and cannot be downloaded.
    """
    found = locate(sys.modules[__name__], folder, ("cats-and-dogs",))
    inner = inside(found, "PetImages", "cats_and_dogs_filtered")
    if class_folders.sniff(inner):
        return replace(class_folders.read(inner), name="cats-and-dogs")
    return replace(file_names.read(inner, pattern="first_dot"), name="cats-and-dogs")
