"""Labels that stand at the ends of curves instead of a legend."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from gonio.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D


def label_right(axes: "Axes", lines: "Sequence[Line2D]") -> None:
    """Write each line's label at the right edge, where the line ends, without overlap.

    Args:
        axes: with its limits set.
        lines: with labels; one that ends above or below the axes is passed over.
    """
    low, high = axes.get_ylim()
    ends = {line: (np.asarray(line.get_ydata())[-1] - low) / (high - low) for line in lines}
    shown = {line: end for line, end in ends.items() if 0 <= end <= 1}
    line_height = 1.3 * style.NOTE * style.figure_of(axes).dpi / 72 / axes.bbox.height
    places = _spread(np.array(list(shown.values())), line_height)
    for (line, end), place in zip(shown.items(), places, strict=True):
        axes.plot(
            [1, 1.03],
            [end, place],
            transform=axes.transAxes,
            color=line.get_color(),
            linewidth=0.8,
            linestyle="-",
            clip_on=False,
        )
        axes.text(
            1.04,
            place,
            str(line.get_label()),
            transform=axes.transAxes,
            color=line.get_color(),
            fontsize=style.NOTE,
            verticalalignment="center",
        )


def _spread(places: NDArray[np.float64], gap: float) -> NDArray[np.float64]:
    """The places moved as little as lets them be `gap` apart."""
    order = np.argsort(places, kind="stable")
    moved = places[order]
    for _ in range(200):
        overlap = np.clip(gap - np.diff(moved), 0, None) / 2
        moved[:-1] -= overlap
        moved[1:] += overlap
    return moved[np.argsort(order)]
