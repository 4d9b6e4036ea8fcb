"""F3: two classes that a line separates, and why that is not enough to compare samples."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import cycle
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gonio.figures import style, survey
from gonio.head import Head
from gonio.loss import Loss

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Values = NDArray[np.float64]

PER_CLASS = 40
HALF_LENGTH = 2.5
GRID = 61
LINES = (style.GREY, style.PURPLE, style.SKY, style.ORANGE)
"""Colours of decision lines, apart from those of the points and the arrows."""


@dataclass
class IntraInter:
    """Samples that are all classified right, and yet can be nearer to the other class than their own.

    Attributes:
        points: (samples, 2) embeddings of two classes.
        labels: (samples,) 0 or 1.
        intra: the two samples of one class that are farthest apart, as indices.
        inter: the two samples of different classes that are nearest, as indices.
        across: (grid,) the coordinates, on both axes, of `lead`.
        lead: label -> (grid, grid), the logit of class 1 less that of class 0, of class weights that
            were trained with the loss on the points; its rows go upwards.
        accuracy: label -> part of the points that those weights classify right, in [0, 1].
        ax_: axes that were drawn on.
        figure_: their figure.
    """

    points: Values
    labels: NDArray[np.int64]
    intra: tuple[int, int]
    inter: tuple[int, int]
    across: Values
    lead: dict[str, Values]
    accuracy: dict[str, float]
    ax_: "Axes" = field(init=False, repr=False)
    figure_: "Figure" = field(init=False, repr=False)

    @classmethod
    def from_losses(cls, losses: Mapping[str, Loss] | None = None) -> Self:
        """Decision lines of `losses`, or that of the softmax, through the same two classes.

        Raises:
            ConfigError: no losses.
        """
        chosen = survey.settled(survey.softmax() if losses is None else losses)
        points, labels = _two_classes()
        apart = torch.cdist(points, points)
        is_same = labels[:, None] == labels
        across = torch.linspace(-1.1 * HALF_LENGTH, 1.1 * HALF_LENGTH, GRID, dtype=torch.float64)
        grid = torch.cartesian_prod(across, across).flip(1)
        lead, accuracy = {}, {}
        for label, loss in chosen.items():
            head = _trained(label, loss, points, labels)
            lead[label] = _lead(head, grid).reshape(GRID, GRID).numpy()
            accuracy[label] = float(((_lead(head, points) > 0) == labels.bool()).double().mean())
        return cls(
            points.numpy(),
            labels.numpy(),
            _where(apart.masked_fill(~is_same, -torch.inf).argmax()),
            _where(apart.masked_fill(is_same, torch.inf).argmin()),
            across.numpy(),
            lead,
            accuracy,
        )

    def length(self, pair: tuple[int, int]) -> float:
        """The distance between two samples, such as `intra`."""
        first, second = self.points[list(pair)]
        return float(np.linalg.norm(first - second))

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw on `ax`, or on new axes.

        Raises:
            ConfigError: matplotlib is not installed.
        """
        axes = style.new_axes(7.2, 4.2) if ax is None else ax
        from matplotlib.lines import Line2D

        handles = []
        for number, (marker, colour) in enumerate((("o", style.VERMILLION), ("^", style.GREEN))):
            x, y = self.points[self.labels == number].T
            name = f"class {number + 1}"
            handles += axes.plot(x, y, marker, color=colour, markersize=6, alpha=0.8, label=name)
        for (label, lead), colour in zip(self.lead.items(), cycle(LINES), strict=False):
            axes.contour(self.across, self.across, lead, [0], colors=colour, linewidths=1.4)
            name = f"{label}: {self.accuracy[label]:.0%} right"
            handles.append(Line2D([], [], color=colour, linewidth=1.4, label=name))
        self._draw_arrow(axes, self.intra, style.BLUE, "largest distance within a class", (0, 1))
        self._draw_arrow(
            axes, self.inter, style.BLACK, "smallest distance between the classes", (1, 0)
        )
        low, high = self.points.min(axis=0) - 0.2, self.points.max(axis=0) + 0.2
        axes.set(aspect="equal", xticks=[], yticks=[], xlim=(low[0], high[0]))
        axes.set_ylim(low[1], high[1])
        axes.spines[:].set_visible(False)
        axes.legend(
            handles=handles,
            loc="lower center",
            bbox_to_anchor=(0.5, 1),
            ncols=3,
            frameon=False,
            fontsize=style.NOTE,
        )
        self.ax_, self.figure_ = axes, style.figure_of(axes)
        return self

    def _draw_arrow(
        self,
        axes: "Axes",
        pair: tuple[int, int],
        colour: str,
        text: str,
        corner: tuple[int, int],
    ) -> None:
        """The arrow, and its length in a corner of the axes, where there are no points."""
        start, end = self.points[list(pair)]
        axes.annotate(
            "", end, start, arrowprops={"arrowstyle": "<|-|>", "color": colour, "linewidth": 2.2}
        )
        axes.annotate(
            f"{text}: {self.length(pair):.2f}",
            corner,
            xycoords="axes fraction",
            color=colour,
            fontsize=style.LABEL,
            horizontalalignment="right" if corner[0] else "left",
            verticalalignment="top" if corner[1] else "bottom",
        )


def _two_classes() -> tuple[Tensor, Tensor]:
    """(samples, 2) points of two long classes on both sides of a line, and (samples,) labels."""
    generator = torch.Generator().manual_seed(0)
    along, off = torch.rand(2, 2 * PER_CLASS, generator=generator, dtype=torch.float64)
    labels = torch.arange(2).repeat_interleave(PER_CLASS)
    side = 2 * labels - 1
    tilt = torch.tensor([[0.92, 0.39], [-0.39, 0.92]], dtype=torch.float64)
    flat = torch.stack([HALF_LENGTH * (2 * along - 1), side * (0.2 + 0.6 * off)], dim=1)
    return flat @ tilt, labels


def _trained(label: str, loss: Loss, points: Tensor, labels: Tensor) -> Head:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        head = survey.head(label, loss, 2, 2)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    for _ in range(200):
        optimizer.zero_grad()
        head(points, labels).backward()
        optimizer.step()
    return head


@torch.no_grad()
def _lead(head: Head, points: Tensor) -> Tensor:
    logits = head.logits(points)
    return logits[:, 1] - logits[:, 0]


def _where(flat_index: Tensor) -> tuple[int, int]:
    first, second = divmod(int(flat_index), 2 * PER_CLASS)
    return first, second
