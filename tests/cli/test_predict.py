"""`visus predict`: formats, exit codes, lists on stdin, annotated pictures, and no harm to anybody's files."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from visus.image.io import read, write
from visus.models import create, save
from visus.predict import Predictor

NAMES = ("ant", "bee", "cat", "dog")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A run folder, some pictures in folders, a file that is none, and a cache."""
    home = tmp_path_factory.mktemp("home")
    model = create("histology-v1", class_names=NAMES, image_size=(48, 60), weights="none", seed=2)
    (home / "run").mkdir()
    save(model, home / "run" / "model.keras")
    (home / "photos" / "deep").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ("b.png", "a.jpg", "deep/c d.png"):
        write(home / "photos" / name, rng.integers(0, 256, (40, 70, 3), np.uint8))
    (home / "photos" / "notes.txt").write_text("not a picture, and not asked for")
    return home


@pytest.fixture
def truth(home):
    predictor = Predictor(home / "run", cache_dir=home / "cache")
    return lambda name: next(predictor(home / "photos" / name)).result


def test_a_table_for_people(visus, truth):
    code, out, err = visus("predict", "run", "photos")
    assert code == 0
    lines = out.splitlines()
    assert [line.split()[0] for line in lines] == ["photos/a.jpg", "photos/b.png", "photos/deep/c"]
    for line, name in zip(lines, ("a.jpg", "b.png", "deep/c d.png")):
        best = [f"{label} {score:.1%}" for label, score in truth(name).top(3, NAMES)]
        assert "   ".join(best) in line
        assert line.endswith("(uncertain)")
    assert "3 pictures in" in err
    assert "litert" in err


def test_json_is_one_document(visus, truth):
    code, out, _ = visus("predict", "run", "photos", "--json", "--top", "1")
    document = json.loads(out)
    assert code == 0
    assert document["class_names"] == list(NAMES)
    assert (document["model"], document["runtime"]) == (["run"], "litert")
    assert (document["pictures"], document["errors"]) == (3, 0)
    row = document["predictions"][0]
    label, score = truth("a.jpg").top(1, NAMES)[0]
    assert row == {
        "path": "photos/a.jpg",
        "label": label,
        "score": pytest.approx(score),
        "uncertain": True,
        "top": [{"label": label, "score": pytest.approx(score)}],
        "error": None,
    }


def test_a_pretrained_model_by_name_names_its_thousand_classes(visus):
    code, out, _ = visus("predict", "efficientnet-lite0", "photos", "--json", "--top", 5)
    document = json.loads(out)
    assert code == 0
    assert document["model"] == ["efficientnet-lite0"]
    assert len(document["class_names"]) == 1000
    for row in document["predictions"]:
        assert all(re.fullmatch(r"n\d{8}", each["id"]) for each in row["top"])


def test_errors_are_rows_and_exit_code_1(visus, home):
    (home / "bad.jpg").write_bytes(b"\xff\xd8\xff nothing")
    code, out, err = visus("predict", "run", "bad.jpg", "photos/a.jpg", "gone.png", "--format", "jsonl")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert [row["label"] is None for row in rows] == [True, False, True]
    assert "bad.jpg cannot be read" in rows[0]["error"]
    assert "gone.png" in rows[2]["error"]
    assert "2 could not be read" in err
    code, out, _ = visus("predict", "run", "bad.jpg", "--json")
    assert (code, json.loads(out)["errors"]) == (1, 1)
    code, out, _ = visus("predict", "run", "bad.jpg")
    assert code == 1
    assert "cannot be read" in out


def test_csv_with_awkward_names(visus, home, truth):
    folder = home / "awkward"
    folder.mkdir(exist_ok=True)
    names = ['comma, "quoted".png', "line\nbreak.png", "\x1b[31mred.png", os.fsdecode(b"latin\xe9.png")]
    for name in names:
        write(folder / "x.png", read(home / "photos" / "a.jpg"))
        (folder / "x.png").rename(folder / name)
    code, _, _ = visus("predict", "run", "awkward", "--out", "found.csv", "--top", "4")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO((home / "found.csv").read_bytes().decode(), newline="")))
    assert {row["path"] for row in rows} == {f"awkward/{name}" for name in names[:3]} | {
        "awkward/latin\\xe9.png"
    }
    best = truth("a.jpg").top(4, NAMES)
    for row in rows:
        assert (row["label"], row["label_2"], row["label_4"]) == (best[0][0], best[1][0], best[3][0])
        assert float(row["score"]) == pytest.approx(best[0][1], abs=1e-6)
        assert (row["uncertain"], row["error"]) == ("1", "")
    code, out, _ = visus("predict", "run", "awkward")
    assert "\x1b" not in out
    assert len(out.splitlines()) == 4
    code, out, _ = visus("predict", "run", "awkward", "--json")
    assert len(json.loads(out)["predictions"]) == 4


