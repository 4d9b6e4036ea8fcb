"""Hard negatives and hard samples: pushed harder, weighed by training progress, or left out."""

from typing import Annotated, Literal

from gonio.loss import Loss
from gonio.losses.table import row
from gonio.rules import (
    INNER,
    AngularMargin,
    Bias,
    Boost,
    Bump,
    CircleNegative,
    CircleTarget,
    Curriculum,
    Filter,
    Fixed,
    Focal,
    Hardest,
    HardnessMargin,
    NoOffset,
    Number,
    RunningCosine,
    Subtract,
    as_scale,
)
from gonio.rules.margins import Border
from gonio.rules.ranges import (
    AtLeastOne,
    AtLeastZero,
    CosineMargin,
    Finite,
    Positive,
    Radians,
    Range,
    Share,
)
from gonio.rules.scale import ScaleLike
from gonio.rules.target import PastPi

__all__ = [
    "arcnegface",
    "circle",
    "curricularface",
    "filtered_cosface",
    "focal",
    "hm_softmax",
    "mv_am_softmax",
    "mv_arc_softmax",
    "npcface",
]

Gradient = Literal["exact", "detached"]
Boosting = Literal["fixed", "adaptive"]


@row
def focal(gamma: AtLeastZero[float] = 2.0, bias: bool = True) -> Loss:
    """Softmax that turns away from samples which are already right.

        loss = -(1 - p)^gamma log p,   p = e^{z_y} / sum_j e^{z_j},   z_j = <x, w_j> + b_j

    Args:
        gamma: >= 0; 0 is "softmax".
        bias: whether each class has a learned bias b_j.

    Source: Lin et al., "Focal loss for dense object detection", ICCV 2017, eq. (4), over a softmax.
    """
    offset = Bias() if bias else NoOffset()
    return Loss(scale=Fixed(1.0), score=INNER, offset=offset, penalty=Focal(gamma))


@row
def hm_softmax(keep: Annotated[float, Range(0, 1, "(]")] = 0.9, bias: bool = True) -> Loss:
    """Softmax over the hardest samples of each batch alone.

        loss_i = -log( e^{z_y} / sum_j e^{z_j} ) B / k  for the k largest of the batch, else 0
        z_j = <x, w_j> + b_j,   k = floor(keep B)

    Args:
        keep: share of the batch that counts, in (0, 1].
        bias: whether each class has a learned bias b_j.

    Source: Shrivastava et al., "Training region-based object detectors with online hard example
    mining", CVPR 2016; the default is that of Wang et al.'s public code, 2020.
    """
    offset = Bias() if bias else NoOffset()
    return Loss(scale=Fixed(1.0), score=INNER, offset=offset, mining=Hardest(keep))


@row
def mv_am_softmax(
    margin: CosineMargin[Number] = 0.35,
    boost: AtLeastZero[float] = 0.2,
    mode: Boosting = "adaptive",
    scale: ScaleLike = 32.0,
) -> Loss:
    """An additive cosine margin, and negatives that beat the target are raised.

        z_y = s (cos t_y - m),   z_j = s h(cos t_j)
        h(c) = c + t ("fixed") or (1 + t) c + t ("adaptive")  where c > z_y / s, else c
        loss = -log( e^{z_y} / ( e^{z_y} + sum_{j != y} e^{z_j} ) )

    Args:
        margin: m in [0, 3], in units of the cosine.
        boost: t >= 0, in units of the cosine.
        mode: "fixed" or "adaptive".
        scale: s > 0, "auto" or "learned".

    Source: Wang et al., "Mis-classified vector guided softmax loss for face recognition", AAAI 2020,
    with the constants of its authors' code.
    """
    negative = Boost(1 + boost if mode == "adaptive" else 1.0, boost)
    return Loss(scale=as_scale(scale), target=Subtract(margin), negative=negative)


@row
def mv_arc_softmax(
    margin: Radians[Number] = 0.35,
    boost: AtLeastZero[float] = 0.2,
    mode: Boosting = "adaptive",
    scale: ScaleLike = 32.0,
    past_pi: PastPi = "fold",
) -> Loss:
    """An additive angular margin, and negatives that beat the target are raised.

        z_y = s cos(t_y + m),   z_j = s h(cos t_j)
        h(c) = c + t ("fixed") or (1 + t) c + t ("adaptive")  where c > z_y / s, else c
        loss = -log( e^{z_y} / ( e^{z_y} + sum_{j != y} e^{z_j} ) )

    Args:
        margin: m in radians, in (-pi, pi).
        boost: t >= 0, in units of the cosine.
        mode: "fixed" or "adaptive".
        scale: s > 0, "auto" or "learned".
        past_pi: as in "arcface"; the authors' code takes "easy".

    Source: Wang et al., "Mis-classified vector guided softmax loss for face recognition", AAAI 2020,
    with the constants of its authors' code.
    """
    target = AngularMargin(add=margin, past_pi=past_pi)
    negative = Boost(1 + boost if mode == "adaptive" else 1.0, boost)
    return Loss(scale=as_scale(scale), target=target, negative=negative)


