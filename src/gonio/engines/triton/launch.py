"""The kernels of `Fused`, launched: what they are given, in which sizes, and how their parts are joined."""

import os
from functools import cache
from typing import Any

import torch
from torch import Tensor

from gonio.engines.compaction import Compacted
from gonio.engines.epilogue import Pushed
from gonio.engines.products import Precision, Products
from gonio.engines.streamed import Request, sample_of
from gonio.engines.triton.forms import form_of
from gonio.engines.triton.printed import MOST_SETTINGS, printed
from gonio.rules import WithSum
from gonio.rules.facts import Sample
from gonio.rules.pool import Pool, State

PROGRAMS = 2048
"""Into how many programs a kernel is cut where the batch alone makes fewer, so that they fill a GPU."""


class FusedProducts(Products):
    """The products of a request, and what happens between them, by kernels."""

    def __init__(self, request: Request, inverse: Tensor | None, precision: Precision) -> None:
        super().__init__(request.query.x, request.held.weight, inverse, precision)
        form = form_of(request.query.pool)
        assert form is not None, "the request was not refused"
        self.request, self.form, self.rule = request, form, printed(request.query.negative)
        batch, dim = self.x.shape
        facts = request.facts
        self.blocks = _blocks(batch, len(self.weight), dim)
        settings = [setting.to(self.x).expand(batch, 1)[:, 0] for setting in self.rule.settings]
        settings += [torch.zeros_like(facts[0])] * (MOST_SETTINGS - len(settings))
        self.labels = request.query.labels.contiguous()
        self.facts = torch.stack(sample_of(facts).facts())
        self.settings = torch.stack(settings)
        self.flags = {
            "rule": _compiled_rule(self.rule.digest, self.rule.source),
            "D": self.x.shape[1],
            "NUM_LABELS": self.labels.shape[1],
            "IS_UNIT": inverse is not None,
            "HAS_OFFSET": request.held.offset is not None,
            "HAS_WHOSE": request.held.labels is not None,
            "HAS_SUM": isinstance(request.query.pool, WithSum),
        }

    def seen(self, out: Tensor | None) -> State:
        """The pool's state over all classes; the products are written to `out` if it is given."""
        batch, num_classes = len(self.x), len(self.weight)
        row_blocks = _cut(batch, self.blocks["BB"])
        per_part = self._per_part(num_classes, row_blocks)
        parts = _cut(num_classes, per_part)
        states = self.x.new_empty(4, parts, batch)
        _run(
            "fold_kernel",
            (row_blocks, parts),
            *self._matrices(slice(0, num_classes), states if out is None else out),
            states,
            batch,
            num_classes,
            0,
            per_part,
            self.form.shift,
            self.form.sharpness,
            POOL=self.form.name,
            KEEPS=out is not None,
            **self.flags,
            **self.blocks,
        )
        return _joined(self.request.query.pool, tuple(states[row] for row in self.form.states))

    def pushed(self, some: Compacted, part: slice, kept: Tensor | None) -> Pushed:
        """The gradients of a tile, from its products if they were kept."""
        batch, num_classes = len(self.x), part.stop - part.start
        name, top, share = self.form.push(some.state, some.grad)
        row_blocks = _cut(batch, self.blocks["BB"])
        column_blocks = _cut(num_classes, self.blocks["BC"])
        push = self.operand.new_empty(num_classes, batch)
        radial, d_offset = self.x.new_empty(2, row_blocks, num_classes)
        d_facts = self.x.new_empty(len(self.rule.slopes), column_blocks, batch)
        _run(
            "push_kernel",
            (row_blocks, column_blocks),
            *self._matrices(part, push if kept is None else kept),
            top.contiguous(),
            share.contiguous(),
            some.grad[:, 1].contiguous() if self.flags["HAS_SUM"] else share,
            push,
            radial,
            d_offset,
            d_facts,
            batch,
            num_classes,
            part.start,
            self.form.sharpness,
            POOL=name,
            FROM_KEPT=kept is not None,
            NUM_SLOPES=len(self.rule.slopes),
            **self.flags,
            **self.blocks,
        )
        sums: list[Tensor | None] = [None] * len(Sample.NAMES)
        for field, total in zip(self.rule.slopes, d_facts.sum(dim=1), strict=True):
            sums[field] = total
        return Pushed(
            push.T,
            None if self.inverse is None else radial.sum(dim=0),
            (
                d_offset.sum(dim=0) if self.flags["HAS_OFFSET"] else None,
                *sums[: len(self.request.facts)],
            ),
        )

    def pull(
        self,
        push: Tensor,
        radial: Tensor | None,
        rows: slice,
        dx: Tensor | None,
        dw: Tensor | None,
    ) -> None:
        """See `Products`."""
        weight = self.weight[rows].contiguous()
        (batch, num_classes), dim = push.shape, weight.shape[1]
        by_entry = _cut(dim, self.blocks["BD"])
        if dx is not None:
            row_blocks = _cut(batch, self.blocks["BB"])
            per_part = self._per_part(num_classes, row_blocks * by_entry)
            parts = dx.new_empty(_cut(num_classes, per_part), batch, dim)
            grid = row_blocks, by_entry, len(parts)
            sizes = batch, num_classes, per_part
            _run("embedding_kernel", grid, push.T, weight, parts, *sizes, D=dim, **self.blocks)
            dx += parts.sum(dim=0)
        if dw is not None:
            _run(
                "weight_kernel",
                (_cut(num_classes, self.blocks["BC"]), by_entry),
                push.T,
                self.operand,
                weight,
                dw if self.inverse is None else self.inverse[rows],
                dw if radial is None else radial,
                dw,
                batch,
                num_classes,
                D=dim,
                IS_UNIT=radial is not None,
                **self.blocks,
            )

    def _per_part(self, num_classes: int, programs: int) -> int:
        """Classes of a part, a multiple of a block, where every part makes so many programs."""
        parts, block = max(1, PROGRAMS // max(1, programs)), self.blocks["BC"]
        return _cut(_cut(num_classes, parts), block) * block

    def _matrices(self, part: slice, kept: Tensor) -> tuple[Tensor, ...]:
        """What the kernels of scores are given first; something in the place of what there is not."""
        _, offset, whose = self.request.held
        return (
            self.operand,
            self.weight[part].contiguous(),
            kept,
            self.facts if self.inverse is None else self.inverse[part],
            self.facts if offset is None else offset[part].contiguous(),
            self.labels if whose is None else whose[part].contiguous(),
            self.labels,
            self.facts,
            self.settings,
        )


def _joined(pool: Pool, parts: State) -> State:
    """(parts, batch) states of a pool -> (batch,), two and two, in the same order each time."""
    while (num := len(parts[0])) > 1:
        half = num // 2
        first, second = (tuple(one[i : i + half] for one in parts) for i in (0, half))
        rest = (one[2 * half :] for one in parts)
        pairs = pool.merge(first, second)
        parts = tuple(torch.cat(both) for both in zip(pairs, rest, strict=True))
    return tuple(one[0] for one in parts)


def is_interpreted() -> bool:
    """Whether Triton runs its kernels on the CPU, whose matrix product knows no bfloat16."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def _kernels() -> Any:
    """The module of kernels, which imports triton."""
    from gonio.engines.triton import kernels

    return kernels


def _run(kernel: str, grid: tuple[int, ...], *args: Any, **flags: Any) -> None:
    """Launch a kernel where its first argument is.

    A product and a sum are rounded one after the other: what forward computed is then, to the bit, what
    backward computes in another kernel, and a maximum is found again.
    """
    with torch.cuda.device_of(args[0]):  # type: ignore[no-untyped-call]
        getattr(_kernels(), kernel)[grid](
            *args, **flags, IS_WIDENED=is_interpreted(), enable_fp_fusion=False
        )


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
    names: dict[str, Any] = {"tl": triton.language, "__name__": name}
    names |= {helper: getattr(_kernels(), helper) for helper in ("arccos", "log1p")}
    exec(compile(source, name, "exec"), names)
    return triton.jit(names["rule"])


def _blocks(batch: int, classes: int, dim: int) -> dict[str, int]:
    """Sizes of blocks: powers of two, as small as the matrices allow."""
    sizes = {"BB": batch, "BC": classes, "BD": dim}
    return {name: min(64, max(16, 1 << (size - 1).bit_length())) for name, size in sizes.items()}


def _cut(size: int, piece: int) -> int:
    return -(-size // piece)
