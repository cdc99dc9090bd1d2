"""The data set: order, splits, counts, targets and a fingerprint that notices every change."""

import numpy as np
import pytest

from visus.data import Dataset
from visus.structures import Classification, InputError, Sample


def make():
    picture = np.zeros((2, 3, 3), np.uint8)
    return Dataset(
        (
            Sample(picture, Classification(label=0), "a", split="train"),
            Sample(picture, Classification(label=1, scores=np.array([0.25, 0.75])), "b", split="val"),
            Sample(picture, Classification(label=1), "c", split="train"),
        ),
        ("no", "yes"),
        name="tiny",
    )


def test_counts_labels_and_splits():
    dataset = make()
    assert dataset.counts() == {"no": 1, "yes": 2}
    assert dataset.labels().tolist() == [0, 1, 1]
    assert dataset.splits == ("train", "val")
    assert [s.source for s in dataset.split("train")] == ["a", "c"]
    assert dataset.task == "single"


def test_targets_are_one_hot_or_soft():
    assert make().targets().tolist() == [[1, 0], [0, 1], [0, 1]]
    assert make().targets(soft=True).tolist() == [[1, 0], [0.25, 0.75], [0, 1]]


def test_multi_label_targets():
    sample = Sample(np.zeros((2, 3), np.uint8), Classification(labels=np.array([1, 0, 1])), "a")
    dataset = Dataset((sample,), ("x", "y", "z"))
    assert dataset.task == "multi"
    assert dataset.targets().tolist() == [[1, 0, 1]]
    assert dataset.counts() == {"x": 1, "y": 0, "z": 1}
    assert dataset.labels().tolist() == [-1]


def test_two_classes_of_one_name_are_refused_before_anything_merges_them():
    # Timm's and torchvision's lists of the 1,000 classes of ImageNet hold `crane` and `maillot` twice each.
    with pytest.raises(InputError, match=r"Received twice: crane, maillot\."):
        Dataset((), ("crane", "ox", "maillot", "crane", "maillot"))
    assert Dataset((), ("crane (animal)", "crane (artifact)")).counts() == {
        "crane (animal)": 0,
        "crane (artifact)": 0,
    }


def test_classes_can_be_joined_and_left_out():
    picture = np.zeros((2, 3), np.uint8)
    pets = Dataset(
        (
            Sample(picture, Classification(0), "a", split="train"),
            Sample(picture, Classification(1, scores=np.array([0.25, 0.5, 0.25])), "b", group="g"),
            Sample(picture, Classification(2), "c"),
            Sample(picture, None, "d"),
        ),
        ("bengal", "pug", "abyssinian"),
        name="pets",
    )
    two = pets.relabel({"pug": "dog", "bengal": "cat", "abyssinian": "cat"})
    assert two.class_names == ("dog", "cat")
    assert [s.target and s.target.label for s in two] == [1, 0, 1, None]
    assert two[1].target.scores.tolist() == [0.5, 0.5]
    assert (two[0].split, two[1].group, two.name) == ("train", "g", "pets")
    assert [s.source for s in pets.relabel({"abyssinian": "cat", "pug": "dog"})] == ["b", "c", "d"]
    assert pets.relabel({name: name for name in pets.class_names}).labels().tolist() == [0, 1, 2, -1]
    with pytest.raises(InputError, match="no class 'poodle'; it has bengal, pug, abyssinian"):
        pets.relabel({"poodle": "dog"})


def test_joined_classes_of_pictures_with_several_labels():
    sample = Sample(np.zeros((2, 3), np.uint8), Classification(labels=np.array([1, 0, 1])), "a")
    dataset = Dataset((sample,), ("x", "y", "z"))
    assert dataset.relabel({"y": "w", "z": "w"}).targets().tolist() == [[1]]
    assert dataset.relabel({"y": "w", "x": "v", "z": "w"}).targets().tolist() == [[1, 1]]
    assert dataset.relabel({"y": "w"}).targets().tolist() == [[0]]


def test_an_unknown_split_names_the_known_ones():
    with pytest.raises(InputError, match="train, val"):
        make().split("test")


@pytest.mark.parametrize("target", [None, Classification(label=5)])
def test_a_missing_or_impossible_label_names_the_picture(target):
    dataset = Dataset((Sample(np.zeros((2, 3), np.uint8), target, "bad.png"),), ("x", "y"))
    with pytest.raises(InputError, match=r"bad\.png"):
        dataset.targets()


def test_the_fingerprint_notices_pixels_labels_splits_and_order():
    base = make()
    prints = {base.fingerprint(), make().fingerprint()}
    assert len(prints) == 1
    changed = base[0].replace(image=np.ones((2, 3, 3), np.uint8))
    prints.add(Dataset((changed, *base[1:]), base.class_names).fingerprint())
    prints.add(Dataset((base[0].replace(split="val"), *base[1:]), base.class_names).fingerprint())
    prints.add(
        Dataset((base[0].replace(target=Classification(label=1)), *base[1:]), base.class_names).fingerprint()
    )
    prints.add(base.subset([1, 0, 2]).fingerprint())
    assert len(prints) == 5


def test_subset_takes_indices_or_a_mask():
    assert [s.source for s in make().subset([2, 0])] == ["c", "a"]
    assert [s.source for s in make().subset(np.array([True, False, True]))] == ["a", "c"]
