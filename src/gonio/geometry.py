"""Directions and angles that keep finite values and slopes everywhere.

The derivative of arccos is infinite at +-1, but only in the coordinate: moving a vector of norm a by
a small step turns it by at most step / a. Both functions below are built so that ordinary autograd
arrives at that bounded tangent form, with nothing clamped and no epsilon.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


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
    inverse = norm.masked_fill(is_zero, 1).reciprocal().masked_fill(is_zero, 0)
    return balanced * inverse, (norm * largest)[:, 0]


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


def sum_of_directions(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """(n, dim) -> (dim,) in `dtype`: the sum of the directions of all rows.

    Beside the gradient itself nothing of the size of `weight` is stored.
    """
    total: Tensor = _SumOfDirections.apply(weight, dtype)  # type: ignore[no-untyped-call]
    return total


class _SumOfDirections(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, dtype: torch.dtype) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.dtype = dtype
        return torch.stack(
            [unit(rows.to(dtype))[0].sum(dim=0) for rows in torch.split(weight, ROWS)]
        ).sum(dim=0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (weight,) = ctx.saved_tensors
        total = torch.empty_like(weight)
        for rows, part in zip(torch.split(weight, ROWS), torch.split(total, ROWS), strict=True):
            with torch.enable_grad():
                leaf = rows.detach().requires_grad_()
                directions = unit(leaf.to(ctx.dtype))[0]
            part.copy_(torch.autograd.grad(directions, leaf, grad.expand_as(rows))[0])
        return total, None


ROWS = 4096
"""Rows seen at once."""
