"""What `visus demo` adds to a training: annotated pictures."""

import numpy as np

from visus import data as vdata
from visus.cli.demo import _annotate
from visus.image.io import read, write
from visus.train import train


def test_judged_pictures_of_every_class_are_annotated_even_with_equal_names(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("dark", "light"):
        (tmp_path / "pictures" / "train" / name).mkdir(parents=True)
        for i in range(20):
            picture = rng.integers(0, 90, (28, 36, 3)).astype(np.uint8) + np.uint8(150 * (name == "light"))
            write(tmp_path / "pictures" / "train" / name / f"{i}.png", picture)
    dataset = vdata.load(tmp_path / "pictures")
    run = train(dataset, out=tmp_path / "run", model="classify/lenet-5", epochs=1, policy="none", val=0.4)
    _annotate(run, dataset, count=8)
    made = sorted((run.folder / "predictions").iterdir())
    assert len(made) == 8
    assert read(made[0]).shape[0] > 28  # the caption stands below the picture
