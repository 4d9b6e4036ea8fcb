"""Tiles of classes in Triton: what `Chunked` does between and around the products, in a few kernels.

Tested with Triton's interpreter on the CPU. It has not run on a GPU yet, so no backend chooses it by
itself.
"""

import os
import warnings
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gonio.negatives.chunked import Chunked
from gonio.negatives.compaction import Compacted
from gonio.negatives.epilogue import Pushed
from gonio.negatives.printed import MOST_SETTINGS, NotPrintedError, printed
from gonio.negatives.products import Products
from gonio.negatives.streamed import Request
from gonio.rules import LogSumExp, Mean, SoftplusSum, Sum, WithSum
from gonio.rules.pool import LOG2_E, Pool, ShiftedSumExp, State

PARTS = 32
"""Into how many parts the classes of a tile are cut, so that small batches fill a GPU too."""


@dataclass(frozen=True)
class Fused(Chunked):
    """The backend. Settings are those of `Chunked`; `compiled` is for what runs as `Chunked` does.

    It serves float32 embeddings, one centre for a class, and negative rules that can be printed
    (`gonio.negatives.printed`). Everything else runs as `Chunked`, and a warning says so once.

    Raises:
        ValueError: a setting outside its range.
        ModuleNotFoundError: there is no triton.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if find_spec("triton") is None:
            raise ModuleNotFoundError(
                "backend: Fused needs triton; pip install triton, or take backend='chunked'"
            )

    def _seen(
        self, request: Request, products: Products, part: slice, rows: slice, out: Tensor | None
    ) -> State:
        launch = _launch(request, products, part)
        if launch is None:
            return super()._seen(request, products, part, rows, out)
        return launch.seen(out)

    def _pushed(
        self, some: Compacted, products: Products, part: slice, rows: slice, kept: Tensor | None
    ) -> Pushed:
        launch = _launch(some.request, products, part)
        if launch is None:
            return super()._pushed(some, products, part, rows, kept)
        return launch.pushed(kept, some)

    def _products(self, request: Request, inverse: Tensor | None) -> Products:
        weight = request.classes.weight.flatten(0, -2)
        kind = FusedProducts if _refusal(request) is None else Products
        return kind(request.x, weight, inverse, self.precision)


class FusedProducts(Products):
    """The products of backward, by kernels."""

    def pull(
        self,
        push: Tensor,
        along: Tensor | None,
        rows: slice,
        dx: Tensor | None,
        dw: Tensor | None,
    ) -> None:
        """See `Products`."""
        kernels = _kernels()
        weight = self.weight[rows].contiguous()
        (batch, classes), dim = push.shape, weight.shape[1]
        blocks = _blocks(batch, classes, dim)
        if dx is not None:
            per_part = _per_part(classes, blocks["BC"])
            num_parts = _cut(classes, per_part)
            parts = dx.new_empty(num_parts, batch, dim)
            by_part = (_cut(batch, blocks["BB"]), _cut(dim, blocks["BD"]), num_parts)
            kernels.embedding_kernel[by_part](
                push.T,
                weight,
                parts,
                batch,
                classes,
                per_part,
                D=dim,
                IS_WIDENED=is_interpreted(),
                **blocks,
            )
            dx += parts.sum(dim=0)
        if dw is not None:
            is_unit = along is not None and self.inverse is not None
            by_tile = (_cut(classes, blocks["BC"]), _cut(dim, blocks["BD"]))
            kernels.weight_kernel[by_tile](
                push.T,
                self.operand,
                weight,
                self.inverse[rows] if self.inverse is not None else dw,
                along if along is not None else dw,
                dw,
                batch,
                classes,
                D=dim,
                IS_UNIT=is_unit,
                IS_WIDENED=is_interpreted(),
                **blocks,
            )


def is_interpreted() -> bool:
    """Whether Triton runs its kernels on the CPU, whose matrix product knows no bfloat16."""
    return os.environ.get("TRITON_INTERPRET") == "1"


class Launch:
    """What the kernels of a tile are given, and what they give.

    Args:
        request: what is asked.
        products: of the request.
        part: the classes of the tile.
        form: of the pool.
    """

    def __init__(self, request: Request, products: Products, part: slice, form: "Form") -> None:
        rule = printed(request.loss.negative)
        self.form = form
        x, classes, sample, labels, loss, self.pool = request
        self.batch, self.classes = len(x), part.stop - part.start
        self.blocks = _blocks(self.batch, self.classes, x.shape[1])
        self.x = x
        settings = [setting.to(x).expand(self.batch, 1)[:, 0] for setting in rule.settings]
        settings += [torch.zeros_like(sample.norm)] * (MOST_SETTINGS - len(settings))
        offset = None if classes.offset is None else classes.offset[part].contiguous()
        whose = None if classes.labels is None else classes.labels[part].contiguous()
        self.inverse = None if products.inverse is None else products.inverse[part]
        facts = torch.stack(list(sample)).contiguous()
        self.inputs = [
            facts if self.inverse is None else self.inverse,
            facts if offset is None else offset,
            labels if whose is None else whose,
            labels.view(self.batch, -1).contiguous(),
            facts,
            torch.stack(settings),
        ]
        self.matrices = [products.operand, products.weight[part].contiguous()]
        self.first = part.start
        self.flags = {
            "rule": _compiled_rule(rule.digest, rule.source),
            "D": x.shape[1],
            "NUM_LABELS": labels.numel() // max(1, self.batch),
            "IS_UNIT": loss.score.unit_weight,
            "HAS_OFFSET": offset is not None,
            "HAS_WHOSE": whose is not None,
            "HAS_SUM": isinstance(self.pool, WithSum),
            "IS_WIDENED": is_interpreted(),
        }

    def seen(self, out: Tensor | None) -> State:
        """The pool's state; products go to `out` if it is given."""
        per_part = _per_part(self.classes, self.blocks["BC"])
        parts = _cut(self.classes, per_part)
        state = self.x.new_empty(4, parts, self.batch)
        form = self.form
        _kernels().fold_kernel[_cut(self.batch, self.blocks["BB"]), parts](
            *self.matrices,
            state if out is None else out,
            *self.inputs,
            state,
            self.batch,
            self.classes,
            self.first,
            per_part,
            form.shift,
            form.sharpness,
            POOL=form.name,
            KEEPS=out is not None,
            **self.flags,
            **self.blocks,
        )
        found: State | None = None
        for part in range(parts):
            one = tuple(state[row, part] for row in form.states)
            found = one if found is None else self.pool.merge(found, one)
        assert found is not None, "a tile has classes"
        return found

    def pushed(self, kept: Tensor | None, some: Compacted) -> Pushed:
        """The gradients, from the products if they were kept."""
        form = self.form
        push_name, top, share = form.push(some.state, some.grad)
        row_blocks = _cut(self.batch, self.blocks["BB"])
        column_blocks = _cut(self.classes, self.blocks["BC"])
        dtype = self.matrices[0].dtype
        push = self.x.new_empty(self.classes, self.batch, dtype=dtype)
        along, d_offset = self.x.new_empty(2, row_blocks, self.classes)
        d_facts = self.x.new_empty(5, column_blocks, self.batch)
        has_sum = isinstance(self.pool, WithSum)
        _kernels().push_kernel[row_blocks, column_blocks](
            *self.matrices,
            push if kept is None else kept,
            *self.inputs,
            top.contiguous(),
            share.contiguous(),
            some.grad[:, 1].contiguous() if has_sum else share,
            push,
            along,
            d_offset,
            d_facts,
            self.batch,
            self.classes,
            self.first,
            form.sharpness,
            POOL=push_name,
            FROM_KEPT=kept is not None,
            **self.flags,
            **self.blocks,
        )
        sums = (d_offset.sum(dim=0), *d_facts.sum(dim=1))
        return Pushed(push.T, None if self.inverse is None else along.sum(dim=0), sums)