def test_a_list_on_stdin(visus, home):
    code, out, _ = visus(
        "predict",
        "run",
        "-",
        "--format",
        "csv",
        stdin=b"photos/a.jpg\n\nphotos/deep/c d.png\r\n" + bytes([0xE9]) + b".png\n",
    )
    assert code == 1
    assert [row["path"] for row in csv.DictReader(io.StringIO(out))] == [
        "photos/a.jpg",
        "photos/deep/c d.png",
        "\\xe9.png",
    ]
    assert visus("predict", "run", "-")[:2] == (0, "")


def test_patterns(visus):
    code, out, _ = visus("predict", "run", "photos/**/*.png", "--format", "jsonl")
    assert code == 0
    assert [json.loads(line)["path"] for line in out.splitlines()] == ["photos/b.png", "photos/deep/c d.png"]
    code, out, err = visus("predict", "run", "photos/*.tif", "--json")
    assert (code, out) == (2, "")
    assert "No file matches photos/*.tif" in err


def test_out_decides_the_format_and_appears_as_a_whole(visus, home):
    code, out, _ = visus("predict", "run", "photos", "--out", "rows.jsonl")
    assert (code, out) == (0, "")
    assert len((home / "rows.jsonl").read_text().splitlines()) == 3
    code, out, _ = visus("predict", "run", "photos", "--out", "rows.json", "--json")
    assert json.loads(out) == {
        "model": ["run"],
        "runtime": "litert",
        "class_names": list(NAMES),
        "pictures": 3,
        "errors": 0,
        "out": "rows.json",
    }
    assert len(json.loads((home / "rows.json").read_text())["predictions"]) == 3
    assert not (home / "rows.json.part").exists()


def test_out_replaces_only_earlier_predictions(visus, home):
    (home / "mine").mkdir()
    (home / "mine" / "1.png").write_bytes((home / "photos" / "b.png").read_bytes())
    (home / "mine" / "labels.csv").write_text("path,label\n1.png,ant\n")
    (home / "mine" / "notes.jsonl").write_text('{"path": "1.png", "label": "ant"}\n')
    (home / "mine" / "new.csv.part").write_text("a letter")
    before = {file: file.read_bytes() for file in (home / "mine").iterdir()}
    for name in ("labels.csv", "notes.jsonl", "new.csv"):
        code, out, err = visus("predict", "run", "mine/1.png", "--out", f"mine/{name}")
        assert (code, out) == (2, "")
        assert "holds no predictions of visus" in err
    assert {file: file.read_bytes() for file in (home / "mine").iterdir()} == before
    (home / "again.csv").touch()
    for form in ("csv", "json", "jsonl", "table", "table"):  # each replaces the one before it
        assert visus("predict", "run", "photos", "--out", "again.csv", "--format", form)[0] == 0


def test_interrupted_predictions_are_kept_apart(visus, home, monkeypatch):
    before = "path,label,score,uncertain,error\nbefore.png,ant,0.9,0,\n"
    (home / "rows.csv").write_text(before)

    seen = []

    def stop(*_):
        seen.append(1)
        if len(seen) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("visus.cli.predict._annotate", stop)
    code, _, err = visus("predict", "run", "photos", "--out", "rows.csv", "--annotate", "annotated")
    assert code == 130
    assert "rows.csv.part holds the first 2 predictions" in err
    assert (home / "rows.csv").read_text() == before
    assert len((home / "rows.csv.part").read_text().splitlines()) == 3


def test_annotated_pictures(visus, home):
    before = {path: path.read_bytes() for path in (home / "photos").rglob("*") if path.is_file()}
    code, _, _ = visus("predict", "run", "photos", "--annotate", "annotated", "--top", "2")
    assert code == 0
    assert sorted(str(p.relative_to(home / "annotated")) for p in (home / "annotated").rglob("[!.]*.*")) == [
        "a.jpg",
        "b.png",
        "deep/c d.png",
    ]
    found = read(home / "annotated" / "b.png")
    picture = read(home / "photos" / "b.png").repeat(3, axis=0).repeat(3, axis=1)
    np.testing.assert_array_equal(found[:120], picture)
    assert found[120:].max() == 255
    code, _, err = visus("predict", "run", "photos", "--annotate", "photos")
    assert code == 2
    assert "visus changes none" in err
    # own/b.png is somebody's, and would be the name of the annotated copy of own/deep/b.png.
    (home / "own" / "deep").mkdir(parents=True)
    write(home / "own" / "b.png", picture)
    write(home / "own" / "deep" / "b.png", picture[:60])
    code, out, err = visus("predict", "run", "own/deep", "--annotate", "own", "--json")
    assert (code, out) == (2, "")
    np.testing.assert_array_equal(read(home / "own" / "b.png"), picture)
    assert visus("predict", "run", "photos", "--annotate", "annotated")[0] == 0  # its own may be renewed
    assert {path: path.read_bytes() for path in before} == before


def test_annotated_pictures_have_different_names(visus, home):
    for name in ("x.bmp", "x.bmp.png", "x.bmp.png.png", "x.tif"):
        (home / "alike").mkdir(exist_ok=True)
        write(home / "alike" / name, read(home / "photos" / "b.png"))
    assert visus("predict", "run", "alike", "--annotate", "told-apart")[0] == 0
    assert sorted(file.name for file in (home / "told-apart").glob("[!.]*")) == [
        "x.bmp.png",
        "x.bmp.png.png",
        "x.bmp.png.png.png",
        "x.tif.png",
    ]


