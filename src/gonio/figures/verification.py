"""Verification in pictures: score distributions and ROC curves.

As in scikit-learn, a display holds what it shows, `plot` draws it, and `ax_` and `figure_` are
what was drawn.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gonio.base.errors import DataError
from gonio.base.text import shown
from gonio.evaluate.curves import RocCurve, ScoreHistogram, roc_curve, score_histogram
from gonio.evaluate.metrics import (
    FEW_FALSE_ACCEPTS,
    EqualErrorRate,
    TarAtFar,
    equal_error_rate,
    tar_at_far,
)
from gonio.evaluate.scores import Scores
from gonio.evaluate.verification import STATED_FAR, Verification
from gonio.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curve = NDArray[np.float64]

SHOULDER = 0.7  # of the peak's height: there the name of a distribution stands beside it
LABEL_WIDTH = 0.35  # of the axes: the label of a threshold


@dataclass
class ScoreHistogramDisplay:
    """Densities of the cosines of genuine and impostor pairs, with the thresholds.

    Attributes:
        histogram: counts in equal bins.
        eer: the equal error rate.
        tar_at_far: the operating points; those without a value are left out of the picture.
        genuine_density: (bins,) per unit of cosine; its integral is 1.
        impostor_density: (bins,) likewise.
        ax_: axes that were drawn on.
        figure_: their figure.
    """

    histogram: ScoreHistogram
    eer: EqualErrorRate
    tar_at_far: tuple[TarAtFar, ...]
    genuine_density: Curve = field(init=False)
    impostor_density: Curve = field(init=False)
    ax_: "Axes" = field(init=False, repr=False)
    figure_: "Figure" = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.eer.reason:
            raise DataError(f"no score histogram: {self.eer.reason}")
        self.genuine_density = _density(self.histogram.genuine, self.histogram.edges)
        self.impostor_density = _density(self.histogram.impostor, self.histogram.edges)

    @classmethod
    def from_verification(cls, verification: Verification) -> "ScoreHistogramDisplay":
        """The picture of a result.

        Raises:
            DataError: a result without genuine or without impostor pairs.
        """
        return cls(verification.histogram, verification.eer, verification.tar_at_far)

    @classmethod
    def from_scores(
        cls, genuine: ArrayLike, impostor: ArrayLike, *, far: tuple[float, ...] = STATED_FAR
    ) -> "ScoreHistogramDisplay":
        """The picture of cosines (pairs,) of genuine and of impostor pairs.

        Raises:
            ValueError: scores that are not finite cosines, or a FAR outside (0, 1).
            DataError: no genuine or no impostor scores.
        """
        scores = Scores.of(genuine, impostor)
        points = tuple(tar_at_far(scores, one) for one in far)
        return cls(score_histogram(scores), equal_error_rate(scores), points)

    def plot(self, ax: "Axes | None" = None) -> "ScoreHistogramDisplay":
        """Draw on `ax`, or on new axes.

        Raises:
            ConfigError: matplotlib is not installed.
        """
        axes = style.new_axes() if ax is None else ax
        self._draw_density(axes, "impostor", self.impostor_density, style.VERMILLION)
        self._draw_density(axes, "genuine", self.genuine_density, style.BLUE)
        self._draw_thresholds(axes)
        axes.set_xlabel("cosine similarity", fontsize=style.LABEL)
        axes.set_ylabel("density", fontsize=style.LABEL)
        self.ax_, self.figure_ = axes, style.figure_of(axes)
        return self

    def _draw_density(self, axes: "Axes", name: str, density: Curve, colour: str) -> None:
        pairs = sum(getattr(self.histogram, name))
        axes.stairs(density, self.histogram.edges, fill=True, color=colour, alpha=0.2)
        axes.stairs(density, self.histogram.edges, color=colour)
        shoulders = np.flatnonzero(density >= SHOULDER * density.max())
        is_left = name == "impostor"
        axes.annotate(
            f"{name}\n{pairs:,} pairs",
            (
                self.histogram.edges[shoulders[0] if is_left else shoulders[-1] + 1],
                SHOULDER * density.max(),
            ),
            (-6 if is_left else 6, 0),
            textcoords="offset points",
            ha="right" if is_left else "left",
            va="bottom",
            color=colour,
            fontsize=style.NOTE,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
        )

    def _draw_thresholds(self, axes: "Axes") -> None:
        """Labels left of their lines, each higher than the last: no line crosses a label."""
        labels = [(self.eer.threshold, f"EER {_percent(self.eer.value)}")] + [
            (point.threshold, f"FAR ≤ {point.far:g}: TAR {_percent(point.value)}")
            for point in self.tar_at_far
        ]
        marks = [(threshold, text) for threshold, text in labels if threshold is not None]
        left, right = self._occupied()
        left = min(left, (min(marks)[0] - LABEL_WIDTH * right) / (1 - LABEL_WIDTH))
        highest = max(self.genuine_density.max(), self.impostor_density.max())
        for row, (threshold, text) in enumerate(sorted(marks)):
            top = highest * (1.12 + 0.1 * row)
            axes.vlines(threshold, 0, top, color=style.GREY, linewidth=0.8, linestyle="--")
            axes.annotate(
                text,
                (threshold, top),
                (-4, 0),
                textcoords="offset points",
                ha="right",
                va="top",
                color=style.GREY,
                fontsize=style.NOTE,
            )
        axes.set_xlim(left, right)
        axes.set_ylim(0, highest * (1.15 + 0.1 * len(marks)))

    def _occupied(self) -> tuple[float, float]:
        """The cosines that occur, with room for the name of a distribution on both sides."""
        bins = np.flatnonzero(self.genuine_density + self.impostor_density)
        low, high = self.histogram.edges[[bins[0], bins[-1] + 1]].tolist()
        room = 0.2 * (high - low)
        return low - room, high + room


def _percent(rate: float | None) -> str:
    return "-" if rate is None else f"{100 * rate:.2f} %"


def _density(counts: tuple[int, ...], edges: Curve) -> Curve:
    return np.array(counts) / (sum(counts) * np.diff(edges))


@dataclass
class RocDisplay:
    """True accept rate against the false accept rate that is allowed, as far as pairs resolve it.

    Attributes:
        roc: counts.
        tar_at_far: the operating points; those without a value are left out of the picture.
        name: of the model, for the legend.
        far: (points,) allowed false accept rates, from one false accept to all.
        tar: (points,) true accept rates at most there.
        ax_: axes that were drawn on.
        figure_: their figure.
    """

    roc: RocCurve
    tar_at_far: tuple[TarAtFar, ...]
    name: str | None = None
    far: Curve = field(init=False)
    tar: Curve = field(init=False)
    ax_: "Axes" = field(init=False, repr=False)
    figure_: "Figure" = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.roc.allowed:
            raise DataError(
                f"no ROC curve: there are {self.roc.genuine} genuine and {self.roc.impostor} "
                "impostor pairs, and both kinds are needed"
            )
        self.far = np.array(self.roc.allowed) / self.roc.impostor
        self.tar = np.array(self.roc.true_accepts) / self.roc.genuine

    @classmethod
    def from_verification(
        cls, verification: Verification, *, name: str | None = None
    ) -> "RocDisplay":
        """The curve of a result.

        Raises:
            DataError: a result without genuine or without impostor pairs.
        """
        return cls(verification.roc, verification.tar_at_far, name)

    @classmethod
    def from_scores(
        cls,
        genuine: ArrayLike,
        impostor: ArrayLike,
        *,
        far: tuple[float, ...] = STATED_FAR,
        name: str | None = None,
    ) -> "RocDisplay":
        """The curve of similarities (pairs,) of genuine and of impostor pairs.

        Raises:
            ValueError: scores that are not finite, or a FAR outside (0, 1).
            DataError: no genuine or no impostor scores.
        """
        scores = Scores.of(genuine, impostor)
        return cls(roc_curve(scores, far), tuple(tar_at_far(scores, one) for one in far), name)

    def plot(self, ax: "Axes | None" = None) -> "RocDisplay":
        """Draw on `ax`, beside the curves that are there already, or on new axes.

        The curve is faint where it stands on fewer than `FEW_FALSE_ACCEPTS`.

        Raises:
            ConfigError: matplotlib is not installed.
        """
        axes = style.new_axes() if ax is None else ax
        few = int(np.searchsorted(self.roc.allowed, FEW_FALSE_ACCEPTS))
        label = None if self.name is None else f" {shown(self.name)}"  # one with _ first is hidden
        (line,) = axes.step(self.far[few:], 100 * self.tar[few:], where="post", label=label)
        axes.step(
            self.far[: few + 1],
            100 * self.tar[: few + 1],
            where="post",
            color=line.get_color(),
            linestyle=line.get_linestyle(),
            alpha=0.35,
        )
        points = [(one.far, 100 * one.value) for one in self.tar_at_far if one.value is not None]
        if points:
            axes.plot(*zip(*points, strict=True), "o", color=line.get_color(), markersize=5)
        axes.set_xscale("log")
        axes.set_xlabel("false accept rate", fontsize=style.LABEL)
        axes.set_ylabel("true accept rate, %", fontsize=style.LABEL)
        axes.grid(color=style.GREY, alpha=0.2, linewidth=0.6)
        if self.name:
            legend = axes.legend(
                loc="lower left", bbox_to_anchor=(0, 1), ncols=4, frameon=False, fontsize=style.NOTE
            )
            for name in legend.get_texts():  # of a folder, and no mathematics
                name.set_parse_math(False)
        self.ax_, self.figure_ = axes, style.figure_of(axes)
        return self
