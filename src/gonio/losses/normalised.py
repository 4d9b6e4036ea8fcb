"""Normalised embeddings and weights, no margin: the scale alone decides how smooth the loss is."""

from gonio.equation import Loss
from gonio.losses.table import row
from gonio.rules import Learned, as_scale
from gonio.rules.scale import ScaleLike

__all__ = ["normface"]


@row
def normface(scale: ScaleLike = "learned", minimum: float | None = None) -> Loss:
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
