"""Numbers that change with the training step: a margin that warms up, an annealing weight.

A schedule is a pure function of the step, so the step (saved by the head) is its whole state.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass


class Schedule(ABC):
    """A number for each training step."""

    @abstractmethod
    def __call__(self, step: int) -> float:
        """The number at `step`, counted from 0."""

    @abstractmethod
    def extremes(self) -> tuple[float, float]:
        """The smallest and the largest number that any step can give."""


@dataclass(frozen=True)
class Ramp(Schedule):
    """Run linearly from `start` to `end` in `steps` steps, then stay.

        value(k) = start + (end - start) min(k / steps, 1)

    Args:
        start: the value at step 0.
        end: the value from step `steps` on.
        steps: training steps, >= 1.

    Raises:
        ValueError: `steps` is below 1.
    """

    start: float
    end: float
    steps: int

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start) and math.isfinite(self.end)):
            raise ValueError(f"{self}: start and end must be finite")
        if self.steps < 1:
            raise ValueError(f"steps: {self.steps} is below 1; a ramp needs at least one step")

    def __call__(self, step: int) -> float:
        if step >= self.steps:
            return self.end
        return self.start + (self.end - self.start) * step / self.steps

    def extremes(self) -> tuple[float, float]:
        """The two ends, the smaller first."""
        return min(self.start, self.end), max(self.start, self.end)


@dataclass(frozen=True)
class Annealing(Schedule):
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

    base: float = 1000.0
    gamma: float = 0.12
    power: float = 1.0
    minimum: float = 5.0

    def __post_init__(self) -> None:
        if not (self.base >= self.minimum >= 0 and self.gamma >= 0 and self.power >= 0):
            raise ValueError(
                f"{self}: base >= minimum >= 0, gamma >= 0 and power >= 0 are required"
            )

    def __call__(self, step: int) -> float:
        return max(self.minimum, self.base * math.pow(1 + self.gamma * step, -self.power))

    def extremes(self) -> tuple[float, float]:
        """The minimum and the base."""
        return self.minimum, self.base
