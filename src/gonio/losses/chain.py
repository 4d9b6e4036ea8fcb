"""The survey's chain: hinge -> max-hinge -> log-sum-exp hinge -> softplus of it = cross-entropy.

One family: the pool has a temperature, the penalty has a temperature, and 0 is the hard end of each.
Rows differ in their defaults alone where the formulas meet: "lse-hinge" is "max-hinge" at temperature 1.
"""

from typing import Literal

from gonio.loss import Loss
from gonio.losses.table import row
from gonio.rules import (
    COSINE,
    INNER,
    Bias,
    Excess,
    Fixed,
    LogSumExp,
    NoOffset,
    PoolOnly,
    Score,
    Softplus,
    Subtract,
    Sum,
    as_scale,
)
from gonio.rules.number import Number
from gonio.rules.ranges import AtLeastZero
from gonio.rules.scale import ScaleLike

__all__ = ["hinge", "lse_hinge", "max_hinge", "softmax", "softplus_lse"]

ScoreName = Literal["cosine", "inner"]


@row
def softmax(bias: bool = True) -> Loss:
    """Cross-entropy of the softmax over inner products: the start of everything.

        loss = -log( e^{z_y} / sum_j e^{z_j} ),   z_j = <x, w_j> + b_j

    Its gradient with respect to the scores z is a - y: the probabilities minus the one-hot label.

    Args:
        bias: whether each class has a learned bias b_j.

    Source: Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990.
    """
    return Loss(scale=Fixed(1.0), score=INNER, offset=Bias() if bias else NoOffset())


@row
def hinge(
    margin: AtLeastZero[Number] = 0.35,
    temperature: AtLeastZero[float] = 0.0,
    scale: ScaleLike = 30.0,
    score: ScoreName = "cosine",
) -> Loss:
    """Multi-class hinge: every negative that comes within the margin of the target costs.

        loss = sum_{j != y} max( s (c_j - c_y + m), 0 )

    Its gradient grows with the number of classes, up to C - 1 for the target: it explodes where C is
    large.

    Args:
        margin: m >= 0, in units of the cosine (of the inner product, for score "inner").
        temperature: T >= 0, in units of s c; above 0 each hinge is T log(1 + e^{u / T}).
        scale: s > 0, "auto" or "learned"; without a temperature it only scales the loss.
        score: c is the "cosine", or the "inner" product.

    Source: Weston and Watkins, "Support vector machines for multi-class pattern recognition", 1999.
    """
    return Loss(
        scale=as_scale(scale),
        target=Subtract(margin),
        negative=Excess(temperature),
        pool=Sum(),
        penalty=PoolOnly(),
        score=_score(score),
    )


@row
def max_hinge(
    margin: AtLeastZero[Number] = 0.35,
    temperature: AtLeastZero[float] = 0.0,
    scale: ScaleLike = 30.0,
    score: ScoreName = "cosine",
) -> Loss:
    """Hinge against the hardest negative alone: the gradient is bounded, but few scores learn.

        loss = max( max_{j != y} s c_j - s (c_y - m), 0 )

    Args:
        margin: m >= 0, in units of the cosine (of the inner product, for score "inner").
        temperature: T >= 0, in units of s c; above 0 the inner maximum is T log sum e^{s c_j / T},
            and T = 1 is "lse-hinge".
        scale: s > 0, "auto" or "learned"; without a temperature it only scales the loss.
        score: c is the "cosine", or the "inner" product.

    Source: Crammer and Singer, "On the algorithmic implementation of multiclass kernel-based vector
    machines", 2001.
    """
    return _chain(margin, temperature, 0.0, scale, score)


@row
def lse_hinge(
    margin: AtLeastZero[Number] = 0.35,
    temperature: AtLeastZero[float] = 1.0,
    scale: ScaleLike = 30.0,
    score: ScoreName = "cosine",
) -> Loss:
    """Hinge against the smooth maximum of the negatives: all learn, the hardest most.

        loss = max( T log sum_{j != y} e^{s c_j / T} - s (c_y - m), 0 )

    Args:
        margin: m >= 0, in units of the cosine (of the inner product, for score "inner").
        temperature: T >= 0, in units of s c; at 0 it is "max-hinge".
        scale: s > 0, "auto" or "learned".
        score: c is the "cosine", or the "inner" product.

    Source: the survey, "the evolution of softmax-based losses", its first smoothing.
    """
    return _chain(margin, temperature, 0.0, scale, score)


@row
def softplus_lse(
    margin: AtLeastZero[Number] = 0.35,
    temperature: AtLeastZero[float] = 1.0,
    scale: ScaleLike = 30.0,
    score: ScoreName = "cosine",
) -> Loss:
    """Softplus of the smooth maximum: at temperature 1 it is cross-entropy with a margin.

        loss = T log( 1 + e^{u / T} ),   u = T log sum_{j != y} e^{s c_j / T} - s (c_y - m)

    Args:
        margin: m >= 0, in units of the cosine (of the inner product, for score "inner").
        temperature: T >= 0, in units of s c; at 0 it is "max-hinge", at 1 "am-softmax".
        scale: s > 0, "auto" or "learned".
        score: c is the "cosine", or the "inner" product.

    Source: the survey, "the evolution of softmax-based losses", its second smoothing.
    """
    return _chain(margin, temperature, temperature, scale, score)


def _chain(margin: Number, pool: float, penalty: float, scale: ScaleLike, score: ScoreName) -> Loss:
    return Loss(
        scale=as_scale(scale),
        target=Subtract(margin),
        pool=LogSumExp(pool),
        penalty=Softplus(penalty),
        score=_score(score),
    )


def _score(name: ScoreName) -> Score:
    return COSINE if name == "cosine" else INNER
