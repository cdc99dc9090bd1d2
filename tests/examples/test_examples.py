"""The examples: every one explains itself at once, and the quickest of them run."""

import ast
import csv
import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from visus.structures import Estimate

FOLDER = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.stem for path in FOLDER.glob("[!_]*.py"))
PROGRAMS = [name for name in NAMES if name != "all"]
MEDICAL = ["histology", "pneumonia"]
NOTICE = "For learning only, not for diagnosis."


@pytest.fixture(scope="module")
def program():
    return runpy.run_path(str(FOLDER / "_program.py"))


def started(name, *arguments, cwd=None, **environment):
    """Runs an example as a user does, in the environment without real data sets."""
    kept = {k: v for k, v in os.environ.items() if k != "VISUS_DATA"}
    command = [sys.executable, str(FOLDER / f"{name}.py"), *map(str, arguments)]
    return subprocess.run(
        command, env={**kept, **environment}, cwd=cwd, capture_output=True, text=True, check=False
    )


# --- all of them -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_help_comes_at_once_and_loads_no_framework(name):
    code = (
        "import runpy, sys\n"
        f"sys.argv = [{name + '.py'!r}, '--help']\n"
        f"sys.path.insert(0, {str(FOLDER)!r})\n"
        "try:\n"
        f"    runpy.run_path({str(FOLDER / name) + '.py'!r}, run_name='__main__')\n"
        "except SystemExit as done:\n"
        "    assert not done.code\n"
        "print('loaded:', *({'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("loaded:"), done.stdout[-200:]
    for option in ("--quick", "--out", "--seed"):
        assert option in done.stdout
    assert (NOTICE in done.stdout) == (name in MEDICAL)


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_is_a_short_script_in_cells(name):
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 130
    assert text.count("\n# %% ") >= 4
    about = ast.get_docstring(ast.parse(text))
    assert f"python examples/{name}.py --quick" in about
    assert "compare(" in text
    assert (f'print("{NOTICE}")' in text) == (name in MEDICAL)


def test_the_table_lists_every_example():
    rows = re.findall(
        r"^\| \[(\w+)\.py\]\((\w+)\.py\)", (FOLDER / "README.md").read_text("utf-8"), re.MULTILINE
    )
    assert sorted(dict(rows)) == PROGRAMS
    assert all(name == file for name, file in rows)


# --- what they share -------------------------------------------------------------------------------------


def asked(program, tmp_path, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["digits.py", "--out", str(tmp_path / "out"), *arguments])
    monkeypatch.setenv("VISUS_OFFLINE", "")  # put back afterwards
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    return program["arguments"]("Title.\n\nMore.", epochs=(9, 2, "passes"), model=("big", "big", "the net"))


def test_options_have_a_full_and_a_quick_value(program, tmp_path, monkeypatch, capsys):
    full = asked(program, tmp_path, monkeypatch)
    assert (full.quick, full.epochs, full.model, full.seed, full.data) == (False, 9, "big", 0, None)
    quick = asked(program, tmp_path, monkeypatch, "--quick", "--model", "small")
    assert (quick.quick, quick.epochs, quick.model) == (True, 2, "small")
    assert asked(program, tmp_path, monkeypatch, "--quick", "--epochs", "0").epochs == 0
    assert capsys.readouterr().out.splitlines() == ["Title."] * 3


def test_quick_never_reaches_for_the_network(program, tmp_path, monkeypatch):
    asked(program, tmp_path, monkeypatch)
    assert not os.environ["VISUS_OFFLINE"]
    asked(program, tmp_path, monkeypatch, "--quick")
    assert os.environ["VISUS_OFFLINE"] == "1"


def test_a_folder_with_something_in_it_is_refused(program, tmp_path, monkeypatch, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").touch()
    with pytest.raises(SystemExit) as refused:
        asked(program, tmp_path, monkeypatch)
    assert refused.value.code == 2
    assert "not empty" in capsys.readouterr().err


def test_textures_differ_by_what_their_class_says(program):
    made = program["textures"](4, 3, side=64, seed=1)
    again = program["textures"](4, 3, side=64, seed=1)
    assert made.fingerprint() == again.fingerprint() != program["textures"](4, 3, side=64).fingerprint()
    assert made[0].image.shape == (64, 80, 3)
    assert made.counts() == {f"texture-{k}": 3 for k in range(4)}
    # The strongest wave of the stripes has their wavelength: 5 pixels, then 5 * 1.7.
    for label, wavelength in ((0, 5.0), (2, 8.5)):
        for sample in made.samples[3 * label : 3 * label + 3]:
            gray = sample.image[:64, :64].astype(float).sum(2)
            waves = np.abs(np.fft.fft2(gray - gray.mean()))
            fy, fx = (np.fft.fftfreq(64)[i] for i in np.unravel_index(waves.argmax(), waves.shape))
            assert 1 / np.hypot(fy, fx) == pytest.approx(wavelength, rel=0.12)


def test_three_parts_judge_on_what_the_set_held_out(program, tmp_path, monkeypatch):
    made = program["textures"](2, 20, side=16)
    samples = [s.replace(split="val" if i % 4 == 0 else "train") for i, s in enumerate(made)]
    held_out = {s.source for s in samples if s.split == "val"}
    full = asked(program, tmp_path, monkeypatch)
    parts = program["three_parts"](full, made.subset([]).__class__(tuple(samples), made.class_names), val=0.2)
    assert {s.source for s in parts.split("test")} == held_out
    assert [len(parts.split(name)) for name in parts.splits] == [24, 6, 10]
    quick = asked(program, tmp_path, monkeypatch, "--quick")
    few = program["three_parts"](quick, made, most=(8, 3, 5))
    assert [len(few.split(name)) for name in few.splits] == [8, 3, 5]


def test_a_set_that_is_not_here_is_described_and_replaced(program, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VISUS_DATA", str(tmp_path))
    monkeypatch.setenv("VISUS_CACHE", str(tmp_path))
    quick = asked(program, tmp_path, monkeypatch, "--quick")
    found = program["find"](quick, "pneumonia", _not_here, lambda: program["textures"](2, 2, side=8))
    said = capsys.readouterr().out
    assert found.num_classes == 2
    for part in ("1.2 GB", "CC BY 4.0", "NORMAL and PNEUMONIA", "2 made textures takes its place"):
        assert part in said
    full = asked(program, tmp_path, monkeypatch)
    with pytest.raises(SystemExit) as refused:
        program["find"](full, "pneumonia", lambda: program["textures"](2, 2, side=8))
    assert refused.value.code == 2
    assert "data.mendeley.com" in capsys.readouterr().err


def _not_here():
    from visus.structures import InputError

    raise InputError("not here, either")


def test_a_missed_line_is_said_and_ends_with_one(program, tmp_path, monkeypatch, capsys):
    line = program["Line"]
    good = line("good", Estimate(0.75, 0.7, 0.8), 0.5, "80 % (book)", accepted=0.8)
    quick = asked(program, tmp_path, monkeypatch, "--quick")
    program["compare"](quick, good)  # 0.5 + 0.2
    assert json.loads((tmp_path / "out" / "comparison.json").read_text()) == {
        "mode": "quick",
        "data": "what comes with the example",
        "seed": 0,
        "lines": [
            {
                "what": "good",
                "reached": {"value": 0.75, "low": 0.7, "high": 0.8},
                "baseline": 0.5,
                "claimed": "80 % (book)",
                "accepted": 0.8,
                "above": 0.2,
                "line": 0.7,
                "met": True,
            }
        ],
    }
    said = capsys.readouterr().out
    assert "0.7500 [0.7000, 0.8000]  0.5000" in said
    assert "80 % (book)" in said
    with pytest.raises(SystemExit) as missed:
        program["compare"](quick, good, line("bad", Estimate(0.69), 0.5, "-", accepted=0.1))
    assert missed.value.code == 1
    assert "MISSED" in capsys.readouterr().out
    (tmp_path / "out" / "comparison.json").unlink()
    full = asked(program, tmp_path, monkeypatch)
    with pytest.raises(SystemExit):  # in full, 0.75 does not reach 0.8
        program["compare"](full, good)


# --- the quickest of them, run ---------------------------------------------------------------------------


@pytest.mark.slow
def test_a_photograph_is_named_and_doubted(tmp_path):
    done = started("name_a_photo", "--quick", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    # Of the temple ResNet-50 says in the book: palace, monastery, bell cote.
    temple, dahlia = re.findall(
        r"(?:china|flower)\.jpg: perhaps none .*\n((?:  n\d{8} - .*\n){3})", done.stdout
    )
    assert set(re.findall(r"- (.*?) +[\d.]+%", temple)) == {"palace", "monastery", "bell cote"}
    assert temple.startswith("  n03877845 - palace ")
    assert "daisy" in dahlia
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"china.png", "comparison.json", "flower.png"}


@pytest.mark.slow
def test_digits_are_learned_without_mnist(tmp_path):
    cache = {"VISUS_CACHE": str(tmp_path / "cache")}
    done = started("digits", "--quick", "--epochs", 5, "--out", tmp_path / "out", **cache)
    assert done.returncode == 0, done.stderr
    assert "the small digits of scikit-learn takes its place" in done.stdout
    assert "LeNet-5 learns to read MNIST" in done.stdout.splitlines()[0]
    (line,) = json.loads((tmp_path / "out" / "comparison.json").read_text())["lines"]
    evaluation = json.loads((tmp_path / "out" / "run" / "evaluation.json").read_text())
    assert line["reached"] == evaluation["figures"]["accuracy"]
    assert line["line"] == pytest.approx(evaluation["majority"]["accuracy"]["value"] + 0.6)
    # Another count of the same: the rows of the predictions.
    with (tmp_path / "out" / "run" / "predictions.csv").open(newline="") as file:
        right = [row["true"] == row["predicted"] for row in csv.DictReader(file)]
    assert line["reached"]["value"] == pytest.approx(sum(right) / len(right))
    for name in ("run.json", "metrics.csv", "report.html", "model.keras"):
        assert (tmp_path / "out" / "run" / name).is_file()


@pytest.mark.slow
def test_all_goes_on_after_a_failure_and_says_so(tmp_path):
    (tmp_path / "cache").mkdir()
    names = ["name_a_photo", "own_classes"]
    done = started("all", *names, "--out", tmp_path / "out")  # not quick: own_classes asks for a folder
    assert done.returncode == 1
    assert re.search(r"^name_a_photo +met +\d+ s\nown_classes +failed +\d+ s$", done.stdout, re.MULTILINE)
    assert "--data FOLDER" in (tmp_path / "out" / "own_classes.log").read_text()
    page = (tmp_path / "out" / "index.html").read_text()
    for part in (
        "54.69 % (ResNet-50",
        'href="./name_a_photo/china.png"',
        'href="./own_classes.log"',
        ">failed<",
    ):
        assert part in page
