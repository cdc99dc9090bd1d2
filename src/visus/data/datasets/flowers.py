"""TensorFlow's flower photos: 3,670 pictures of five flowers."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from visus.data.dataset import Dataset
from visus.data.datasets._download import File
from visus.data.datasets._locate import inside, locate
from visus.data.formats import class_folders

DESCRIPTION = "photos of 5 flowers (tf_flowers), 3,670 pictures without a split, 229 MB"
LICENCE = "CC BY 2.0, the photographers are named in the archive's LICENSE.txt"
CITATION = "The TensorFlow Team, Flowers, January 2019"
HOMEPAGE = "http://download.tensorflow.org/example_images/flower_photos.tgz"
LAYOUT = (
    "flower_photos/ with the folders daisy, dandelion, roses, sunflowers, tulips (or these below "
    "train and val)"
)
FILES = (
    File(
        # The official address above by https: the same bucket.
        "https://storage.googleapis.com/download.tensorflow.org/example_images/flower_photos.tgz",
        228_813_984,
        "4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c",
        "as published by TensorFlow Datasets",
    ),
)


def load(folder: str | Path | None = None) -> Dataset:
    """The flowers in class folders; the subset `flowers5` in VISUS_DATA has the splits train and val.

    Raises:
        InputError: They are not here and cannot be downloaded.
    """
    found = locate(sys.modules[__name__], folder, ("flowers5", "flower_photos"))
    return replace(class_folders.read(inside(found, "flower_photos")), name=found.name)
