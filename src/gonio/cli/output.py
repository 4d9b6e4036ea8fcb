"""Tables on standard output."""

import sys

from rich.console import Console
from rich.table import Table

WIDTH = 200
"""Characters in a line where there is no terminal."""


def show(table: Table) -> None:
    """Print a table, as wide as the terminal allows."""
    width = None if sys.stdout.isatty() else WIDTH
    Console(width=width, highlight=False).print(table)
