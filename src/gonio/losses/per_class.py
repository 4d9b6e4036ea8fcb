"""Margins and offsets that differ from class to class: given, from counts, learned or measured.

Any other row does the same with a margin of `gonio.PerClass([...])`.
"""

import math
from typing import Annotated

from gonio.loss import Loss
from gonio.losses.table import row
from gonio.rules import (
    INNER,
    AngularMargin,
    Fixed,
    FromCounts,
    LearnedPerClass,
    LogPrior,
    MarginReward,
    Score,
    SpreadMargin,
    Subtract,
    as_scale,
)
from gonio.rules.ranges import RADIANS, AtLeastOne, AtLeastZero, CosineMargin, Radians, Range, Share
from gonio.rules.scale import ScaleLike

__all__ = ["adaptiveface", "dynamic_arcface", "kappaface", "ldam", "logit_adjustment"]


@row
def logit_adjustment(temperature: AtLeastZero[float] = 1.0, bias: bool = True) -> Loss:
    """Softmax with the frequency of each class added in training, so that rare ones are not starved.

        loss = -log( e^{z_y + tau log p_y} / sum_j e^{z_j + tau log p_j} ),   z_j = <x, w_j> + b_j

    p_j = n_j / sum n, from the number of training samples of each class. Logits are without it.

    Args:
        temperature: tau >= 0; 0 is "softmax".
        bias: whether each class has a learned bias b_j.

    Source: Menon et al., "Long-tail learning via logit adjustment", ICLR 2021, eq. (10).
    """
    return Loss(scale=Fixed(1.0), score=INNER, offset=LogPrior(temperature, bias))


@row
def ldam(
    margin: CosineMargin[float] = 0.5, power: AtLeastZero[float] = 0.25, scale: ScaleLike = 30.0
) -> Loss:
    """Additive cosine margins that are larger for rare classes.

        loss = -log( e^{s (cos t_y - m_y)} / ( e^{s (cos t_y - m_y)} + sum_{j != y} e^{s cos t_j} ) )
        m_y = m (n_y / min n)^-power,   n the number of training samples of each class

    Args:
        margin: m in [0, 3] of the rarest class, in units of the cosine.
        power: >= 0.
        scale: s > 0, "auto" or "learned".

    Source: Cao et al., "Learning imbalanced datasets with label-distribution-aware margin loss",
    NeurIPS 2019, with the constants of its authors' code.
    """
    return Loss(scale=as_scale(scale), target=Subtract(FromCounts(power, margin)))


@row
def dynamic_arcface(
    low: Radians[float] = 0.05,
    high: Radians[float] = 0.5,
    power: AtLeastZero[float] = 0.25,
    centers: AtLeastOne[int] = 3,
    scale: ScaleLike = 80.0,
) -> Loss:
    """Additive angular margins that are larger for rare classes, over several centres of each class.

        loss = -log( e^{s cos(t_y + m_y)} / ( e^{s cos(t_y + m_y)} + sum_{j != y} e^{s cos t_j} ) )
        cos t_j = max_k cos t_jk
        m_y = low + (high - low) (v_y - min v) / (max v - min v),   v_j = n_j^-power

    n is the number of training samples of each class; where all are equal m_y = (low + high) / 2.

    Args:
        low: margin of the most frequent class in radians, in (-pi, pi).
        high: margin of the rarest class in radians, in (-pi, pi).
        power: >= 0.
        centers: k >= 1, of each class.
        scale: s > 0, "auto" or "learned".

    Source: Ha et al., "Google landmark recognition 2020 competition third place solution", 2020, and
    its authors' code.
    """
    return Loss(
        scale=as_scale(scale),
        target=AngularMargin(add=FromCounts(power, high, low)),
        score=Score(unit_embedding=True, unit_weight=True, centers=centers),
    )


@row
def adaptiveface(
    start: Share[float] = 0.35, weight: AtLeastZero[float] = 70.0, scale: ScaleLike = 30.0
) -> Loss:
    """Additive cosine margins that are learned, one for each class, and rewarded for being large.

        loss = -log( e^{s (cos t_y - m_y)} / ( e^{s (cos t_y - m_y)} + sum_{j != y} e^{s cos t_j} ) )
               + lambda (1 - mean_j m_j),   m_j in [0, 1]

    Args:
        start: of every margin, in [0, 1], in units of the cosine.
        weight: lambda >= 0.
        scale: s > 0, "auto" or "learned".

    Source: Liu et al., "AdaptiveFace: adaptive margin and sampling for face recognition", CVPR 2019,
    with the constants of public code.
    """
    return Loss(scale=as_scale(scale), target=Subtract(LearnedPerClass(start))) + MarginReward(
        weight
    )


@row
def kappaface(
    margin: Annotated[float, Range(0, math.pi, "[)", RADIANS)] = 0.62,
    temperature: AtLeastZero[float] = 0.55,
    balance: Share[float] = 0.7,
    every: AtLeastOne[int] = 1000,
    scale: ScaleLike = 64.0,
) -> Loss:
    """Additive angular margins that are larger for classes that are spread out or rare.

        loss = -log( e^{s cos(t_y + m_y)} / ( e^{s cos(t_y + m_y)} + sum_{j != y} e^{s cos t_j} ) )
        m_y = m w_y,   w_y from the concentration and the frequency of the class

    See `gonio.rules.SpreadMargin` for w_y, which is 1 until `every` training batches have passed. The
    number of training samples of each class is needed.

    Args:
        margin: m in radians, in [0, pi).
        temperature: T >= 0, of the concentration.
        balance: g in [0, 1]: 1 looks at the concentration alone, 0 at the frequency alone.
        every: training batches between two renewals of w, >= 1; an epoch in the paper.
        scale: s > 0, "auto" or "learned".

    Source: Oinar et al., "KappaFace: adaptive additive angular margin loss for deep face recognition",
    IEEE Access 2023, with the constants of public code.
    """
    spread = SpreadMargin(margin, temperature, balance, every)
    return Loss(scale=as_scale(scale), target=AngularMargin(add=spread))
