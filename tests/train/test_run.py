"""The run folder: never written over, never half a record."""

import json

import pytest

from visus.structures import InputError
from visus.train.run import Run, environment
from visus.train.settings import Settings


def test_a_run_is_created_opened_and_changed(tmp_path):
    run = Run.create(tmp_path / "run", Settings(seed=3, size=(20, 30)).to_dict())
    run.save(status="done", results={"accuracy": 0.5})
    again = Run.open(tmp_path / "run")
    assert again.record["status"] == "done"
    assert Settings.from_dict(again.record["arguments"]) == Settings(seed=3, size=(20, 30))
    assert not list((tmp_path / "run").glob("*.part"))


def test_an_existing_folder_is_not_written_over(tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        Run.create(tmp_path, {})
    assert [p.name for p in tmp_path.iterdir()] == ["precious.txt"]


@pytest.mark.parametrize("text", [None, "{", "[]", "{}"])
def test_what_is_no_run_is_said_to_be_none(tmp_path, text):
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    with pytest.raises(InputError, match=r"run\.json"):
        Run.open(tmp_path)


def test_the_environment_is_json_ready():
    record = json.loads(json.dumps(environment()))
    assert record["versions"]["keras"]
    assert record["cores"] >= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"label_smoothing": 1.5}, "label_smoothing"),
        ({"minutes": 0}, "minutes lies"),
        ({"size": (4, 4)}, "between 8 and 4096"),
        ({"mix": "blend"}, "mixup, cutmix"),
        ({"variants": 0}, "variants"),
        ({"epochs": -1}, "epochs"),
        ({"epochs": "abc"}, "epochs is a whole number. Received 'abc'"),
        ({"head_epochs": 1.5}, "whole number"),
        ({"seed": True}, "seed"),
        ({"weight_decay": float("nan")}, "weight_decay"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"size": 4}, "between 8 and 4096"),
        ({"size": (32, 32, 3)}, "height, width"),
        ({"tta": "flipp"}, "ten-crop"),
        ({"policy": "nope"}, "strong"),
        ({"domain": "sea"}, "aerial"),
        ({"unfreeze": "x"}, "stages, or all"),
        ({"precision": "float16"}, "mixed_bfloat16"),
        ({"group": "("}, "regular expression"),
    ],
)
def test_unusable_settings_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        Settings(**arguments)


def test_one_number_is_both_sides():
    assert Settings(size=32).size == (32, 32)
    assert Settings(size=[32, 40]).size == (32, 40)


def test_unknown_recorded_settings_are_named():
    with pytest.raises(InputError, match="warp_speed"):
        Settings.from_dict({"warp_speed": 9})
