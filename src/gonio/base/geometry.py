"""Directions and angles that keep finite values and slopes everywhere.

The derivative of arccos is infinite at +-1, but only in the coordinate: moving a vector of norm a by
a small step turns it by at most step / a. Gradients are written down in that bounded tangent form, in
operations that can be differentiated again.
"""

from typing import Any

import torch
from torch import Tensor


def unit(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """(n, dim) -> (n, dim) directions and (n,) norms.

    Norms of 1e-30 and 1e30 neither vanish nor overflow. A zero row (or one whose entries are below 1e3
    times the smallest normal number, where the derivative 1 / norm would overflow) has direction 0 and
    norm 0, and all its derivatives are 0.
    """
    found: tuple[Tensor, Tensor] = _Unit.apply(vectors)  # type: ignore[no-untyped-call]
    return found


class _Unit(torch.autograd.Function):
    """(n, dim) v -> (n, dim) u = v / |v| and (n,) |v|.

    d u = (d v - u <u, d v>) / |v|,   d |v| = <u, d v>
    """

    @staticmethod
    def forward(vectors: Tensor) -> tuple[Tensor, Tensor]:
        largest = vectors.abs().amax(dim=1, keepdim=True)
        is_zero = largest < 1e3 * torch.finfo(vectors.dtype).tiny
        balanced = vectors / largest.masked_fill_(is_zero, torch.inf)
        norm = torch.linalg.vector_norm(balanced, dim=1, keepdim=True)
        directions = balanced.div_(norm + is_zero)
        return directions, (norm * largest.masked_fill_(is_zero, 0))[:, 0]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: tuple[Tensor, Tensor]) -> None:
        ctx.save_for_backward(*output)

    @staticmethod
    def backward(ctx: Any, d_directions: Tensor, d_norms: Tensor) -> Tensor:
        directions, norms = ctx.saved_tensors
        inverse = _inverse(norms)
        radial = d_norms - (d_directions * directions).sum(dim=1) * inverse
        return torch.addcmul(d_directions * inverse[:, None], directions, radial[:, None])


def _inverse(norms: Tensor) -> Tensor:
    """1 / norm, and 0 of a zero row."""
    return norms.masked_fill(norms == 0, torch.inf).reciprocal()


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
        inverse[rest] = _inverse(unit(vectors[rest].to(dtype))[1])
    return inverse


def angle_between(a: Tensor, b: Tensor) -> Tensor:
    """(n, dim), (n, dim) unit rows -> (n,) angles in radians, in [0, pi].

        angle = 2 atan2(|a - b|, |a + b|)

    Exact to rounding at both ends, where arccos loses half of the digits. For unit rows the gradient
    has norm 1; at angle 0 and pi, where no direction is better than another, it is 0. What is smooth
    there all the same, such as cos(2 angle), has its second derivative; what has a corner has 0.
    A zero row is at pi / 2 to everything.

    Source: Kahan, "How futile are mindless assessments of roundoff", 2006, section 12.
    """
    near, far = _Chords.apply(a, b)  # type: ignore[no-untyped-call]
    angle: Tensor = 2 * torch.atan2(near, far)
    return angle


class _Chords(torch.autograd.Function):
    """(n, dim), (n, dim) -> |a - b| and |a + b|, (n,), never quite 0."""

    @staticmethod
    def forward(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        tiny = torch.finfo(a.dtype).tiny
        near = torch.linalg.vector_norm(a - b, dim=1).clamp_(min=tiny)
        return near, torch.linalg.vector_norm(a + b, dim=1).clamp_(min=tiny)

    @staticmethod
    def setup_context(
        ctx: Any, inputs: tuple[Tensor, Tensor], output: tuple[Tensor, Tensor]
    ) -> None:
        ctx.save_for_backward(*inputs, *output)

    @staticmethod
    def backward(ctx: Any, d_near: Tensor, d_far: Tensor) -> tuple[Tensor, Tensor]:
        a, b, near, far = ctx.saved_tensors
        apart = (a - b) * _quotient(d_near, near)[:, None]
        together = (a + b) * _quotient(d_far, far)[:, None]
        return together + apart, together - apart


def _quotient(grad: Tensor, chord: Tensor) -> Tensor:
    """Divide. At a pole this is a curvature; one out of all scale is that of a corner, and left out."""
    eps = torch.finfo(chord.dtype).eps
    if not torch.is_grad_enabled():  # what is divided by a chord is then multiplied by it
        return grad / chord.clamp(min=eps**2)
    is_pole = chord < eps**2
    chord = torch.where(is_pole, chord.detach(), chord)
    return (grad / chord).masked_fill(is_pole & (grad.abs() > chord / eps), 0)


def angle_of(cosine: Tensor) -> Tensor:
    """Cosines of any shape -> angles in radians, where the vectors themselves are not at hand.

    The arccosine, continued by its tangent beyond |c| = 1 - 8 eps of the dtype, where rounding leaves
    no digit of the angle: continuous, with a continuous slope of at most 1 / (4 sqrt(eps)), so a
    gradient is finite at +-1 and beyond. At 1 it is off by 2 sqrt(eps), at -1 likewise.
    """
    angle: Tensor = _Arccosine.apply(cosine)  # type: ignore[no-untyped-call]
    return angle


class _Arccosine(torch.autograd.Function):
    """d angle = -d c / sqrt((1 - c) (1 + c)): the usual 1 - c^2 cancels towards the poles."""

    @staticmethod
    def forward(cosine: Tensor) -> Tensor:
        inside = _inside(cosine)
        return inside.acos() + (inside - cosine) * _slope(inside)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (cosine,) = ctx.saved_tensors
        return -grad * _slope(_inside(cosine))


def _inside(cosine: Tensor) -> Tensor:
    edge = 1 - 8 * torch.finfo(cosine.dtype).eps
    return cosine.clamp(-edge, edge)


def _slope(inside: Tensor) -> Tensor:
    return ((1 - inside) * (1 + inside)).rsqrt()


BLOCK = 2**22
"""Entries looked at together."""
