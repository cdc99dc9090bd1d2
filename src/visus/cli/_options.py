"""Arguments and options that several commands take, with the same words in each."""

from typing import Annotated

import typer

Model = Annotated[
    str,
    typer.Argument(
        help="A run folder, a .keras file, or the name of a pretrained model.", show_default=False
    ),
]

Pictures = Annotated[
    list[str],
    typer.Argument(
        help="Files, folders, patterns such as 'photos/*.jpg', or - for a list of files on stdin.",
        show_default=False,
    ),
]

Format = Annotated[
    str | None,
    typer.Option(
        help="How the data is stored, such as class_folders, table or file_names:PATTERN, where that is not to be "
        "recognised."
    ),
]

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]

Runtime = Annotated[str, typer.Option(help="auto, litert, onnxruntime, openvino or keras.")]

Views = Annotated[
    str | None, typer.Option(help="Average over views of each picture: flip, five-crop, ten-crop, ...")
]
