"""Directions and angles that keep finite values and slopes everywhere.

The derivative of arccos is infinite at +-1, but only in the coordinate: moving a vector of norm a by
a small step turns it by at most step / a. Both functions below are built so that ordinary autograd
arrives at that bounded tangent form, with nothing clamped and no epsilon.
"""

import math

import torch
from torch import Tensor


def unit(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """(n, dim) -> (n, dim) directions and (n,) norms.

    Each row is first divided by its largest entry, so that norms of 1e-30 and 1e30 neither vanish nor
    overflow. A zero row (or one whose entries are below 1e3 times the smallest normal number, where
    the derivative 1 / norm would overflow) has direction 0, and its gradient is 0.
    """
    largest = vectors.detach().abs().amax(dim=1, keepdim=True)
    is_zero = largest < 1e3 * torch.finfo(vectors.dtype).tiny
    largest = largest.masked_fill(is_zero, 1)
    balanced = vectors / largest
    norm = torch.linalg.vector_norm(balanced, dim=1, keepdim=True)
    return balanced * _inverse(norm, is_zero), (norm * largest)[:, 0]


@torch.no_grad()
def inverse_norms(vectors: Tensor, dtype: torch.dtype) -> Tensor:
    """(n, dim) -> (n,) in `dtype`: what makes each row its direction; 0 for a zero row, as in `unit`.

    Nothing of the size of `vectors` is stored. Rows whose squares are near the ends of the range of
    `dtype` are looked at a second time.
    """
    blocks = torch.split(vectors, max(1, BLOCK // vectors.shape[1]))
    norm = torch.cat([torch.linalg.vector_norm(rows.to(dtype), dim=1) for rows in blocks])
    limits = torch.finfo(dtype)
    is_safe = (norm > limits.tiny**0.5 / limits.eps) & (norm < limits.max**0.5 * limits.eps)
    (rest,) = (~is_safe).nonzero(as_tuple=True)
    inverse = norm.reciprocal_()
    if len(rest):
        directions, norm = unit(vectors[rest].to(dtype))
        is_zero = (directions == 0).all(dim=1)
        inverse[rest] = _inverse(norm, is_zero)
    return inverse


def _inverse(norm: Tensor, is_zero: Tensor) -> Tensor:
    """1 / norm, and 0 of a zero row."""
    return norm.masked_fill(is_zero, 1).reciprocal().masked_fill(is_zero, 0)


def angle_between(a: Tensor, b: Tensor) -> Tensor:
    """(n, dim), (n, dim) unit rows -> (n,) angles in radians, in [0, pi].

        angle = 2 atan2(|a - b|, |a + b|)

    Exact to rounding at both ends, where arccos loses half of the digits. For unit rows the gradient
    has norm 1; at angle 0 and pi, where no direction is better than another, it is 0.
    A zero row is at pi / 2 to everything.

    Source: Kahan, "How futile are mindless assessments of roundoff", 2006, section 12.
    """
    return 2 * torch.atan2(
        torch.linalg.vector_norm(a - b, dim=1), torch.linalg.vector_norm(a + b, dim=1)
    )


def angle_of(cosine: Tensor) -> Tensor:
    """Cosines of any shape -> angles in radians, where the vectors themselves are not at hand.

    The arccosine, continued by its tangent beyond |c| = 1 - 8 eps of the dtype, where rounding leaves
    no digit of the angle: continuous, with a continuous slope of at most 1 / (4 sqrt(eps)), so a
    gradient is finite at +-1 and beyond. At 1 it is off by 2 sqrt(eps), at -1 likewise.
    """
    edge = 1 - 8 * torch.finfo(cosine.dtype).eps
    inside = cosine.clamp(-edge, edge)
    slope = 1 / math.sqrt(1 - edge * edge)
    return inside.acos() + slope * (inside - cosine)


BLOCK = 2**22
"""Entries looked at together."""
