"""`visus convert DATA OUT`: a data set in another format, and a ledger of what that format cannot hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visus.cli._options import Format, Json
from visus.cli._output import message, print_json
from visus.structures import InputError


def convert(
    data: Annotated[str, typer.Argument(help="What is to be converted.", show_default=False)],
    out: Annotated[
        Path, typer.Argument(help="A new file or folder; nothing is overwritten.", show_default=False)
    ],
    to: Annotated[
        str | None, typer.Option(help="The format to write: coco, voc, yolo, class_folders, table, ...")
    ] = None,
    format: Format = None,
    json: Json = False,
) -> None:
    """Write a data set in another format, and say what that format cannot hold.

    The format follows from the name of the file, where only one has such files. Exit code 0: written. 2: wrong usage
    or input.
    """
    from visus import data as vdata
    from visus.data import formats

    writers = {name: formats.get(name) for name in formats.names() if hasattr(formats.get(name), "write")}
    if to is None:
        fitting = [n for n, m in writers.items() if out.suffix and out.suffix.lower() == m.SUFFIX]  # type: ignore[attr-defined]
        if len(fitting) != 1:
            raise InputError(f"Say with --to in which format {out} is written: {', '.join(writers)}.")
        to = fitting[0]
    target = formats.get(to)
    if not hasattr(target, "write"):
        raise InputError(f"{to} is not written. {target.WRITE_REFUSED}")  # type: ignore[attr-defined]
    dataset = vdata.load(data, format=format, task=None)
    lost = target.write(dataset, out)
    if json:
        print_json(
            {
                "data": data,
                "out": str(out),
                "format": to.replace("-", "_"),
                "pictures": len(dataset),
                "class_names": list(dataset.class_names),
                "notes": list(dataset.notes),
                "lost": list(lost),
            }
        )
        return
    for title, notes in (("read with these notes", dataset.notes), (f"not held by {to}", lost)):
        if notes:
            message(f"{title}:")
        for note in notes:
            message(f"  {note}")
    message(f"{len(dataset)} pictures, {dataset.num_classes} classes: {out}")
