"""Tiles of classes: (batch, classes) is never stored, on any device, in plain torch.

Forward streams the tiles into the pool's state. Backward computes each tile again, lets autograd
differentiate that tile alone, and throws it away.
"""

from collections.abc import Iterator, Sequence
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
    hands_over_gradient = True  # the weight's gradient is a buffer of our own making

    def __post_init__(self) -> None:
        if self.tile is not None and self.tile < 1:
            raise ValueError(f"tile: {self.tile} is below 1; give a number of classes")

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def __call__(
        self, x: Tensor, classes: Classes, sample: Sample, labels: Tensor, loss: Loss
    ) -> Tensor:
        """See `gonio.equation.Negatives`."""
        centers = classes.weight[0].numel() // x.shape[1]
        size = self.tile or max(64, TILE_ELEMENTS // (max(x.shape) * centers))
        pool: Tensor = _Streamed.apply(  # type: ignore[no-untyped-call]
            size, labels, loss, x, *classes, *sample
        )
        return pool


def _tiles(size: int, *wholes: Classes) -> Iterator[Any]:
    """The index of each tile's first class, and that tile of every whole, as views."""
    for first in range(0, len(wholes[0].weight), size):
        yield first, *(Classes(*(_rows(fact, first, size) for fact in one)) for one in wholes)


def _rows(fact: Tensor | None, first: int, size: int) -> Any:
    return None if fact is None else fact[first : first + size]


class _Streamed(torch.autograd.Function):
    """The facts are the fields of `Classes` and of `Sample`, in order."""

    @staticmethod
    def forward(
        ctx: Any, size: int, labels: Tensor, loss: Loss, x: Tensor, *facts: Tensor
    ) -> Tensor:
        classes, sample = _split(facts)
        state = None
        for first, part in _tiles(size, classes):
            seen = loss.pool.fold(tile.scores(x, part, sample, labels, loss, first))
            state = seen if state is None else loss.pool.merge(state, seen)
        assert state is not None, "there is at least one class"
        ctx.size, ctx.loss, ctx.facts = size, loss, len(facts)
        ctx.needed = ctx.needs_input_grad[3:]
        ctx.save_for_backward(labels, x, *facts, *state)
        return loss.pool.value(state)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError(
                "backend: 'chunked' has no second derivative (create_graph=True); build the head "
                "with backend='reference'"
            )
        labels, x, *saved = ctx.saved_tensors
        facts, state, loss = saved[: ctx.facts], tuple(saved[ctx.facts :]), ctx.loss
        classes, sample = _split(facts)
        totals = [
            torch.zeros_like(fact) if is_needed else None
            for fact, is_needed in zip((x, *facts), ctx.needed, strict=True)
        ]
        d_classes, d_sample = _split(totals[1:])
        # the tiles must come out as they did in forward, whatever autocast says around backward
        with torch.autocast(grad.device.type, enabled=False):
            for first, part, d_part in _tiles(ctx.size, classes, d_classes):
                leaves = [
                    _leaf(*pair) for pair in zip((x, *part, *sample), ctx.needed, strict=True)
                ]
                with torch.enable_grad():
                    scores = tile.scores(leaves[0], *_split(leaves[1:]), labels, loss, first)
                push = grad[:, None] * loss.pool.slope(scores.detach(), state)
                _pull(scores, push, leaves, [totals[0], *d_part, *d_sample])
        return None, None, None, *totals


def _split(facts: Sequence[Any]) -> tuple[Classes, Sample]:
    classes = len(Classes._fields)
    return Classes(*facts[:classes]), Sample(*facts[classes:])


def _leaf(fact: Tensor | None, is_needed: bool) -> Any:
    return None if fact is None else fact.detach().requires_grad_(is_needed)


def _pull(scores: Tensor, push: Tensor, leaves: list[Any], totals: list[Any]) -> None:
    """Pull `push` back from the scores to the leaves, and add it to the totals that are wanted."""
    if not scores.requires_grad:
        return
    wanted = [pair for pair in zip(leaves, totals, strict=True) if pair[1] is not None]
    grads = torch.autograd.grad(scores, [leaf for leaf, _ in wanted], push, allow_unused=True)
    for (_, total), part in zip(wanted, grads, strict=True):
        if part is not None:
            total += part