def test_nothing_is_written_outside_the_folder(visus, home):
    visus(
        "predict", "run", "photos/deep/../../photos/a.jpg", "photos/deep/c d.png", "--annotate", "inside/here"
    )
    assert sorted(str(p.relative_to(home / "inside")) for p in (home / "inside").rglob("[!.]*.*")) == [
        "here/a.jpg",
        "here/deep/c d.png",
    ]
    visus(
        "predict",
        "run",
        "-",
        "--annotate",
        "listed",
        stdin=b"../home0/photos/a.jpg\nphotos/../photos/b.png\n",
    )
    found = [p.relative_to(home / "listed") for p in (home / "listed").rglob("*.png")]
    assert [p.name for p in found] == ["b.png"]


def test_ensembles_views_and_runtimes(visus, home):
    other = create("histology-v1", class_names=NAMES, image_size=(50, 48), weights="none", seed=5)
    save(other, home / "other.keras")
    arguments = ("photos/a.jpg", "--json", "--top", "4")
    code, out, _ = visus(
        "predict", "run", *arguments, "--and", "other.keras", "--tta", "flip", "--batch", "2"
    )
    assert code == 0
    document = json.loads(out)
    assert document["model"] == ["run", "other.keras"]
    predictor = Predictor([home / "run", home / "other.keras"], tta="flip", cache_dir=home / "cache")
    expected = next(predictor(home / "photos" / "a.jpg")).result.top(4, NAMES)
    given = [(each["label"], pytest.approx(each["score"])) for each in document["predictions"][0]["top"]]
    assert given == expected
    assert json.loads(visus("predict", "run", *arguments, "--runtime", "keras")[1])["runtime"] == "keras"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("nowhere", "photos"), "no model at nowhere"),
        (("run", "photos", "--top", "5"), "knows 4 classes, and --top asks for 5"),
        (("run", "photos", "--format", "xml"), "one of table, csv, jsonl, json"),
        (("run", "photos", "--json", "--format", "csv"), "Choose one of them"),
        (("run", "photos", "--out", "photos"), "photos is a folder"),
        (("run", "photos", "--out", "rows.xlsx"), "The suffix of --out says the format: .csv, .jsonl"),
        (("run", "photos", "--runtime", "tensorrt"), "no runtime 'tensorrt'"),
        (("run", "photos", "--tta", "flop"), "no views named 'flop'"),
        (("photos", "photos"), "should hold model.keras"),
        (("run", "empty", "--json"), "holds no picture"),
        (("run", "photos", "empty", "--json"), "holds no picture"),
        (("run", "photos", "nothing*.png", "--json"), "No file matches nothing*.png"),
        (("run",), "Missing argument"),
    ],
)
def test_wrong_usage(visus, home, arguments, reason):
    (home / "empty").mkdir(exist_ok=True)
    code, out, err = visus("predict", *arguments)
    assert (code, out) == (2, "")
    assert reason in err


def test_a_reader_that_stops_early(home):
    code = "from visus.cli.main import main; main()"
    command = f"{sys.executable} -c '{code}' predict run " + " photos" * 40 + " | head -n 2"
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=home,
        env={**os.environ, "VISUS_CACHE": str(home / "cache")},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert len(done.stdout.splitlines()) == 2
    assert "Traceback" not in done.stderr
    assert "Errno" not in done.stderr


@pytest.mark.parametrize("out", [(), ("--out", "cut.csv")])
def test_an_interrupt_is_a_sentence_and_exit_code_130(home, out):
    code = "from visus.cli.main import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", code, "predict", "run", "-", "--batch", "1", *out],
        cwd=home,
        env={**os.environ, "VISUS_CACHE": str(home / "cache")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdin.write("photos/b.png\n" * 100)
        process.stdin.flush()  # and left open: the command waits for more
        if out:
            while not (home / "cut.csv.part").exists():
                time.sleep(0.05)
                assert process.poll() is None
        else:
            assert process.stdout.readline().startswith("photos/b.png")
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    lines = errors.splitlines()
    assert lines[-1] == "visus: interrupted; what was written so far is usable."
    assert lines[:-1] == [line for line in lines if "cut.csv.part holds the first" in line]
    assert all(line.startswith("photos/b.png") for line in rest.splitlines())
    assert not (home / "cut.csv").exists()


def test_predicting_loads_no_framework_once_compiled(home):
    code = (
        "import sys; from visus.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('keras', 'tensorflow', 'sklearn', 'matplotlib') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "predict", "run", "photos", "--json"],
        cwd=home,
        env={**os.environ, "VISUS_CACHE": str(home / "cache")},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert len(json.loads(done.stdout)["predictions"]) == 3
    assert done.stderr.splitlines()[-1] == "[]"
    assert len(done.stderr.splitlines()) == 2  # that, and how many pictures
