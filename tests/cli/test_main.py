"""The command line as a whole: quick, quiet on stdout, honest in its exit codes."""

import json
import struct
import subprocess
import sys

import pytest
import typer

from visus.cli import _output
from visus.cli.main import build
from visus.structures import Estimate

HEAVY = (
    "keras",
    "tensorflow",
    "cv2",
    "matplotlib",
    "sklearn",
    "torch",
    "jax",
    "PIL",
    "scipy",
    "skimage",
    "numpy",
)


def run(*arguments, code="from visus.cli.main import main; main()"):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120, check=False
    )


def test_importing_visus_loads_no_framework():
    code = f"import sys, visus; print([m for m in {HEAVY} if m in sys.modules])"
    assert run(code=code).stdout.strip() == "[]"


def test_help_lists_every_command_and_loads_no_framework():
    code = (
        "import sys\nfrom visus.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        f"print([m for m in {HEAVY} if m in sys.modules], file=sys.stderr)"
    )
    result = run("--help", code=code)
    assert result.stderr.strip().endswith("[]")
    for command in ("check", "demo", "evaluate", "explain", "models", "predict", "train"):
        assert command in result.stdout


def test_commands_take_the_same_options_in_the_same_words():
    commands = typer.main.get_command(build()).commands
    words = {name: {p.name: p.help for p in command.params} for name, command in commands.items()}
    for name, command in commands.items():
        json_option = next(p for p in command.params if "--json" in p.opts)
        assert json_option.help == "One JSON document on stdout.", name
    for option, takers in {
        "model": ("predict", "explain", "evaluate"),
        "pictures": ("predict", "explain"),
        "tta": ("predict", "evaluate"),
        "runtime": ("predict", "evaluate"),
    }.items():
        assert len({words[taker][option] for taker in takers}) == 1, option


def test_version():
    import visus

    assert run("--version").stdout == f"visus {visus.__version__}\n"


@pytest.mark.parametrize(
    "arguments", [("train",), ("train", "no/such/folder"), ("train", "--nonsense"), ("nonsense",)]
)
def test_wrong_usage_exits_with_2_and_a_sentence_without_a_traceback(arguments):
    result = run(*arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("predict", "nowhere", "a.jpg"), "There is no model at nowhere"),
        (("predict", "text.keras", "a.jpg"), "text.keras is not a Keras model"),
        (("explain", "nowhere", "a.jpg", "--out", "x"), "There is no model at nowhere"),
        (("explain", "text.keras", "a.jpg", "--out", "x"), "text.keras is not a Keras model"),
        (("evaluate", "text.keras", "nothing-here"), "no file or folder 'nothing-here'"),
        (("evaluate", "nowhere", "data"), "There is no model at nowhere"),
        (("check", "nothing-here"), "no file or folder 'nothing-here'"),
    ],
)
def test_wrong_paths_are_told_before_a_framework_is_loaded(tmp_path, monkeypatch, arguments, reason):
    (tmp_path / "text.keras").write_text("hello")
    for name in ("cat", "dog"):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "a.png").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    code = (
        "import sys\nfrom visus.cli.main import main\n"
        "try: main()\nfinally: print([m for m in ('keras', 'tensorflow', 'scipy') if m in sys.modules])"
    )
    result = run(*arguments, code=code)
    assert (result.returncode, result.stdout.strip()) == (2, "[]")
    assert reason in result.stderr


def test_a_broken_picture_is_told_in_the_findings_alone(tmp_path):
    def tags(*pairs):  # a TIFF of one gray pixel and whatever its tags claim
        entries = b"".join(struct.pack("<HHII", tag, 3, 1, value) for tag, value in pairs)
        return struct.pack("<4sIH", b"II*\0", 8, len(pairs)) + entries + bytes(8)

    pixel = [(256, 1), (257, 1), (258, 8), (259, 1), (262, 1)]
    for name, place in (("cat", 0), ("dog", 8)):
        good = tags(*pixel, (273, place), (277, 1), (278, 1), (279, 1))
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(3):
            (tmp_path / "data" / name / f"good-{number}.tif").write_bytes(good + bytes(number))
    bad = tags(*pixel, (273, 0), (277, 65535), (278, 1), (279, 1))  # Pillow's logger would mention it
    (tmp_path / "data" / "cat" / "bad.tif").write_bytes(bad)
    result = run("check", str(tmp_path / "data"), "--json")
    assert result.returncode == 1
    (finding,) = [f for f in json.loads(result.stdout)["findings"] if f["severity"] == "error"]
    assert finding["sources"] == ["cat/bad.tif"]
    assert result.stderr.strip() == ""


def test_opencv_is_quiet_unless_told_otherwise():
    code = (
        "from visus.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "import cv2; print(cv2.utils.logging.getLogLevel())"
    )
    assert run("--version", code=code).stdout.split()[-1] == "0"


def test_json_knows_estimates_paths_and_no_nan(capsys, tmp_path):
    import numpy as np

    _output.print_json(
        {
            "accuracy": Estimate(0.5, 0.25, float("nan")),
            "array": np.arange(2),
            "path": tmp_path,
            "inf": float("inf"),
        }
    )
    assert json.loads(capsys.readouterr().out) == {
        "accuracy": {"value": 0.5, "low": 0.25, "high": None},
        "array": [0, 1],
        "path": str(tmp_path),
        "inf": None,
    }


@pytest.mark.slow
def test_tensorflow_is_imported_in_silence():
    code = (
        "from visus.cli.main import _quiet; _quiet(); import importlib.util, os;"
        "assert importlib.util.find_spec('tensorflow') is not None;"  # a question, as the runtimes ask it
        "import tensorflow; os.write(2, b'heard')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "heard"
