"""`visus evaluate`: a model whose answers are known, judged on pictures written here."""

import json
import math
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

import visus.predict
from visus import data as vdata
from visus.cli.evaluate import _check_folder, evaluate
from visus.data.split import split, write_split
from visus.evaluate import evaluate as judge
from visus.structures import InputError
from visus.train.run import Run

NAMES = ("daisy", "rose", "tulip")


class KnownPredictor:
    """Reads the answer from the picture's first pixel: (class, confidence in percent, is readable)."""

    class_names: tuple[str, ...] = NAMES
    multi_label = False
    runtimes = (SimpleNamespace(kind="litert", notes=()),)

    def __init__(self, model: str, *, runtime: str, tta: str | None) -> None:
        if model.startswith("no"):
            raise InputError(f"There is no model at {model}.")
        self.model = model
        self.class_names = {"turned.keras": NAMES[::-1], "cars.keras": ("tulip", "rose", "car")}.get(
            Path(model).name, NAMES
        )

    def scores(self, dataset: Iterable[Any]) -> tuple[np.ndarray, dict[str, str]]:
        return (
            np.array(rows, np.float32) if (rows := list(self._rows(dataset))) else np.zeros((0, 3))
        ), self.errors

    def _rows(self, dataset: Iterable[Any]) -> Iterator[np.ndarray]:
        self.errors: dict[str, str] = {}
        for sample in dataset:
            try:
                label, percent, _ = np.asarray(Image.open(sample.image).convert("RGB"))[0, 0]
            except OSError:
                self.errors[sample.source] = "it is no picture"
                yield np.full(3, np.nan)
                continue
            if "weak" in self.model and percent < 80:
                label = (label + 1) % 3
            row = np.full(3, (1 - percent / 100) / 2)
            name = NAMES[label] if NAMES[label] in self.class_names else "car"
            row[self.class_names.index(name)] = percent / 100
            yield row


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(visus.predict, "Predictor", KnownPredictor)
    monkeypatch.chdir(tmp_path)


def folder(where: Path, names: tuple[str, ...] = NAMES, each: int = 8) -> Path:
    """Class folders; the answer to every fourth picture is the next class."""
    for label, name in enumerate(names):
        (where / name).mkdir(parents=True)
        for i in range(each):
            picture = np.zeros((5, 7, 3), np.uint8)
            answer = (NAMES.index(name.lower()) + (i % 4 == 3)) % 3 if name.lower() in NAMES else 0
            picture[0, 0] = answer, 60 + 5 * i + label, 0
            Image.fromarray(picture).save(where / name / f"{i}.png")
    return where


def run(*arguments: object) -> SimpleNamespace:
    app = typer.Typer()
    app.command()(evaluate)
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return SimpleNamespace(code=result.exit_code, out=result.stdout, err=result.stderr)


def test_figures_equal_those_of_evaluate(tmp_path: Path):
    done = run("a.keras", folder(tmp_path / "set"), "--json", "--seed", 3)
    document = json.loads(done.out)
    truth = np.repeat([0, 1, 2], 8)
    scores, _ = KnownPredictor("a", runtime="", tta=None).scores(vdata.load(tmp_path / "set"))
    expected = judge(truth, scores, NAMES, seed=3)
    assert done.code == 0
    assert document["accuracy"] == expected.figures["accuracy"].to_dict()
    assert document["accuracy"]["value"] == 0.75
    assert document["f1"] == expected.figures["f1"].to_dict()
    assert document["confusion"] == [[6, 2, 0], [0, 6, 2], [2, 0, 6]]
    assert (document["pictures"], document["split"], document["unreadable"]) == (24, "all", {})
    assert document["majority"]["class"] == "daisy"


def test_table_for_people(tmp_path: Path):
    done = run("a.keras", folder(tmp_path / "set"))
    assert "0.7500 [" in done.out
    assert "hardest first" in done.out
    assert done.err == ""


