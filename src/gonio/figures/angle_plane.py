"""F7: who wins at every pair of angles, and the band where nobody does."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gonio.figures import style, survey
from gonio.figures.contest import boundary, wins
from gonio.figures.style import new_panels
from gonio.loss import Loss

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Values = NDArray[np.float64]

WON_BY_1, WON_BY_2 = "#CFE3F0", "#F8DFCD"
"""Light blue and light vermillion."""


@dataclass
class AnglePlane:
    """Decision boundaries of two classes in the plane of the angles to them, a panel for each loss.

    A sample of class 1 wins above its boundary, one of class 2 (by symmetry) below the mirrored one.

    Attributes:
        own: (angles,) to the own class, in radians, from 0 to pi.
        other: label -> (angles,), the angle to the other class from which on the own class wins; NaN
            where it never does.
        axes_: the panels.
        figure_: their figure.
    """

    own: Values
    other: dict[str, Values]
    axes_: "list[Axes]" = field(init=False, repr=False)
    figure_: "Figure" = field(init=False, repr=False)

    @classmethod
    def from_losses(cls, losses: Mapping[str, Loss] | None = None) -> Self:
        """The boundaries of `losses`, or of the survey's margins.

        Raises:
            ConfigError: no losses.
        """
        chosen = survey.settled(survey.margins() if losses is None else losses)
        own = torch.linspace(0, torch.pi, 1801, dtype=torch.float64)
        return cls(own.numpy(), {label: _other(loss, own) for label, loss in chosen.items()})

    def plot(self) -> Self:
        """Draw in a new figure.

        Raises:
            ConfigError: matplotlib is not installed.
        """
        self.axes_ = new_panels(len(self.other), columns=3, width=2.9, height=3.15)
        from matplotlib.patches import Patch

        for axes, (label, other) in zip(self.axes_, self.other.items(), strict=True):
            self._draw(axes, np.degrees(self.own), np.degrees(other))
            axes.set_title(label, fontsize=style.LABEL)
        self.figure_ = style.figure_of(self.axes_[0])
        self.figure_.supxlabel("angle θ₁ to class 1, degrees", fontsize=style.LABEL)
        self.figure_.supylabel("angle θ₂ to class 2, degrees", fontsize=style.LABEL)
        self.figure_.legend(
            handles=[
                *self.axes_[0].collections,
                Patch(facecolor="white", edgecolor=style.GREY, label="neither wins"),
            ],
            loc="outside upper center",
            ncols=3,
            frameon=False,
            fontsize=style.LABEL,
        )
        return self

    def _draw(self, axes: "Axes", own: Values, other: Values) -> None:
        axes.set(xlim=(0, 180), ylim=(0, 180), xticks=range(0, 181, 60), yticks=range(0, 181, 60))
        axes.set_aspect("equal")
        axes.fill_between(own, other, 180, color=WON_BY_1, linewidth=0, label="class 1 wins")
        axes.fill_betweenx(own, other, 180, color=WON_BY_2, linewidth=0, label="class 2 wins")
        axes.plot([0, 180], [0, 180], "--", color=style.GREY, linewidth=0.8)
        axes.plot(own, other, color=style.BLUE, linewidth=1.6)
        axes.plot(other, own, color=style.VERMILLION, linewidth=1.6)


def _other(loss: Loss, own: Tensor) -> Values:
    nearest, farthest = torch.zeros_like(own), torch.full_like(own, torch.pi)
    return boundary(partial(wins, loss, own), true=farthest, false=nearest).numpy()
