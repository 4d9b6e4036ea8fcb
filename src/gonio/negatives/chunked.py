"""Tiles of classes: (batch, classes) is never stored, on any device, in plain torch.

Forward streams the tiles into the pool's state. Backward computes each tile again, lets autograd
differentiate that tile alone, and throws it away.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gonio.equation import Classes, Loss, Sample
from gonio.negatives import tile

TILE_ELEMENTS = 2**20
"""Elements of a tile's largest matrix, (batch, tile) or (tile, dim), where no tile is given: 4 MiB in
float32."""


@dataclass(frozen=True)
class Chunked:
    """The backend; `tile` is the number of classes seen at once, None chooses by the sizes.

    Raises:
        ValueError: a tile below 1.
    """

    tile: int | None = None

    def __post_init__(self) -> None:
        if self.tile is not None and self.tile < 1:
            raise ValueError(f"tile: {self.tile} is below 1; give a number of classes")

    def __call__(
        self, x: Tensor, classes: Classes, sample: Sample, labels: Tensor, loss: Loss
    ) -> Tensor:
        """See `gonio.equation.Negatives`."""
        size = self.tile or max(64, TILE_ELEMENTS // max(x.shape))
        pool: Tensor = _Streamed.apply(  # type: ignore[no-untyped-call]
            size, labels, loss, x, *classes, *sample
        )
        return pool


def _tiles(classes: Classes, size: int) -> Iterator[tuple[int, Classes]]:
    """The index of each tile's first class, and the tile as views."""
    weight, bias = classes
    for first in range(0, len(weight), size):
        part = slice(first, first + size)
        yield first, Classes(weight[part], None if bias is None else bias[part])


class _Streamed(torch.autograd.Function):
    """The facts are the fields of `Classes` and of `Sample`, in order."""

    @staticmethod
    def forward(
        ctx: Any, size: int, labels: Tensor, loss: Loss, x: Tensor, *facts: Tensor
    ) -> Tensor:
        classes, sample = _split(facts)
        state = None
        for first, part in _tiles(classes, size):
            seen = loss.pool.fold(tile.scores(x, part, sample, labels, loss, first))
            state = seen if state is None else loss.pool.merge(state, seen)
        assert state is not None, "there is at least one class"
        ctx.size, ctx.loss, ctx.facts = size, loss, len(facts)
        ctx.save_for_backward(labels, x, *facts, *state)
        return loss.pool.value(state)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        labels, x, *saved = ctx.saved_tensors
        facts, state, loss = saved[: ctx.facts], tuple(saved[ctx.facts :]), ctx.loss
        classes, sample = _split(facts)
        d_x, *d_facts = _each(torch.zeros_like, x, *facts)
        d_classes, d_sample = _split(d_facts)
        for (first, part), (_, d_part) in zip(
            _tiles(classes, ctx.size), _tiles(d_classes, ctx.size), strict=True
        ):
            leaves = _each(lambda fact: fact.detach().requires_grad_(), x, *part, *sample)
            with torch.enable_grad():
                scores = tile.scores(leaves[0], *_split(leaves[1:]), labels, loss, first)
            push = grad[:, None] * loss.pool.slope(scores.detach(), state)
            _pull(scores, push, leaves, [d_x, *d_part, *d_sample])
        return None, None, None, d_x, *d_facts


def _split(facts: Sequence[Any]) -> tuple[Classes, Sample]:
    classes = len(Classes._fields)
    return Classes(*facts[:classes]), Sample(*facts[classes:])


def _each(make: Callable[[Tensor], Tensor], *facts: Tensor | None) -> list[Any]:
    """`make` of each fact; None, for a bias that is not there, stays None."""
    return [None if fact is None else make(fact) for fact in facts]


def _pull(scores: Tensor, push: Tensor, leaves: list[Any], totals: list[Any]) -> None:
    """Pull `push` back from the scores to the leaves, and add it to their totals."""
    pairs = [(leaf, total) for leaf, total in zip(leaves, totals, strict=True) if leaf is not None]
    grads = torch.autograd.grad(scores, [leaf for leaf, _ in pairs], push, allow_unused=True)
    for (_, total), part in zip(pairs, grads, strict=True):
        if part is not None:
            total += part
