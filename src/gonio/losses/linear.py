"""Curves of the angle other than its cosine: straight lines and a parabola."""

from typing import Literal

from gonio.loss import Loss
from gonio.losses.table import row
from gonio.rules import Detached, LinearAngle, LinearAngleNegative, Number, Parabola, as_scale
from gonio.rules.ranges import AtMostZero, Finite, Positive, Radians
from gonio.rules.scale import ScaleLike

__all__ = ["ga_softmax", "li_arcface", "x2_softmax"]


@row
def ga_softmax(margin: Positive[Number] = 1.5, scale: ScaleLike = 30.0) -> Loss:
    """A multiplied angle on a straight line: the same pull at every angle, no dead zones.

        loss = -log( e^{s (1 - 2 m t_y / pi)} / ( e^{s (1 - 2 m t_y / pi)} + sum_{j != y} e^{s (1 - 2 t_j / pi)} ) )

    Args:
        margin: m > 0, multiplies the angle; 1 is no margin.
        scale: s > 0, "auto" or "learned".

    Source: Liu et al., "Deep hyperspherical learning", NIPS 2017, section 3.
    """
    target, negative = LinearAngle(multiply=margin), LinearAngleNegative()
    return Loss(scale=as_scale(scale), target=target, negative=negative)


@row
def li_arcface(margin: Radians[Number] = 0.45, scale: ScaleLike = 64.0) -> Loss:
    """An added angle on a straight line: falls up to pi without any folding.

        z_y = s (1 - 2 (t_y + m) / pi),   z_j = s (1 - 2 t_j / pi)
        loss = -log( e^{z_y} / ( e^{z_y} + sum_{j != y} e^{z_j} ) )

    Args:
        margin: m in radians, in (-pi, pi).
        scale: s > 0, "auto" or "learned".

    Source: Li et al., "AirFace: lightweight and efficient model for face recognition", ICCV workshops
    2019; public codes use margins of 0.4 to 0.45.
    """
    target, negative = LinearAngle(add=margin), LinearAngleNegative()
    return Loss(scale=as_scale(scale), target=target, negative=negative)


@row
def x2_softmax(
    bend: Positive[Number] = 0.9,
    start: AtMostZero[Number] = 0.0,
    top: Finite[Number] = 0.65,
    scale: ScaleLike = 64.0,
    gradient: Literal["exact", "detached"] = "exact",
) -> Loss:
    """A parabola in the own angle: a margin that grows with the angle.

        z_y = s (k - a (t_y - h)^2),   z_j = s cos t_j
        loss = -log( e^{z_y} / ( e^{z_y} + sum_{j != y} e^{z_j} ) )

    Args:
        bend: a > 0.
        start: h <= 0 in radians.
        top: k, the target at the angle h, in units of the cosine.
        scale: s > 0, "auto" or "learned".
        gradient: "exact" is the derivative of the loss; "detached" is the straight-through form of
            the authors' code.

    Source: Xu et al., "X2-Softmax: margin adaptive loss function for face recognition", 2023.
    """
    target = Parabola(bend, start, top)
    return Loss(scale=as_scale(scale), target=target if gradient == "exact" else Detached(target))
