"""Autograd around an engine that streams tiles of classes."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from gonio.engines.seam import Classes, Update
from gonio.loss import Loss
from gonio.rules import AsIs, Fixed
from gonio.rules.facts import Sample
from gonio.rules.number import resolved
from gonio.rules.pool import Pool, State


class Request(NamedTuple):
    """What is asked of an engine; see `gonio.engines.seam.Negatives`."""

    x: Tensor
    classes: Classes
    sample: Sample
    labels: Tensor
    loss: Loss
    pool: Pool
    """The loss's, in the cheapest form that these scores allow."""


class Totals(NamedTuple):
    """Where the gradients of a request go; None for those that nobody asked for."""

    x: Tensor | None
    weight: Tensor | None
    offset: Tensor | None
    sample: tuple[Tensor | None, ...]


class Engine(Protocol):
    """Streams the tiles of a request, there and back, without autograd."""

    @property
    def update(self) -> Update | None:
        """What takes the gradient of the weight, tile by tile; None leaves it in the totals."""

    def total_of(self, weight: Tensor) -> Tensor:
        """Room for the gradient of the weight."""

    def fold(self, request: Request, *, is_recorded: bool) -> tuple[State, Any]:
        """The state of the loss's pool, and, if `pull` may follow, what it is to be given."""

    def pull(self, request: Request, state: State, kept: Any, grad: Tensor, totals: Totals) -> None:
        """Add to the totals what the gradient in the pool's value makes of them.

        The total of the weight is written: what it held before is lost.
        """


def streamed(
    engine: Engine, x: Tensor, classes: Classes, sample: Sample, labels: Tensor, loss: Loss
) -> Tensor:
    """`gonio.engines.seam.Negatives`, by an engine."""
    facts = (x, *classes, *sample)
    is_recorded = torch.is_grad_enabled() and any(
        fact is not None and fact.requires_grad for fact in facts
    )
    pool: Tensor = _Streamed.apply(engine, is_recorded, labels, loss, *facts)  # type: ignore[no-untyped-call]
    return pool


class _Streamed(torch.autograd.Function):
    """The facts are x and the fields of `Classes` and of `Sample`, in order."""

    @staticmethod
    def forward(
        ctx: Any, engine: Engine, is_recorded: bool, labels: Tensor, loss: Loss, *facts: Any
    ) -> Tensor:
        x, classes, sample = _split(facts)
        request = Request(x, classes, sample, labels, loss, _cheapest(loss, classes))
        state, ctx.kept = engine.fold(request, is_recorded=is_recorded)
        ctx.engine, ctx.loss, ctx.pool, ctx.facts = engine, loss, request.pool, len(facts)
        ctx.save_for_backward(labels, *facts, *state)
        return request.pool.value(state)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise RuntimeError(
                f"backend: {ctx.engine} has no second derivative (create_graph=True); build the head "
                "with backend='reference'"
            )
        labels, *saved = ctx.saved_tensors
        facts, state = saved[: ctx.facts], tuple(saved[ctx.facts :])
        x, classes, sample = _split(facts)
        request = Request(x, classes, sample, labels, ctx.loss, ctx.pool)
        needed = ctx.needs_input_grad[4:]
        totals = [
            torch.zeros_like(fact) if is_needed and fact is not classes.weight else None
            for fact, is_needed in zip(facts, needed, strict=True)
        ]
        if needed[1] and ctx.engine.update is None:
            totals[1] = ctx.engine.total_of(classes.weight)
        # the tiles must come out as they did in forward, whatever autocast says around backward
        with torch.autocast(grad.device.type, enabled=False):
            d_x, d_weight, d_offset, _, *d_sample = totals
            gathered = Totals(d_x, d_weight, d_offset, tuple(d_sample))
            ctx.engine.pull(request, state, ctx.kept, grad, gathered)
        return None, None, None, None, *totals


def _cheapest(loss: Loss, classes: Classes) -> Pool:
    """The pool, with a constant in the place of its maximum where the scores are bounded."""
    is_cosine = loss.score.unit_embedding and loss.score.unit_weight
    is_plain = isinstance(loss.negative, AsIs) and classes.offset is None
    if not (is_cosine and is_plain and isinstance(loss.scale, Fixed)):
        return loss.pool
    return loss.pool.within(float(resolved(loss.scale.value)), len(classes.weight))


def _split(facts: Sequence[Any]) -> tuple[Any, Classes, Sample]:
    x, *rest = facts
    classes = len(Classes._fields)
    return x, Classes(*rest[:classes]), Sample(*rest[classes:])
