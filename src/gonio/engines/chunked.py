"""Tiles of classes in plain torch, on any device: (batch, classes) scores never exist at once.

Forward streams the tiles into the pool's state. Backward streams them again, lets autograd differentiate
the rule of a tile alone, and multiplies back.
"""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import torch
from torch import Tensor

from gonio.base.geometry import inverse_norms
from gonio.engines import epilogue
from gonio.engines.compaction import Compacted, compacted
from gonio.engines.compiling import compiled, has_compiler
from gonio.engines.epilogue import Parts, Pushed, Tile
from gonio.engines.memory import needing
from gonio.engines.products import Precision, Products
from gonio.engines.seam import Capabilities
from gonio.engines.streamed import Request, Streaming, Totals
from gonio.engines.tile import Own
from gonio.rules.pool import State
from gonio.rules.ranges import AtLeastOne, AtLeastZero, Range
from gonio.rules.reading import Checked

CACHED, LAUNCHED = 3 * 2**19, 2**24
"""Entries of a tile's largest matrix, (batch, tile) or (tile, dim), where no tile is given: 6 MiB in
float32, a few of which the caches of a CPU hold, and 64 MiB, which fill a GPU."""

MATRICES = 8
"""Of (batch, tile) or (tile, dim), that a tile may need at once."""

COMPILED_FROM = 2**24
"""Scores of a batch from which a compiler is worth its seconds."""


class Kept(NamedTuple):
    """What forward leaves to backward."""

    inverse: Tensor | None
    """(rows,) inverse norms of the weight's rows."""
    stash: list[Tensor]
    """(rows, batch) products. Backward takes them out; where there are none it computes them again."""


