"""F10: how the scale of the scores decides between soft and hard."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from numpy.typing import NDArray

from gonio.figures import style, survey
from gonio.figures.style import new_panels
from gonio.loss import Loss

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Values = NDArray[np.float64]

EXAMPLE = np.array([1.0, 2.0, 3.0, 4.0])
"""The survey's scores, and what it multiplies them by."""
FACTORS = np.array([0.1, 1.0, 10.0])


@dataclass
class ScaleControl:
    """One pool of the same four scores at several scales: its value, and what each score weighs.

    For cross-entropy the value is log-sum-exp and the weights are the softmax.

    Attributes:
        scores: (factors, 4), the survey's example at its three scales.
        pool: label -> what kind of pool it is.
        value: label -> (factors,), the pool of the scores.
        share: label -> (factors, 4), d pool / d score.
        scale: (scales,), from 0.01 to 100.
        excess: label -> (scales,), by how much the pool exceeds the largest score there.
        axes_: the panels, a row for each loss.
        figure_: their figure.
    """

    scores: Values
    pool: dict[str, str]
    value: dict[str, Values]
    share: dict[str, Values]
    scale: Values
    excess: dict[str, Values]
    axes_: "list[Axes]" = field(init=False, repr=False)
    figure_: "Figure" = field(init=False, repr=False)

    @classmethod
    def from_losses(cls, losses: Mapping[str, Loss] | None = None) -> Self:
        """The pools of `losses`, or that of the softmax.

        Raises:
            ConfigError: no losses.
        """
        chosen = survey.settled(survey.softmax() if losses is None else losses)
        scores, scale = FACTORS[:, None] * EXAMPLE, np.logspace(-2, 2, 201)
        pool, value, share, excess = {}, {}, {}, {}
        for label, loss in chosen.items():
            pool[label] = type(loss.pool).__name__
            value[label], share[label] = _pooled(loss, scores)
            excess[label] = _pooled(loss, scale[:, None] * EXAMPLE)[0] - scale * EXAMPLE.max()
        return cls(scores, pool, value, share, scale, excess)

    def plot(self) -> Self:
        """Draw in a new figure.

        Raises:
            ConfigError: matplotlib is not installed.
        """
        columns = len(FACTORS) + 1
        self.axes_ = new_panels(columns * len(self.value), columns, width=2.35, height=2.7)
        for row, label in enumerate(self.value):
            *bars, curve = self.axes_[columns * row : columns * (row + 1)]
            for index, axes in enumerate(bars):
                self._draw_bars(axes, label, index)
            bars[0].set_ylabel(f"{label}\nweight of each score", fontsize=style.NOTE)
            self._draw_excess(curve, label)
        self.figure_ = style.figure_of(self.axes_[0])
        return self

    def _draw_bars(self, axes: "Axes", label: str, index: int) -> None:
        scores, share = self.scores[index], self.share[label][index]
        bars = axes.bar([f"{score:g}" for score in scores], share, color=style.BLUE, width=0.7)
        axes.bar_label(bars, [_short(weight) for weight in share], padding=2, fontsize=8)
        axes.set(ylim=(0, 1.12), yticks=(0, 0.5, 1))
        axes.set_xlabel(rf"scores $\times$ {FACTORS[index]:g}", fontsize=style.NOTE)
        axes.set_title(f"{self.pool[label]} = {self.value[label][index]:.4f}", fontsize=style.LABEL)

    def _draw_excess(self, axes: "Axes", label: str) -> None:
        bound = np.log(len(EXAMPLE))
        axes.axhline(bound, color=style.GREY, linestyle="--", linewidth=0.8)
        axes.text(20, bound, "ln 4", color=style.GREY, fontsize=style.NOTE, va="bottom")
        axes.plot(self.scale, self.excess[label], color=style.VERMILLION, linewidth=1.8)
        at_factors = self.value[label] - self.scores.max(axis=1)
        axes.plot(FACTORS, at_factors, "o", color=style.VERMILLION)
        top = 1.12 * max(bound, *self.excess[label])
        axes.set(xscale="log", xticks=(0.01, 0.1, 1, 10, 100), ylim=(0, top))
        axes.minorticks_off()
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlabel(r"scores $\times$ scale", fontsize=style.NOTE)
        axes.set_title(f"{self.pool[label]} $-$ largest score", fontsize=style.LABEL)


def _pooled(loss: Loss, scores: Values) -> tuple[Values, Values]:
    """(n, k) scores -> the pool's (n,) values and (n, k) slopes."""
    rows = torch.from_numpy(scores)
    state = loss.pool.fold(rows)
    slope = loss.pool.push(rows, state, rows.new_ones(len(rows)))
    return loss.pool.value(state).numpy(), slope.numpy()


def _short(weight: float) -> str:
    return f"{weight:.4f}" if weight >= 0.001 else f"{weight:.0e}"
