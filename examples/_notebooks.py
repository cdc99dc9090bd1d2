"""Makes the notebooks: each example's cells, run with --quick, with what they printed.

    python examples/_notebooks.py                            # all of them
    python examples/_notebooks.py digits flowers             # only these

The scripts are what is written by hand; a notebook is never edited. What a run leaves behind is thrown away.
"""

import argparse
import ast
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

FOLDER = Path(__file__).parent
NOISE = re.compile(r"^(WARNING: All log|[IWE]\d{4} ).*\n?", re.MULTILINE)  # of TensorFlow's C++ side
HOW = (
    "The outputs are those of `--quick`. Take it away in the next cell for the full run, or put other options there: "
    "`--help` of `{name}.py` lists them."
)


def unrun(name: str) -> nbformat.NotebookNode:
    """The notebook of an example, without outputs."""
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    about = ast.get_docstring(ast.parse(text)) or ""
    title, _, more = about.partition("\n")
    more = re.sub(
        r"(?m)^    python .*\n?", "", more
    ).strip()  # how a script is called is not how a notebook is
    cells = [
        new_markdown_cell(f"# {title}\n\n{more}\n\n{HOW.format(name=name)}"),
        new_code_cell("%env VISUS_EXAMPLE=--quick"),
    ]
    for part in re.split(r"(?m)^# %% ", text)[1:]:
        heading, _, code = part.partition("\n")
        cells += [new_markdown_cell(f"## {heading}"), new_code_cell(code.strip())]
    for i, cell in enumerate(cells):
        cell["id"] = f"{name.replace('_', '-')}-{i}"  # else by chance, and each time another
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})


def run(notebook: nbformat.NotebookNode, folder: Path) -> None:
    """Runs the cells in a copy of the examples, and keeps what they printed.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell failed.
    """
    shutil.copy(FOLDER / "_program.py", folder)
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    for cell in notebook.cells:
        cell.get("metadata", {}).pop("execution", None)  # at what time it ran
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)


def _joined(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Text of the same stream that follows upon each other as one output, without noise."""
    kept: list[nbformat.NotebookNode] = []
    for output in outputs:
        if output.output_type == "display_data" and output.data.keys() == {"text/html", "text/plain"}:
            output = new_output("stream", name="stderr", text=output.data["text/plain"])  # a line of progress
        if output.output_type == "stream" and kept and kept[-1].get("name") == output.name:
            kept[-1].text += output.text
        else:
            kept.append(output)
    for output in kept:
        if output.output_type == "stream":
            output.text = NOISE.sub("", output.text)
    return [output for output in kept if output.get("text") != ""]


def names() -> list[str]:
    """The examples, by file name."""
    return sorted(path.stem for path in FOLDER.glob("[!_]*.py") if path.stem != "all")


def main() -> int:
    """Makes what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="*", help="all by default")
    wanted = parser.parse_args().name
    if unknown := sorted(set(wanted) - set(names())):
        parser.error(f"there is no example {unknown[0]!r}; choose from {', '.join(names())}")
    for name in wanted or names():
        print(name, flush=True)
        notebook = unrun(name)
        with tempfile.TemporaryDirectory() as folder:
            run(notebook, Path(folder))
        nbformat.write(notebook, FOLDER / f"{name}.ipynb")
    return 0


if __name__ == "__main__":
    sys.exit(main())
