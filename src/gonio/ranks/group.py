"""The processes of torch.distributed."""

from collections.abc import Callable
from functools import reduce
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from gonio.ranks.seam import Ranks, State


class Group(Ranks):
    """All processes of the default group."""

    def __init__(self) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    def counts(self, count: int) -> list[int]:
        """See `Ranks`."""
        every: list[int] = [0] * self.size
        dist.all_gather_object(every, count)
        return every

    def gather(self, rows: Tensor, counts: list[int]) -> Tensor:
        """See `Ranks`."""
        gathered: Tensor = _Gather.apply(rows, counts, self.rank, True)  # type: ignore[no-untyped-call]
        return gathered

    def collect(self, rows: Tensor, counts: list[int]) -> Tensor:
        """See `Ranks`."""
        gathered: Tensor = _Gather.apply(rows, counts, self.rank, False)  # type: ignore[no-untyped-call]
        return gathered

    def sum(self, values: Tensor, path: Tensor) -> Tensor:
        """See `Ranks`."""
        total: Tensor = _Sum.apply(values, path)  # type: ignore[no-untyped-call]
        return total

    @torch.no_grad()
    def merged(self, state: State, merge: Callable[[State, State], State]) -> State:
        """See `Ranks`. In the order of the processes, so that all come to the same bits."""
        parts = [_all_gathered(tensor, self.size) for tensor in state]
        return reduce(merge, zip(*parts, strict=True))


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, counts: list[int], rank: int, sums: bool) -> Tensor:
        ctx.counts, ctx.rank, ctx.sums = counts, rank, sums
        padded = rows.new_zeros(max(counts), *rows.shape[1:])
        padded[: len(rows)] = rows
        every = _all_gathered(padded, len(counts))
        return torch.cat([part[:count] for part, count in zip(every, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        if ctx.sums:
            grad = grad.clone(memory_format=torch.contiguous_format)
            dist.all_reduce(grad)
        return torch.split(grad, ctx.counts)[ctx.rank], None, None, None


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, path: Tensor) -> Tensor:
        total = values.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        grad = grad.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(grad)
        return grad, None


def _all_gathered(tensor: Tensor, size: int) -> list[Tensor]:
    """A tensor of one shape in all processes."""
    every = [torch.empty_like(tensor, memory_format=torch.contiguous_format) for _ in range(size)]
    dist.all_gather(every, tensor.contiguous())
    return every
