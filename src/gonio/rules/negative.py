"""Negative rules: what every other class alone scores.

All that such a rule needs of a sample reaches it through `sample`, or as a quantity that was put in
the place of a setting, always as (batch, 1).
"""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from gonio.base.geometry import angle_of
from gonio.rules.curve import Rule
from gonio.rules.facts import Sample
from gonio.rules.gradient import NamesItsGradient
from gonio.rules.number import Number, resolved
from gonio.rules.ranges import RADIANS, AtLeastOne, AtLeastZero, Finite, Positive, Range
from gonio.rules.reading import Checked
from gonio.rules.target import folded_cosine


@dataclass(frozen=True)
class Excess(Checked, Rule):
    """By how much a negative exceeds the target: one hinge for each negative.

        excess = max(cosine - target, 0)                                       temperature 0
        excess = (T / scale) log(1 + exp(scale (cosine - target) / T))         temperature T > 0

    Args:
        temperature: T >= 0 in units of the score (scale x cosine).

    Raises:
        ValueError: a negative temperature.
    """

    temperature: AtLeastZero[float] = 0.0

    def __call__(self, cosine: Tensor, sample: Sample) -> Tensor:
        gap = cosine - sample.target
        if self.temperature == 0:
            return gap.relu()
        # a feature norm of 0 is a scale of 0
        sharpness = (sample.scale / self.temperature).clamp(min=torch.finfo(gap.dtype).tiny)
        return -F.logsigmoid(-sharpness * gap) / sharpness


@dataclass(frozen=True)
class Boost(Checked, Rule):
    """Raise the hard negatives, so that they are pushed harder.

        score = multiply cosine + add       where the cosine exceeds `above`, else the cosine

    Args:
        multiply: >= 1.
        add: >= 0, in units of the cosine.
        above: the border of the hard negatives; by default the target of the sample.

    Raises:
        ValueError: a number outside its range.

    Source: Wang et al., "Mis-classified vector guided softmax loss for face recognition", AAAI 2020.
    """

    multiply: AtLeastOne[Number] = 1.0
    add: AtLeastZero[Number] = 0.0
    above: Finite[Number] | None = None

    def __call__(self, cosine: Tensor, sample: Sample) -> Tensor:
        above = sample.target if self.above is None else resolved(self.above)
        return torch.where(
            cosine > above, resolved(self.multiply) * cosine + resolved(self.add), cosine
        )


@dataclass(frozen=True)
class Curriculum(Checked, Rule):
    """Weigh the hard negatives by how far training has come.

        score = cosine (level + cosine)     where the cosine exceeds the target, else the cosine

    A hard negative whose cosine is below -level / 2 is pulled towards the sample: the slope is
    level + 2 cosine.

    Args:
        level: t, usually a `RunningCosine`, which rises from 0.

    Source: Huang et al., "CurricularFace: adaptive curriculum learning loss for deep face
    recognition", CVPR 2020.
    """

    level: Finite[Number]

    def __call__(self, cosine: Tensor, sample: Sample) -> Tensor:
        return torch.where(cosine > sample.target, cosine * (resolved(self.level) + cosine), cosine)


@dataclass(frozen=True)
class Bump(Checked, Rule, NamesItsGradient):
    """Weigh every negative by a bell curve around the target of the sample.

        score = f cosine + f - 1,   f = height exp(-(cosine - target)^2 / width)

    Args:
        height: alpha > 0.
        width: sigma > 0, in units of the squared cosine.
        gradient: "detached" takes f as a constant, as the authors' code does; "exact" is the
            derivative.

    Raises:
        ValueError: a number that is not above 0.

    Source: Liu et al., "Towards flops-constrained face recognition", ICCV workshops 2019.
    """

    height: Positive[float] = 1.2
    width: Positive[float] = 2.0
    gradient: Literal["exact", "detached"] = "exact"

    def __call__(self, cosine: Tensor, sample: Sample) -> Tensor:
        factor = self.height * (-((cosine - sample.target) ** 2) / self.width).exp()
        factor = factor.detach() if self.gradient == "detached" else factor
        return factor * cosine + factor - 1


