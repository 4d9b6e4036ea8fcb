"""One look for all pictures: colours every reader can tell apart, font sizes, and saving."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from gonio.base.durable import replacing
from gonio.base.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito, "Color Universal Design", 2008; yellow is for areas, never for lines on white.
BLUE, VERMILLION, GREEN = "#0072B2", "#D55E00", "#009E73"
PURPLE, ORANGE, SKY, BLACK, YELLOW = "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442"
GREY = "#666666"
LINE_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK)
LINE_STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 1)))

TITLE, LABEL, NOTE = 11, 10, 9  # points
SUFFIXES = (".svg", ".pdf", ".png")


def new_axes(width: float = 6.4, height: float = 4.0) -> "Axes":
    """Empty axes in a figure of their own, in inches, independent of pyplot.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    return new_panels(1, 1, width, height)[0]


def new_panels(count: int, columns: int, width: float, height: float) -> "list[Axes]":
    """`count` empty axes in rows of at most `columns`, in one new figure; each in inches.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ConfigError("pictures need matplotlib: pip install 'gonio[plot]'") from error
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    grid: list[Axes] = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for axes in grid:
        axes.set_prop_cycle(color=LINE_COLOURS, linestyle=LINE_STYLES)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=NOTE)
    for unused in grid[count:]:
        unused.remove()
    return grid[:count]


def figure_of(axes: "Axes") -> "Figure":
    """The whole figure that the axes are in, the parent of any subfigure."""
    figure = axes.get_figure(root=True)
    if figure is None:
        raise ValueError("ax: these axes have been removed from their figure; pass others")
    return figure


def save(figure: "Figure", path: str | os.PathLike[str]) -> None:
    """Write the figure as the suffix of `path` says, wholly or not at all.

    Raises:
        ConfigError: a suffix other than .svg, .pdf, .png.
        OSError: a path that cannot be written.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in SUFFIXES:
        raise ConfigError(
            f"path: {os.fspath(path)!r} ends in {suffix!r}; a picture can be {', '.join(SUFFIXES)}"
        )
    from matplotlib import rc_context

    # no date and no random ids, so that the same picture is the same file
    dated = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}[suffix]
    with rc_context({"svg.hashsalt": "gonio"}), replacing(target) as part:
        figure.savefig(part, format=suffix[1:], dpi=200, metadata=dated)
