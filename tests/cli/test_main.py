"""The command line as a whole: quick, quiet on stdout, honest in its exit codes."""

import json
import subprocess
import sys

import pytest

from visus.cli import _output
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
    frameworks = tuple(m for m in HEAVY if m != "numpy")
    code = (
        "import sys\nfrom visus.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        f"print([m for m in {frameworks} if m in sys.modules], file=sys.stderr)"
    )
    result = run("--help", code=code)
    assert result.stderr.strip().endswith("[]")
    for command in ("check", "demo", "evaluate", "explain", "models", "predict", "train"):
        assert command in result.stdout


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
