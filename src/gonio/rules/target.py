"""Target rules: what the own class alone scores after the margin.

Angular rules read `sample.angle`, whose gradient is bounded; the others change the cosine. No backend
ever sees a target rule, so none needs a port to any device.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from gonio.rules.curve import Curve, Rule, is_angular
from gonio.rules.facts import Sample
from gonio.rules.gradient import NamesItsGradient
from gonio.rules.number import Number, resolved
from gonio.rules.ranges import (
    RADIANS,
    AtLeastZero,
    AtMostZero,
    Finite,
    Positive,
    Radians,
    Range,
    extremes,
)
from gonio.rules.reading import Checked

PastPi = Literal["fold", "line", "shift", "raw", "easy", "clamp"]
"""How an angular margin goes on where the shifted angle passes pi; see `AngularMargin`."""


def folded_cosine(phi: Tensor) -> Tensor:
    """Any angle in radians -> the cosine, continued beyond [0, pi] so that it falls for ever.

    (-1)^k cos(phi) - 2k   with k = floor(phi / pi)
    """
    turns = (phi.detach() / math.pi).floor()  # constant but for its jumps, which cancel
    return (1 - 2 * turns.remainder(2)) * phi.cos() - 2 * turns


@dataclass(frozen=True)
class AngularMargin(Checked, Rule):
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

    multiply: Positive[Number] = 1.0
    add: Radians[Number] = 0.0
    subtract: Finite[Number] = 0.0
    past_pi: PastPi = "fold"
    is_angular = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.past_pi in ("line", "shift", "easy") and extremes(self.multiply) != (1, 1):
            raise ValueError(
                f"past_pi: {self.past_pi!r} is defined for angles that are only added to, got the "
                f"factor {self.multiply}; use 'fold', 'raw' or 'clamp'"
            )

    def __call__(self, cosine: Tensor, sample: Sample) -> Tensor:
        return self._cosine(sample.angle) - resolved(self.subtract)

    def _cosine(self, angle: Tensor) -> Tensor:
        phi = resolved(self.multiply) * angle + resolved(self.add)
        if self.past_pi == "fold":
            return folded_cosine(phi)
        if self.past_pi == "raw":
            return phi.cos()
        if self.past_pi == "clamp":
            return phi.clamp(max=math.pi).cos()
        if self.past_pi == "easy":
            return torch.where(angle < math.pi / 2, phi, angle).cos()
        add = torch.as_tensor(resolved(self.add), dtype=angle.dtype, device=angle.device)
        drop = add * add.sin() if self.past_pi == "line" else 1 - add.cos()
        return torch.where(phi <= math.pi, phi.cos(), angle.cos() - drop)


@dataclass(frozen=True)
class Annealed(Checked, Rule):
    """A rule blended with the plain cosine, so that a hard margin can be approached.

        target = (weight cosine + rule(cosine)) / (weight + 1)

    Args:
        rule: the rule to approach.
        weight: lambda >= 0, usually an `Annealing`.

    Raises:
        ValueError: a negative weight.

    Source: Liu et al., "SphereFace", CVPR 2017, section 4.1.
    """

    rule: Curve
    weight: AtLeastZero[Number]

    @property
    def is_angular(self) -> bool:
        """Whether the rule inside is."""
        return is_angular(self.rule)

    def __call__(self, cosine: Tensor, sample: Sample) -> Tensor:
        weight = resolved(self.weight)
        return (weight * cosine + self.rule(cosine, sample)) / (weight + 1)


@dataclass(frozen=True)
class LinearAngle(Checked, Rule):
    """A straight line in the angle, instead of its cosine.

        target = 1 - 2 (multiply angle + add) / pi

    Slope -2 multiply / pi everywhere: no dead zone at the poles and nothing to fold.

    Args:
        multiply: m1, > 0.
        add: m2 in radians, finite.

    Raises:
        ValueError: a number outside its range.

    Source: Liu et al., "Deep hyperspherical learning", NIPS 2017 (the linear operator); Li et al.,
    "AirFace", ICCV workshops 2019 (with the added angle).
    """

    multiply: Positive[Number] = 1.0
    add: Finite[Number] = 0.0
    is_angular = True

    def __call__(self, cosine: Tensor, sample: Sample) -> Tensor:
        phi = resolved(self.multiply) * sample.angle + resolved(self.add)
        return 1 - 2 * phi / math.pi


@dataclass(frozen=True)
class Parabola(Checked, Rule):
    """A parabola in the angle: it pulls the harder the larger the angle.

        target = top - bend (angle - start)^2

    Args:
        bend: > 0.
        start: in radians, <= 0 so that the target falls from angle 0 on.
        top: the target at angle `start`.

    Raises:
        ValueError: a number outside its range.

    Source: Xu et al., "X2-Softmax", 2023, eq. (4).
    """

    bend: Positive[Number] = 0.9
    start: AtMostZero[Number] = 0.0
    top: Finite[Number] = 0.65
    is_angular = True

    def __call__(self, cosine: Tensor, sample: Sample) -> Tensor:
        return resolved(self.top) - resolved(self.bend) * (sample.angle - resolved(self.start)) ** 2


@dataclass(frozen=True)
class QualityMargin(Checked, Rule):
    """A margin that turns from angular to additive as the quality of the sample rises.

        target = cos(angle - margin q) - margin (1 + q),   q in [-1, 1]

    At q = -1 it is ArcFace's margin, at 0 CosFace's.

    Args:
        margin: in radians and in units of the cosine, in [0, pi / 2).
        quality: q, usually a `NormQuality`.
        past_pi: what happens outside [0, pi], "fold" or "clamp"; see `AngularMargin`.

    Raises:
        ValueError: a number outside its range.

    Source: Kim et al., "AdaFace", CVPR 2022, eq. (10).
    """

    margin: Annotated[Number, Range(0, math.pi / 2, "[)", RADIANS)]
    quality: Annotated[Number, Range(-1, 1)]
    past_pi: Literal["fold", "clamp"] = "fold"
    is_angular = True

    def __call__(self, cosine: Tensor, sample: Sample) -> Tensor:
        margin, quality = resolved(self.margin), resolved(self.quality)
        phi = sample.angle - margin * quality
        folded = self.past_pi == "fold"
        shifted = folded_cosine(phi) if folded else phi.clamp(0, math.pi).cos()
        return shifted - margin * (1 + quality)


@dataclass(frozen=True)
class CircleTarget(Checked, Rule, NamesItsGradient):
    """Weigh the own cosine by its distance from the optimum 1 + margin.

        target = [1 + margin - cosine]+ (cosine - (1 - margin))

    Args:
        margin: m >= 0, in units of the cosine.
        gradient: "detached" takes the weight [.]+ as a constant, as the paper does; "exact" is the
            derivative.

    Raises:
        ValueError: a negative margin.

    Source: Sun et al., "Circle loss", CVPR 2020, eqs. (5) and (8).
    """

    margin: AtLeastZero[Number] = 0.25
    gradient: Literal["exact", "detached"] = "detached"

    def __call__(self, cosine: Tensor, sample: Sample) -> Tensor:
        margin = resolved(self.margin)
        weight = (1 + margin - cosine).relu()
        weight = weight.detach() if self.gradient == "detached" else weight
        return weight * (cosine - (1 - margin))


@dataclass(frozen=True)
class SquaredMiss(Rule):
    """How far the own cosine is from 1: target = -(1 - cosine)^2 / 2, with slope 1 - cosine."""

    def __call__(self, cosine: Tensor, sample: Sample) -> Tensor:
        return -((1 - cosine) ** 2) / 2
