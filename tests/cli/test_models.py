"""`visus models`: one JSON document, a table that fits a terminal, sentences for what does not exist."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from visus.cli.main import build
from visus.models import catalogue

RUNNER = CliRunner()


def run(*arguments):
    result = RUNNER.invoke(build(), ["models", *arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_json_lists_the_catalogue():
    document = json.loads(run("--json").stdout)
    entries = catalogue()
    assert [m["name"] for m in document["models"]] == list(entries)
    lite = next(m for m in document["models"] if m["name"] == "classify/efficientnet-lite0")
    assert lite["parameters"] == 4_694_024
    assert lite["weights"]["licence"] == "Apache-2.0"
    assert lite["weights"]["online"] is False
    assert lite["ms"] is None
    starred = {m["name"] for m in document["models"] if m["pareto"]}
    assert starred == set(document["pareto"]["names"])
    assert document["pareto"]["cost"] == "mb"


def test_the_table_fits_eighty_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = run().stdout.splitlines()
    rows = [line for line in lines if line.startswith("│")]
    assert len(rows) == len(catalogue())  # no name is broken over two lines
    assert max(map(len, rows)) <= 80
    b0 = next(line for line in rows if "efficientnet-b0*" in line)
    assert [cell.strip() for cell in b0.strip("│").split("│")][1:] == [
        "5.33", "21.3", "386", "77.1", "93.3", "46.0", "d",
    ]  # fmt: skip


def test_constraints_rank_by_accuracy():
    models = json.loads(run("--json", "--under-mb", "30", "--min-top1", "75").stdout)["models"]
    assert [m["name"] for m in models] == ["classify/efficientnet-b0", "classify/efficientnet-lite0"]
    front = json.loads(run("--json", "--pareto", "resnet", "inception").stdout)
    assert [m["name"] for m in front["models"]] == [m["name"] for m in front["models"] if m["pareto"]]


def test_one_model_is_shown_as_a_card():
    out = run("efficientnet-lite0").stdout
    assert "Apache-2.0" in out
    assert "crop_fraction" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--under-cpu-ms", "20"), "under_cpu_ms = 20 fails: the best cpu_ms is 22.6 (classify/mobilenet)"),
        (("resnet50",), "Did you mean"),
        (("--task", "detectt"), "There is no task 'detectt'"),
    ],
)
def test_what_does_not_exist_exits_with_2_and_a_sentence(arguments, sentence):
    result = subprocess.run(
        [sys.executable, "-c", "from visus.cli.main import main; main()", "models", *arguments],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == 2
    assert result.stdout == ""
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr


def test_listing_loads_no_framework():
    code = (
        "import sys\nfrom visus.cli.main import main\ntry: main()\nexcept SystemExit: pass\n"
        "print([m for m in ('keras', 'tensorflow', 'cv2', 'torch') if m in sys.modules], file=sys.stderr)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, "models"], capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stderr.strip() == "[]"


def test_measured_milliseconds_have_an_interval_and_bound():
    result = run("--json", "mnist-a", "lenet-5-modern", "--measure")
    document = json.loads(result.stdout)
    assert document["pareto"]["cost"] == "ms"
    for model in document["models"]:
        ms = model["ms"]
        assert 0 < ms["low"] <= ms["value"] <= ms["high"] < 1000
        assert model["runtime"]
    assert "measuring classify/mnist-a" in result.stderr
    with pytest.raises(ValueError, match="under_ms = 1e-06 fails: the best ms is"):
        run("lenet-5-modern", "--under-ms", "0.000001")
