"""`visus explain`: pictures with heat maps, and their figures."""

import json

import numpy as np
import pytest

from visus.image.io import read, write
from visus.models import create, save

NAMES = ("ant", "bee", "cat")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    save(
        create("histology-v1", class_names=NAMES, image_size=(48, 60), weights="none", seed=2),
        home / "model.keras",
    )
    (home / "photos").mkdir()
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        write(
            home / "photos" / name,
            rng.integers(0, 256, (5, 9, 3), np.uint8).repeat(50, axis=0).repeat(50, axis=1),
        )
    return home


@pytest.mark.parametrize("method", ["grad-cam", "occlusion"])
def test_writes_a_picture_for_each(visus, home, method):
    out = home / method
    code, stdout, _ = visus("explain", "model.keras", "photos", "--out", out, "--method", method, "--json")
    assert code == 0
    document = json.loads(stdout)
    assert document == json.loads((out / "explain.json").read_text())
    assert (document["model"], document["method"], document["errors"]) == ("model.keras", method, 0)
    for row, name in zip(document["pictures"], ("a.png", "b.png")):
        assert row["path"] == f"photos/{name}"
        assert row["class"] == row["predicted"] in NAMES
        assert 1 / 3 <= row["score"] <= 1
        assert row["explanation"] == str(out / name)
        picture = read(out / name)
        assert picture.shape[0] > 250
        assert picture.shape[1] == 450
        original = read(home / "photos" / name)
        if row["peak"] is not None:
            column, line = row["peak"]
            assert (picture[line, column] != original[line, column]).any()
        assert 0 <= row["hot_share"] <= 1


def test_another_class_and_a_table(visus, home):
    code, stdout, _ = visus("explain", "model.keras", "photos/a.png", "--out", "one", "--class", "cat")
    assert code == 0
    assert "photos/a.png" in stdout
    assert "cat" in stdout
    assert json.loads((home / "one" / "explain.json").read_text())["pictures"][0]["class"] == "cat"
    assert sorted(p.name for p in (home / "one").glob("[!.]*")) == ["a.png", "explain.json"]


def test_a_bad_picture_is_a_row(visus, home):
    (home / "bad.jpg").write_text("nothing")
    code, stdout, err = visus("explain", "model.keras", "bad.jpg", "photos/b.png", "--out", "two", "--json")
    document = json.loads(stdout)
    assert (code, document["errors"]) == (1, 1)
    assert "bad.jpg cannot be read" in document["pictures"][0]["error"]
    assert "bad.jpg cannot be read" in err
    assert document["pictures"][1]["path"] == "photos/b.png"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("nowhere", "photos", "--out", "x"), "no model at nowhere"),
        (
            ("model.keras", "photos", "--out", "x", "--class", "dog"),
            "no class 'dog'. Choose one of: ant, bee, cat",
        ),
        (("model.keras", "photos", "--out", "x", "--method", "magic"), "one of grad-cam, occlusion"),
        (("model.keras", "photos", "--out", "x", "--layer", "logits"), "no maps at a layer named 'logits'"),
        (("model.keras", "photos", "--out", "photos"), "visus changes none"),
        (("model.keras", "photos"), "Missing option"),
    ],
)
def test_wrong_usage(visus, arguments, reason):
    code, stdout, err = visus("explain", *arguments)
    assert (code, stdout) == (2, "")
    assert reason in err
