"""Scales: what a cosine is multiplied by, and how large that number should be."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

import torch.nn.functional as F
from torch import Tensor

from gonio.rules.facts import Embedded, Memory
from gonio.rules.number import resolved
from gonio.rules.ranges import AtLeastZero, Positive, Range
from gonio.rules.reading import Checked
from gonio.rules.schedule import Schedule
from gonio.rules.state import Sizes, State, Stateful


class Scale(Protocol):
    """A frozen dataclass: `(embedded, memory) -> (batch,)` scales, all > 0."""

    def bind(self, num_classes: int, best_target: float) -> "Scale":
        """The same scale with all that depends on the classes and the margin filled in."""

    def __call__(self, embedded: Embedded, memory: Memory) -> Tensor:
        """The scale of each sample, from its embedding and what the head keeps."""


@dataclass(frozen=True)
class Fixed(Checked):
    """The same scale for all samples: a number > 0, or a schedule.

    Raises:
        ValueError: a scale that is not above 0.
    """

    value: Positive[float | Schedule]

    def bind(self, num_classes: int, best_target: float) -> "Fixed":
        """Nothing depends on the classes."""
        return self

    def __call__(self, embedded: Embedded, memory: Memory) -> Tensor:
        return embedded.full(float(resolved(self.value)))


@dataclass(frozen=True)
class FeatureNorm:
    """The norm of the embedding itself: A-Softmax and L-Softmax."""

    def bind(self, num_classes: int, best_target: float) -> "FeatureNorm":
        """Nothing depends on the classes."""
        return self

    def __call__(self, embedded: Embedded, memory: Memory) -> Tensor:
        return embedded.norm


def scale_bound(num_classes: int, probability: float, best_target: float = 1.0) -> float:
    """The smallest scale at which a perfect sample can reach a probability: the CosFace bound.

        s >= log((C - 1) P / (1 - P)) / (best_target + 1 / (C - 1))

    A perfect sample has angle 0 to its class, where the target is `best_target` (1 without a margin,
    cos(m) for ArcFace, 1 - m for CosFace), and all other classes at cosine -1 / (C - 1).

    Args:
        num_classes: C >= 1; for a single class there is no bound and 1 is returned.
        probability: P, in (0, 1).
        best_target: the target of a perfect sample.

    Raises:
        ValueError: P outside (0, 1), or a margin so large that no scale reaches it.

    Source: Wang et al., "CosFace", CVPR 2018, eq. (6), which is NormFace's proposition 2 solved for s;
    here with the margin.
    """
    if not 0 < probability < 1:
        raise ValueError(f"probability: {probability} is out of range (0, 1)")
    if num_classes < 2:
        return 1.0
    lead = best_target + 1 / (num_classes - 1)
    odds = (num_classes - 1) * probability / (1 - probability)
    if lead <= 0:
        raise ValueError(
            f"scale: 'auto' has no answer, because the margin leaves a perfect sample of "
            f"{num_classes} classes at a target of {best_target:.3g}; lower the margin or give a number"
        )
    return max(1.0, math.log(odds) / lead)


@dataclass(frozen=True)
class Auto(Checked):
    """A fixed scale from the number of classes and the margin, by `scale_bound`.

    Args:
        probability: P, in (0, 1), that a perfect sample can reach.
    """

    probability: Annotated[float, Range(0, 1, "()")] = 0.9999

    def bind(self, num_classes: int, best_target: float) -> Fixed:
        """The number."""
        return Fixed(scale_bound(num_classes, self.probability, best_target))

    def __call__(self, embedded: Embedded, memory: Memory) -> Tensor:
        raise ValueError("scale: 'auto' is not bound to a number of classes yet; call loss.bind")


@dataclass(frozen=True)
class Learned(Checked, Stateful):
    """A learned scale that cannot fall below a minimum: s = minimum + softplus(raw).

    Unlike a clamp it has a gradient at every value. Samples that are already right push s upwards
    without end, if slowly.

    Args:
        minimum: >= 0; None takes `scale_bound` at P = 0.9.
        initial: above `minimum`; None takes `scale_bound` at P = 0.9999.

    Raises:
        ValueError: a negative minimum, or an initial value that is not above it.

    Source: Wang et al., "NormFace", 2017, section 3.3 learns s; the minimum is the survey's.
    """

    minimum: AtLeastZero[float] | None = None
    initial: Positive[float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.initial is not None and (self.minimum or 0) >= self.initial:
            raise ValueError(f"initial: {self.initial} must be above the minimum {self.minimum}")

    def bind(self, num_classes: int, best_target: float) -> "Learned":
        """The same with both numbers filled in."""
        minimum = self.minimum
        if minimum is None:
            minimum = scale_bound(num_classes, 0.9, best_target)
        initial = self.initial
        if initial is None:
            initial = max(scale_bound(num_classes, 0.9999, best_target), minimum + 1)
        return Learned(minimum, initial)

    def states(self, sizes: Sizes) -> Mapping[str, State]:
        """`raw_scale`, which begins at the inverse of softplus at the initial value."""
        if self.minimum is None or self.initial is None:
            raise ValueError("scale: 'learned' is not bound to a number of classes; call loss.bind")
        above = self.initial - self.minimum
        start = above + math.log(-math.expm1(-above))
        return {"raw_scale": State((), start, is_learned=True)}

    def __call__(self, embedded: Embedded, memory: Memory) -> Tensor:
        if self.minimum is None:
            raise ValueError("scale: 'learned' is not bound to a number of classes; call loss.bind")
        raw = memory.read("raw_scale").to(embedded.embeddings.dtype)
        return (self.minimum + F.softplus(raw)).expand(len(embedded))


ScaleLike = Positive[float | Schedule] | Literal["auto", "learned"] | Scale
"""What a row accepts as its scale."""


def as_scale(scale: ScaleLike) -> Scale:
    """A number, a schedule, "auto", "learned" or a scale -> a scale."""
    if scale == "auto":
        return Auto()
    if scale == "learned":
        return Learned()
    return Fixed(scale) if isinstance(scale, int | float | Schedule) else scale
