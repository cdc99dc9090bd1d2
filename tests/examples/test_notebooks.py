"""The notebooks of the examples: made from the scripts, run, and free of what belongs to one machine."""

import runpy
import sys
from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def maker():
    return runpy.run_path(str(FOLDER / "_notebooks.py"))


NAMES = sorted(path.stem for path in FOLDER.glob("[!_]*.py") if path.stem != "all")


@pytest.mark.parametrize("name", NAMES)
def test_each_script_has_its_notebook_with_outputs(maker, name):
    stored = nbformat.read(FOLDER / f"{name}.ipynb", 4)
    nbformat.validate(stored)
    wanted = maker["unrun"](name)
    assert [(c.cell_type, c.source) for c in stored.cells] == [
        (c.cell_type, c.source) for c in wanted.cells
    ], f"{name}.py was changed: python examples/_notebooks.py {name}"
    outputs = [output for cell in stored.cells for output in cell.get("outputs", ())]
    kinds = {output.output_type for output in outputs}
    assert kinds <= {"stream", "execute_result"}, kinds  # no error, and no picture of anybody's data set
    text = "".join(str(output.get("text", "")) for output in outputs)
    assert "Everything is in runs/notebook-1." in text
    assert not [word for word in ("/tmp", "/home", "/root", "/work", "oneDNN") if word in text]


@pytest.mark.slow
def test_a_notebook_runs(maker, tmp_path, monkeypatch):
    monkeypatch.delenv("VISUS_DATA", raising=False)
    monkeypatch.setenv("VISUS_EXAMPLE", "--quick")
    notebook = maker["unrun"]("is_it_a_four")
    maker["run"](notebook, tmp_path)
    assert "F1 of 4" in notebook.cells[-1].outputs[-1].text
    assert (tmp_path / "runs" / "notebook-1" / "run" / "report.html").is_file()


def test_an_unknown_name_is_refused(maker, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["_notebooks.py", "nonsense"])
    with pytest.raises(SystemExit):
        maker["main"]()
    assert "there is no example 'nonsense'; choose from bees_wasps" in capsys.readouterr().err
