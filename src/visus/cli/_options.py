"""Arguments and options that several commands take, with the same words in each."""

from typing import Annotated

import typer

Model = Annotated[str, typer.Argument(help="A run folder or a .keras file.", show_default=False)]

Pictures = Annotated[
    list[str],
    typer.Argument(
        help="Files, folders, patterns such as 'photos/*.jpg', or - for a list of files on stdin.",
        show_default=False,
    ),
]

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]

Runtime = Annotated[str, typer.Option(help="auto, litert, onnxruntime, openvino or keras.")]

Views = Annotated[
    str | None, typer.Option(help="Average over views of each picture: flip, five-crop, ten-crop, ...")
]
