"""Normalised embeddings or weights, no margin: the scale alone decides how smooth the loss is."""

from typing import Literal

from gonio.loss import Loss
from gonio.losses.table import row
from gonio.rules import PROJECTION, AdaCosScale, Learned, as_scale
from gonio.rules.ranges import AtLeastZero
from gonio.rules.scale import ScaleLike

__all__ = ["adacos", "coco", "l2_softmax", "normface"]


@row
def l2_softmax(scale: ScaleLike = 16.0) -> Loss:
    """Only the embedding is normalised; the class weights keep their norms.

        loss = -log( e^{s |w_y| cos t_y} / sum_j e^{s |w_j| cos t_j} )

    Args:
        scale: the norm s > 0 that every embedding is given; "auto" or "learned".

    Source: Ranjan et al., "L2-constrained softmax loss for discriminative face verification", 2017.
    """
    return Loss(scale=as_scale(scale), score=PROJECTION)


@row
def normface(scale: ScaleLike = "learned", minimum: AtLeastZero[float] | None = None) -> Loss:
    """Softmax over cosines: only angles count, and the scale says how sharply.

        loss = -log( e^{s cos t_y} / sum_j e^{s cos t_j} )

    Args:
        scale: s > 0; "learned" with a minimum, s = minimum + softplus(raw); or "auto", the CosFace
            bound for the number of classes at a probability of 0.9999.
        minimum: of a learned scale, >= 0; by default the CosFace bound at a probability of 0.9.

    Raises:
        ValueError: a minimum beside a scale that is not learned.

    Source: Wang et al., "NormFace: L2 hypersphere embedding for face verification", 2017, eq. (6).
    """
    if minimum is None:
        return Loss(scale=as_scale(scale))
    if scale != "learned":
        raise ValueError(f"minimum: {minimum} belongs to scale='learned', the scale is {scale!r}")
    return Loss(scale=Learned(minimum))


@row
def coco(scale: ScaleLike = 30.0) -> Loss:
    """Congenerous cosine: the softmax over cosines at a fixed scale; the equation of "normface".

        loss = -log( e^{s cos t_y} / sum_j e^{s cos t_j} )

    Args:
        scale: s > 0, "auto" or "learned".

    Source: Liu et al., "Rethinking feature discrimination and polymerization for large-scale
    recognition", 2017; class weights stand for its centroids, as in public code.
    """
    return Loss(scale=as_scale(scale))


@row
def adacos(mode: Literal["dynamic", "fixed"] = "dynamic") -> Loss:
    """The scale follows training, so that nobody has to choose it.

        loss = -log( e^{s cos t_y} / sum_j e^{s cos t_j} )
        s = log(mean_i sum_{j != y} e^{s' cos t_ij}) / cos(min(median t_y, pi / 4)),   s' the last s

    Args:
        mode: "dynamic", which sets s anew with each training batch from sqrt(2) log(C - 1) on, or
            "fixed", which stays there.

    Source: Zhang et al., "AdaCos: adaptively scaling cosine logits for effectively learning deep face
    representations", CVPR 2019, eqs. (12) and (15).
    """
    return Loss(scale=AdaCosScale(mode))
