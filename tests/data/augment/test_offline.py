"""Versions on disk: what is written, what is not, and that nothing leaves the folder."""

import json

import numpy as np
import pytest

from visus.data import Dataset
from visus.data.augment import HorizontalFlip, Policy, VerticalFlip, policy, write_versions
from visus.data.augment.policies import drawn_from_dict
from visus.image.io import read
from visus.structures import Classification, ImageSpec, InputError, Sample

FLIPS = Policy(((HorizontalFlip(), 0.5), (VerticalFlip(), 0.5)))


@pytest.fixture
def dataset():
    rng = np.random.default_rng(0)
    samples = tuple(
        Sample(
            rng.integers(0, 256, (12, 19, 3), np.uint8),
            Classification(label=i % 2),
            f"set#{i}",
            group=f"g{i}",
            split="test" if i == 3 else "train",
        )
        for i in range(5)
    )
    return Dataset(samples, ("a", "../b"), "tiny")


def test_flips_give_at_most_four_versions(dataset, tmp_path):
    made = write_versions(dataset, 40, tmp_path / "out", FLIPS)
    assert len(made) == 4 * 4
    assert made.notes == ("144 versions equal to another one were left out",)
    for sample in made:
        original = dataset[int(sample.source.removeprefix("set#"))]
        image = read(sample.image)
        turned = [original.image[::y, ::x] for y in (1, -1) for x in (1, -1)]
        assert any(np.array_equal(image, each) for each in turned)
        assert (sample.target, sample.group, sample.split) == (original.target, original.group, "train")


def test_manifest_repeats_every_version_and_nothing_escapes(dataset, tmp_path):
    made = write_versions(dataset, 2, tmp_path / "out", policy("strong"), spec=ImageSpec(16, 24), seed=5)
    lines = [json.loads(line) for line in (tmp_path / "out/manifest.jsonl").read_text().splitlines()]
    assert len(lines) == len(made) == 8
    assert not any(line["source"] == "set#3" for line in lines), "a test picture was augmented"
    for line, sample in zip(lines, made, strict=True):
        assert sample.image == tmp_path / "out" / line["file"]
        assert sample.image.resolve().is_relative_to(tmp_path / "out")
        original = dataset[line["seed"][2]]
        again = policy("strong").carry_out(original, drawn_from_dict(line["steps"]), ImageSpec(16, 24))
        np.testing.assert_array_equal(read(sample.image), again.image)


def test_the_storage_limit_holds(dataset, tmp_path):
    made = write_versions(dataset, 10, tmp_path / "out", FLIPS, limit_bytes=3000)
    pictures = list((tmp_path / "out").rglob("*.png"))
    assert 0 < len(pictures) == len(made)
    assert sum(p.stat().st_size for p in pictures) <= 3000
    assert "stopped at the limit of 3000 bytes" in made.notes[-1]


def test_an_unreadable_picture_is_counted(dataset, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"\x89PNG but not really")
    more = Dataset((*dataset.samples, Sample(bad, Classification(label=0), "bad")), dataset.class_names)
    assert "1 pictures could not be read" in write_versions(more, 1, tmp_path / "out", FLIPS).notes


def test_refusals(dataset, tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="not empty"):
        write_versions(dataset, 1, tmp_path, FLIPS)
    with pytest.raises(InputError, match="at least 1"):
        write_versions(dataset, 0, tmp_path / "out", FLIPS)
