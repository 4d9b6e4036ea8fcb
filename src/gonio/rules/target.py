"""Target rules: what the own class scores after the margin.

A target rule maps `(cosine, sample) -> target`, all (batch,). Angular rules read `sample.angle`,
whose gradient is bounded; the others change the cosine (or, for plain softmax, the inner product).
No backend ever sees them, so they need no port to any device.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, get_args

import torch
from torch import Tensor

from gonio.rules.ranges import at_least_zero, one_of
from gonio.rules.schedule import Number, extremes, resolved

if TYPE_CHECKING:
    from gonio.equation import Sample

PastPi = Literal["fold", "line", "shift", "raw", "easy", "clamp"]
"""How an angular margin goes on where the shifted angle passes pi; see `AngularMargin`."""


class Rule(Protocol):
    """A frozen dataclass: elementwise, `(cosine, sample) -> cosine`.

    One that reads `sample.angle` says so by an attribute `is_angular`, so that it is never used on
    inner products.
    """

    def __call__(self, cosine: Tensor, sample: "Sample") -> Tensor: ...


@dataclass(frozen=True)
class AsIs:
    """Leave the cosine as it is: no margin, no modulation."""

    def __call__(self, cosine: Tensor, sample: "Sample") -> Tensor:
        return cosine


@dataclass(frozen=True)
class Subtract:
    """Subtract a margin: target = cosine - margin.

    Slope 1 everywhere. `Subtract(0)` changes nothing.

    Args:
        margin: in units of the cosine (of the inner product, for plain softmax); >= 0.

    Raises:
        ValueError: a negative margin.

    Source: Wang et al., "Additive Margin Softmax", 2018, eq. (5).
    """

    margin: Number

    def __post_init__(self) -> None:
        at_least_zero("margin", self.margin)

    def __call__(self, cosine: Tensor, sample: "Sample") -> Tensor:
        return cosine - resolved(self.margin)


@dataclass(frozen=True)
class AngularMargin:
    """Change the angle to the own class before its cosine is taken.

        phi = multiply * angle + add
        target = cos(phi) - subtract                       while 0 <= phi <= pi

    Past pi the cosine would rise again, and the sample would be pushed away from its class. `past_pi`
    names what is done instead:

        fold    (-1)^k cos(phi) - 2k with k = floor(phi / pi): continuous, smooth, always falling
        line    cos(angle) - add sin(add): falls up to add = pi / 2, jumps down where phi passes pi
        shift   cos(angle) - (1 - cos(add)): continuous, falls
        raw     cos(phi): rises past pi
        easy    cos(phi) where the angle is below pi / 2, else no margin: jumps up at pi / 2
        clamp   cos(min(phi, pi)): flat past pi, so the hardest samples do not learn

    Below 0 (a negative `add`) the fold goes on in the same way; the others take the cosine.

    Slope d target / d angle = -multiply |sin(phi)| for `fold`, bounded by `multiply`.

    Args:
        multiply: m1, >= 1 for a margin; > 0.
        add: m2 in radians, in (-pi, pi).
        subtract: m3 in units of the cosine.
        past_pi: `line`, `shift` and `easy` are defined for `multiply` = 1 alone.

    Raises:
        ValueError: a number outside its range, or a `past_pi` that is not defined there.

    Source: Deng et al., "ArcFace", CVPR 2019, eqs. (3) and (4); the fold is Liu et al., "SphereFace",
    CVPR 2017, eq. (7), here for every real margin. `line` is the ArcFace authors' code before
    December 2022, `shift` WeSpeaker's, `raw` and `easy` appear in several repositories, `clamp` in
    AdaFace's and OpenSphere's.
    """

    multiply: Number = 1.0
    add: Number = 0.0
    subtract: Number = 0.0
    past_pi: PastPi = "fold"
    is_angular = True

    def __post_init__(self) -> None:
        one_of("past_pi", self.past_pi, get_args(PastPi))
        low, high = extremes(self.add)
        if not -math.pi < low <= high < math.pi:
            hint = f"; if degrees were meant, write {math.radians(high):.4g}" if high > 3 else ""
            raise ValueError(f"margin: {self.add} is out of range (-pi, pi) radians{hint}")
        if not all(map(math.isfinite, extremes(self.subtract))):
            raise ValueError(f"margin: {self.subtract} is not a finite number")
        if not 0 < extremes(self.multiply)[0] <= extremes(self.multiply)[1] < math.inf:
            raise ValueError(f"margin: the factor {self.multiply} must be above 0; 1 is no margin")
        if self.past_pi in ("line", "shift", "easy") and extremes(self.multiply) != (1, 1):
            raise ValueError(
                f"past_pi: {self.past_pi!r} is defined for angles that are only added to, got the "
                f"factor {self.multiply}; use 'fold', 'raw' or 'clamp'"
            )

    def __call__(self, cosine: Tensor, sample: "Sample") -> Tensor:
        return self._cosine(sample.angle) - resolved(self.subtract)

    def _cosine(self, angle: Tensor) -> Tensor:
        phi = resolved(self.multiply) * angle + resolved(self.add)
        if self.past_pi == "fold":
            turns = (phi / math.pi).floor()
            return (1 - 2 * turns.remainder(2)) * phi.cos() - 2 * turns
        if self.past_pi == "raw":
            return phi.cos()
        if self.past_pi == "clamp":
            return phi.clamp(max=math.pi).cos()
        if self.past_pi == "easy":
            return torch.where(angle < math.pi / 2, phi, angle).cos()
        add = resolved(self.add)
        drop = add * math.sin(add) if self.past_pi == "line" else 1 - math.cos(add)
        return torch.where(phi <= math.pi, phi.cos(), angle.cos() - drop)


@dataclass(frozen=True)
class Detached:
    """The value of a rule with the gradient of no rule: the straight-through form.

        value = rule(cosine),  d value / d cosine = 1

    Source: the ArcFace authors' code since December 2022; "characteristic gradient detachment" in
    Liu et al., "SphereFace Revived", TPAMI 2022.
    """

    rule: Rule

    @property
    def is_angular(self) -> bool:
        """Whether the rule inside is."""
        return getattr(self.rule, "is_angular", False)

    def __call__(self, cosine: Tensor, sample: "Sample") -> Tensor:
        return cosine + (self.rule(cosine, sample) - cosine).detach()


@dataclass(frozen=True)
class Annealed:
    """A rule blended with the plain cosine, so that a hard margin can be approached.

        target = (weight cosine + rule(cosine)) / (weight + 1)

    Args:
        rule: the rule to approach.
        weight: lambda >= 0, usually an `Annealing`.

    Raises:
        ValueError: a negative weight.

    Source: Liu et al., "SphereFace", CVPR 2017, section 4.1.
    """

    rule: Rule
    weight: Number

    def __post_init__(self) -> None:
        at_least_zero("annealing", self.weight)

    @property
    def is_angular(self) -> bool:
        """Whether the rule inside is."""
        return getattr(self.rule, "is_angular", False)

    def __call__(self, cosine: Tensor, sample: "Sample") -> Tensor:
        weight = resolved(self.weight)
        return (weight * cosine + self.rule(cosine, sample)) / (weight + 1)
