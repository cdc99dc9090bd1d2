"""The `visus` command: one subcommand for each file of this folder."""

from __future__ import annotations

import functools
import importlib.util
import logging
import os
import pkgutil
import sys
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Annotated, Any

import typer

import visus
from visus.structures import InputError


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"visus {visus.__version__}")
        raise typer.Exit


def build() -> typer.Typer:
    """The Typer application: `cli/train.py` holds the function `train`, and that is `visus train`."""
    app = typer.Typer(
        name="visus",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback(help="Computer vision from the pixel to the deployed model.")
    def common(
        version: Annotated[
            bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
        ] = False,
    ) -> None:
        pass

    for module in sorted(m.name for m in pkgutil.iter_modules(importlib.import_module("visus.cli").__path__)):
        if module == "main" or module.startswith("_"):
            continue
        command = getattr(importlib.import_module(f"visus.cli.{module}"), module)
        app.command(module)(_interruptible(command))
    return app


class _InterruptedError(Exception):
    """Ctrl-C, under a name of which Typer knows nothing: KeyboardInterrupt it ends itself, without a word."""


def _interruptible(command: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> None:
        try:
            command(*arguments, **options)
        except KeyboardInterrupt:
            raise _InterruptedError from None

    return run


def _quiet() -> None:
    """Commands say in a sentence what is wrong with a picture; libraries need not say it again."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    for name in ("PIL", "tifffile"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if not any(isinstance(finder, _Quietly) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Quietly())


class _Quietly(MetaPathFinder):
    """Imports TensorFlow without the lines about oneDNN, which it prints whatever its log level says."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Python's hook."""
        if name != "tensorflow":
            return None
        sys.meta_path.remove(self)  # or it would find itself
        try:
            spec = importlib.util.find_spec(name)
        finally:
            sys.meta_path.insert(0, self)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def quietly(module: ModuleType) -> None:
                from visus.runtime.silence import silence

                sys.meta_path.remove(self)
                with silence():
                    execute(module)

            spec.loader.exec_module = quietly  # type: ignore[method-assign]
        return spec


def main() -> None:
    """Runs the command line; exit code 0 done, 1 done with findings, 2 wrong usage or input, 130 interrupted."""
    _quiet()
    try:
        build()()
    except (InputError, OSError) as error:
        sys.stdout.flush()
        typer.echo(f"visus: {error}", err=True)
        raise SystemExit(2) from None
    except (KeyboardInterrupt, _InterruptedError):
        typer.echo("visus: interrupted; what was written so far is usable.", err=True)
        raise SystemExit(130) from None
