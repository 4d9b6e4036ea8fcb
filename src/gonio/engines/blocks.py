"""A sum over blocks of rows of a weight, of which nothing is kept between forward and backward."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

OfBlock = Callable[..., Tensor]
"""`(first, rows, *others) -> tensor`: what the rows from `first` on add."""


def summed(function: OfBlock, size: int, weight: Tensor, *others: Tensor) -> Tensor:
    """The sum of a function over blocks of `size` rows; it has a first derivative.

    Args:
        function: differentiable in the rows and in the others.
        size: rows of a block, >= 1.
        weight: (rows, ...), >= 1 rows.
        others: what every block needs, and a gradient may flow to.
    """
    total: Tensor = _Summed.apply(function, size, weight, *others)  # type: ignore[no-untyped-call]
    return total


class _Summed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, function: OfBlock, size: int, weight: Tensor, *others: Tensor) -> Tensor:
        ctx.function, ctx.size = function, size
        ctx.save_for_backward(weight, *others)
        total = function(0, weight[:size], *others)
        for first in range(size, len(weight), size):
            total = total + function(first, weight[first : first + size], *others)
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        weight, *others = ctx.saved_tensors
        is_needed = ctx.needs_input_grad[2:]
        totals = [
            torch.zeros_like(one) if needed else None
            for one, needed in zip((weight, *others), is_needed, strict=True)
        ]
        for first in range(0, len(weight), ctx.size):
            rows = slice(first, first + ctx.size)
            live = [one.detach() for one in (weight[rows], *others)]
            for one, needed in zip(live, is_needed, strict=True):
                one.requires_grad_(needed)
            with torch.enable_grad():
                value = ctx.function(first, *live)
            asked = [one for one in live if one.requires_grad]
            found = iter(torch.autograd.grad(value, asked, grad, allow_unused=True))
            for index, total in enumerate(totals):
                part = None if total is None else next(found)
                if total is not None and part is not None:
                    (total[rows] if index == 0 else total).add_(part)
        return None, None, *totals
