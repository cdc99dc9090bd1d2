"""What a command prints: one JSON document on stdout when asked, everything for people on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from visus.structures import Estimate


def console(stderr: bool = True) -> Console:
    """The rich console for people (stderr), or for the result of a command without `--json` (stdout)."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def message(text: str) -> None:
    """A line for people, on stderr."""
    typer.echo(text, err=True)


def print_json(document: Mapping[str, Any]) -> None:
    """The one JSON document of a command, on stdout. Values with `to_dict()` are converted, NaN becomes null."""
    json.dump(_plain(document), sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")
    sys.stdout.flush()


def print_table(title: str, header: Sequence[str], rows: Iterable[Sequence[Any]], *, left: int = 1) -> None:
    """A table for people, on stdout: the result of a command without `--json`.

    Args:
        title: A line above it.
        header: Column names.
        rows: Cells; file and class names in them may hold anything, and are shown, not obeyed.
        left: So many columns stand left, the others right.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(_visible(title)), title_justify="left")
    for i, name in enumerate(header):
        table.add_column(Text(_visible(name)), justify="left" if i < left else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_visible(str(cell))) for cell in row))
    console(stderr=False).print(table)


def short(figure: Estimate) -> str:
    """A figure and its interval in few characters, for a cell of a table."""
    if figure.low != figure.low:  # NaN
        return "n/a" if figure.value != figure.value else f"{figure.value:.3f}"
    return f"{figure.value:.3f} [{figure.low:.2f}, {figure.high:.2f}]"


def _visible(text: str) -> str:
    """Characters that a terminal would obey, or cannot show, as Python escapes."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def _plain(value: Any) -> Any:
    if hasattr(value, "to_dict"):
        return _plain(value.to_dict())
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if hasattr(value, "tolist"):  # NumPy arrays and scalars
        return _plain(value.tolist())
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(v) for v in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)
