"""Margins that are added: to the cosine, to the angle, or both and multiplied."""

from typing import Literal

from gonio.loss import Loss
from gonio.losses.table import row
from gonio.rules import AngularMargin, Detached, Subtract, as_scale
from gonio.rules.curve import Rule
from gonio.rules.number import Number
from gonio.rules.ranges import CosineMargin, Finite, Positive, Radians
from gonio.rules.scale import ScaleLike
from gonio.rules.target import PastPi

__all__ = ["am_softmax", "arcface", "combined", "cosface"]

Gradient = Literal["exact", "detached"]


@row
def am_softmax(margin: CosineMargin[Number] = 0.35, scale: ScaleLike = 30.0) -> Loss:
    """Additive cosine margin: the own class must win by m in cosine.

        loss = -log( e^{s (cos t_y - m)} / ( e^{s (cos t_y - m)} + sum_{j != y} e^{s cos t_j} ) )

    Args:
        margin: m in [0, 3], in units of the cosine; a schedule may warm it up from 0.
        scale: s > 0, "auto" or "learned".

    Source: Wang et al., "Additive margin softmax for face verification", SPL 2018, eq. (6).
    """
    return Loss(scale=as_scale(scale), target=Subtract(margin))


@row
def cosface(margin: CosineMargin[Number] = 0.35, scale: ScaleLike = 64.0) -> Loss:
    """The additive cosine margin at CosFace's scale; the same equation as "am-softmax".

        loss = -log( e^{s (cos t_y - m)} / ( e^{s (cos t_y - m)} + sum_{j != y} e^{s cos t_j} ) )

    Args:
        margin: m in [0, 3], in units of the cosine; a schedule may warm it up from 0.
        scale: s > 0, "auto" or "learned".

    Source: Wang et al., "CosFace: large margin cosine loss for deep face recognition", CVPR 2018,
    eq. (4).
    """
    return am_softmax(margin, scale)


@row
def arcface(
    margin: Radians[Number] = 0.5,
    scale: ScaleLike = 64.0,
    past_pi: PastPi = "fold",
    gradient: Gradient = "exact",
) -> Loss:
    """Additive angular margin: the own class must win by m in angle.

        loss = -log( e^{s cos(t_y + m)} / ( e^{s cos(t_y + m)} + sum_{j != y} e^{s cos t_j} ) )

    Args:
        margin: m in radians, in (-pi, pi); 0.5 is 28.6 degrees; a schedule may warm it up from 0.
        scale: s > 0, "auto" or "learned".
        past_pi: what happens where t_y + m passes pi and the cosine would rise again: "fold", "line",
            "shift", "raw", "easy" or "clamp"; see `gonio.rules.AngularMargin`.
        gradient: "exact" is the derivative of the loss; "detached" is the straight-through form that
            the authors' code has used since December 2022.

    Source: Deng et al., "ArcFace: additive angular margin loss for deep face recognition", CVPR 2019,
    eq. (3).
    """
    return _angular(AngularMargin(add=margin, past_pi=past_pi), scale, gradient)


@row
def combined(
    m1: Positive[Number] = 1.0,
    m2: Radians[Number] = 0.3,
    m3: Finite[Number] = 0.2,
    scale: ScaleLike = 64.0,
    past_pi: PastPi = "fold",
    gradient: Gradient = "exact",
) -> Loss:
    """All three margins at once: on the factor, the angle and the cosine.

        loss = -log( e^{s z} / ( e^{s z} + sum_{j != y} e^{s cos t_j} ) ),   z = cos(m1 t_y + m2) - m3

    Args:
        m1: multiplies the angle, > 0; 1 is no margin.
        m2: added to the angle in radians, in (-pi, pi).
        m3: subtracted from the cosine.
        scale: s > 0, "auto" or "learned".
        past_pi: as in "arcface"; "line", "shift" and "easy" need m1 = 1.
        gradient: "exact" or "detached", as in "arcface".

    Source: Deng et al., "ArcFace: additive angular margin loss for deep face recognition", CVPR 2019,
    eq. (4).
    """
    return _angular(AngularMargin(m1, m2, m3, past_pi), scale, gradient)


def _angular(margin: AngularMargin, scale: ScaleLike, gradient: Gradient) -> Loss:
    rule: Rule = margin if gradient == "exact" else Detached(margin)
    return Loss(scale=as_scale(scale), target=rule)
