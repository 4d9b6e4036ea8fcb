"""Margins that differ from sample to sample: by its norm, its quality, or a draw."""

import math
from typing import Annotated, Literal

from gonio.loss import Loss
from gonio.losses.table import row
from gonio.rules import (
    AngularMargin,
    Draw,
    NormMargin,
    NormQuality,
    NormReward,
    QualityMargin,
    Subtract,
    as_scale,
)
from gonio.rules.ranges import RADIANS, AtLeastZero, CosineMargin, Positive, Radians, Range, Share
from gonio.rules.scale import ScaleLike
from gonio.rules.target import PastPi

__all__ = ["adaface", "elastic_arcface", "elastic_cosface", "magface"]

Order = Literal["random", "hardest", "published"]


@row
def magface(
    low: Radians[float] = 0.45,
    high: Radians[float] = 0.8,
    norm_low: Positive[float] = 10.0,
    norm_high: Positive[float] = 110.0,
    weight: AtLeastZero[float] = 35.0,
    scale: ScaleLike = 64.0,
    past_pi: PastPi = "fold",
) -> Loss:
    """The margin grows with the norm of the embedding, which is rewarded: the norm tells quality.

        loss = -log( e^{s cos(t_y + m)} / ( e^{s cos(t_y + m)} + sum_{j != y} e^{s cos t_j} ) )
               + lambda (a / u^2 + 1 / a)
        m = low + (high - low) (a - l) / (u - l),   a = |x| cut to [l, u]

    Args:
        low: margin at the norm l in radians, in (-pi, pi).
        high: margin at the norm u in radians, in (-pi, pi).
        norm_low: l > 0.
        norm_high: u > 0, above l.
        weight: lambda >= 0.
        scale: s > 0, "auto" or "learned".
        past_pi: as in "arcface"; the authors' code takes "easy".

    Source: Meng et al., "MagFace: a universal representation for face recognition and quality
    assessment", CVPR 2021, with the constants of its authors' code.
    """
    margin = AngularMargin(add=NormMargin(low, high, norm_low, norm_high), past_pi=past_pi)
    return Loss(scale=as_scale(scale), target=margin) + NormReward(weight, norm_low, norm_high)


@row
def adaface(
    margin: Annotated[float, Range(0, math.pi / 2, "[)", RADIANS)] = 0.4,
    concentration: Positive[float] = 0.333,
    momentum: Share[float] = 0.99,
    scale: ScaleLike = 64.0,
    past_pi: Literal["fold", "clamp"] = "fold",
    gradient: Literal["exact", "detached"] = "detached",
) -> Loss:
    """The margin turns from angular to additive as the quality of the sample, its norm, rises.

        loss = -log( e^{s z} / ( e^{s z} + sum_{j != y} e^{s cos t_j} ) )
        z = cos(t_y - m q) - m (1 + q)
        q = h (a - mean) / (std + 0.001) cut to [-1, 1],   a = |x| cut to [0.001, 100],
        with running mean and std of a

    Args:
        margin: m in [0, pi / 2), in radians and in units of the cosine.
        concentration: h > 0.
        momentum: share of the old statistics, in [0, 1]; the authors' runs use 0.99, their class 0.
        scale: s > 0, "auto" or "learned".
        past_pi: outside [0, pi], "fold" or "clamp"; see "arcface".
        gradient: "detached" takes q as a constant, as the paper does; "exact" is the derivative.

    Source: Kim et al., "AdaFace: quality adaptive margin for face recognition", CVPR 2022, eqs. (9)
    and (10).
    """
    quality = NormQuality(concentration, momentum, gradient)
    return Loss(scale=as_scale(scale), target=QualityMargin(margin, quality, past_pi))


@row
def elastic_arcface(
    margin: Radians[float] = 0.5,
    std: AtLeastZero[float] = 0.05,
    order: Order = "random",
    scale: ScaleLike = 64.0,
) -> Loss:
    """An additive angular margin drawn anew for each sample of a training batch.

        loss = -log( e^{s cos(t_y + m)} / ( e^{s cos(t_y + m)} + sum_{j != y} e^{s cos t_j} ) )
        m ~ normal(margin, std)

    Args:
        margin: the mean in radians, in (-pi, pi); outside training it is the margin.
        std: in radians, >= 0.
        order: "random"; "hardest" gives larger margins to smaller own cosines, ElasticFace+ as its
            paper means it (std 0.0175); "published" is its public code, which pairs at random.
        scale: s > 0, "auto" or "learned".

    Source: Boutros et al., "ElasticFace: elastic margin loss for deep face recognition", CVPR
    workshops 2022, eq. (6).
    """
    return Loss(scale=as_scale(scale), target=AngularMargin(add=Draw(margin, std, order)))


@row
def elastic_cosface(
    margin: CosineMargin[float] = 0.35,
    std: AtLeastZero[float] = 0.05,
    order: Order = "random",
    scale: ScaleLike = 64.0,
) -> Loss:
    """An additive cosine margin drawn anew for each sample of a training batch.

        loss = -log( e^{s (cos t_y - m)} / ( e^{s (cos t_y - m)} + sum_{j != y} e^{s cos t_j} ) )
        m ~ normal(margin, std)

    Args:
        margin: the mean in [0, 3], in units of the cosine; outside training it is the margin.
        std: in units of the cosine, >= 0.
        order: as in "elastic-arcface"; the paper's std for "hardest" is 0.02.
        scale: s > 0, "auto" or "learned".

    Source: Boutros et al., "ElasticFace: elastic margin loss for deep face recognition", CVPR
    workshops 2022, eq. (7).
    """
    return Loss(scale=as_scale(scale), target=Subtract(Draw(margin, std, order)))
