"""F4: the target of each margin against the angle."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gonio.figures import style, survey
from gonio.figures.labels import label_right
from gonio.loss import Loss, target_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Values = NDArray[np.float64]

FLOOR = -3.7
"""Where the picture is cut off: a multiplied angle falls to 1 - 2m."""


@dataclass
class TargetCurves:
    """What the own class scores at each angle, after the margin.

    Attributes:
        angle: (angles,) in radians, from 0 to pi.
        target: label -> (angles,).
        flat: label -> angles in (0, pi) where the slope is 0: pi / m and its multiples where the angle
            is multiplied, pi - m where a margin is added to it.
        ax_: axes that were drawn on.
        figure_: their figure.
    """

    angle: Values
    target: dict[str, Values]
    flat: dict[str, Values]
    ax_: "Axes" = field(init=False, repr=False)
    figure_: "Figure" = field(init=False, repr=False)

    @classmethod
    def from_losses(cls, losses: Mapping[str, Loss] | None = None) -> Self:
        """The curves of `losses`, or of the survey's margins.

        Raises:
            ConfigError: no losses.
        """
        chosen = survey.settled(survey.margins() if losses is None else losses)
        angle = torch.linspace(0, torch.pi, 1441, dtype=torch.float64)
        return cls(
            angle.numpy(),
            {label: target_curve(loss, angle).numpy() for label, loss in chosen.items()},
            {label: _flat(loss, angle).numpy() for label, loss in chosen.items()},
        )

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw on `ax`, or on new axes.

        Raises:
            ConfigError: matplotlib is not installed.
        """
        axes = style.new_axes(8.2, 4.6) if ax is None else ax
        targets = np.concatenate([*self.target.values()])
        limits = max(targets.min() - 0.1, FLOOR), targets.max() + 0.1
        axes.set(xlim=(0, 180), xticks=range(0, 181, 30), ylim=limits)
        axes.grid(color=style.GREY, alpha=0.15, linewidth=0.6)
        lines = []
        for label, target in self.target.items():
            name = f"{label}  {self._marks(label)}"
            lines += axes.plot(np.degrees(self.angle), target, linewidth=1.8, label=name)
            flat, colour = self.flat[label], lines[-1].get_color()
            height = np.interp(flat, self.angle, target)
            axes.plot(np.degrees(flat), height, "o", color=colour, markerfacecolor="white")
            if target[-1] < FLOOR:
                exit_angle = np.degrees(self.angle[(target < FLOOR).argmax()])
                axes.annotate(
                    f"{label}\n{self._marks(label)}  falls to ${target[-1]:.2g}$",
                    (exit_angle, FLOOR),
                    (4, 3),
                    textcoords="offset points",
                    color=colour,
                    fontsize=style.NOTE,
                )
        label_right(axes, lines)
        axes.set_xlabel("angle to the own class θ, degrees", fontsize=style.LABEL)
        axes.set_ylabel("target ψ(θ)", fontsize=style.LABEL)
        axes.set_title(
            r"○ slope 0: at $\pi / m$ and its multiples where the angle is multiplied, "
            r"at $\pi - m$ where $m$ is added to it",
            fontsize=style.NOTE,
            color=style.GREY,
            loc="left",
        )
        self.ax_, self.figure_ = axes, style.figure_of(axes)
        return self

    def _marks(self, label: str) -> str:
        marks = ", ".join(f"{angle:.0f}°" for angle in np.degrees(self.flat[label]))
        return f"○ {marks}" if marks else ""


def _flat(loss: Loss, angle: Tensor) -> Tensor:
    """The inner angles where the slope of the target comes to 0, found between the given ones."""

    def steepness(at: Tensor) -> Tensor:
        at = at.detach().requires_grad_()
        (slope,) = torch.autograd.grad(target_curve(loss, at).sum(), at)
        return slope.abs()

    left, here, right = steepness(angle).unfold(0, 3, 1).T
    lowest = (left > here) & (here <= right)
    low, high = angle[:-2][lowest], angle[2:][lowest]
    for _ in range(80):
        third = (high - low) / 3
        falls = steepness(low + third) > steepness(high - third)
        low, high = (low + third).where(falls, low), high.where(falls, high - third)
    return low[steepness(low) < 1e-6]
