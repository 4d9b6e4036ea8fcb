"""Tiles of classes in plain torch, on any device: (batch, classes) scores never exist at once.

Forward streams the tiles into the pool's state. Backward streams them again, lets autograd differentiate
the rule of a tile alone, and multiplies back.
"""

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeVar

import torch
from torch import Tensor

from gonio.base.geometry import inverse_norms
from gonio.engines import epilogue
from gonio.engines.buffer import Buffer
from gonio.engines.compaction import Compacted, LastStep, compacted
from gonio.engines.compiling import compiled, has_compiler
from gonio.engines.epilogue import Pushed, Tile
from gonio.engines.memory import needing
from gonio.engines.products import Precision, Products
from gonio.engines.seam import Classes, Update
from gonio.engines.streamed import Request, Totals, streamed
from gonio.loss import Loss
from gonio.rules.facts import Sample
from gonio.rules.pool import State
from gonio.rules.ranges import real_number, whole_number

CACHED, LAUNCHED = 3 * 2**19, 2**24
"""Entries of a tile's largest matrix, (batch, tile) or (tile, dim), where no tile is given: 6 MiB in
float32, a few of which the caches of a CPU hold, and 64 MiB, which fill a GPU."""

MATRICES = 8
"""Of (batch, tile) or (tile, dim), that a tile may need at once."""

COMPILED_FROM = 2**24
"""Scores of a batch from which a compiler is worth its seconds."""

F = TypeVar("F", bound=Callable[..., Any])


class Kept(NamedTuple):
    """What forward leaves to backward."""

    inverse: Tensor | None
    """(rows,) inverse norms of the weight's rows."""
    stash: list[Tensor]
    """(rows, batch) products. Backward takes them out; where there are none it computes them again."""


def gradient_buffer() -> Buffer:
    """For the gradient of a whole weight."""
    return Buffer(
        "the gradient of the class weights",
        "head.attach_optimizer(optimizer) moves them without it",
    )


