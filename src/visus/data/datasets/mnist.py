"""MNIST: 70,000 handwritten digits."""

from __future__ import annotations

import sys
from pathlib import Path

from visus.data.dataset import Dataset
from visus.data.datasets._download import File
from visus.data.datasets._locate import locate
from visus.data.formats import idx

DESCRIPTION = "handwritten digits, 28 x 28 grey, 10 classes, 60,000 train + 10,000 test, 11 MB"
LICENCE = "none stated by its authors; commonly given as CC BY-SA 3.0"
CITATION = "Y. LeCun, C. Cortes, C. J. C. Burges, The MNIST database of handwritten digits, 1998"
HOMEPAGE = "http://yann.lecun.com/exdb/mnist/"
LAYOUT = (
    "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz, "
    "t10k-labels-idx1-ubyte.gz"
)

_BASE = "https://storage.googleapis.com/cvdf-datasets/mnist/"
_SUM_FROM = "computed from the files, equal to the sum that TensorFlow Datasets publishes"
FILES = (
    File(
        _BASE + "train-images-idx3-ubyte.gz",
        9_912_422,
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        _SUM_FROM,
    ),
    File(
        _BASE + "train-labels-idx1-ubyte.gz",
        28_881,
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        _SUM_FROM,
    ),
    File(
        _BASE + "t10k-images-idx3-ubyte.gz",
        1_648_877,
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        _SUM_FROM,
    ),
    File(
        _BASE + "t10k-labels-idx1-ubyte.gz",
        4_542,
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        _SUM_FROM,
    ),
)


def load(folder: str | Path | None = None) -> Dataset:
    """MNIST with its splits train and test; pictures are uint8 `(28, 28)`, white on black.

    Raises:
        InputError: It is not here and cannot be downloaded.
    """
    return idx.read(locate(sys.modules[__name__], folder), name="mnist")
