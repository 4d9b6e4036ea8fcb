"""Tiles of classes in plain torch, on any device: (batch, classes) scores never exist at once.

Forward streams the tiles into the pool's state. Backward streams them again, lets autograd differentiate
the rule of a tile alone, and multiplies back.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from gonio.equation import Classes, Loss, Sample, Update
from gonio.geometry import inverse_norms
from gonio.negatives import tile
from gonio.negatives.buffers import Buffers
from gonio.negatives.products import Precision, Products
from gonio.negatives.streamed import Request, Totals, streamed
from gonio.rules.pool import State

TILE_ELEMENTS = 2**20
"""Entries of a tile's largest matrix, (batch, tile) or (tile, dim), where no tile is given: 4 MiB in
float32, which caches hold."""


class Kept(NamedTuple):
    """What forward leaves to backward."""

    inverse: Tensor | None
    """(rows,) inverse norms of the weight's rows."""
    stash: list[Tensor]
    """(rows, batch) products. Backward takes them out; where there are none it computes them again."""


@dataclass(frozen=True)
class Chunked:
    """The backend.

    Args:
        tile: classes seen at once, >= 1; None chooses by the sizes.
        mode: "stash" keeps the products of forward for backward, batch x classes numbers, and makes a
            step cost three matrix products; "recompute" keeps nothing and makes it four. "auto" is
            "stash" where they fit in `budget`.
        budget: bytes >= 0 that "auto" may keep; None is the size of the weight.
        precision: "fp32", or "bf16" for products of bfloat16 numbers, which are right to 8 bits and
            faster where the processor has them. The score of the own class is never rounded.

    Raises:
        ValueError: a setting outside its range, or a budget for a mode that has no use for it.
    """

    tile: int | None = None
    mode: Literal["auto", "stash", "recompute"] = "auto"
    budget: int | None = None
    precision: Precision = "fp32"
    update: Update | None = field(default=None, init=False, repr=False, compare=False)
    _buffers: Buffers = field(default_factory=Buffers, init=False, repr=False, compare=False)
    hands_over_gradient = True  # the weight's gradient is a buffer of our own making

    def __post_init__(self) -> None:
        if self.tile is not None and self.tile < 1:
            raise ValueError(f"tile: {self.tile} is below 1; give a number of classes")
        if self.mode not in ("auto", "stash", "recompute"):
            raise ValueError(f"mode: {self.mode!r} is unknown; choose auto, stash or recompute")
        if self.budget is not None and self.mode != "auto":
            raise ValueError(f"budget: mode {self.mode!r} has no use for it; take mode='auto'")
        if self.budget is not None and self.budget < 0:
            raise ValueError(f"budget: {self.budget} is below 0; give a number of bytes")
        if self.precision not in ("fp32", "bf16"):
            raise ValueError(f"precision: {self.precision!r} is unknown; choose fp32 or bf16")

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def __call__(
        self, x: Tensor, classes: Classes, sample: Sample, labels: Tensor, loss: Loss
    ) -> Tensor:
        """See `gonio.equation.Negatives`."""
        return streamed(self, x, classes, sample, labels, loss)

    def into(self, update: Update) -> "Chunked":
        """The same backend, which hands the weight's gradient to `update`, tile by tile."""
        other = replace(self)
        object.__setattr__(other, "update", update)
        object.__setattr__(other, "_buffers", self._buffers)
        return other

    def fold(self, request: Request, *, is_recorded: bool) -> tuple[State, Kept]:
        """See `Engine`."""
        x, classes, sample, labels, loss, pool = request
        inverse = None
        if loss.score.unit_weight:
            inverse = inverse_norms(classes.weight.flatten(0, -2), x.dtype)
        products = self._products(request, inverse)
        stash = self._stash(products) if is_recorded else None
        state: State | None = None
        for part, rows in self._tiles(request):
            product = products.forward(rows, _rows(stash, rows))
            cosine = tile.of_classes(products.scores(product, rows), loss.score)
            scores = tile.modulated(cosine, _rows(classes.offset, part), sample, loss)
            tile.fill_own(scores, -torch.inf, labels, _rows(classes.labels, part), part.start)
            seen = pool.fold(scores)
            state = seen if state is None else pool.merge(state, seen)
        assert state is not None, "there is at least one class"
        return state, Kept(inverse, [] if stash is None else [stash])

    def pull(
        self, request: Request, state: State, kept: Kept, grad: Tensor, totals: Totals
    ) -> None:
        """See `Engine`."""
        _, classes, sample, labels, loss, pool = request
        products = self._products(request, kept.inverse)
        stash = kept.stash.pop() if kept.stash else None
        for part, rows in self._tiles(request):
            product = products.forward(rows) if stash is None else stash[rows]
            score = products.scores(product, rows)
            facts = [score, _rows(classes.offset, part), *sample]
            wanted = [True, *map(_is_some, (totals.offset, *totals.sample))]
            leaves = [_leaf(*pair) for pair in zip(facts, wanted, strict=True)]
            with torch.enable_grad():
                cosine = tile.of_classes(leaves[0], loss.score)
                scores = tile.modulated(cosine, leaves[1], Sample(*leaves[2:]), loss)
            push = pool.push(scores.detach(), state, grad)
            tile.fill_own(push, 0, labels, _rows(classes.labels, part), part.start)
            d_score, d_offset, *d_sample = _gradients(scores, push, leaves)
            if d_score is None:
                d_score = torch.zeros_like(score)
            self._multiply_back(products, d_score, score, rows, totals)
            gathered = (_rows(totals.offset, part), *totals.sample)
            for total, found in zip(gathered, (d_offset, *d_sample), strict=True):
                if total is not None and found is not None:
                    total += found
        if stash is not None:
            self._buffers.give_back(stash)

    def _multiply_back(
        self, products: Products, push: Tensor, score: Tensor, rows: slice, totals: Totals
    ) -> None:
        """From a tile's scores, through the products, to the embeddings and the weight."""
        whole = None if totals.weight is None else totals.weight.flatten(0, -2)[rows]
        piece = whole
        if self.update is not None or (whole is not None and whole.dtype != score.dtype):
            piece = score.new_empty(score.shape[1], products.x.shape[1])
        products.pull(push, score, rows, totals.x, piece)
        if piece is None or piece is whole:
            return
        if whole is not None:
            whole.copy_(piece)
        if self.update is not None:
            self.update.take(rows, piece)

    def _products(self, request: Request, inverse: Tensor | None) -> Products:
        weight = request.classes.weight.flatten(0, -2)
        return Products(request.x, weight, inverse, self.precision)

    def _stash(self, products: Products) -> Tensor | None:
        """Room for all products, where the mode keeps them."""
        shape = len(products.weight), len(products.x)
        operand = products.operand
        budget = self.budget
        if budget is None:
            budget = products.weight.numel() * products.weight.element_size()
        fits = math.prod(shape) * operand.element_size() <= budget
        if self.mode == "recompute" or (self.mode == "auto" and not fits):
            return None
        return self._buffers.lend(shape, operand.dtype, operand.device)

    def _tiles(self, request: Request) -> Iterator[tuple[slice, slice]]:
        """The classes of each tile, and the rows of the flattened weight that are theirs."""
        x, weight = request.x, request.classes.weight
        centers = math.prod(weight.shape[1:-1])
        size = self.tile or max(64, TILE_ELEMENTS // (max(1, *x.shape) * centers))
        for first in range(0, len(weight), size):
            last = min(first + size, len(weight))
            yield slice(first, last), slice(first * centers, last * centers)


def _rows(fact: Tensor | None, part: slice) -> Any:
    return None if fact is None else fact[part]


def _is_some(total: Tensor | None) -> bool:
    return total is not None


def _leaf(fact: Tensor | None, is_wanted: bool) -> Any:
    return None if fact is None else fact.detach().requires_grad_(is_wanted)


def _gradients(scores: Tensor, push: Tensor, leaves: list[Any]) -> list[Tensor | None]:
    """What `push`, the gradient in the scores, is in each of the leaves; None where it does not reach."""
    found: list[Tensor | None] = [None] * len(leaves)
    if not scores.requires_grad:
        return found
    wanted = [i for i, leaf in enumerate(leaves) if leaf is not None and leaf.requires_grad]
    pulled = torch.autograd.grad(scores, [leaves[i] for i in wanted], push, allow_unused=True)
    for i, gradient in zip(wanted, pulled, strict=True):
        found[i] = gradient
    return found
