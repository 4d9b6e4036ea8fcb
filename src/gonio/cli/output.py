"""What is written to standard output: lines and tables that any terminal or pipe can show."""

import codecs
import io
import json
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table

from gonio.base.text import shown

T = TypeVar("T")

WIDTH = 200
"""Characters in a line of a pipe, where nothing is drawn around a table."""

PLAIN = {
    "≤": "<=",
    "±": "+-",
    "°": " deg",
    "…": "...",
    "\N{MINUS SIGN}": "-",
    "\N{MULTIPLICATION SIGN}": "x",
}
"""Signs for terminals that lack the right ones."""


def prepare() -> None:
    """Let standard output replace what its encoding lacks."""
    codecs.register_error("gonio.plain", _replaced)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="gonio.plain")


def _replaced(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    return "".join(map(_plain, signs)).encode("ascii", "replace").decode(), error.end


def _plain(sign: str) -> str:
    """What stands for a sign; a raised digit must not look like one of the number before it."""
    if sign in PLAIN:
        return PLAIN[sign]
    raised = "^" if unicodedata.decomposition(sign).startswith("<super>") else ""
    return raised + unicodedata.normalize("NFKD", sign)


def say(text: str) -> None:
    """Print lines; names in them are shown escaped."""
    print("\n".join(map(shown, text.split("\n"))))


def say_json(value: object) -> None:
    """Print JSON in ASCII."""
    print(json.dumps(value, indent=2))


def is_piped() -> bool:
    """Whether a program reads what is printed."""
    return not sys.stdout.isatty()


def list_rows(rows: Iterable[Sequence[str]]) -> None:
    """Print a line for each row, for programs: the cells between tabs."""
    for row in rows:
        print("\t".join(map(shown, row)))


def show(table: Table) -> None:
    """Print a table, as wide as the terminal; in a pipe without lines and blanks around it."""
    console = _console()
    if not is_piped():
        console.print(table)
        return
    table.box = None
    with console.capture() as captured:
        console.print(table)
    print("\n".join(map(str.rstrip, captured.get().splitlines())))


def show_columns(columns: Mapping[str, T], table_of: Callable[[Mapping[str, T]], Table]) -> None:
    """Print a table with a column for each name: in as many tables as fit below each other.

    Args:
        columns: name -> what its column shows.
        table_of: makes the table of some of them.
    """
    rest = dict(columns)
    while rest:
        some = dict(rest)
        while len(some) > 1 and not _fits(table_of(some)):
            some.popitem()
        show(table_of(some))
        rest = {name: value for name, value in rest.items() if name not in some}


def _fits(table: Table) -> bool:
    console = _console()
    unbound = console.options.update(max_width=sys.maxsize)
    return console.measure(table, options=unbound).maximum <= console.width


def _console() -> Console:
    return Console(width=WIDTH if is_piped() else None, highlight=False)


def as_typed(value: Any) -> str:
    """A plain value as it is typed."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {as_typed(one)}' for name, one in value.items())}}}"
    return value if isinstance(value, str) else json.dumps(value)
