"""F8: how wide the margin is between two classes, against the angle between them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gonio.figures import style, survey
from gonio.figures.contest import boundary, wins
from gonio.figures.labels import label_right
from gonio.loss import Loss

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Values = NDArray[np.float64]


@dataclass
class MarginWidth:
    """The part of the arc between two class vectors that neither class wins.

    A multiplied angle leaves close classes hardly any margin. A margin that is added keeps its width,
    until it is as wide as the arc: from there on the loss asks for what no embedding can give.

    Attributes:
        between: (angles,) between the class vectors, in radians, from 0 to pi.
        width: label -> (angles,) in radians; NaN where a class does not even win its own vector.
        ax_: axes that were drawn on.
        figure_: their figure.
    """

    between: Values
    width: dict[str, Values]
    ax_: "Axes" = field(init=False, repr=False)
    figure_: "Figure" = field(init=False, repr=False)

    @classmethod
    def from_losses(cls, losses: Mapping[str, Loss] | None = None) -> Self:
        """The widths of `losses`, or of the survey's margins.

        Raises:
            ConfigError: no losses.
        """
        chosen = survey.settled(survey.margins() if losses is None else losses)
        between = torch.linspace(0, torch.pi, 1441, dtype=torch.float64)[1:]
        return cls(
            between.numpy(), {label: _width(loss, between) for label, loss in chosen.items()}
        )

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw on `ax`, or on new axes.

        Raises:
            ConfigError: matplotlib is not installed.
        """
        axes = style.new_axes(8.2, 4.4) if ax is None else ax
        met = np.degrees(np.concatenate([*self.width.values(), [0.0, 0.5]]))
        limits = 1.06 * np.nanmin(met), 1.06 * np.nanmax(met)
        axes.set(xlim=(0, 180), xticks=range(0, 181, 30), ylim=limits)
        axes.fill_between(
            [0, 180], [0, 180], 180, hatch="//", facecolor="none", edgecolor=style.GREY, alpha=0.35
        )
        axes.plot([0, 180], [0, 180], "-", color=style.GREY, linewidth=0.8)
        axes.text(
            0.04,
            0.95,
            "\n".join(["wider than the arc itself: cannot be met", *self._never_met()]),
            transform=axes.transAxes,
            fontsize=style.NOTE,
            color=style.GREY,
            verticalalignment="top",
            bbox={"facecolor": "white", "edgecolor": "none"},
        )
        lines = []
        for label, width in self.width.items():
            between = np.degrees(self.between)
            lines += axes.plot(between, np.degrees(width), linewidth=1.8, label=label)
        label_right(axes, lines)
        axes.set_xlabel("angle between the two classes θ₁₂, degrees", fontsize=style.LABEL)
        axes.set_ylabel("width of the margin, degrees", fontsize=style.LABEL)
        self.ax_, self.figure_ = axes, style.figure_of(axes)
        return self

    def _never_met(self) -> list[str]:
        """The losses that have no curve."""
        return [f"{label}: nowhere" for label, width in self.width.items() if np.isnan(width).all()]


def _width(loss: Loss, between: Tensor) -> Values:
    """On the arc, an angle t from the own class is `between` - t from the other."""
    won = boundary(
        lambda t: wins(loss, t, between - t), true=torch.zeros_like(between), false=between
    )
    return (between - 2 * won).numpy()
