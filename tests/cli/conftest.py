import contextlib
import io
import re
import shutil
from typing import NamedTuple

import pytest

from gonio.cli.main import main

DIGITS = ("--data", "digits", "--data.size", "8", "--optimise.epochs", "2", "--device", "cpu")
"""A run of half a second."""


class Result(NamedTuple):
    code: int
    out: str
    err: str


class Terminal(io.StringIO):
    """What a person looks at."""

    def isatty(self):
        return True


def run(*arguments, out=io.StringIO):
    """What a shell would see of `gonio ...`."""
    with (
        contextlib.redirect_stdout(out()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:  # after --help
            code = end.code
    return Result(code, out.getvalue(), err.getvalue())


@pytest.fixture
def gonio():
    return run


@pytest.fixture
def at_terminal(monkeypatch):
    """The lines that a terminal of so many columns shows, without colours."""

    def lines(columns, *arguments):
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("NO_COLOR", "1")
        result = run(*arguments, out=Terminal)
        assert result.code == 0, result
        return re.sub(r"\x1b\[\d*m", "", result.out).splitlines()

    return lines


@pytest.fixture
def refused(gonio):
    """The one line in which a command is refused with an exit code."""

    def message(code, *arguments):
        result = gonio(*arguments)
        assert result.code == code, result
        assert not result.out
        *notes, error = result.err.splitlines()
        assert error.startswith("gonio: error: ")
        assert all(note.startswith("gonio: warning: ") for note in notes), result.err
        return error

    return message


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """The folder of a run that `gonio train` made, with what it printed; not to be written to."""
    folder = tmp_path_factory.mktemp("runs") / "first"
    result = run("train", *DIGITS, "--loss", "arcface", "--out", folder)
    assert result.code == 0, result.err
    return folder, result


@pytest.fixture
def own_run(trained, tmp_path):
    """A copy of that folder for one test."""
    return shutil.copytree(trained[0], tmp_path / "first")
