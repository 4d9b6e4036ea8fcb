"""F9: from the sum of hinges to cross-entropy, one smoothing at a time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from numpy.typing import NDArray

from gonio.figures import style, survey
from gonio.figures.contest import cost_and_pull
from gonio.figures.style import new_panels
from gonio.loss import Loss

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Values = NDArray[np.float64]

OTHERS = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64) - 4
"""Scores of the other classes: the survey's example, shifted so that the largest is 0."""


@dataclass
class SmoothFamily:
    """Loss and gradient against the lead of the own class over the largest other score.

    Attributes:
        gap: (gaps,) z_y - max z_j, with z_y the own score after the margin, at scale 1.
        cost: label -> (gaps,) loss.
        pull: label -> (gaps,) -d loss / d z_y, which is also what all other scores are pushed with.
        axes_: the panels: loss and gradient.
        figure_: their figure.
    """

    gap: Values
    cost: dict[str, Values]
    pull: dict[str, Values]
    axes_: "list[Axes]" = field(init=False, repr=False)
    figure_: "Figure" = field(init=False, repr=False)

    @classmethod
    def from_losses(cls, losses: Mapping[str, Loss] | None = None) -> Self:
        """The curves of `losses`, or of the survey's chain; only pool and penalty matter.

        Raises:
            ConfigError: no losses.
        """
        chosen = survey.settled(survey.chain() if losses is None else losses)
        gap = torch.linspace(-3.5, 3, 1301, dtype=torch.float64)
        others = OTHERS.expand(len(gap), -1)
        cost, pull = {}, {}
        for label, loss in chosen.items():
            curves = cost_and_pull(loss, gap, others, torch.zeros_like(gap))
            cost[label], pull[label] = (curve.numpy() for curve in curves)
        return cls(gap.numpy(), cost, pull)

    def plot(self) -> Self:
        """Draw in a new figure.

        Raises:
            ConfigError: matplotlib is not installed.
        """
        self.axes_ = new_panels(2, columns=2, width=4.6, height=3.6)
        names = ("loss", "gradient  $-\\partial$ loss / $\\partial z_y$")
        for axes, name, curves in zip(self.axes_, names, (self.cost, self.pull), strict=True):
            axes.set_prop_cycle(color=style.LINE_COLOURS, linestyle=style.LINE_STYLES)
            lines = [
                axes.plot(self.gap, curve, linewidth=1.8, label=label)[0]
                for label, curve in curves.items()
            ]
            axes.set(xlim=(self.gap[0], self.gap[-1]))
            axes.grid(color=style.GREY, alpha=0.15, linewidth=0.6)
            axes.set_title(name, fontsize=style.LABEL)
        self.figure_ = style.figure_of(self.axes_[0])
        self.figure_.supxlabel("lead of the own class  $z_y - \\max\\, z_j$", fontsize=style.LABEL)
        self.figure_.legend(
            handles=lines,
            loc="outside upper center",
            ncols=3,
            frameon=False,
            fontsize=style.NOTE,
        )
        return self
