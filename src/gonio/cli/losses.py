"""`gonio losses`: the table of losses."""

import itertools
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table

from gonio import losses
from gonio.cli.output import as_typed, is_piped, list_rows, say, say_json, show
from gonio.cli.parser import Parser
from gonio.settings import plain

EXAMPLES = """\
  gonio losses
  gonio losses arcface
  gonio losses my_losses:my_loss
  gonio losses --json
"""


def run(arguments: Sequence[str]) -> None:
    """Show all losses, or one of them."""
    parser = Parser("losses", "The table of losses, or one loss with its equation.", EXAMPLES)
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="one loss, or module:function for your own"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    chosen = parser.read(arguments)
    if chosen.name is not None:
        row = losses.get(chosen.name)
        say_json(_facts(row)) if chosen.json else say(_page(row))
        return
    rows = [losses.get(name) for name in losses.names()]
    if chosen.json:
        say_json([_facts(row) for row in rows])
        return
    if is_piped():
        list_rows((row.name, row.summary, _settings(row)) for row in rows)
        return
    width = max(len(row.name) for row in rows)
    for family, members in itertools.groupby(rows, lambda row: row.family):
        show(_table(family, list(members), width))
    say("gonio losses NAME shows one with its equation, the meaning of its settings, its source")


def _facts(row: losses.Row) -> dict[str, Any]:
    """All that is known of a loss, as plain values."""
    return {
        "name": row.name,
        "family": row.family,
        "summary": row.summary,
        "equation": row.equation,
        "settings": {
            name: {"default": default, "meaning": row.arguments[name]}
            for name, default in _defaults(row).items()
        },
        "source": row.source,
    }


def _table(family: str, rows: Sequence[losses.Row], width: int) -> Table:
    """The losses of a family; in all families the names are as wide."""
    table = Table(
        title=" ".join(family.split()),
        title_style="bold",
        title_justify="left",
        box=box.SIMPLE,
        show_header=False,
        expand=True,
    )
    table.add_column("loss", width=width, no_wrap=True)
    table.add_column("summary", ratio=3)
    table.add_column("settings", ratio=2)
    for row in rows:
        table.add_row(row.name, row.summary, _settings(row))
    return table


def _settings(row: losses.Row) -> str:
    return ", ".join(f"{name}={as_typed(value)}" for name, value in _defaults(row).items())


def _defaults(row: losses.Row) -> dict[str, Any]:
    return {name: plain(default) for name, default in row.defaults.items()}


def _page(row: losses.Row) -> str:
    """All that is known of a loss; of one of the user's own that may be the settings alone."""
    equation = "\n".join(f"    {line}" for line in row.equation.splitlines())
    settings = "\n".join(
        f"  {name} = {as_typed(default)}\n      {row.arguments[name]}".rstrip()
        for name, default in _defaults(row).items()
    )
    title = "settings of gonio train, as --loss.NAME VALUE, and their defaults"
    parts = [
        f"{row.name}\n{row.summary}".rstrip(),
        equation,
        settings and f"{title}\n{settings}",
        row.source and f"source\n  {row.source}",
    ]
    return "\n\n".join(filter(None, parts))
