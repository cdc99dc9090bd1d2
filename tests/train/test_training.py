"""The main job end to end, on pictures that are made here: a run folder, resumed runs, honest errors."""

import json
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from visus import models
from visus.data import Dataset
from visus.image.io import read, write
from visus.structures import Classification, InputError, Sample
from visus.train import Run, resume, train
from visus.train.features import weights_hash
from visus.train.run import in_use

NAMES = ("stripes", "checks")


def picture(label, rng, height=28, width=28):
    """Horizontal stripes or a checkerboard, with noise and a random brightness."""
    rows, columns = np.mgrid[:height, :width] // 4 % 2
    pattern = rows if label == 0 else rows ^ columns
    values = pattern * rng.integers(60, 140) + rng.integers(20, 60) + rng.normal(0, 8, (height, width))
    return np.clip(values, 0, 255).astype(np.uint8)


def make(n=48, splits=("train", "train", "val", "test")):
    rng = np.random.default_rng(0)
    return Dataset(
        tuple(
            Sample(
                picture(i % 2, rng),
                Classification(label=i % 2),
                f"made#{i}",
                split=splits[(i // 2) % len(splits)],
            )
            for i in range(n)
        ),
        NAMES,
        "patterns",
    )


def folder_of_pictures(root, n=40):
    rng = np.random.default_rng(1)
    for i in range(n):
        path = root / NAMES[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, picture(i % 2, rng, 30, 34))
    return root


LENET = {"model": "classify/lenet-5-modern", "batch_size": 8, "policy": "none", "learning_rate": 2e-3}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of a small net that learns from nothing."""
    return train(make(96), out=tmp_path_factory.mktemp("run") / "a", epochs=12, **LENET)


@pytest.mark.backend
def test_a_net_from_scratch_learns_and_the_run_folder_is_complete(finished):
    assert finished.record["status"] == "done"
    assert finished.record["results"]["accuracy"]["value"] > 0.9
    assert finished.record["judged"]["split"] == "test"
    for name in (
        "model.keras",
        "metrics.csv",
        "report.html",
        "predictions.csv",
        "evaluation.json",
        "split.csv",
    ):
        assert (finished.folder / name).stat().st_size > 0
    assert list((finished.folder / "tensorboard").rglob("events.out.tfevents.*"))
    assert len((finished.folder / "metrics.csv").read_text().splitlines()) == 13
    record = json.loads((finished.folder / "run.json").read_text())
    assert record["data"]["splits"]["train"] == {"stripes": 24, "checks": 24}
    assert record["arguments"]["seed"] == 0


def test_the_model_carries_names_and_size_and_equals_the_recorded_weights(finished):
    model = models.load(finished.model_file)
    assert model.class_names == NAMES
    assert model.image_spec.size == (28, 28)
    assert weights_hash(model) == finished.record["weights_sha256"]


def test_a_finished_run_is_not_trained_again(finished):
    said = []
    assert resume(finished.folder, data=make(96), say=said.append).record["weights_sha256"]
    assert "nothing to resume" in said[-1]


def test_changed_data_cannot_be_resumed(finished, tmp_path):
    other = make(96)
    other = Dataset((other[0].replace(image=other[0].image + 1), *other[1:]), NAMES, "patterns")
    with pytest.raises(InputError, match="have changed"):
        resume(finished.folder, data=other)


class StopAfter(keras.callbacks.Callback):
    """Breaks training off in the middle of an epoch, as Ctrl-C would."""

    def __init__(self, epoch, batch):
        super().__init__()
        self.stop, self.epoch = (epoch, batch), 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.stop:
            raise KeyboardInterrupt


@pytest.mark.parametrize("stop", [(0, 2), (3, 1)])
def test_an_interrupted_run_ends_with_the_same_bits(tmp_path, stop):
    arguments = {**LENET, "epochs": 5, "ema": 0.9, "patience": 20, "policy": "light"}
    whole = train(make(), out=tmp_path / "whole", **arguments)
    with pytest.raises(KeyboardInterrupt):
        train(make(), out=tmp_path / "cut", callbacks=[StopAfter(*stop)], **arguments)
    again = resume(tmp_path / "cut", data=make())
    assert again.record["weights_sha256"] == whole.record["weights_sha256"]
    assert again.metrics_file.read_text() == whole.metrics_file.read_text()


def test_two_processes_do_not_train_in_one_folder(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(make(), out=tmp_path / "run", callbacks=[StopAfter(0, 1)], **{**LENET, "epochs": 1})
    with in_use(tmp_path / "run"):
        for again in (
            lambda: resume(tmp_path / "run", data=make()),
            lambda: train(make(), out=tmp_path / "run", **{**LENET, "epochs": 1}),
        ):
            with pytest.raises(InputError, match="Another process is training"):
                again()
    assert resume(tmp_path / "run", data=make()).record["status"] == "done"
    assert not (tmp_path / "run" / ".lock").exists()


def test_what_visus_wrote_is_no_data(tmp_path, monkeypatch):
    folder_of_pictures(tmp_path, 40)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        train(".", callbacks=[StopAfter(0, 1)], **{**LENET, "epochs": 2})
    (run,) = (tmp_path / "runs").glob("*-1")
    assert resume(run).class_names == ("checks", "stripes")
    assert train(".", **{**LENET, "epochs": 1}).class_names == ("checks", "stripes")


def test_pictures_that_were_copied_anew_are_the_same(tmp_path):
    data = folder_of_pictures(tmp_path / "pictures", 40)
    with pytest.raises(KeyboardInterrupt):
        train(data, out=tmp_path / "run", callbacks=[StopAfter(0, 1)], **{**LENET, "epochs": 1})
    picture = data / "stripes" / "0.png"
    picture.touch()
    before = picture.read_bytes()
    picture.write_bytes(before[:-20] + bytes(8) + before[-12:])
    with pytest.raises(InputError, match="have changed since"):
        resume(tmp_path / "run")
    picture.write_bytes(before)
    assert resume(tmp_path / "run").record["status"] == "done"


def test_lost_best_weights_are_told_and_do_not_end_the_training(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(make(), out=tmp_path / "run", callbacks=[StopAfter(2, 1)], **{**LENET, "epochs": 4})
    best = tmp_path / "run" / "checkpoints" / "best-scratch.npz"
    best.write_bytes(best.read_bytes()[:1000])
    said = []
    assert resume(tmp_path / "run", data=make(), say=said.append).record["status"] == "done"
    assert any("The best weights so far are lost" in text for text in said)


def test_a_test_split_that_nobody_can_read_is_told_before_training(tmp_path):
    data = folder_of_pictures(tmp_path / "pictures", 40)
    for name in NAMES:
        (tmp_path / "set" / "test" / name).mkdir(parents=True)
        (tmp_path / "set" / "test" / name / "x.png").write_bytes(b"nothing")
    data.rename(tmp_path / "set" / "train")
    with pytest.raises(InputError, match="None of the 2 pictures of the split test can be read"):
        train(tmp_path / "set", out=tmp_path / "run", **{**LENET, "epochs": 1})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("damage", [lambda r: r.pop("data"), lambda r: r.update(arguments=None)])
def test_a_run_that_lacks_its_beginning_is_a_sentence(tmp_path, damage):
    run = train(make(), out=tmp_path / "run", **{**LENET, "epochs": 1})
    run.record["status"] = "started"
    damage(run.record)
    run.save()
    with pytest.raises(InputError, match=r"run\.json"):
        resume(run.folder, data=make())


def test_a_run_shows_what_the_model_saw(tmp_path):
    run = train(make(), out=tmp_path / "run", **{**LENET, "epochs": 1, "policy": "light"})
    assert read(run.folder / "plots" / "augmentation.png").ndim == 3
    assert "What the model saw" in (run.folder / "report.html").read_text()


@pytest.mark.slow
def test_a_killed_process_resumes_to_the_same_bits_through_both_phases(tmp_path):
    data = folder_of_pictures(tmp_path / "pictures")
    command = [sys.executable, "-m", "visus", "train"]
    options = ["--size", "32", "--epochs", "2", "--batch", "8", "--set", "head_epochs=3", "--set", "ema=0.9"]

    def start(*arguments):
        return subprocess.Popen([*command, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    assert start(str(data), "--out", str(tmp_path / "whole"), *options).wait(300) == 0
    process = start(str(data), "--out", str(tmp_path / "killed"), *options)
    checkpoints = tmp_path / "killed" / "checkpoints"
    # Four states of the head, one before tuning; the sixth is the first that tuning brings forth.
    while process.poll() is None and not (checkpoints / "state-000006.npz").exists():
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert Run.open(tmp_path / "killed").record["status"] == "started"
    assert start("--resume", str(tmp_path / "killed")).wait(300) == 0
    hashes = {Run.open(tmp_path / name).record["weights_sha256"] for name in ("whole", "killed")}
    assert len(hashes) == 1


@pytest.mark.slow
@pytest.mark.backend
def test_a_folder_without_splits_trains_with_the_pretrained_trunk_and_reports_a_broken_file(tmp_path):
    data = folder_of_pictures(tmp_path / "pictures", 60)
    (data / "stripes" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    said = []
    # A rate at which tuning ruins the net: the weights before it are taken then.
    run = train(
        data,
        out=tmp_path / "run",
        size=(32, 40),
        epochs=1,
        head_epochs=20,
        learning_rate=0.5,
        say=said.append,
    )
    assert any("broken.png" in text for text in [*said, *run.record["judged"]["unreadable"]])
    assert set(run.record["data"]["splits"]) == {"train", "val", "test"}
    assert run.record["results"]["accuracy"]["value"] > 0.7
    phases = {line.split(",")[0] for line in run.metrics_file.read_text().splitlines()[1:]}
    assert phases == {"head", "tune"}


def test_many_labels_for_one_picture_train_with_sigmoids(tmp_path):
    rng = np.random.default_rng(2)
    samples = []
    for i in range(40):
        a, b = i % 2, i // 2 % 2
        image = np.full((28, 28), 40, np.uint8)
        image[:14] += np.uint8(120 * a)
        image[14:] += np.uint8(120 * b)
        image = image + rng.integers(0, 20, image.shape).astype(np.uint8)
        split = ("train", "train", "train", "test")[i // 4 % 4]
        samples.append(Sample(image, Classification(labels=np.array([a, b])), f"made#{i}", split=split))
    dataset = Dataset(tuple(samples), ("top", "bottom"), "lights")
    run = train(dataset, out=tmp_path / "run", epochs=25, **{**LENET, "val": 0.0})
    assert run.record["results"]["mAP"]["value"] > 0.9


def test_a_data_set_without_train_is_refused(tmp_path):
    with pytest.raises(InputError, match="no split named train"):
        train(make(splits=("val",)), out=tmp_path / "run", **LENET)
    assert not (tmp_path / "run").exists()


def test_an_existing_folder_is_never_trained_into(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(InputError, match="not empty"):
        train(make(), out=tmp_path, **LENET)


@pytest.mark.parametrize("wrong", [{"model": "typo"}, {"foo": 1}, {"size": (8, 8)}])
def test_a_wrong_argument_leaves_no_folder_behind(tmp_path, wrong):
    with pytest.raises(InputError):
        train(make(), out=tmp_path / "run", **{**LENET, "epochs": 1, **wrong})
    assert not (tmp_path / "run").exists()


def test_pictures_of_one_group_stay_in_one_split(tmp_path):
    data = folder_of_pictures(tmp_path / "pictures", 40)
    run = train(data, out=tmp_path / "run", epochs=1, group=r"(\d)\.png$", **LENET)
    where = {}
    for line in (run.folder / "split.csv").read_text().splitlines()[1:]:
        source, _, split, *_ = line.split(",")
        where.setdefault(source[-5], set()).add(split)
    assert len(where) == 10
    assert all(len(splits) == 1 for splits in where.values())


def test_a_generator_of_callbacks_is_not_used_up(tmp_path):
    seen = []
    spy = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    train(make(), out=tmp_path / "run", epochs=2, callbacks=(c for c in [spy]), **LENET)
    assert seen == [0, 1]
