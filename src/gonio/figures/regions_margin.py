"""F2: how much of the sphere a margin leaves to the classes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import permutations
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from numpy.typing import NDArray

from gonio.figures import sphere, style, survey
from gonio.figures.contest import wins
from gonio.figures.style import new_panels
from gonio.loss import Loss

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass
class RegionsMargin:
    """Which class wins a point of the sphere with its margin held against it, a panel for each loss.

    Attributes:
        inside: (pixels, pixels) bool, the pixels of the disc that shows the sphere's front half.
        won: label -> (classes, n) bool, for each inside pixel.
        share: label -> part of the half sphere that some class wins, in [0, 1].
        axes_: the panels.
        figure_: their figure.
    """

    inside: NDArray[np.bool_]
    won: dict[str, NDArray[np.bool_]]
    share: dict[str, float] = field(init=False)
    axes_: "list[Axes]" = field(init=False, repr=False)
    figure_: "Figure" = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.share = {label: float(won.any(axis=0).mean()) for label, won in self.won.items()}

    @classmethod
    def from_losses(cls, losses: Mapping[str, Loss] | None = None) -> Self:
        """The regions of `losses`, or of four sizes of each kind of margin.

        Raises:
            ConfigError: no losses.
        """
        chosen = survey.settled(survey.margin_sizes() if losses is None else losses)
        inside, points = sphere.grid()
        angle = (sphere.class_vectors() @ points.T).clamp(-1, 1).acos()
        return cls(inside.numpy(), {label: _won(loss, angle) for label, loss in chosen.items()})

    def plot(self) -> Self:
        """Draw in a new figure.

        Raises:
            ConfigError: matplotlib is not installed.
        """
        self.axes_ = new_panels(len(self.won), columns=4, width=2.1, height=3.1)
        for axes, (label, won) in zip(self.axes_, self.won.items(), strict=True):
            is_won = won.any(axis=0)
            best = np.where(is_won, won.argmax(axis=0), -1)
            sphere.draw(axes, self.inside, best, np.where(is_won, 0.8, 0.5))
            axes.set_title(f"{label}\n{self.share[label]:.0%} won", fontsize=style.LABEL, pad=3)
        self.figure_ = style.figure_of(self.axes_[0])
        sphere.caption(
            self.figure_, "front half of the unit sphere, areas true to size; grey: won by no class"
        )
        return self


def _won(loss: Loss, angle: torch.Tensor) -> NDArray[np.bool_]:
    """(classes, n) angles -> (classes, n): does the class beat every other one?"""
    won = torch.ones_like(angle, dtype=torch.bool)
    for one, other in permutations(range(len(angle)), 2):
        won[one] &= wins(loss, angle[one], angle[other])
    return won.numpy()
