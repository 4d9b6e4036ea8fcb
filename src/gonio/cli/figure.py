"""`gonio figure`: pictures of losses."""

from collections.abc import Sequence

from rich.table import Table

from gonio import figures
from gonio.cli.named_loss import named_loss
from gonio.cli.output import show
from gonio.cli.parser import Parser

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
    chosen = parser.parse_args(arguments)
    if chosen.list:
        show(_table())
        return
    if chosen.name is None or chosen.output is None:
        parser.error("the name of a picture and -o FILE are needed, or --list")
    shown = (
        None
        if chosen.loss is None
        else dict(named_loss(text, "--loss", {}) for text in chosen.loss)
    )
    figures.draw(chosen.name, chosen.output, shown)


def _table() -> Table:
    table = Table("figure", "what it shows")
    for name in figures.names():
        table.add_row(name, figures.describe(name))
    return table
