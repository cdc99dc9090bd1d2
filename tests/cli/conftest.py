"""Runs commands in the process of the test."""

import io
import sys

import pytest

from visus.cli.main import main


@pytest.fixture
def visus(home, monkeypatch, capfd):
    """Runs a command in the folder `home`, a fixture of the test's file: exit code, stdout, stderr."""
    monkeypatch.chdir(home)
    monkeypatch.setenv("VISUS_CACHE", str(home / "cache"))

    def run(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "argv", ["visus", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        try:
            main()
            code = 0
        except SystemExit as done:
            code = done.code or 0
        return code, *capfd.readouterr()

    return run