@dataclass(frozen=True)
class Chunked(Checked, Streaming):
    """The engine.

    Args:
        tile: classes seen at once, >= 1; None chooses by the sizes.
        mode: "stash" keeps the products of forward for backward, batch x classes numbers, and makes a
            step cost three matrix products; "recompute" keeps nothing and makes it four. "auto" is
            "stash" where they fit in `budget`.
        budget: bytes >= 0 that "auto" may keep; None is the size of the weight.
        precision: "fp32", or "bf16" for products of bfloat16 numbers, which are right to 8 bits and
            faster where the processor has them. The score of the own class is never rounded.
        compiled: whether what happens to a tile between its products is compiled into one loop by
            torch.compile, which takes some seconds at the first step. None compiles where there is a
            compiler and a batch has 2^24 scores or more.
        negligible: share of the push on the negatives, in [0, 1), that may be left out of backward; the
            rows with the least push go first. 0 is exact. What it may change of the gradient is told by
            `head.last_step.error_bound`. Only plain cosines take part: with a negative rule, a bias or
            label smoothing nothing is left out.

    Raises:
        TypeError: a setting of another type.
        ValueError: one outside its range, or a budget for a mode that has no use for it.
    """

    tile: AtLeastOne[int] | None = None
    mode: Literal["auto", "stash", "recompute"] = "auto"
    budget: AtLeastZero[int] | None = None
    precision: Precision = "fp32"
    compiled: bool | None = None
    negligible: Annotated[float, Range(0, 1, "[)")] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.budget is not None and self.mode != "auto":
            raise ValueError(f"budget: mode {self.mode!r} has no use for it; take mode='auto'")

    @property
    def capabilities(self) -> Capabilities:
        """The gradient of the weight is its own, tile by tile."""
        return Capabilities(hands_over=True, owns_gradient=True)

    def total_of(self, request: Request) -> Tensor:
        """See `Streaming`."""
        weight = request.held.weight
        return request.workspace.gradient.lend(weight.shape, weight.dtype, weight.device)

    def fold(self, request: Request, *, is_recorded: bool) -> tuple[State, Kept]:
        """See `Streaming`."""
        products = self._products(request, inverse_of(request))
        stash = self._room(request, products) if is_recorded else None
        state: State | None = None
        with self._needing_a_tile(request):
            for part, rows in self._tiles(request):
                found = self._seen(request, products, part, rows, _rows(stash, rows))
                state = found if state is None else request.query.pool.merge(state, found)
        if state is None:  # no column is held here
            state = request.query.pool.fold(
                request.query.x.new_full((len(products.x), 1), -torch.inf)
            )
        return state, Kept(products.inverse, [] if stash is None else [stash])

    def pull(
        self, request: Request, state: State, kept: Kept, grad: Tensor, totals: Totals
    ) -> None:
        """See `Streaming`."""
        some = compacted(request, state, grad, totals, self.negligible)
        with self._needing_a_tile(request):
            self._pull(some, kept)
        some.spread(totals)

    def _pull(self, some: Compacted, kept: Kept) -> None:
        request, totals = some.request, some.totals
        products = self._products(request, kept.inverse)
        stash = kept.stash.pop() if kept.stash else None
        for part, rows in self._tiles(request):
            product = _rows(stash, rows)
            if product is not None and some.rows is not None:
                product = product[:, some.rows]
            push = self._pushed(some, products, part, rows, product)
            self._multiply_back(request, products, push, rows, totals)
            gathered = (_rows(totals.offset, part), *totals.facts)
            for total, found in zip(gathered, push.facts, strict=True):
                if total is not None and found is not None:
                    total += found

    def _seen(
        self, request: Request, products: Products, part: slice, rows: slice, out: Tensor | None
    ) -> State:
        """The pool's state over a tile, whose products are written to `out` if it is given."""
        whole = _tile(request, products.forward(rows, out), products, part, rows)
        seen = compiled(epilogue.seen) if self._is_compiled(request) else epilogue.seen
        return seen(whole, _parts(request))

    def _pushed(
        self, some: Compacted, products: Products, part: slice, rows: slice, kept: Tensor | None
    ) -> Pushed:
        """The gradients of a tile, from its products if they were kept."""
        request, totals = some.request, some.totals
        product = products.forward(rows) if kept is None else kept
        whole = _tile(request, product, products, part, rows)
        pushed = compiled(epilogue.pushed) if self._is_compiled(request) else epilogue.pushed
        wanted = tuple(total is not None for total in (totals.offset, *totals.facts))
        return pushed(whole, _parts(request), some.state, some.grad, wanted)

    def _multiply_back(
        self, request: Request, products: Products, push: Pushed, rows: slice, totals: Totals
    ) -> None:
        """From a tile's scores, through the products, to the embeddings and the weight."""
        update = request.workspace.update
        whole = None if totals.weight is None else totals.weight.flatten(0, -2)[rows]
        piece = whole
        if update is not None or (whole is not None and whole.dtype != products.x.dtype):
            piece = products.x.new_empty(rows.stop - rows.start, products.x.shape[1])
        products.pull(push.products, push.radial, rows, totals.x, piece)
        if piece is None or piece is whole:
            return
        if whole is not None:
            whole.copy_(piece)
        if update is not None:
            update.take(rows, piece)

    def _products(self, request: Request, inverse: Tensor | None) -> Products:
        weight = request.held.weight.flatten(0, -2)
        return Products(request.query.x, weight, inverse, self.precision)

    def _is_compiled(self, request: Request) -> bool:
        """Whether what happens to a tile is compiled."""
        if self.compiled is not None:
            return self.compiled
        size = len(request.query.x) * len(request.held.weight)
        return size >= COMPILED_FROM and has_compiler(request.query.x.device.type)

    def _room(self, request: Request, products: Products) -> Tensor | None:
        """Room for all products, where the mode keeps them."""
        shape = len(products.weight), len(products.x)
        operand = products.operand
        budget = self.budget
        if budget is None:
            budget = products.weight.numel() * products.weight.element_size()
        fits = math.prod(shape) * operand.element_size() <= budget
        if self.mode == "recompute" or (self.mode == "auto" and not fits):
            return None
        return request.workspace.stash.lend(shape, operand.dtype, operand.device)

    def _tiles(self, request: Request) -> Iterator[tuple[slice, slice]]:
        """The columns of each tile, and the rows of the flattened weight that are theirs."""
        weight, size = request.held.weight, self._size(request)
        centers = math.prod(weight.shape[1:-1])
        for first in range(0, len(weight), size):
            last = min(first + size, len(weight))
            yield slice(first, last), slice(first * centers, last * centers)

    def _size(self, request: Request) -> int:
        """Columns of a tile."""
        entries = CACHED if request.query.x.device.type == "cpu" else LAUNCHED
        return self.tile or max(64, entries // _of_a_column(request))

    def _needing_a_tile(self, request: Request) -> AbstractContextManager[None]:
        size = self._size(request)
        needed = MATRICES * size * _of_a_column(request) * request.query.x.element_size()
        return needing(
            f"a tile of {size} classes", needed, "a smaller Chunked(tile=...) needs less"
        )


def _of_a_column(request: Request) -> int:
    """Entries that a column has in a tile's largest matrix."""
    largest: int = max(1, *request.query.x.shape)
    return largest * math.prod(request.held.weight.shape[1:-1])


def inverse_of(request: Request) -> Tensor | None:
    """(rows,) inverse norms of the flattened weight's rows; None where it is not normalised."""
    if not request.query.score.unit_weight:
        return None
    return inverse_norms(request.held.weight.flatten(0, -2), request.query.x.dtype)


def _parts(request: Request) -> Parts:
    query = request.query
    return Parts(query.negative, query.pool, query.score)


def _tile(request: Request, product: Tensor, products: Products, part: slice, rows: slice) -> Tile:
    held = request.held
    first = torch.full((), part.start, device=product.device)
    mask = None if request.is_own is None else request.is_own[:, part]
    own = Own(request.query.labels, _rows(held.labels, part), first, mask)
    return Tile(
        product, _rows(products.inverse, rows), _rows(held.offset, part), request.facts, own
    )


def _rows(fact: Tensor | None, part: slice) -> Tensor | None:
    return None if fact is None else fact[part]
