"""Fashion-MNIST: 70,000 pictures of clothes, a harder drop-in for MNIST."""

from __future__ import annotations

import sys
from pathlib import Path

from visus.data.dataset import Dataset
from visus.data.datasets._download import File
from visus.data.datasets._locate import locate
from visus.data.formats import idx

DESCRIPTION = "clothes, 28 x 28 grey, 10 classes, 60,000 train + 10,000 test, 31 MB"
LICENCE = "MIT (Zalando SE)"
CITATION = "H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST: a Novel Image Dataset, arXiv:1708.07747, 2017"
HOMEPAGE = "https://github.com/zalandoresearch/fashion-mnist"
LAYOUT = (
    "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz, "
    "t10k-labels-idx1-ubyte.gz"
)
CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

_BASE = (
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/"
    "b2617bb6d3ffa2e429640350f613e3291e10b141/data/fashion/"
)
_SUM_FROM = "computed from the files, equal to the sum that TensorFlow Datasets publishes"
FILES = (
    File(
        _BASE + "train-images-idx3-ubyte.gz",
        26_421_880,
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        _SUM_FROM,
    ),
    File(
        _BASE + "train-labels-idx1-ubyte.gz",
        29_515,
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        _SUM_FROM,
    ),
    File(
        _BASE + "t10k-images-idx3-ubyte.gz",
        4_422_102,
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        _SUM_FROM,
    ),
    File(
        _BASE + "t10k-labels-idx1-ubyte.gz",
        5_148,
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        _SUM_FROM,
    ),
)


def load(folder: str | Path | None = None) -> Dataset:
    """Fashion-MNIST with its splits train and test; pictures are uint8 `(28, 28)`, bright on black.

    Raises:
        InputError: It is not here and cannot be downloaded.
    """
    return idx.read(locate(sys.modules[__name__], folder), class_names=CLASS_NAMES, name="fashion-mnist")