class Form(NamedTuple):
    """How the kernels name a pool."""

    name: str
    states: tuple[int, ...]
    """Which of top, total, count and plain sum are its state."""
    shift: float
    sharpness: float
    """What a score is multiplied by before exp2."""
    pool: Pool

    def push(self, state: State, grad: Tensor) -> tuple[str, Tensor, Tensor]:
        """The name in backward, and what to subtract from scores and to multiply with, (batch,)."""
        if isinstance(self.pool, WithSum):
            state, grad = state[:-1], grad[:, 0]
        if self.name in ("logsumexp", "maximum"):
            top, total = state
            top = top.clamp(min=torch.finfo(top.dtype).min)
            return self.name, top, grad / total.masked_fill(total == 0, 1)
        if self.name == "shifted":
            (total,) = state
            top = torch.full_like(total, self.shift)
            return "logsumexp", top, grad / total.masked_fill(total == 0, 1)
        share = grad / state[1].clamp(min=1) if self.name == "mean" else grad
        return self.name, torch.zeros_like(share), share


def _form(pool: Pool) -> Form | None:
    """None for a pool that the kernels do not know."""
    inner = pool.pool if isinstance(pool, WithSum) else pool
    rest = (3,) if isinstance(pool, WithSum) else ()
    if isinstance(inner, LogSumExp):
        if inner.temperature == 0:
            return Form("maximum", (0, 1, *rest), 0.0, 0.0, pool)
        return Form("logsumexp", (0, 1, *rest), 0.0, LOG2_E / inner.temperature, pool)
    if isinstance(inner, ShiftedSumExp):
        return Form("shifted", (1, *rest), inner.shift, LOG2_E / inner.temperature, pool)
    names = {Sum: ("sum", (1,)), SoftplusSum: ("softplus", (1,)), Mean: ("mean", (1, 2))}
    if type(inner) not in names:
        return None
    name, states = names[type(inner)]
    return Form(name, (*states, *rest), 0.0, 0.0, pool)


