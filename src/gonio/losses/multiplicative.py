"""Margins that multiply the angle, and the annealing that makes them trainable."""

from gonio.equation import Loss
from gonio.losses.table import row
from gonio.rules import (
    COSINE,
    PROJECTION,
    AngularMargin,
    Annealed,
    Annealing,
    FeatureNorm,
    Score,
)
from gonio.rules.schedule import Number

__all__ = ["l_softmax", "sphereface"]

PAPER = Annealing()


@row
def l_softmax(margin: float = 2.0, annealing: Number = PAPER) -> Loss:
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
def sphereface(margin: float = 4.0, annealing: Number = PAPER) -> Loss:
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


def _multiplied(margin: float, annealing: Number, score: Score) -> Loss:
    if margin < 1:
        raise ValueError(f"margin: {margin} is below 1; the angle is multiplied by m >= 1")
    rule = Annealed(AngularMargin(multiply=margin), annealing)
    return Loss(scale=FeatureNorm(), target=rule, score=score)
