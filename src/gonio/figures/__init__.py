"""Pictures of losses and of results; they need matplotlib: pip install 'gonio[plot]'.

    gonio.figures.names()                                           # the survey's pictures
    gonio.figures.draw("target-curves", "curves.svg")               # with the survey's losses
    gonio.figures.get("margin-width").from_losses({"mine": loss})   # the numbers behind one

As in scikit-learn, a display holds what it shows, and `plot` draws it. The numbers come from the rules
that train, never from a second copy of a formula.
"""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, Self

from gonio.base.errors import unknown_name
from gonio.figures import style
from gonio.figures.angle_plane import AnglePlane
from gonio.figures.intra_inter import IntraInter
from gonio.figures.margin_width import MarginWidth
from gonio.figures.regions_margin import RegionsMargin
from gonio.figures.regions_scale import RegionsScale
from gonio.figures.scale_control import ScaleControl
from gonio.figures.smooth_family import SmoothFamily
from gonio.figures.target_curves import TargetCurves
from gonio.loss import Loss

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Display", "describe", "draw", "get", "names"]


class Display(Protocol):
    """What a picture of the table is: numbers first, then a drawing of them."""

    figure_: "Figure"

    @classmethod
    def from_losses(cls, losses: Mapping[str, Loss] | None = None) -> Self:
        """Compute what is shown for each label and loss, or for the survey's own."""

    def plot(self) -> Self:
        """Draw into `figure_`."""


PICTURES: dict[str, type[Display]] = {
    "smooth-family": SmoothFamily,
    "scale-control": ScaleControl,
    "intra-inter": IntraInter,
    "regions-scale": RegionsScale,
    "regions-margin": RegionsMargin,
    "target-curves": TargetCurves,
    "angle-plane": AnglePlane,
    "margin-width": MarginWidth,
}
"""In the order of the survey."""


def names() -> list[str]:
    """Every picture, in the order of the survey."""
    return list(PICTURES)


def get(name: str) -> type[Display]:
    """The display of a name.

    Raises:
        ConfigError: an unknown name; the message says which one may have been meant.
    """
    if name in PICTURES:
        return PICTURES[name]
    raise unknown_name("figure", name, PICTURES)


def describe(name: str) -> str:
    """What a picture shows, in one sentence.

    Raises:
        ConfigError: an unknown name.
    """
    return (get(name).__doc__ or "").partition("\n")[0]


def draw(name: str, path: str | os.PathLike[str], losses: Mapping[str, Loss] | None = None) -> None:
    """Write a picture as .svg, .pdf or .png.

    Args:
        name: one of `names()`.
        path: where to; the suffix decides the format.
        losses: label -> loss, each shown as it is once its schedules have run; None takes the survey's.

    Raises:
        ConfigError: an unknown name or suffix, no losses, or matplotlib is not installed.
        OSError: a path that cannot be written.
    """
    style.save(get(name).from_losses(losses).plot().figure_, path)
