"""`gonio figure`: pictures of losses."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.table import Table

from gonio import figures
from gonio.cli.output import is_piped, list_rows, show
from gonio.cli.parser import Parser
from gonio.settings import LossConfig, check_output

EXAMPLES = """\
  gonio figure --list
  gonio figure target-curves -o curves.svg
  gonio figure target-curves --loss arcface --loss '{name: arcface, margin: 0.3}' -o curves.png
"""


def run(arguments: Sequence[str]) -> None:
    """Draw a picture, or list all."""
    parser = Parser("figure", "Draw a picture of losses.", EXAMPLES)
    parser.add_argument("name", nargs="?", metavar="NAME", help="which picture; see --list")
    parser.add_argument("--list", action="store_true", help="list the pictures")
    parser.add_argument(
        "--loss",
        action="append",
        metavar="LOSS",
        help="a name, or a mapping with its settings; may be repeated; the survey's own by default",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="where to: .svg, .pdf or .png")
    chosen = parser.read(arguments)
    if chosen.list:
        rows = [(name, figures.describe(name)) for name in figures.names()]
        list_rows(rows) if is_piped() else show(_table(rows))
        return
    if chosen.name is None or chosen.output is None:
        parser.error("the name of a picture and -o FILE are needed, or --list")
    check_output("--output", Path(chosen.output))
    given = [LossConfig.typed(text, "--loss") for text in chosen.loss or ()]
    figures.draw(chosen.name, chosen.output, {one.label: one.make() for one in given} or None)


def _table(rows: Iterable[tuple[str, str]]) -> Table:
    table = Table("figure", "what it shows")
    for row in rows:
        table.add_row(*row)
    return table
