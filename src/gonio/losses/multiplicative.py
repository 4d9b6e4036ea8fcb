"""Margins that multiply the angle, and the annealing that makes them trainable."""

from typing import Literal

from gonio.loss import Loss
from gonio.losses.table import row
from gonio.rules import (
    COSINE,
    PROJECTION,
    AngularMargin,
    Annealed,
    Annealing,
    AsIs,
    Detached,
    DivideAngle,
    FeatureNorm,
    Score,
    as_scale,
)
from gonio.rules.curve import Rule
from gonio.rules.number import Number
from gonio.rules.ranges import AtLeastOne, AtLeastZero
from gonio.rules.scale import ScaleLike
from gonio.rules.target import PastPi

__all__ = ["l_softmax", "sphereface", "sphereface_r"]

PAPER = Annealing()


@row
def l_softmax(margin: AtLeastOne[float] = 2.0, annealing: AtLeastZero[Number] = PAPER) -> Loss:
    """Multiplicative angular margin on inner products: norms of embedding and weight stay in play.

        z_y = |w_y| |x| ( lambda cos t_y + psi(t_y) ) / ( lambda + 1 ),   z_j = <x, w_j>
        psi(t) = (-1)^k cos(m t) - 2k   with k = floor(m t / pi)
        loss = -log( e^{z_y} / ( e^{z_y} + sum_{j != y} e^{z_j} ) )

    Args:
        margin: m >= 1, any real number; 1 is no margin.
        annealing: lambda >= 0, or a schedule of the step; 0 applies the margin whole.

    Source: Liu et al., "Large-margin softmax loss for convolutional neural networks", ICML 2016,
    eqs. (4) to (6).
    """
    return _multiplied(margin, annealing, PROJECTION)


@row
def sphereface(margin: AtLeastOne[float] = 4.0, annealing: AtLeastZero[Number] = PAPER) -> Loss:
    """Multiplicative angular margin over normalised weights; the feature norm is the scale.

        z_y = |x| ( lambda cos t_y + psi(t_y) ) / ( lambda + 1 ),   z_j = |x| cos t_j
        psi(t) = (-1)^k cos(m t) - 2k   with k = floor(m t / pi)
        loss = -log( e^{z_y} / ( e^{z_y} + sum_{j != y} e^{z_j} ) )

    Args:
        margin: m >= 1, any real number; 1 is no margin.
        annealing: lambda >= 0, or a schedule of the step; 0 applies the margin whole.

    Source: Liu et al., "SphereFace: deep hypersphere embedding for face recognition", CVPR 2017,
    eq. (7), with the annealing of its authors' code.
    """
    return _multiplied(margin, annealing, COSINE)


@row
def sphereface_r(
    version: Literal["v0", "v1", "v2"] = "v2",
    margin: AtLeastOne[Number] = 1.5,
    scale: ScaleLike = 30.0,
    gradient: Literal["exact", "detached"] = "detached",
) -> Loss:
    """A multiplicative margin at a fixed scale, which learns by the gradient of no margin.

        loss = -log( e^{s psi(t_y)} / ( e^{s psi(t_y)} + sum_{j != y} e^{s nu(t_j)} ) )
        psi(t) = (-1)^k cos(m t) - 2k, k = floor(m t / pi),   nu(t) = cos t      "v0"
        psi(t) = cos(min(m t, pi)),                           nu(t) = cos t      "v1"
        psi(t) = cos t,                                       nu(t) = cos(t / m) "v2"

    Args:
        version: "v0" and "v1" move the target, "v2" the negatives.
        margin: m >= 1; 1 is no margin.
        scale: s > 0, "auto" or "learned".
        gradient: "detached" is the paper's characteristic gradient detachment, d z / d cos t = s;
            "exact" is the derivative of the loss, with which "v1" is flat beyond pi / m.

    Source: Liu et al., "SphereFace revived: unifying hyperspherical face recognition", TPAMI 2022;
    its hard feature normalisation, without the constant factor of its authors' code.
    """
    past_pi: PastPi = "fold" if version == "v0" else "clamp"
    target: Rule = AngularMargin(multiply=margin, past_pi=past_pi)
    negative: Rule = AsIs()
    if version == "v2":
        target, negative = AsIs(), DivideAngle(margin)
    if gradient == "detached":
        target, negative = Detached(target), Detached(negative)
    return Loss(as_scale(scale), target, negative)


def _multiplied(margin: float, annealing: Number, score: Score) -> Loss:
    rule = Annealed(AngularMargin(multiply=margin), annealing)
    return Loss(scale=FeatureNorm(), target=rule, score=score)
