"""Numbers that change with the training step: a margin that warms up, an annealing weight.

A schedule is a pure function of the step, so the step (saved by the head) is its whole state.
"""

import math
from abc import abstractmethod
from dataclasses import dataclass

from gonio.rules.ranges import AtLeastOne, AtLeastZero, Finite, Varying
from gonio.rules.reading import Checked


class Schedule(Varying):
    """A number for each training step."""

    example = "gonio.Ramp"

    @abstractmethod
    def __call__(self, step: int) -> float:
        """The number at `step`, counted from 0."""


@dataclass(frozen=True)
class Ramp(Checked, Schedule):
    """Run linearly from `start` to `end` in `steps` steps, then stay.

        value(k) = start + (end - start) min(k / steps, 1)

    Args:
        start: the value at step 0.
        end: the value from step `steps` on.
        steps: training steps, >= 1.

    Raises:
        ValueError: an end that is not finite, or `steps` below 1.
    """

    start: Finite[float]
    end: Finite[float]
    steps: AtLeastOne[int]

    def __call__(self, step: int) -> float:
        if step >= self.steps:
            return self.end
        return self.start + (self.end - self.start) * step / self.steps

    def extremes(self) -> tuple[float, float]:
        """The two ends, the smaller first."""
        return min(self.start, self.end), max(self.start, self.end)


@dataclass(frozen=True)
class Annealing(Checked, Schedule):
    """The weight of the plain cosine beside a multiplicative margin, falling to a minimum.

        lambda(k) = max(minimum, base (1 + gamma k)^-power)

    Args:
        base: the value at step 0, >= `minimum`.
        gamma: how fast it falls, per step, >= 0.
        power: >= 0.
        minimum: the value it ends at, >= 0; at 0 the margin is applied whole in the end.

    Raises:
        ValueError: a number outside its range.

    Source: Liu et al., "SphereFace", CVPR 2017; the defaults are those of several public codes (base
    1000, gamma 0.12, power 1, minimum 5), which leave 1/6 of the margin at the end.
    """

    base: AtLeastZero[float] = 1000.0
    gamma: AtLeastZero[float] = 0.12
    power: AtLeastZero[float] = 1.0
    minimum: AtLeastZero[float] = 5.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.base < self.minimum:
            raise ValueError(f"base: {self.base} is below the minimum {self.minimum}; raise it")

    def __call__(self, step: int) -> float:
        return max(self.minimum, self.base * math.pow(1 + self.gamma * step, -self.power))

    def extremes(self) -> tuple[float, float]:
        """The minimum and the base."""
        return self.minimum, self.base
