"""The guides tell the truth: generated pages are fresh, links lead somewhere, commands and names exist."""

import ast
import dataclasses
import importlib
import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from visus.cli.main import build

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BENCHMARKS = ROOT / "benchmarks"

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def module_at(path):
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def generated():
    return module_at(ROOT / "docs" / "generate.py").pages()


@pytest.mark.parametrize("name", ["catalogue.md", "training.md"])
def test_generated_pages_are_fresh(name, generated):
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == generated[name], "run `make docs`"


def test_the_catalogue_names_everything(generated):
    # Counted another way: by files and by the fields of the dataclass.
    text = generated["catalogue.md"]
    source = ROOT / "src" / "visus"
    for folder, form in [("cli", "### `visus {}"), ("data/formats", "| `{}`"), ("data/datasets", "| `{}`")]:
        files = [p.stem for p in (source / folder).glob("[!_]*.py") if p.stem != "main"]
        assert files
        assert [f for f in files if form.format(f) not in text] == []
    from visus.train.settings import Settings

    settings = re.findall(r"^\| `(\w+)` \| `", generated["training.md"], re.MULTILINE)
    assert settings == [field.name for field in dataclasses.fields(Settings)]


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@every_page
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = target.partition("#")
        goal = page.parent / file if file else page
        assert goal.is_file(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(goal), f"{page.name} links to {target}"


def shell_lines(text):
    """Every `visus ...` of a page: in backticks, or in a line of a block, after a prompt, a pipe or `&&`."""
    blocks = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
    for line in [line for block in blocks for line in block.splitlines()]:
        for part in re.split(r"\||&&", re.sub(r"^\$ ", "", line.partition(" #")[0])):
            if re.match(r"\s*visus \S", part):
                yield part.strip()
    rest = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    yield from (code for code in re.findall(r"`([^`\n]+)`", rest) if code.startswith("visus "))


@every_page
def test_commands_and_their_options_exist(page):
    commands = typer.main.get_command(build()).commands
    for line in shell_lines(page.read_text(encoding="utf-8")):
        words = shlex.split(line)[1:]
        if words[0] in ("--help", "--version", "COMMAND"):
            continue
        assert words[0] in commands, f"{page.name}: {line}"
        known = {option for p in commands[words[0]].params for option in p.opts} | {"--help", "-h"}
        wanted = {word.partition("=")[0] for word in words[1:] if word.startswith("-") and word != "-"}
        assert wanted <= known, f"{page.name}: {line}"


def test_the_reader_of_commands_sees_them():
    block = "```console\n$ find x | visus predict R - --top 2  # two\nvisus train A && visus models\n```\n"
    text = f"say `visus check A`\n{block}"
    assert list(shell_lines(text)) == [
        "visus predict R - --top 2",
        "visus train A",
        "visus models",
        "visus check A",
    ]


@every_page
def test_python_in_the_guides_imports(page):
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("visus"):
                module = importlib.import_module(node.module)
                for alias in node.names:
                    if not hasattr(module, alias.name):
                        importlib.import_module(f"{node.module}.{alias.name}")


def test_the_benchmarks_are_all_described():
    text = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    files = sorted(p.stem for p in BENCHMARKS.glob("[!_]*.py"))
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == files
    assert set(re.findall(r"-m benchmarks\.([a-z_0-9]+)", text)) == set(files)


def test_benchmarks_say_what_they_miss(monkeypatch, tmp_path):
    benchmarks = module_at(BENCHMARKS / "__main__.py")
    monkeypatch.setattr(benchmarks, "FOLDER", tmp_path)
    monkeypatch.delenv("VISUS_DATA", raising=False)
    monkeypatch.setattr(benchmarks, "ROOT", tmp_path)
    commands = {
        "plain": "python -m benchmarks.plain",
        "needy": "KERAS_BACKEND=no_such_thing python -m benchmarks.needy",
        "other": "python -m benchmarks.other [--python .venv-backends/bin/python]",
        "real": "VISUS_DATA=... python -m benchmarks.real",
        "_part": "",
    }
    for name, command in commands.items():
        (tmp_path / f"{name}.py").write_text(f'"""What it is.\n\n    {command}\n"""\n')
    assert benchmarks.names() == ["needy", "other", "plain", "real"]
    assert benchmarks.missing("plain") is None
    assert "no_such_thing" in benchmarks.missing("needy")
    assert "make backends" in benchmarks.missing("other")
    assert "VISUS_DATA" in benchmarks.missing("real")
    monkeypatch.setenv("VISUS_DATA", str(tmp_path))
    (tmp_path / ".venv-backends").mkdir()
    assert benchmarks.missing("real") is None
    assert benchmarks.missing("other") is None


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("decode",), "set VISUS_DATA"),
        (("imagenet_top1",), "set VISUS_DATA"),
        (("training_throughput", "--torch", "nowhere/python"), "`make backends`"),
    ],
)
def test_a_benchmark_by_itself_says_what_it_misses_in_one_line(monkeypatch, arguments, reason):
    monkeypatch.delenv("VISUS_DATA", raising=False)
    command = [sys.executable, "-m", f"benchmarks.{arguments[0]}", *arguments[1:]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"{arguments[0]} was not run: ")
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1


def test_benchmarks_are_listed():
    command = [sys.executable, "-m", "benchmarks", "--list"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert re.findall(r"^== (\w+):", done.stdout, re.MULTILINE) == sorted(
        p.stem for p in BENCHMARKS.glob("[!_]*.py")
    )