def test_classes_are_matched_by_name_and_fewer_are_legal(tmp_path: Path):
    folder(tmp_path / "set", ("tulip", "daisy"))
    done = run("a.keras", tmp_path / "set", "--json")
    document = json.loads(done.out)
    assert document["confusion"] == [[6, 2, 0], [0, 0, 0], [2, 0, 6]]
    assert document["per_class"][1]["recall"]["value"] is None
    assert "not in the data: rose" in done.err


def test_classes_that_the_model_does_not_know_are_listed(tmp_path: Path):
    folder(tmp_path / "set", ("Rose", "car"))
    with pytest.raises(InputError, match=r"'Rose' \(did you mean 'rose'\?\), 'car'"):
        run("a.keras", tmp_path / "set")


def test_unreadable_pictures_are_listed_counted_and_left_out(tmp_path: Path):
    where = folder(tmp_path / "set")
    (where / "rose" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    done = run("a.keras", where, "--json")
    document = json.loads(done.out)
    assert done.code == 1
    assert (document["pictures"], list(document["unreadable"])) == (23, ["rose/0.png"])
    assert document["confusion"][1] == [0, 5, 2]
    assert "not judged: rose/0.png: it is no picture" in done.err
    for file in where.glob("*/*.png"):
        file.write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with pytest.raises(InputError, match="None of the 24 pictures"):
        run("a.keras", where)


def test_two_models_are_compared_on_the_same_pictures(tmp_path: Path):
    done = run("strong.keras", folder(tmp_path / "set"), "--against", "weak.keras", "--json")
    against = json.loads(done.out)["against"]
    assert against["names"] == ["strong.keras", "weak.keras"]
    # Below 80 % the weak one moves on: of 0..3 in each class it keeps none right; number 3 goes two classes on.
    assert against["mcnemar"]["only_a"] == 9
    assert against["mcnemar"]["only_b"] == 0
    assert against["mcnemar"]["p"] == pytest.approx(2 / 2**9)
    assert against["differences"]["accuracy"]["difference"]["value"] == pytest.approx(9 / 24)
    text = run("strong.keras", tmp_path / "set", "--against", "weak.keras").out
    assert "more than" in text


def test_second_model_may_have_its_classes_in_another_order_but_not_others(tmp_path: Path):
    folder(tmp_path / "set")
    done = run("a.keras", tmp_path / "set", "--against", "turned.keras", "--json")
    assert json.loads(done.out)["against"]["differences"]["accuracy"]["difference"]["value"] == 0.0
    with pytest.raises(InputError, match=r"cars\.keras differs in car, daisy"):
        run("a.keras", tmp_path / "set", "--against", "cars.keras")


def test_part_is_test_else_val_else_all(tmp_path: Path):
    for part, each in (("train", 8), ("val", 4), ("test", 6)):
        folder(tmp_path / "set" / part, each=each)
    assert json.loads(run("a.keras", tmp_path / "set", "--json").out)["pictures"] == 18
    assert json.loads(run("a.keras", tmp_path / "set", "--split", "val", "--json").out)["pictures"] == 12
    assert json.loads(run("a.keras", tmp_path / "set", "--split", "all", "--json").out)["pictures"] == 54
    with pytest.raises(InputError, match="no split named 'dev'"):
        run("a.keras", tmp_path / "set", "--split", "dev")


@pytest.fixture
def trained(tmp_path: Path) -> SimpleNamespace:
    """24 pictures, and a run that had 12 of them in train and 6 each in val and test."""
    where = folder(tmp_path / "set")
    whole = split(vdata.load(where), test=0.25, val=0.25, seed=1)
    made = Run.create(tmp_path / "run", {"policy": "standard"})
    made.save(data={"fingerprint": whole.fingerprint()}, source=str(where.resolve()))
    write_split(whole, made.folder / "split.csv")
    (made.folder / "model.keras").touch()
    return SimpleNamespace(where=where, parts={s.source: s.split for s in whole}, run=made.folder)


def judged(*arguments: object) -> tuple[str, int, int | None]:
    done = json.loads(run(*arguments, "--json").out)
    return done["split"], done["pictures"], done["learned_from"]


@pytest.mark.parametrize("model", ["run", "run/model.keras"])
def test_run_knows_what_it_was_trained_on(trained: SimpleNamespace, model: str):
    done = run(model, trained.where, "--json")
    document = json.loads(done.out)
    assert (document["split"], document["pictures"]) == ("test", 6)
    assert (document["learned_from"], document["seen_in_training"]) == (0, None)
    assert done.err == ""
    assert judged(model, trained.where, "--split", "train") == ("train", 12, 12)
    assert judged(model, trained.where, "--split", "all") == ("all", 24, 12)
    assert "trained on 12 of the 24 judged pictures" in run(model, trained.where, "--split", "all").err
    assert "6 of the 6 judged pictures chose the best" in run(model, trained.where, "--split", "val").err


def test_run_knows_the_pictures_that_are_left_when_others_came_and_went(trained: SimpleNamespace):
    train = [source for source, part in trained.parts.items() if part == "train"]
    test = [source for source, part in trained.parts.items() if part == "test"]
    (trained.where / train[0]).rename(trained.where / "rose" / "new.png")
    (trained.where / test[0]).unlink()
    assert judged("run", trained.where) == ("test", 5, 0)
    assert "1 of 23 pictures are not among those of the run" in run("run", trained.where).err
    assert judged("run", trained.where, "--split", "new") == ("new", 1, 0)
    assert judged("run", trained.where, "--split", "all") == ("all", 23, 11)


def test_mostly_new_pictures_are_judged_without_those_that_taught(trained: SimpleNamespace):
    for name in NAMES:
        for file in list((trained.where / name).glob("*.png")):
            (file.parent / f"more-{file.name}").write_bytes(file.read_bytes())
    assert judged("run", trained.where) == ("new", 24, 0)


def test_wholly_other_pictures_are_all_judged(trained: SimpleNamespace, tmp_path: Path):
    other = folder(tmp_path / "other")
    for file in list(other.glob("*/*.png")):
        file.rename(file.with_name(f"other-{file.name}"))
    assert judged("run", other) == ("all", 24, 0)
    assert judged("a.keras", other) == ("all", 24, None)  # nothing is known of a file without a run


def test_other_pictures_of_the_same_names_are_new(trained: SimpleNamespace, tmp_path: Path):
    other = folder(tmp_path / "elsewhere" / "set")
    assert judged("run", other) == ("test", 6, 0)  # copies of the same files are known
    lines = (trained.run / "split.csv").read_text().splitlines()
    (trained.run / "split.csv").write_text("\n".join(line.rpartition(",")[0] for line in lines))
    assert judged("run", other) == ("test", 6, 0)  # a run of before there was a column for the content
    (trained.run / "split.csv").write_text("\n".join(lines))
    for file in other.glob("*/*.png"):
        Image.fromarray(np.full((9, 9, 3), 1, np.uint8)).save(file)
    assert judged("run", other) == ("all", 24, 0)


def test_a_folder_in_the_training_data_is_known(tmp_path: Path):
    where = tmp_path / "set"
    for part, each in (("train", 8), ("test", 4)):
        folder(where / part, each=each)
    whole = split(vdata.load(where), val=0.25, seed=1)  # as training does: there is no val
    made = Run.create(tmp_path / "run", {})
    made.save(data={}, source=str(where.resolve()))
    write_split(whole, made.folder / "split.csv")
    assert judged("run", where) == ("test", 12, 0)
    assert judged("run", where, "--split", "val") == ("val", 6, 0)
    assert judged("run", where, "--split", "train") == ("train", 18, 18)
    assert judged("run", where / "train") == ("val", 6, 0)
    assert judged("run", where / "train", "--split", "all") == ("all", 24, 18)


def test_what_the_second_model_learned_from_is_said(trained: SimpleNamespace):
    done = run("a.keras", trained.where, "--against", "run", "--json")
    assert "run was trained on 12 of the 24 judged pictures" in done.err


def test_a_run_that_cannot_be_read_is_said(trained: SimpleNamespace):
    (trained.run / "split.csv").write_text("a,b\n1,2\n")
    assert judged("run", trained.where) == ("all", 24, None)
    assert "split.csv is no list of pictures" in run("run", trained.where).err
    (trained.run / "run.json").write_text("[]")
    assert judged("run", trained.where) == ("all", 24, None)
    assert "What run was trained on is not known" in run("run", trained.where).err


def test_format_of_data_that_can_be_read_in_several_ways(tmp_path: Path):
    where = folder(tmp_path / "set")
    rows = [
        f"{f.parent.name}/{f.name},{NAMES[NAMES.index(f.parent.name) - 2]}" for f in where.glob("*/*.png")
    ]
    (where / "labels.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    with pytest.raises(InputError, match=r"2 ways: class_folders .*table"):
        run("a.keras", where)
    with pytest.raises(InputError, match=r"formats are .*class_folders"):
        run("a.keras", where, "--format", "carved-in-stone")
    # The table says the next class, which is the answer to every fourth picture.
    for name, accuracy in (("class-folders", 0.75), ("table", 0.25)):
        done = run("a.keras", where, "--format", name, "--json")
        assert json.loads(done.out)["accuracy"]["value"] == accuracy


def test_report_is_written_and_nothing_else_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[Any] = []

    def grad_cam(model: str, picture: np.ndarray, **options: Any) -> np.ndarray:
        asked.append((model, options))
        return 255 - picture

    monkeypatch.setitem(sys.modules, "visus.models", SimpleNamespace(load=lambda path: f"loaded {path}"))
    monkeypatch.setitem(sys.modules, "visus.explain.grad_cam", SimpleNamespace(grad_cam=grad_cam))
    where = folder(tmp_path / "set")
    done = run("a.keras", where, "--out", tmp_path / "out", "--json")
    assert json.loads(done.out)["report"] == str(tmp_path / "out" / "report.html")
    assert len((tmp_path / "out" / "predictions.csv").read_text().splitlines()) == 25
    assert len(asked) == 6  # the mistakes, the surest first: tulip 7 is taken for daisy
    assert asked[0] == ("loaded a.keras", {"class_index": 0, "overlay": True})
    _check_folder(tmp_path / "out")  # its own files may be replaced
    for taken in (where, tmp_path / "a.txt"):
        if taken.suffix:
            taken.write_text("mine")
        with pytest.raises(InputError, match="holds something already"):
            run("a.keras", where, "--out", taken)
    (tmp_path / "out" / "run.json").write_text("{}")
    with pytest.raises(InputError, match="report of its own"):
        run("a.keras", where, "--out", tmp_path / "out")


def test_missing_model_and_missing_data_are_sentences(tmp_path: Path):
    with pytest.raises(InputError, match="There is no model at nowhere"):
        run("nowhere", folder(tmp_path / "set"))
    with pytest.raises(InputError):
        run("a.keras", tmp_path / "nothing-here")


@pytest.mark.slow
def test_real_model_gives_the_figures_of_keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.undo()
    from sklearn.datasets import load_digits

    from visus import models

    digits = load_digits()
    names = tuple("0123456789")
    for i in range(100):
        place = tmp_path / "digits" / names[digits.target[i]]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray((digits.images[i] * 15).astype(np.uint8)).resize((28, 28)).save(place / f"{i}.png")
    model = models.create("classify/lenet-5", class_names=names, seed=1)
    models.save(model, tmp_path / "lenet.keras")
    done = run(tmp_path / "lenet.keras", tmp_path / "digits", "--json", "--out", tmp_path / "out")
    document = json.loads(done.out)
    dataset = vdata.load(tmp_path / "digits")
    from visus.data.store import decode
    from visus.image.prepare import prepare

    spec = model.image_spec
    batch = np.stack([prepare(decode(s, spec.channels), spec)[0] for s in dataset]).astype(np.float32)
    logits = np.asarray(model(batch.reshape(-1, *spec.shape), training=False)["logits"])
    assert document["accuracy"]["value"] == pytest.approx((logits.argmax(axis=1) == dataset.labels()).mean())
    log_loss = -np.log(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))[
        range(100), dataset.labels()
    ]
    assert document["log_loss"]["value"] == pytest.approx(log_loss.mean(), rel=1e-3)
    assert math.isfinite(document["milliseconds"][next(iter(document["milliseconds"]))])
    assert (tmp_path / "out" / "report.html").stat().st_size > 50_000
