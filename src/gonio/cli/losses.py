"""`gonio losses`: the table of losses."""

import json
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from gonio import losses
from gonio.cli.output import show
from gonio.cli.parser import Parser
from gonio.train.loss_config import plain

EXAMPLES = """\
  gonio losses
  gonio losses arcface
  gonio losses --json
"""


def run(arguments: Sequence[str]) -> None:
    """Show all losses, or one of them."""
    parser = Parser("losses", "The table of losses, or one loss with its equation.", EXAMPLES)
    parser.add_argument("name", nargs="?", metavar="NAME", help="one loss")
    parser.add_argument("--json", action="store_true", help="print JSON")
    chosen = parser.parse_args(arguments)
    rows = [losses.get(name) for name in losses.names()]
    if chosen.name is None:
        _print_json([_facts(row) for row in rows]) if chosen.json else show(_table(rows))
    else:
        row = losses.get(chosen.name)
        _print_json(_facts(row)) if chosen.json else print(_page(row))


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def _facts(row: losses.Row) -> dict[str, Any]:
    """All that is known of a loss, as plain values."""
    return {
        "name": row.name,
        "summary": row.summary,
        "equation": row.equation,
        "settings": {
            name: {"default": default, "meaning": row.arguments[name]}
            for name, default in plain(row.defaults).items()
        },
        "source": row.source,
    }


def _table(rows: Sequence[losses.Row]) -> Table:
    table = Table("loss", "summary", "settings", "source", show_lines=True)
    for row in rows:
        defaults = plain(row.defaults)
        settings = "\n".join(f"{name} = {_shown(value)}" for name, value in defaults.items())
        table.add_row(row.name, row.summary, settings, row.source)
    return table


def _page(row: losses.Row) -> str:
    equation = "\n".join(f"    {line}" for line in row.equation.splitlines())
    settings = "\n".join(
        f"  {name} = {_shown(default)}\n      {row.arguments[name]}"
        for name, default in plain(row.defaults).items()
    )
    return f"""{row.name}
{row.summary}

{equation}

settings of gonio train, as --loss.NAME VALUE, and their defaults
{settings}

source
  {row.source}"""


def _shown(value: Any) -> str:
    """As it is typed."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {_shown(one)}' for name, one in value.items())}}}"
    return value if isinstance(value, str) else json.dumps(value)
