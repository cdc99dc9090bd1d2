"""Labels matched to a model's classes by name."""

from pathlib import Path

import numpy as np
import pytest

from visus.data.dataset import Dataset
from visus.data.match import match_classes
from visus.structures import Classification, InputError, Sample


def dataset(*targets: Classification | None, names: tuple[str, ...] = ("rose", "daisy")) -> Dataset:
    return Dataset(
        tuple(Sample(Path(f"{i}.jpg"), t, f"{i}.jpg") for i, t in enumerate(targets)), names, "garden"
    )


def test_labels_follow_their_names():
    given = dataset(Classification(0), Classification(1), None)
    matched = match_classes(given, ["daisy", "rose", "tulip"])
    assert matched.class_names == ("daisy", "rose", "tulip")
    assert matched.labels().tolist() == [1, 0, -1]
    assert [s.source for s in matched] == [s.source for s in given]
    assert matched.counts() == {"daisy": 1, "rose": 1, "tulip": 0}
    assert matched.notes == ("1 of the model's 3 classes are not in the data: tulip.",)


def test_vectors_follow_their_names():
    soft = Classification(0, scores=np.array([0.7, 0.3], np.float32))
    several = Classification(labels=np.array([1, 0], np.uint8))
    matched = match_classes(dataset(soft, several), ["tulip", "daisy", "rose"])
    assert matched[0].target.scores == pytest.approx([0.0, 0.3, 0.7])
    assert matched[1].target.labels.tolist() == [0, 0, 1]


def test_equal_classes_change_nothing():
    given = dataset(Classification(0))
    assert match_classes(given, ("rose", "daisy")) is given


def test_a_model_with_two_classes_of_one_name_is_refused():
    with pytest.raises(InputError, match="twice: crane"):
        match_classes(dataset(Classification(0), names=("crane",)), ["crane", "ox", "crane"])


def test_unknown_classes_are_listed_with_what_may_be_meant():
    given = dataset(Classification(0), names=("Rose", "dandelions", "car"))
    with pytest.raises(InputError) as raised:
        match_classes(given, ["rose", "dandelion"])
    text = str(raised.value)
    assert "3 of the 3 classes of garden" in text
    assert "'Rose' (did you mean 'rose'?), 'dandelions' (did you mean 'dandelion'?), 'car'" in text
