"""F1: how the scale decides how soft the borders between classes are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from numpy.typing import NDArray

from gonio.figures import sphere, style, survey
from gonio.figures.style import new_panels
from gonio.loss import Loss

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NORM = 30.0
"""Of the embeddings; only losses that do not normalise them can tell."""


@dataclass
class RegionsScale:
    """The probability of each class at each point of the sphere, a panel for each loss.

    Attributes:
        inside: (pixels, pixels) bool, the pixels of the disc that shows the sphere's front half.
        probability: label -> (classes, n), e^-loss of each inside pixel as a sample of each class.
        axes_: the panels.
        figure_: their figure.
    """

    inside: NDArray[np.bool_]
    probability: dict[str, NDArray[np.float64]]
    axes_: "list[Axes]" = field(init=False, repr=False)
    figure_: "Figure" = field(init=False, repr=False)

    @classmethod
    def from_losses(cls, losses: Mapping[str, Loss] | None = None) -> Self:
        """The regions of `losses`, or of the survey's scales without a margin.

        Raises:
            ConfigError: no losses.
        """
        chosen = survey.settled(survey.scales() if losses is None else losses)
        inside, points = sphere.grid()
        probability = {label: _probability(label, loss, points) for label, loss in chosen.items()}
        return cls(inside.numpy(), probability)

    def plot(self) -> Self:
        """Draw in a new figure.

        Raises:
            ConfigError: matplotlib is not installed.
        """
        self.axes_ = new_panels(len(self.probability), columns=5, width=1.8, height=2.5)
        for axes, (label, probability) in zip(self.axes_, self.probability.items(), strict=True):
            highest = probability.max(axis=0)
            sphere.draw(axes, self.inside, probability.argmax(axis=0), highest)
            axes.set_title(label, fontsize=style.LABEL, pad=3)
        self.figure_ = style.figure_of(self.axes_[0])
        sphere.caption(
            self.figure_,
            "front half of the unit sphere; colour: the most probable class, the paler the less so",
        )
        return self


def _probability(label: str, loss: Loss, points: torch.Tensor) -> NDArray[np.float64]:
    vectors = sphere.class_vectors()
    head = survey.head(label, loss, vectors.shape[1], len(vectors)).eval()
    weight = head.get_parameter("weight")
    with torch.no_grad():
        weight.copy_(vectors if weight.ndim == 2 else vectors[:, None])
        cost = head(
            NORM * points.repeat(len(vectors), 1),
            torch.arange(len(vectors)).repeat_interleave(len(points)),
            reduction="none",
        )
    probability: NDArray[np.float64] = cost.neg().exp().reshape(len(vectors), -1).numpy()
    return probability
