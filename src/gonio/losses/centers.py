"""Several centres for each class: for classes that are not one cluster, or hold wrong labels."""

import math
from typing import Annotated

from gonio.loss import Loss
from gonio.losses.table import row
from gonio.rules import (
    AngularMargin,
    CenterSpread,
    KthHardest,
    NarrowAngle,
    Number,
    Score,
    Subtract,
    as_scale,
)
from gonio.rules.ranges import (
    RADIANS,
    AtLeastOne,
    AtLeastZero,
    CosineMargin,
    Positive,
    Radians,
    Range,
)
from gonio.rules.scale import ScaleLike
from gonio.rules.target import PastPi

__all__ = ["inter_topk", "soft_triple", "sub_center_arcface"]


@row
def sub_center_arcface(
    centers: AtLeastOne[int] = 3,
    margin: Radians[Number] = 0.5,
    scale: ScaleLike = 64.0,
    past_pi: PastPi = "fold",
) -> Loss:
    """An additive angular margin to the nearest of several centres of each class.

        loss = -log( e^{s cos(t_y + m)} / ( e^{s cos(t_y + m)} + sum_{j != y} e^{s cos t_j} ) )
        cos t_j = max_k cos t_jk

    Args:
        centers: k >= 1, of each class.
        margin: m in radians, in (-pi, pi).
        scale: s > 0, "auto" or "learned".
        past_pi: as in "arcface".

    Source: Deng et al., "Sub-center ArcFace: boosting face recognition by large-scale noisy web
    faces", ECCV 2020, eq. (3).
    """
    return Loss(
        scale=as_scale(scale),
        target=AngularMargin(add=margin, past_pi=past_pi),
        score=_nearest(centers),
    )


@row
def inter_topk(
    centers: AtLeastOne[int] = 3,
    margin: Radians[Number] = 0.2,
    k: AtLeastOne[int] = 5,
    penalty: Annotated[Number, Range(0, math.pi, "[)", RADIANS)] = 0.06,
    scale: ScaleLike = 32.0,
    past_pi: PastPi = "fold",
) -> Loss:
    """Sub-centre ArcFace, and the k hardest negatives get a margin of their own.

        z_y = s cos(t_y + m)
        z_j = s cos(t_j - m')  for the k smallest t_j, else s cos t_j;   cos t_j = max_k cos t_jk
        loss = -log( e^{z_y} / ( e^{z_y} + sum_{j != y} e^{z_j} ) )

    A t_j below m' goes on as 2 - cos(t_j - m'), so that z_j never falls as the negative comes nearer.

    Args:
        centers: of each class, >= 1.
        margin: m in radians, in (-pi, pi).
        k: hardest negatives, >= 1.
        penalty: m' in radians, in [0, pi).
        scale: s > 0, "auto" or "learned".
        past_pi: as in "arcface"; WeSpeaker takes "shift".

    Source: Zhao et al., "Multi-query multi-head attention pooling and inter-topK penalty for speaker
    verification", ICASSP 2022, with the constants of WeSpeaker.
    """
    return Loss(
        scale=as_scale(scale),
        target=AngularMargin(add=margin, past_pi=past_pi),
        negative=NarrowAngle(penalty, above=KthHardest(k)),
        score=_nearest(centers),
    )


@row
def soft_triple(
    centers: AtLeastOne[int] = 10,
    temperature: Positive[float] = 0.1,
    margin: CosineMargin[Number] = 0.01,
    weight: AtLeastZero[float] = 0.2,
    scale: ScaleLike = 20.0,
) -> Loss:
    """A class scores the soft maximum over its centres, which are drawn together.

        loss = -log( e^{s (c_y - m)} / ( e^{s (c_y - m)} + sum_{j != y} e^{s c_j} ) )
               + tau sum_{a < b} |w_ya - w_yb| / (K (K - 1))
        c_j = sum_k p_jk cos t_jk,   p_j = softmax_k(cos t_jk / T)

    Args:
        centers: K >= 1, of each class.
        temperature: T > 0.
        margin: m in [0, 3], in units of the cosine.
        weight: tau >= 0.
        scale: s > 0, "auto" or "learned".

    Source: Qian et al., "SoftTriple loss: deep metric learning without triplet sampling", ICCV 2019,
    eqs. (8) and (9).
    """
    score = Score(True, True, centers, temperature)
    return Loss(as_scale(scale), Subtract(margin), score=score) + CenterSpread(weight)


def _nearest(centers: int) -> Score:
    return Score(unit_embedding=True, unit_weight=True, centers=centers)
