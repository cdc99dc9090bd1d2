"""The survey: every planted fault is found, and sound data has no error."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data as pictures

from visus.data import Dataset, load
from visus.data.survey import Finding, survey
from visus.data.survey.findings import CHECKS, Facts, check, listed, several
from visus.data.survey.strays import Stray, strays
from visus.structures import Classification, InputError, Sample

PHOTOS = (pictures.chelsea(), pictures.astronaut(), pictures.coffee(), pictures.hubble_deep_field())


def photo(seed: int) -> np.ndarray:
    """A piece of a photograph, 90 x 120, a different one for each seed."""
    rng = np.random.default_rng(seed)
    image = PHOTOS[seed % len(PHOTOS)]
    row, column = rng.integers(0, image.shape[0] - 90), rng.integers(0, image.shape[1] - 120)
    return image[row : row + 90, column : column + 120]


def write_folder(root: Path, counts: dict[str, int], classes: tuple[str, ...] = ("cat", "dog")) -> None:
    seed = 0
    for split, count in counts.items():
        for name in classes:
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                Image.fromarray(photo(seed)).save(folder / f"{split}_{name}_{i}.jpg", quality=92)
                seed += 1


def arrays(images, labels, names=("a", "b"), **fields) -> Dataset:
    samples = tuple(
        Sample(
            image,
            None if label is None else Classification(label=label),
            source=f"#{i}",
            **{name: values[i] for name, values in fields.items()},
        )
        for i, (image, label) in enumerate(zip(images, labels))
    )
    return Dataset(samples, names)


def examine(folder: Path):
    return survey(load(folder, task=None), folder=folder)


def by_code(result) -> dict[str, Finding]:
    found: dict[str, Finding] = {}
    for finding in result.findings:
        found.setdefault(finding.code, finding)
    return found


def state(root: Path) -> str:
    """Names, contents, times and modes of everything below a folder."""
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        stat = path.lstat()
        digest.update(
            repr((str(path.relative_to(root)), stat.st_mtime_ns, stat.st_mode, stat.st_size)).encode()
        )
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    root = tmp_path_factory.mktemp("sound") / "pets"
    write_folder(root, {"train": 12, "val": 6})
    return root


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A folder with one fault of each kind."""
    root = tmp_path_factory.mktemp("planted") / "pets"
    write_folder(root, {"train": 12, "val": 6})
    train, val = root / "train", root / "val"

    def copy(source, target):
        target.write_bytes(source.read_bytes())

    copy(train / "cat/train_cat_0.jpg", val / "cat/leak.jpg")
    copy(train / "cat/train_cat_1.jpg", train / "dog/contradiction.jpg")
    copy(train / "dog/train_dog_0.jpg", train / "dog/twice.jpg")
    Image.open(train / "cat/train_cat_2.jpg").save(val / "cat/resaved.jpg", quality=50)
    Image.open(train / "dog/train_dog_1.jpg").resize((60, 45), Image.Resampling.LANCZOS).save(
        val / "dog/halved.png"
    )
    Image.open(train / "dog/train_dog_2.jpg").resize((180, 135)).save(train / "cat/enlarged.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    rotated = Image.open(train / "dog/train_dog_3.jpg").rotate(90, expand=True)
    rotated.save(val / "dog/turned.jpg", exif=exif, quality=92)
    whole = (train / "cat/train_cat_3.jpg").read_bytes()
    (train / "cat/cut.jpg").write_bytes(whole[: len(whole) // 2])
    (train / "cat/early.jpg").write_bytes(whole[: len(whole) // 2] + b"\xff\xd9" + whole[len(whole) // 2 :])
    (train / "cat/page.jpg").write_text("<!DOCTYPE html><html>not found</html>")
    (train / "cat/empty.png").write_bytes(b"")
    Image.fromarray(photo(900)).save(train / "cat/png.jpg", "PNG")
    Image.fromarray(photo(901)).save(root / "loose.jpg")
    Image.fromarray(photo(902)).save(train / "dog/no_suffix", "PNG")
    (train / "dog/notes.txt").write_text("BM looks like a bitmap, but is none")
    (train / "dog/.DS_Store").write_bytes(b"x")
    (train / "dog/link").symlink_to("/")
    os.mkfifo(train / "dog/pipe.jpg")
    rng = np.random.default_rng(0)
    for i, folder in enumerate((train / "cat", train / "dog", val / "cat")):
        dark = rng.normal(2, 1, (90, 120)).clip(0, 255).astype(np.uint8)
        Image.fromarray(dark).save(folder / f"dark_{i}.png")
    return root


def test_sound_data_has_no_error_and_no_warning(sound):
    before = state(sound)
    result = examine(sound)
    assert result.sound
    assert [f for f in result.findings if f.severity != "note"] == []
    assert state(sound) == before
    numbers = result.statistics
    assert (numbers["pictures"], numbers["readable"]) == (36, 36)
    assert numbers["classes"] == [
        {"name": "cat", "pictures": 18, "train": 12, "val": 6},
        {"name": "dog", "pictures": 18, "train": 12, "val": 6},
    ]
    assert numbers["always_majority"] == {"class": "cat", "accuracy": {"train": 0.5, "val": 0.5}}
    assert numbers["height"]["median"] == 90
    assert numbers["width"]["max"] == 120
    assert numbers["formats"] == {"JPEG": 36}
    assert numbers["bytes"]["uint8"] == 36 * 90 * 120 * 3
    assert numbers["order"]["sorted"]
    assert numbers["order"]["changes"] == 3


@pytest.mark.parametrize(
    ("code", "severity", "sources"),
    [
        ("duplicate-across-splits", "error", {"train/cat/train_cat_0.jpg", "val/cat/leak.jpg"}),
        ("duplicate-across-classes", "error", {"train/cat/train_cat_1.jpg", "train/dog/contradiction.jpg"}),
        ("duplicate", "warning", {"train/dog/train_dog_0.jpg", "train/dog/twice.jpg"}),
        (
            "near-duplicate-across-splits",
            "error",
            {
                "train/cat/train_cat_2.jpg",
                "val/cat/resaved.jpg",
                "train/dog/train_dog_1.jpg",
                "val/dog/halved.png",
            }
            | {"train/dog/train_dog_3.jpg", "val/dog/turned.jpg"},
        ),
        ("near-duplicate-across-classes", "error", {"train/dog/train_dog_2.jpg", "train/cat/enlarged.jpg"}),
        ("truncated", "error", {"train/cat/cut.jpg"}),
        ("not-a-picture", "error", {"train/cat/page.jpg"}),
        ("empty", "error", {"train/cat/empty.png"}),
        ("doubtful", "warning", {"train/cat/early.jpg"}),
        ("suffix", "warning", {"train/cat/png.jpg"}),
        ("plain", "warning", {"train/cat/dark_0.png", "train/dog/dark_1.png", "val/cat/dark_2.png"}),
        ("exif", "note", {"val/dog/turned.jpg"}),
        ("unused-picture", "warning", {"loose.jpg"}),
        ("unused-disguised", "warning", {"train/dog/no_suffix"}),
        ("unused-closed", "warning", {"train/dog/pipe.jpg"}),
        ("unused-other", "note", {"train/dog/notes.txt"}),
        ("unused-hidden", "note", {"train/dog/.DS_Store"}),
        ("unused-link", "note", {"train/dog/link/"}),
    ],
)
def test_every_planted_fault_is_found(planted_result, code, severity, sources):
    finding = by_code(planted_result)[code]
    assert finding.severity == severity
    assert set(finding.sources) == sources


@pytest.fixture(scope="module")
def planted_result(planted):
    before = state(planted)
    result = examine(planted)
    assert state(planted) == before
    return result


def test_nothing_but_the_planted_errors(planted_result):
    assert not planted_result.sound
    assert {f.code for f in planted_result.findings if f.severity == "error"} == {
        "duplicate-across-splits",
        "duplicate-across-classes",
        "near-duplicate-across-splits",
        "near-duplicate-across-classes",
        "truncated",
        "not-a-picture",
        "empty",
    }


def test_every_file_is_accounted_for(planted, planted_result):
    files = {
        p.relative_to(planted).as_posix() for p in planted.rglob("*") if not p.is_dir() or p.is_symlink()
    }
    used = {s.source for s in planted_result.facts.dataset}
    left = {s.source.rstrip("/") for s in planted_result.facts.strays}
    assert used | left == files
    assert not used & left


def test_groups_of_a_finding_belong_together(planted_result):
    finding = by_code(planted_result)["near-duplicate-across-splits"]
    assert ("train/cat/train_cat_2.jpg", "val/cat/resaved.jpg") in finding.groups
    assert len(finding.groups) == 3
    assert "3 groups, such as" in finding.message


def test_findings_come_worst_first_and_as_json(planted_result):
    order = {"error": 0, "warning": 1, "note": 2}
    ranks = [order[f.severity] for f in planted_result.findings]
    assert ranks == sorted(ranks)
    document = planted_result.to_dict()
    assert json.loads(json.dumps(document))["sound"] is False
    assert document["errors"] == ranks.count(0)
    assert len(document["findings"]) == len(ranks)


def test_statistics_of_known_arrays():
    images = [np.full((10, 20, 3), v, np.uint8) for v in (0, 100)] + [np.full((30, 20), 200, np.uint8)]
    numbers = survey(arrays(images, [0, 0, 1])).statistics
    assert numbers["mean"] == pytest.approx([100, 100, 100])
    assert numbers["std"] == pytest.approx([np.std([0, 100, 200])] * 3)
    assert numbers["channels"] == {"3": 2, "1": 1}
    assert numbers["sizes"] == [[10, 20, 2], [30, 20, 1]]
    assert numbers["bytes"]["float32"] == (2 * 200 + 600) * 12
    assert numbers["always_majority"] == {"class": "a", "accuracy": {"all": 2 / 3}}
    assert numbers["brightness_by_class"]["a"]["median"] == 50
    assert numbers["gray"] == 3


def test_mean_and_std_are_those_of_all_pixels_for_equal_sizes():
    images = np.stack([photo(i) for i in range(20)])
    numbers = survey(arrays(list(images), [0, 1] * 10)).statistics
    assert numbers["mean"] == pytest.approx(images.mean((0, 1, 2)).tolist(), abs=1e-3)
    assert numbers["std"] == pytest.approx(images.std((0, 1, 2)).tolist(), abs=1e-2)


def test_memory_of_the_histology_tiles():
    tile = np.zeros((150, 150, 3), np.uint8)
    numbers = survey(arrays([tile] * 100, [0, 1] * 50)).statistics["bytes"]
    assert numbers["uint8"] * 50 == 337_500_000  # 5,000 tiles
    assert numbers["float32"] * 30 == 810_000_000  # 3,000 tiles


def test_missing_labels_and_unknown_classes():
    found = by_code(survey(arrays([photo(i) for i in range(4)], [0, None, 1, 5])))
    assert found["no-label"].sources == ("#1",)
    assert found["unknown-class"].sources == ("#3",)


def test_class_never_in_train_is_an_error():
    images = [photo(i) for i in range(40)]
    splits = ["train"] * 20 + ["val"] * 20
    labels = [0] * 10 + [2] * 10 + [0] * 10 + [1] * 10
    found = by_code(survey(arrays(images, labels, ("a", "b", "c", "d"), split=splits)))
    assert found["class-not-in-train"].severity == "error"
    assert "b" in found["class-not-in-train"].message
    assert "c" in found["class-not-judged"].message
    assert "d" in found["empty-class"].message


def test_one_class_alone_cannot_be_learned():
    found = by_code(survey(arrays([photo(i) for i in range(12)], [0] * 12, ("a",))))
    assert found["one-class"].severity == "error"


def test_imbalance_and_small_classes():
    labels = [0] * 33 + [1] * 3 + [2] * 11
    found = by_code(survey(arrays([photo(i) for i in range(47)], labels, ("a", "b", "c"))))
    assert found["imbalance"].severity == "warning"
    assert "11.0 times" in found["imbalance"].message
    assert "b 3" in found["small-class"].message
    assert found["small-class"].severity == "warning"


def test_a_group_in_two_splits_is_an_error():
    dataset = arrays(
        [photo(i) for i in range(4)],
        [0, 1, 0, 1],
        group=["p1", "p2", "p1", None],
        split=["train", "train", "val", "val"],
    )
    finding = by_code(survey(dataset))["group-across-splits"]
    assert finding.severity == "error"
    assert finding.sources == ("#0", "#2")


def test_class_names_alike():
    found = by_code(survey(arrays([photo(0), photo(1)], [0, 1], ("Red fox", "red_fox"))))
    assert found["class-names-alike"].severity == "warning"
    assert "class-names-alike" not in by_code(survey(arrays([photo(0), photo(1)], [0, 1], ("+", "-"))))


def test_a_batch_of_another_size_and_background():
    rng = np.random.default_rng(0)
    images, labels = [], []
    for i in range(100):
        image = np.full((60, 70, 3), (230, 210, 170), np.uint8)
        image[20:40, 20:50] = photo(i)[20:40, 20:50]
        images.append(np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8))
        labels.append(i % 4)
    for i in range(0, 24, 4):
        images[i] = np.pad(images[i][2:-2, 2:-2, ::-1], ((4, 4), (4, 4), (0, 0)), mode="edge")
    found = by_code(survey(arrays(images, labels, tuple("abcd"))))
    batch = found["batch"]
    assert batch.severity == "warning"
    assert set(batch.sources) == {f"#{i}" for i in range(0, 24, 4)}
    assert "64 x 74: 6; others 60 x 70" in batch.message
    assert "background tint" in batch.message
    assert "a 6" in batch.message
    assert "Chance would not spread them like this" in batch.message


def test_a_class_saved_in_another_format_is_a_shortcut(tmp_path):
    for name, suffix in (("cat", "jpg"), ("dog", "png")):
        (tmp_path / name).mkdir()
        for i in range(20):
            Image.fromarray(photo(i + 400 * (name == "dog"))).save(tmp_path / name / f"{name}{i}.{suffix}")
    result = examine(tmp_path)
    shortcuts = [f for f in result.findings if f.code == "shortcut"]
    assert [f.severity for f in shortcuts] == ["warning"]
    assert "file format" in shortcuts[0].message
    [cue] = [c for c in result.statistics["cues"] if c["cue"] == "file format"]
    assert cue["balanced_accuracy"]["value"] == 1.0
    assert cue["chance"] == 0.5
    assert cue["telling"]


def test_kinds_of_picture_that_trip_other_tools(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
    alpha = np.dstack([photo(0), np.full((90, 120), 9, np.uint8)])
    Image.fromarray(alpha).save(tmp_path / "cat/alpha.png")
    Image.fromarray(photo(1).astype(np.uint16)[..., 0] * 200).save(tmp_path / "cat/deep.png")
    frames = [Image.fromarray(photo(i)) for i in (2, 3)]
    frames[0].save(tmp_path / "dog/moving.gif", save_all=True, append_images=frames[1:])
    Image.fromarray(photo(4)[:12]).save(tmp_path / "dog/tiny.png")
    Image.fromarray(photo(5)).save(tmp_path / "dog/usual.png")
    Image.fromarray(np.resize(photo(6), (5000, 4100, 3))).save(tmp_path / "dog/huge.jpg")
    found = by_code(examine(tmp_path))
    for code, source in {
        "alpha": "cat/alpha.png",
        "deep": "cat/deep.png",
        "frames": "dog/moving.gif",
        "tiny": "dog/tiny.png",
        "long": "dog/tiny.png",
        "huge": "dog/huge.jpg",
    }.items():
        assert found[code].sources == (source,), code
    assert found["tiny"].severity == "warning"


def test_outliers_in_brightness_and_sharpness():
    rng = np.random.default_rng(0)
    images = [np.clip(rng.normal(120 + i % 5, 20, (40, 50)), 0, 255).astype(np.uint8) for i in range(60)]
    images[7] = images[7] // 4
    images[8] = np.tile(np.linspace(60, 180, 50).astype(np.uint8), (40, 1))
    found = by_code(survey(arrays(images, [0, 1] * 30)))
    assert found["unusually-dark"].sources == ("#7",)
    assert "#8" in found["unusually-blurred"].sources
    assert "unusually-bright" not in found


def test_several_labels_per_picture():
    flags = [(1, 0, 1), (0, 1, 0), (1, 1, 0), (1, 0, 1)]
    samples = [
        Sample(
            photo(i),
            Classification(labels=np.array(f, np.uint8)),
            source=f"#{i}",
            split="train" if i < 3 else "val",
        )
        for i, f in enumerate(flags)
    ]
    samples[3] = samples[3].replace(image=photo(1))
    result = survey(Dataset(tuple(samples), ("a", "b", "c")))
    assert [row["pictures"] for row in result.statistics["classes"]] == [3, 2, 2]
    assert result.statistics["always_majority"] is None
    found = by_code(result)
    assert (
        found["duplicate-across-splits"].sources == found["duplicate-across-classes"].sources == ("#1", "#3")
    )


def test_same_names_in_two_folders_are_noted(tmp_path):
    for i, name in enumerate(("cat", "dog")):
        (tmp_path / name).mkdir()
        Image.fromarray(photo(i)).save(tmp_path / name / "1.png")
    finding = by_code(examine(tmp_path))["same-name"]
    assert finding.severity == "note"
    assert finding.groups == (("cat/1.png", "dog/1.png"),)


def test_nothing_readable_still_gives_a_survey(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.jpg").write_bytes(b"")
    result = examine(tmp_path)
    assert not result.sound
    assert result.statistics["readable"] == 0
    assert by_code(result)["empty"].sources == ("cat/a.jpg", "dog/a.jpg")


def test_pictures_beside_those_of_a_list_are_told(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "elsewhere").mkdir()
    rows = ["path,label"]
    for i in range(6):
        Image.fromarray(photo(i)).save(tmp_path / "images" / f"{i}.png")
        Image.fromarray(photo(i)).save(tmp_path / "elsewhere" / f"{i}.png")
        rows += [f"images/{i}.png,{'ab'[i % 2]}"] * (i < 5)
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    result = survey(load(tmp_path / "labels.csv", task=None))
    assert by_code(result)["unused-picture"].sources == ("images/5.png",)


def test_strays_of_arrays_are_none(tmp_path):
    (tmp_path / "file.txt").write_text("x")
    assert strays(arrays([photo(0)], [0]), tmp_path) == []


def test_a_hidden_folder_is_told_as_one(sound, tmp_path):
    write_folder(tmp_path / "set", {"train": 2})
    (tmp_path / "set/.git/objects").mkdir(parents=True)
    (tmp_path / "set/.git/objects/a").write_text("x")
    assert strays(load(tmp_path / "set", task=None), tmp_path / "set") == [Stray(".git/", "hidden")]


def test_a_new_kind_of_finding_is_one_function(sound):
    @check
    def odd_number(facts: Facts):
        yield Finding("note", "even", f"{len(facts.dataset)} is even")

    try:
        assert "even" in by_code(examine(sound))
    finally:
        CHECKS.remove(odd_number)


def test_words():
    assert several(0, "picture", "pictures") == "0 pictures"
    assert listed([1, 2, 3], 2) == "1, 2 and 1 more"
    assert listed([]) == ""


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(InputError):
        examine(tmp_path)


@pytest.mark.data("pbc_blood_cells")
@pytest.mark.slow
def test_pbc_blood_cells_have_thirteen_odd_pictures(data_folder):
    result = examine(Path(data_folder))
    assert result.sound
    [batch] = [f for f in result.findings if f.code == "batch"]
    assert batch.severity == "warning"
    assert len(batch.sources) == 13
    assert "background tint" in batch.message
    assert batch.message.endswith(
        "By class: ig 4, lymphocyte 4, basophil 2, monocyte 2, erythroblast 1. They may come from another source: "
        "see that no class depends on it."
    )


@pytest.mark.data("flowers5")
@pytest.mark.slow
def test_flowers5_has_one_picture_in_train_and_val(data_folder):
    result = examine(Path(data_folder))
    errors = [f for f in result.findings if f.severity == "error"]
    assert [f.code for f in errors] == ["duplicate-across-splits"]
    train, val = errors[0].sources
    assert (Path(data_folder) / train).read_bytes() == (Path(data_folder) / val).read_bytes()


@pytest.mark.data("orl_faces")
def test_orl_faces_are_no_duplicates(data_folder):
    result = examine(Path(data_folder))
    assert result.sound
    assert result.statistics["duplicates"] == {"equal_groups": 0, "equal_pictures": 0, "near_pairs": 0}


@pytest.mark.data("mnist")
@pytest.mark.slow
def test_mnist_is_sound(data_folder):
    result = survey(load(data_folder, task=None))
    assert result.sound
    assert result.statistics["pictures"] == 70_000
    assert result.statistics["duplicates"] == {"equal_groups": 0, "equal_pictures": 0, "near_pairs": 0}
    assert np.allclose(np.array(result.statistics["mean"]) / 255, 0.1309, atol=2e-4)  # of all 70,000
