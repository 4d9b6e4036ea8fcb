"""Binary questions: the own class and every other class each against a border of its own."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from gonio.loss import Loss
from gonio.losses.table import row
from gonio.rules import (
    Add,
    AngularMargin,
    Apart,
    Chain,
    Detached,
    Difference,
    Fixed,
    HalfSquare,
    LogClasses,
    OneVersusRest,
    SoftplusSum,
    SquaredMiss,
    Stretch,
    Subtract,
    Sum,
    Threshold,
    as_scale,
)
from gonio.rules.curve import Rule
from gonio.rules.ranges import AtLeastOne, AtLeastZero, CosineMargin, Positive, Range
from gonio.rules.scale import ScaleLike

__all__ = ["d_softmax", "p2sgrad", "sphereface2", "uniface"]


@dataclass(frozen=True)
class Balanced:
    """The border at which targets and negatives of cosine 0 pull equally: SphereFace2's start.

    It solves  weight sigmoid(-target - b) = (1 - weight) (C - 1) sigmoid(negative + b)  for b.

    Args:
        weight: lambda in (0, 1), of the target.
        target: score of a target of cosine 0, without b.
        negative: score of a negative of cosine 0, without b.
    """

    weight: float
    target: float
    negative: float

    def __call__(self, num_classes: int) -> float:
        ratio = self.weight / ((1 - self.weight) * max(num_classes - 1, 1))
        # a quadratic in e^b, solved by logarithms, and without a difference of nearly equal numbers
        middle = math.log(abs(1 - ratio)) if ratio != 1 else -math.inf
        root = (math.log(4 * ratio) + self.target - self.negative) / 2
        total = float(np.logaddexp(middle, np.logaddexp(2 * middle, 2 * root) / 2))
        if ratio > 1:
            return total - math.log(2) - self.target
        return math.log(2 * ratio) - total - self.negative


@row
def sphereface2(
    kind: Literal["C", "A"] = "C",
    margin: CosineMargin[float] = 0.4,
    weight: Annotated[float, Range(0, 1, "()")] = 0.7,
    power: AtLeastOne[float] = 3.0,
    scale: Positive[float] = 40.0,
    factor: AtLeastZero[float] = 50.0,
    gradient: Literal["exact", "detached"] = "exact",
) -> Loss:
    """One binary question for each class, with a learned border b for all of them.

        loss = (f / s) ( lambda log(1 + e^{-z_y}) + (1 - lambda) sum_{j != y} log(1 + e^{z_j}) )
        z_y = s (g(cos t_y) - m) + b,   z_j = s (g(cos t_j) + m) + b       kind "C"
        z_y = s g(cos(min(t_y + m, pi))) + b,   z_j = s g(cos t_j) + b     kind "A"
        g(c) = 2 ((c + 1) / 2)^t - 1

    Args:
        kind: "C" for an additive cosine margin, "A" for an additive angular one.
        margin: m in [0, 3], in units of the cosine ("C") or radians ("A").
        weight: lambda in (0, 1), of the target.
        power: t >= 1.
        scale: s > 0.
        factor: f >= 0, of the whole loss.
        gradient: "exact" is the derivative of the loss; "detached" is the authors' code, which moves
            by the value of margin and g alone.

    Source: Wen et al., "SphereFace2: binary classification is all you need for deep face
    recognition", ICLR 2022, eqs. (5) to (8), with the constants of its authors' code.
    """
    g = Stretch(power)
    target: Rule = Chain(AngularMargin(add=margin, past_pi="clamp"), g)
    negative: Rule = g
    if kind == "C":
        target, negative = Chain(g, Subtract(margin)), Chain(g, Add(margin))
        ends = g_of_zero(power) - margin, g_of_zero(power) + margin
    else:
        ends = 2 * ((1 - math.sin(min(margin, math.pi / 2))) / 2) ** power - 1, g_of_zero(power)
    if gradient == "detached":
        target, negative = Detached(target), Detached(negative)
    return Loss(
        Fixed(scale),
        target,
        negative,
        pool=SoftplusSum(),
        penalty=OneVersusRest(factor / scale * weight, factor / scale * (1 - weight)),
        offset=Threshold(Balanced(weight, scale * ends[0], scale * ends[1])),
    )


def g_of_zero(power: float) -> float:
    """g(0) of SphereFace2."""
    return 2 * math.pow(0.5, power) - 1


@row
def uniface(
    margin: CosineMargin[float] = 0.4,
    weight: AtLeastZero[float] = 1.0,
    factor: Positive[float] = 10.0,
    scale: ScaleLike = 64.0,
) -> Loss:
    """Unified cross-entropy: all targets above one learned border, all negatives below it.

        loss = log(1 + e^{b - s (cos t_y - m)}) + lambda sum_{j != y} log(1 + e^{s cos t_j - b})

    The border b begins at log(factor C); as a cosine it is b / s.

    Args:
        margin: m in [0, 3], in units of the cosine.
        weight: lambda >= 0, of the negatives.
        factor: of the first border, > 0.
        scale: s > 0, "auto" or "learned".

    Source: Zhou et al., "UniFace: unified cross-entropy loss for deep face recognition", ICCV 2023,
    with the constants of its authors' code.
    """
    return Loss(
        scale=as_scale(scale),
        target=Subtract(margin),
        pool=SoftplusSum(),
        penalty=OneVersusRest(1.0, weight),
        offset=Threshold(LogClasses(factor), sign=-1),
    )


@row
def d_softmax(border: CosineMargin[float] = 0.9, scale: ScaleLike = 30.0) -> Loss:
    """Intra-class and inter-class parts of the softmax apart: each stops on its own.

        loss = log(1 + e^{s (d - cos t_y)}) + log(1 + sum_{j != y} e^{s cos t_j})

    Args:
        border: d in [0, 3], in units of the cosine: where the pull on a target has fallen to half.
        scale: s > 0, "auto" or "learned".

    Source: He et al., "Softmax dissection: towards understanding intra- and inter-class objective for
    embedding learning", AAAI 2020.
    """
    return Loss(scale=as_scale(scale), target=Subtract(border), penalty=Apart())


@row
def p2sgrad() -> Loss:
    """The gradient in a cosine is how far it is from 1 for the own class, from 0 for the others.

        loss = (1 - cos t_y)^2 / 2 + sum_{j != y} (cos t_j)^2 / 2

    Source: Zhang et al., "P2SGrad: refined gradients for optimizing deep face models", CVPR 2019,
    whose gradient is that of this loss.
    """
    return Loss(
        scale=Fixed(1.0),
        target=SquaredMiss(),
        negative=HalfSquare(),
        pool=Sum(),
        penalty=Difference(),
    )
