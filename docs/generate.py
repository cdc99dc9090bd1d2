"""Writes what the guides take from the code: all of `catalogue.md`, and the table of settings in `training.md`.

python docs/generate.py
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer

from visus.cli.main import build
from visus.data import augment, datasets, formats
from visus.models import catalogue
from visus.runtime import kinds
from visus.runtime.compiled import KINDS
from visus.train.settings import Settings

DOCS = Path(__file__).parent
BEGIN, END = "<!-- settings: written by generate.py -->\n", "<!-- end of settings -->\n"


def table(header: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> str:
    """A Markdown table; a bar in a cell is escaped, None is an empty cell."""
    cells = [
        ["" if c is None else str(c).replace("|", "\\|").replace("\n", " ") for c in row] for row in rows
    ]
    lines = [header, ("---",) * len(header), *cells]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def models() -> str:
    """Every model, with its published figures."""
    rows = (
        (
            f"`{entry.name}`",
            f"{entry.image_spec.height} x {entry.image_spec.width} x {entry.image_spec.channels}",
            f"{entry.parameters:,}",
            f"{entry.mb:.1f}",
            f"{entry.multiply_adds / 1e6:,.1f}",
            entry.top1,
            "none"
            if entry.weights is None
            else f"{entry.weights.data}, {entry.weights.licence}"
            + (f" ({entry.weights.way})" if entry.weights.way != "installed" else ""),
        )
        for entry in catalogue().values()
    )
    header = (
        "model",
        "input",
        "parameters",
        "MB",
        "million multiply-adds",
        "ImageNet top-1, %",
        "pretrained weights",
    )
    return (
        "Parameters and multiply-adds are those of the published head and input size; accuracy is the published one. "
        "*Downloaded* weights need the network at their first use, and their hash is checked; those *by hand* have no "
        "published hash, so you fetch the file and give it (`weights=`). "
        "`visus models --measure` adds milliseconds on your machine.\n\n" + table(header, rows)
    )


def data_formats() -> str:
    """Every reader."""
    rows = ((f"`{name}`", formats.get(name).DESCRIPTION, _writes(name)) for name in formats.names())
    return "`visus.data.load` recognises them; `format=` says it, where it cannot.\n\n" + table(
        ("format", "what it looks like", "written, too"), rows
    )


def _writes(name: str) -> str:
    return "no" if hasattr(formats.get(name), "WRITE_REFUSED") else "yes"


def known_sets() -> str:
    """Every public set that is known by name."""
    rows = (
        (
            f"`{name}`",
            known.DESCRIPTION,
            known.LICENCE,
            known.HOMEPAGE,
            "by visus" if known.FILES else "by hand",
        )
        for name, known in datasets.known().items()
    )
    return (
        "Give the name in place of a folder. A set is looked for in `VISUS_DATA`, then in an installed package that "
        "carries it, then in the cache; those that are fetched *by visus* are downloaded last, and their SHA-256 is "
        "checked.\n\n" + table(("name", "what", "licence", "address", "fetched"), rows)
    )


def augmentations() -> str:
    """Every augmentation with its fields, and what mixes batches."""
    rows = (
        (f"`{_call(kind)}`", _first_line(kind), ", ".join(sorted(kind().hazards)))
        for name, kind in augment.catalogue().items()
        if kind.__module__.startswith("visus.")
    )
    mixers = ((f"`{_call(kind)}`", _first_line(kind), None) for kind in (augment.MixUp, augment.CutMix))
    header = ("augmentation, with its defaults", "what it does", "may confuse")
    return f"See [augmentation](augmentation.md).\n\n{table(header, [*rows, *mixers])}"


def _call(kind: Any) -> str:
    """`Rotate(degrees=15)`."""
    fields = [p.replace(annotation=p.empty) for p in inspect.signature(kind).parameters.values()]
    return f"{kind.__name__}{inspect.Signature(fields)}"


def _first_line(thing: Any) -> str:
    return str(inspect.getdoc(thing)).partition("\n")[0]


def commands() -> str:
    """Every command with its arguments and options, as `--help` shows them."""
    parts = []
    for name, command in typer.main.get_command(build()).commands.items():  # type: ignore[attr-defined]
        text = inspect.cleandoc(command.help or "")
        arguments = " ".join(
            p.name.upper() if p.required else f"[{p.name.upper()}]"
            for p in command.params
            if p.param_type_name == "argument"
        )
        rows = (
            (
                ", ".join(f"`{option}`" for option in p.opts)
                if p.param_type_name == "option"
                else f"`{p.name.upper()}`",
                p.help,
            )
            for p in command.params
        )
        title = f"visus {name} {arguments}".strip()
        parts.append(f"### `{title}`\n\n{text}\n\n{table(('option', 'what it says'), rows)}")
    return "\n".join(parts)


def runtimes() -> str:
    """Every runtime, in the order in which `auto` tries them."""
    rows = []
    for kind in KINDS:
        tree = ast.parse((Path(kinds.__path__[0]) / f"{kind}.py").read_text(encoding="utf-8"))
        packages = next(
            ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "PACKAGES"
        )
        about = (ast.get_docstring(tree) or "").partition("\n")[0]
        rows.append((f"`{kind}`", about, ", ".join(f"`{package}`" for package in packages)))
    return (
        "In the order in which `auto` tries them on a CPU; a runtime is used if it is installed and gives the same "
        "numbers as Keras.\n\n" + table(("runtime", "what", "packages"), rows)
    )


def settings() -> str:
    """Every field of `Settings` with its default and what its docstring says."""
    told = dict(_attributes(inspect.getdoc(Settings) or ""))
    rows = ((f"`{f.name}`", f"`{f.default!r}`", told[f.name]) for f in dataclasses.fields(Settings))
    return table(("setting", "default", "what it says"), rows)


def _attributes(docstring: str) -> Iterator[tuple[str, str]]:
    """`(name, text)` of a Google-style section `Attributes:`."""
    section = inspect.cleandoc(docstring.partition("Attributes:\n")[2])
    for name, text in re.findall(r"^(\w+): (.*(?:\n .*)*)", section, re.MULTILINE):
        yield name, " ".join(text.split())


def pages() -> dict[str, str]:
    """File name -> text, for every page that has something from the code in it."""
    sections = {
        "Commands": commands,
        "Models": models,
        "Data formats": data_formats,
        "Known data sets": known_sets,
        "Augmentations": augmentations,
        "Runtimes": runtimes,
    }
    parts = [f"## {title}\n\n{section()}" for title, section in sections.items()]
    head = "# Catalogue\n\nWritten by `make docs` from the code; do not edit it by hand.\n"
    training = (DOCS / "training.md").read_text(encoding="utf-8")
    before, _, rest = training.partition(BEGIN)
    after = rest.partition(END)[2]
    return {
        "catalogue.md": "\n".join([head, *parts]),
        "training.md": f"{before}{BEGIN}\n{settings()}\n{END}{after}",
    }


if __name__ == "__main__":
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")
