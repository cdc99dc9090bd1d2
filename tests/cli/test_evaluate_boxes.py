"""`visus evaluate --truth T --results R`: one document on stdout, tables for people, wrong usage said."""

import json

import pytest
from typer.testing import CliRunner

from visus.cli.main import build


@pytest.fixture
def folders(tmp_path):
    for name, line in (("t", "cat 10 10 30 30"), ("r", "cat 0.9 10 10 30 26")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text(line)
    return ["--truth", str(tmp_path / "t"), "--results", str(tmp_path / "r")]


def run(*arguments):
    return CliRunner().invoke(build(), ["evaluate", *arguments])


def test_one_document(folders):
    answer = run(*folders, "--json")
    assert answer.exit_code == 0
    document = json.loads(answer.stdout)
    assert document["AP"]["value"] == pytest.approx(0.7)
    assert document["AP50"]["value"] == pytest.approx(1)
    assert document["AP_large"]["value"] is None
    assert (document["pictures"], document["objects"], document["detections"]) == (1, 1, 1)
    assert document["per_class"][0]["name"] == "cat"


@pytest.mark.parametrize("style", ["voc07", "voc12"])
def test_tables_and_styles(folders, style):
    answer = run(*folders, "--style", style)
    assert answer.exit_code == 0
    assert "AP50" in answer.stdout
    assert "cat" in answer.stdout


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--style", "voc99"], "voc99"),
        (["--pixels", "closed"], "closed"),
        (["model"], "without a model"),
    ],
)
def test_wrong_usage(folders, extra, message):
    answer = run(*folders, *extra)
    assert answer.exit_code != 0
    assert message in f"{answer.exception} {answer.stderr}"


def test_one_of_two_is_not_enough(folders):
    for arguments in (folders[:2], folders[2:], [], ["model"]):
        answer = run(*arguments)
        assert answer.exit_code != 0
        assert "--truth and --results" in f"{answer.exception} {answer.stderr}"