@dataclass(frozen=True)
class DivideAngle(Checked, Rule):
    """A margin on the other side: score = cos(angle / divide), which makes every negative harder.

    Args:
        divide: m >= 1; 1 is no margin.

    Raises:
        ValueError: a divisor below 1.

    Source: Liu et al., "SphereFace revived", TPAMI 2022, SphereFace-R v2.
    """

    divide: AtLeastOne[Number]
    is_angular = True

    def __call__(self, cosine: Tensor, sample: Sample) -> Tensor:
        return (angle_of(cosine) / resolved(self.divide)).cos()


@dataclass(frozen=True)
class NarrowAngle(Checked, Rule):
    """Subtract a margin from the angle of the hardest negatives.

        score = cos(angle - margin)         where the cosine is at least `above`, else the cosine

    An angle below the margin goes on as 2 - cos(angle - margin), so that the score never falls again.

    Args:
        margin: in radians, in [0, pi).
        above: the border of the hardest negatives, usually a `KthHardest`.

    Raises:
        ValueError: a margin outside its range.

    Source: Zhao et al., "Multi-query multi-head attention pooling and inter-topK penalty for speaker
    verification", ICASSP 2022.
    """

    margin: Annotated[Number, Range(0, math.pi, "[)", RADIANS)]
    above: Finite[Number]
    is_angular = True

    def __call__(self, cosine: Tensor, sample: Sample) -> Tensor:
        harder = folded_cosine(angle_of(cosine) - resolved(self.margin))
        return torch.where(cosine >= resolved(self.above), harder, cosine)


@dataclass(frozen=True)
class LinearAngleNegative(Rule):
    """A straight line in the angle: score = 1 - 2 angle / pi, beside the target `LinearAngle`."""

    is_angular = True

    def __call__(self, cosine: Tensor, sample: Sample) -> Tensor:
        return 1 - 2 * angle_of(cosine) / math.pi


@dataclass(frozen=True)
class CircleNegative(Checked, Rule, NamesItsGradient):
    """Weigh a negative by its distance from the optimum -margin.

        score = [cosine + margin]+ (cosine - margin)

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
        weight = (cosine + margin).relu()
        weight = weight.detach() if self.gradient == "detached" else weight
        return weight * (cosine - margin)


@dataclass(frozen=True)
class Filter(Checked, Rule):
    """Leave out the negatives that are too near to be another identity: wrong or double labels.

        score = left out                    where the cosine exceeds `above`, else the cosine

    Args:
        above: in units of the cosine.
        mode: "drop" takes such a class out of the sum; "zero" sets its cosine to 0, as the authors'
            code does, so that it still adds e^0 but has no gradient.

    Raises:
        ValueError: an unknown mode.

    Source: An et al., "Killing two birds with one stone", CVPR 2022, and its public code.
    """

    above: Finite[Number] = 0.4
    mode: Literal["drop", "zero"] = "drop"

    @property
    def leaves_out(self) -> bool:
        """Whether a class is taken out of the sum."""
        return self.mode == "drop"

    def __call__(self, cosine: Tensor, sample: Sample) -> Tensor:
        left_out = -torch.inf if self.mode == "drop" else 0.0
        return cosine.masked_fill(cosine > resolved(self.above), left_out)


@dataclass(frozen=True)
class KeepAbove(Checked, Rule):
    """Keep the negatives above a border and leave out all others.

    Args:
        border: in units of the cosine.
    """

    border: Finite[Number]
    leaves_out = True

    def __call__(self, cosine: Tensor, sample: Sample) -> Tensor:
        return cosine.masked_fill(cosine <= resolved(self.border), -torch.inf)


@dataclass(frozen=True)
class HalfSquare(Rule):
    """score = cosine^2 / 2, whose slope is the cosine."""

    def __call__(self, cosine: Tensor, sample: Sample) -> Tensor:
        return cosine * cosine / 2


@dataclass(frozen=True)
class Closeness(Rule):
    """How near two directions are: score = 1 / (1 + d) with their distance d = 2 sin(angle / 2).

    Source: Duan et al., "UniformFace", CVPR 2019, eq. (5).
    """

    def __call__(self, cosine: Tensor, sample: Sample) -> Tensor:
        return 1 / (1 + 2 * (angle_of(cosine) / 2).sin())


@dataclass(frozen=True)
class InverseSquareAngle(Rule):
    """The energy of two charges on the sphere: score = angle^-2.

    Source: Liu et al., "Learning towards minimum hyperspherical energy", NeurIPS 2018, eq. (1).
    """

    def __call__(self, cosine: Tensor, sample: Sample) -> Tensor:
        return angle_of(cosine) ** -2