@row
def curricularface(
    margin: Radians[Number] = 0.5,
    momentum: Share[float] = 0.99,
    scale: ScaleLike = 64.0,
    past_pi: PastPi = "fold",
) -> Loss:
    """Hard negatives count little at first and more as training comes along.

        z_y = s cos(t_y + m),   z_j = s h(cos t_j)
        h(c) = c (level + c)  where c > z_y / s, else c
        loss = -log( e^{z_y} / ( e^{z_y} + sum_{j != y} e^{z_j} ) )

    level is the running mean of cos t_y over the training batches, from 0. A hard negative with
    c < -level / 2 is pulled nearer, as published.

    Args:
        margin: m in radians, in (-pi, pi).
        momentum: share of the old level, in [0, 1].
        scale: s > 0, "auto" or "learned".
        past_pi: as in "arcface"; the authors' code takes "line".

    Source: Huang et al., "CurricularFace: adaptive curriculum learning loss for deep face
    recognition", CVPR 2020, with the constants of its authors' code.
    """
    return Loss(
        scale=as_scale(scale),
        target=AngularMargin(add=margin, past_pi=past_pi),
        negative=Curriculum(RunningCosine(momentum)),
    )


@row
def arcnegface(
    margin: Radians[Number] = 0.5,
    height: Positive[float] = 1.2,
    width: Positive[float] = 2.0,
    scale: ScaleLike = 64.0,
    past_pi: PastPi = "fold",
    gradient: Gradient = "exact",
) -> Loss:
    """Negatives that score like the target are raised, by a bell curve around it.

        z_y = s a,   a = cos(t_y + m),   z_j = s (f c_j + f - 1),   c_j = cos t_j
        f = alpha exp(-(c_j - a)^2 / sigma)
        loss = -log( e^{z_y} / ( e^{z_y} + sum_{j != y} e^{z_j} ) )

    Args:
        margin: m in radians, in (-pi, pi).
        height: alpha > 0.
        width: sigma > 0, in units of the squared cosine.
        scale: s > 0, "auto" or "learned".
        past_pi: as in "arcface".
        gradient: "exact" is the derivative of the loss; "detached" takes f as a constant, as one of
            the public codes does.

    Source: Liu et al., "Towards flops-constrained face recognition", ICCV workshops 2019, with the
    constants of public code.
    """
    return Loss(
        scale=as_scale(scale),
        target=AngularMargin(add=margin, past_pi=past_pi),
        negative=Bump(height, width, gradient),
    )


@row
def npcface(
    margin: Radians[float] = 0.4,
    slope: AtLeastZero[float] = 0.2,
    hard_margin: Radians[float] = 0.5,
    multiply: AtLeastOne[float] = 1.1,
    boost: AtLeastZero[float] = 0.2,
    scale: ScaleLike = 64.0,
    past_pi: PastPi = "fold",
    gradient: Gradient = "exact",
) -> Loss:
    """The hard negatives of a sample raise its margin, and are raised themselves.

        z_y = s cos(t_y + m0 + m1 mean{ c_j hard }),   z_j = s h(c_j),   c_j = cos t_j
        h(c) = t c + a  where c is hard, else c;   c is hard where c > cos(t_y + m)
        loss = -log( e^{z_y} / ( e^{z_y} + sum_{j != y} e^{z_j} ) )

    Args:
        margin: m0 in radians, in (-pi, pi).
        slope: m1 >= 0; m0 - m1 and m0 + m1 are in (-pi, pi) too.
        hard_margin: m in radians, in (-pi, pi).
        multiply: t >= 1.
        boost: a >= 0, in units of the cosine.
        scale: s > 0, "auto" or "learned".
        past_pi: as in "arcface"; the authors' code takes "easy".
        gradient: "exact" is the derivative of the loss; "detached" takes the mean as a constant, as
            the authors' code does.

    Source: Zeng et al., "NPCFace: negative-positive collaborative training for large-scale face
    recognition", 2020, with the constants of its authors' code.
    """
    harder = HardnessMargin(margin, slope, hard_margin, gradient)
    return Loss(
        scale=as_scale(scale),
        target=AngularMargin(add=harder, past_pi=past_pi),
        negative=Boost(multiply, boost, above=Border(hard_margin)),
    )


@row
def circle(
    margin: CosineMargin[Number] = 0.25, scale: ScaleLike = 256.0, gradient: Gradient = "detached"
) -> Loss:
    """Each score is weighed by its own distance from its optimum, over class weights.

        z_y = s [1 + m - c_y]+ (c_y - 1 + m),   z_j = s [c_j + m]+ (c_j - m),   c_j = cos t_j
        loss = -log( e^{z_y} / ( e^{z_y} + sum_{j != y} e^{z_j} ) )

    Args:
        margin: m in [0, 3], in units of the cosine.
        scale: s > 0, "auto" or "learned".
        gradient: "detached" takes the weights [.]+ as constants, which is the paper's point; "exact"
            is the derivative of the loss.

    Source: Sun et al., "Circle loss: a unified perspective of pair similarity optimization", CVPR
    2020, eqs. (5) to (8), for class-level labels.
    """
    return Loss(
        scale=as_scale(scale),
        target=CircleTarget(margin, gradient),
        negative=CircleNegative(margin, gradient),
    )


@row
def filtered_cosface(
    margin: CosineMargin[Number] = 0.4,
    above: Finite[Number] = 0.4,
    mode: Literal["drop", "zero"] = "drop",
    scale: ScaleLike = 64.0,
) -> Loss:
    """An additive cosine margin, where negatives that are too near to be others are left out.

        loss = -log( e^{s (c_y - m)} / ( e^{s (c_y - m)} + sum_{j != y, c_j <= above} e^{s c_j} ) )
        c_j = cos t_j

    Args:
        margin: m in [0, 3], in units of the cosine.
        above: in units of the cosine.
        mode: "drop" is the equation; "zero" sets c_j = 0 for such a class instead, as the authors'
            code does.
        scale: s > 0, "auto" or "learned".

    Source: An et al., "Killing two birds with one stone: efficient and robust training of face
    recognition CNNs by partial FC", CVPR 2022, and its authors' code.
    """
    return Loss(scale=as_scale(scale), target=Subtract(margin), negative=Filter(above, mode))
