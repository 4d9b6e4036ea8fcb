"""The front half of the unit sphere with five classes on it, seen as a disc that keeps areas."""

from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gonio.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PIXELS = 320
COLOURS = (style.BLUE, style.VERMILLION, style.GREEN, style.PURPLE, style.ORANGE)
PLACES = torch.tensor(
    [[-0.58, 0.42], [0.24, 0.70], [0.72, -0.22], [0.04, -0.06], [-0.44, -0.64]],
    dtype=torch.float64,
)
"""(classes, 2) of the class vectors in the unit disc."""


def on_sphere(places: Tensor) -> Tensor:
    """(n, 2) places in the unit disc -> (n, 3) unit vectors.

    The azimuthal projection of equal areas, Lambert, 1772.
    """
    square = places.square().sum(dim=1, keepdim=True)
    return torch.cat([places * (2 - square).sqrt(), 1 - square], dim=1)


def grid() -> tuple[Tensor, Tensor]:
    """The pixels in the disc, as (pixels, pixels) bool from its lower left, and their (n, 3) vectors."""
    across = (torch.arange(PIXELS, dtype=torch.float64) + 0.5) * (2 / PIXELS) - 1
    places = torch.cartesian_prod(across, across).flip(1)
    is_inside = places.square().sum(dim=1) < 1
    return is_inside.reshape(PIXELS, PIXELS), on_sphere(places[is_inside])


def class_vectors() -> Tensor:
    """(classes, 3) unit vectors."""
    return on_sphere(PLACES)


def draw(
    axes: "Axes", inside: NDArray[np.bool_], best: NDArray[np.int64], depth: NDArray[np.float64]
) -> None:
    """Paint each inside pixel in the colour of its best class, as deep as said, and the classes.

    Args:
        axes: empty.
        inside: (pixels, pixels).
        best: (n,) class of each inside pixel; -1 is grey.
        depth: (n,) in [0, 1]; 0 is white.
    """
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Circle

    colours = np.array([to_rgb(colour) for colour in (*COLOURS, "#BBBBBB")])
    image = np.ones((*inside.shape, 3))
    image[inside] = 1 - depth[:, None] * (1 - colours[best])
    axes.set(xlim=(-1.02, 1.02), ylim=(-1.02, 1.02), aspect="equal", xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    rim = Circle((0, 0), 1, fill=False, edgecolor=style.GREY)
    axes.add_patch(rim)
    axes.imshow(
        image, origin="lower", extent=(-1, 1, -1, 1), interpolation="bilinear", clip_path=rim
    )
    for number, (x, y) in enumerate(PLACES.tolist()):
        axes.plot(x, y, "o", color="white", markeredgecolor="black", markersize=10)
        axes.text(
            x,
            y,
            str(number + 1),
            fontsize=7,
            horizontalalignment="center",
            verticalalignment="center_baseline",
        )


def caption(figure: "Figure", text: str) -> None:
    """Say below the panels what they show, in as many lines as the figure is narrow."""
    letters = int(14 * figure.get_figwidth())
    figure.supxlabel(fill(text, letters), fontsize=style.NOTE, color=style.GREY)
