"""What terminals and pipes of every kind are given."""

import io
import json
import sys

import pytest
from rich.table import Table

from gonio.cli import output
from gonio.cli.main import main

NAMES = [f"a-run-with-a-long-name-{number}" for number in range(6)]


def table_of(columns):
    table = Table("number")
    for name in columns:
        table.add_column(name)
    table.add_row("pairs", *columns.values())
    return table


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_columns_that_do_not_fit_stand_in_tables_below(monkeypatch, capsys, columns):
    monkeypatch.setattr(output, "is_piped", lambda: False)
    monkeypatch.setenv("COLUMNS", str(columns))
    output.show_columns(dict.fromkeys(NAMES, "1,234,567"), table_of)
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= columns
    assert [shown.count(name) for name in NAMES] == [1] * 6
    assert shown.count("1,234,567") == 6
    assert shown.count("number") == {60: 6, 80: 3, 200: 1}[columns]


def test_a_pipe_gets_no_drawing_and_no_blanks_at_the_end(capsys):
    output.show_columns(dict.fromkeys(NAMES, "1,234,567"), table_of)
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["number", *NAMES]
    assert row == row.rstrip()
    assert row.split() == ["pairs", *["1,234,567"] * 6]


def test_a_list_for_programs_has_a_line_for_each_row(capsys):
    output.list_rows([("a", "b c"), ("d\x1b[2J", "e\tf")])
    assert capsys.readouterr().out == "a\tb c\nd\\x1b[2J\te\\tf\n"


@pytest.fixture
def printed(monkeypatch):
    """What a command prints to an output of an encoding that replaces nothing."""

    def text(encoding, *arguments):
        out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
        monkeypatch.setattr(sys, "stdout", out)
        assert main(arguments) == 0
        out.flush()
        return out.buffer.getvalue().decode(encoding)

    return text


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "utf-8"])
def test_every_encoding_can_print_every_command(printed, encoding, trained):
    shown = printed(encoding, "evaluate", str(trained[0]))
    assert ("TAR at FAR ≤ 0.1" if encoding == "utf-8" else "TAR at FAR <= 0.1") in shown
    assert "arcface" in printed(encoding, "losses", "arcface")
    assert json.loads(printed(encoding, "losses", "--json"))


def test_a_raised_digit_is_not_read_as_one_of_the_number_before_it(printed, trained):
    shown = printed("ascii", "evaluate", str(trained[0]))
    assert " ^1\n" in shown


def test_json_can_be_read_whatever_the_encoding_lacks(capsys):
    output.say_json({"±": "\x1b\udcff"})
    shown = capsys.readouterr().out
    assert shown.isascii()
    assert "\x1b" not in shown
    assert json.loads(shown) == {"±": "\x1b\udcff"}