def _stash() -> Buffer:
    return Buffer(
        "the products kept for backward",
        "Chunked(mode='recompute') keeps none",
    )


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

    tile: int | None = None
    mode: Literal["auto", "stash", "recompute"] = "auto"
    budget: int | None = None
    precision: Precision = "fp32"
    compiled: bool | None = None
    negligible: float = 0.0
    update: Update | None = field(default=None, init=False, repr=False, compare=False)
    last_step: LastStep = field(default_factory=LastStep, init=False, repr=False, compare=False)
    _gradient: Buffer = field(
        default_factory=gradient_buffer, init=False, repr=False, compare=False
    )
    _stash: Buffer = field(default_factory=_stash, init=False, repr=False, compare=False)
    hands_over_gradient = True  # the weight's gradient is a buffer of our own making

    def __post_init__(self) -> None:
        if self.tile is not None:
            whole_number("tile", self.tile, 1, "give a number of classes")
        if self.mode not in ("auto", "stash", "recompute"):
            raise ValueError(f"mode: {self.mode!r} is unknown; choose auto, stash or recompute")
        if self.budget is not None and self.mode != "auto":
            raise ValueError(f"budget: mode {self.mode!r} has no use for it; take mode='auto'")
        if self.budget is not None:
            whole_number("budget", self.budget, 0, "give a number of bytes")
        if self.precision not in ("fp32", "bf16"):
            raise ValueError(f"precision: {self.precision!r} is unknown; choose fp32 or bf16")
        if self.compiled is not None and not isinstance(self.compiled, bool):
            raise ValueError(f"compiled: {self.compiled!r} is unknown; choose True, False or None")
        real_number("negligible", self.negligible)
        if not 0 <= self.negligible < 1:
            raise ValueError(f"negligible: {self.negligible} is out of range [0, 1); 0 is exact")

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def __call__(
        self, x: Tensor, classes: Classes, sample: Sample, labels: Tensor, loss: Loss
    ) -> Tensor:
        """See `gonio.engines.seam.Negatives`."""
        return streamed(self, x, classes, sample, labels, loss)

    def into(self, update: Update) -> "Chunked":
        """The same backend, which hands the weight's gradient to `update`, tile by tile."""
        other = copy.copy(self)  # with the same memory
        object.__setattr__(other, "update", update)
        return other

    def clear(self) -> None:
        """Give the memory of the weight's gradient back, until it is needed again."""
        self._gradient.clear()

    def total_of(self, weight: Tensor) -> Tensor:
        """See `Engine`."""
        return self._gradient.lend(weight.shape, weight.dtype, weight.device)

    def fold(self, request: Request, *, is_recorded: bool) -> tuple[State, Kept]:
        """See `Engine`."""
        products = self._products(request, inverse_of(request))
        stash = self._room(products) if is_recorded else None
        state: State | None = None
        with self._needing_a_tile(request):
            for part, rows in self._tiles(request):
                found = self._seen(request, products, part, rows, _rows(stash, rows))
                state = found if state is None else request.pool.merge(state, found)
        assert state is not None, "there is at least one class"
        return state, Kept(products.inverse, [] if stash is None else [stash])

    def pull(
        self, request: Request, state: State, kept: Kept, grad: Tensor, totals: Totals
    ) -> None:
        """See `Engine`."""
        some = compacted(request, state, grad, totals, self.negligible, self.last_step)
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
            self._multiply_back(products, push, rows, totals)
            gathered = (_rows(totals.offset, part), *totals.sample)
            for total, found in zip(gathered, push.facts, strict=True):
                if total is not None and found is not None:
                    total += found

    def _seen(
        self, request: Request, products: Products, part: slice, rows: slice, out: Tensor | None
    ) -> State:
        """The pool's state over a tile, whose products are written to `out` if it is given."""
        product = products.forward(rows, out)
        whole = _tile(product, products, request.classes, part, rows)
        seen = self._compiled(request, epilogue.seen)
        return seen(whole, request.sample, request.labels, request.loss, request.pool)

    def _pushed(
        self, some: Compacted, products: Products, part: slice, rows: slice, kept: Tensor | None
    ) -> Pushed:
        """The gradients of a tile, from its products if they were kept."""
        request, totals = some.request, some.totals
        product = products.forward(rows) if kept is None else kept
        whole = _tile(product, products, request.classes, part, rows)
        pushed = self._compiled(request, epilogue.pushed)
        _, _, sample, labels, loss, pool = request
        wanted = tuple(total is not None for total in (totals.offset, *totals.sample))
        return pushed(whole, sample, labels, loss, pool, some.state, some.grad, wanted)

    def _multiply_back(self, products: Products, push: Pushed, rows: slice, totals: Totals) -> None:
        """From a tile's scores, through the products, to the embeddings and the weight."""
        whole = None if totals.weight is None else totals.weight.flatten(0, -2)[rows]
        piece = whole
        if self.update is not None or (whole is not None and whole.dtype != products.x.dtype):
            piece = products.x.new_empty(rows.stop - rows.start, products.x.shape[1])
        products.pull(push.products, push.along, rows, totals.x, piece)
        if piece is None or piece is whole:
            return
        if whole is not None:
            whole.copy_(piece)
        if self.update is not None:
            self.update.take(rows, piece)

    def _products(self, request: Request, inverse: Tensor | None) -> Products:
        weight = request.classes.weight.flatten(0, -2)
        return Products(request.x, weight, inverse, self.precision)

    def _compiled(self, request: Request, function: F) -> F:
        """The function as it is, or compiled."""
        is_compiled = self.compiled
        if is_compiled is None:
            size = len(request.x) * len(request.classes.weight)
            is_compiled = size >= COMPILED_FROM and has_compiler(request.x.device.type)
        return compiled(function) if is_compiled else function

    def _room(self, products: Products) -> Tensor | None:
        """Room for all products, where the mode keeps them."""
        shape = len(products.weight), len(products.x)
        operand = products.operand
        budget = self.budget
        if budget is None:
            budget = products.weight.numel() * products.weight.element_size()
        fits = math.prod(shape) * operand.element_size() <= budget
        if self.mode == "recompute" or (self.mode == "auto" and not fits):
            return None
        return self._stash.lend(shape, operand.dtype, operand.device)

    def _tiles(self, request: Request) -> Iterator[tuple[slice, slice]]:
        """The classes of each tile, and the rows of the flattened weight that are theirs."""
        weight, size = request.classes.weight, self._size(request)
        centers = math.prod(weight.shape[1:-1])
        for first in range(0, len(weight), size):
            last = min(first + size, len(weight))
            yield slice(first, last), slice(first * centers, last * centers)

    def _size(self, request: Request) -> int:
        """Classes of a tile."""
        entries = CACHED if request.x.device.type == "cpu" else LAUNCHED
        return self.tile or max(64, entries // _of_a_class(request))

    def _needing_a_tile(self, request: Request) -> AbstractContextManager[None]:
        size = self._size(request)
        needed = MATRICES * size * _of_a_class(request) * request.x.element_size()
        return needing(
            f"a tile of {size} classes", needed, "a smaller Chunked(tile=...) needs less"
        )


def _of_a_class(request: Request) -> int:
    """Entries that a class has in a tile's largest matrix."""
    largest: int = max(1, *request.x.shape)
    return largest * math.prod(request.classes.weight.shape[1:-1])


def inverse_of(request: Request) -> Tensor | None:
    """(rows,) inverse norms of the flattened weight's rows; None where it is not normalised."""
    if not request.loss.score.unit_weight:
        return None
    return inverse_norms(request.classes.weight.flatten(0, -2), request.x.dtype)


def _tile(product: Tensor, products: Products, classes: Classes, part: slice, rows: slice) -> Tile:
    first = torch.full((), part.start, device=product.device)
    inverse = _rows(products.inverse, rows)
    return Tile(product, inverse, _rows(classes.offset, part), _rows(classes.labels, part), first)


def _rows(fact: Tensor | None, part: slice) -> Tensor | None:
    return None if fact is None else fact[part]