def _refusal(request: Request) -> str | None:
    """Why the kernels do not serve a request."""
    if request.x.device.type == "cpu" and not is_interpreted():
        return "embeddings on the CPU"
    if request.x.dtype != torch.float32:
        return f"embeddings in {request.x.dtype} are computed with in more digits than kernels have"
    if request.loss.score.centers > 1:
        return "classes with several centres"
    if _form(request.pool) is None:
        return f"the pool {request.pool}"
    try:
        printed(request.loss.negative)
    except NotPrintedError as error:
        return str(error)
    return None


@cache
def _warn_once(reason: str) -> None:
    warnings.warn(f"backend: Fused runs as Chunked does for {reason}", stacklevel=2)


def _launch(request: Request, products: Products, part: slice) -> Launch | None:
    reason, form = _refusal(request), _form(request.pool)
    if form is None or reason is not None:
        _warn_once(str(reason))
        return None
    return Launch(request, products, part, form)


def _kernels() -> Any:
    """The module of kernels, which imports triton."""
    from gonio.negatives import kernels

    return kernels


@cache
def _compiled_rule(digest: str, source: str) -> Any:
    """A printed rule as a function of Triton.

    Triton reads a function's source by `inspect`, which finds it in `linecache`: nothing is written to a
    disk, and nothing that lies on one is run.
    """
    import linecache

    import triton

    name = f"<gonio rule {digest}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    names: dict[str, Any] = {"tl": triton.language, "arccos": _kernels().arccos, "__name__": name}
    exec(compile(source, name, "exec"), names)
    return triton.jit(names["rule"])


def _blocks(batch: int, classes: int, dim: int) -> dict[str, int]:
    """Sizes of blocks: powers of two, as small as the matrices allow."""
    sizes = {"BB": batch, "BC": classes, "BD": dim}
    return {name: min(64, max(16, 1 << (size - 1).bit_length())) for name, size in sizes.items()}


def _per_part(classes: int, block: int) -> int:
    """Classes of a part, a multiple of a block."""
    return _cut(_cut(classes, PARTS), block) * block


def _cut(size: int, piece: int) -> int:
    return -(-size // piece)
