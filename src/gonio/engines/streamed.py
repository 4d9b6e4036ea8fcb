"""Autograd around an engine that streams tiles of columns."""

from abc import abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gonio.engines import tile
from gonio.engines.seam import Engine, Held, Query
from gonio.engines.workspace import Workspace
from gonio.ranks import ALONE, Ranks
from gonio.rules.curve import reads_sample
from gonio.rules.facts import Sample
from gonio.rules.pool import State

FEW = 16
"""Labels of a row up to which its own columns are looked for tile by tile, without a mask of all."""


class Request(NamedTuple):
    """A query, and the columns that are held here."""

    query: Query
    held: Held
    workspace: Workspace
    is_own: Tensor | None
    """(rows, columns) bool, where rows have many labels."""

    @classmethod
    def of(cls, query: Query, held: Held, workspace: Workspace) -> "Request":
        """With a mask where it is worth it."""
        is_own = None
        if query.labels.shape[1] > FEW:
            is_own = tile.is_own(query.labels, held.labels, len(held.weight))
        return cls(query, held, workspace, is_own)

    @property
    def facts(self) -> tuple[Tensor, ...]:
        """Of the sample: those that the rule may read, of which the first is the scale."""
        return _facts_of(self.query)


class Totals(NamedTuple):
    """Where the gradients of a request go; None for those that nobody asked for."""

    x: Tensor | None
    weight: Tensor | None
    offset: Tensor | None
    facts: tuple[Tensor | None, ...]


class Streaming(Engine):
    """Streams the tiles of a request, there and back, without autograd."""

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def __call__(
        self, query: Query, held: Held, workspace: Workspace, ranks: Ranks = ALONE
    ) -> Tensor:
        """See `Engine`."""
        num = len(held.weight)
        if num and held.offset is None and query.bound is not None and ranks.size == 1:
            query = query._replace(pool=query.pool.within(query.bound, num))
        facts = (query.x, held.weight, held.offset, *_facts_of(query))
        is_recorded = torch.is_grad_enabled() and any(
            fact is not None and fact.requires_grad for fact in facts
        )
        pool: Tensor = _Streamed.apply(  # type: ignore[no-untyped-call]
            self, workspace, ranks, is_recorded, query, held.labels, *facts
        )
        return pool

    @abstractmethod
    def total_of(self, request: Request) -> Tensor:
        """Room for the gradient of the weight."""

    @abstractmethod
    def fold(self, request: Request, *, is_recorded: bool) -> tuple[State, Any]:
        """The state of the pool, and, if `pull` may follow, what it is to be given."""

    @abstractmethod
    def pull(self, request: Request, state: State, kept: Any, grad: Tensor, totals: Totals) -> None:
        """Add to the totals what the gradient in the pool's value makes of them.

        The total of the weight is written: what it held before is lost.
        """


class _Streamed(torch.autograd.Function):
    """The facts are x, the weight, the offset, and those of the sample that the rule reads."""

    @staticmethod
    def forward(
        ctx: Any,
        engine: Streaming,
        workspace: Workspace,
        ranks: Ranks,
        is_recorded: bool,
        query: Query,
        column_labels: Tensor | None,
        *facts: Any,
    ) -> Tensor:
        request = _request(query, column_labels, workspace, facts)
        state, ctx.kept = engine.fold(request, is_recorded=is_recorded)
        state = ranks.merged(state, query.pool.merge)
        ctx.asked = engine, workspace, ranks, _without_tensors(query)
        ctx.num_facts = len(facts)
        ctx.save_for_backward(query.labels, column_labels, *facts, *state)
        return query.pool.value(state)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        engine, workspace, ranks, query = ctx.asked
        if torch.is_grad_enabled():
            raise RuntimeError(
                f"backend: {engine} has no second derivative (create_graph=True); build the head "
                "with backend='reference'"
            )
        labels, column_labels, *saved = ctx.saved_tensors
        facts, state = saved[: ctx.num_facts], tuple(saved[ctx.num_facts :])
        request = _request(query._replace(labels=labels), column_labels, workspace, facts)
        needed = ctx.needs_input_grad[6:]
        weight = request.held.weight
        totals = [
            torch.zeros_like(fact) if is_needed and fact is not weight else None
            for fact, is_needed in zip(facts, needed, strict=True)
        ]
        if needed[1] and workspace.update is None:
            totals[1] = engine.total_of(request)
        grad = ranks.sum(grad, grad)
        # the tiles must come out as they did in forward, whatever autocast says around backward
        with torch.autocast(grad.device.type, enabled=False):
            d_x, d_weight, d_offset, *d_facts = totals
            gathered = Totals(d_x, d_weight, d_offset, tuple(d_facts))
            engine.pull(request, state, ctx.kept, grad, gathered)
        return None, None, None, None, None, None, *totals


def _request(
    query: Query, column_labels: Tensor | None, workspace: Workspace, facts: Any
) -> Request:
    """From the tensors that autograd knows."""
    x, weight, offset, *rest = facts
    query = query._replace(x=x, sample=sample_of(rest))
    return Request.of(query, Held(weight, offset, column_labels), workspace)


def sample_of(facts: Any) -> Sample:
    """The sample with the facts that a rule reads; nobody reads the others."""
    return Sample(*facts) if len(facts) > 1 else Sample(*facts * len(Sample.NAMES))


def _facts_of(query: Query) -> tuple[Tensor, ...]:
    return query.sample.facts() if reads_sample(query.negative) else (query.sample.scale,)


def _without_tensors(query: Query) -> Query:
    """What autograd does not know of a query, which is kept until backward."""
    none: Any = None
    return query._replace(x=none, sample=none, labels=none)
