"""Some of the columns as negatives, drawn anew at each step."""

import math
from typing import Any

import torch
from torch import Tensor

from gonio.columns.seam import Columns, Own
from gonio.columns.weights import ClassWeights
from gonio.engines.buffer import Buffer
from gonio.engines.memory import needing
from gonio.engines.sampled import Sampled
from gonio.engines.seam import Held, Query
from gonio.engines.tile import rows_of
from gonio.engines.workspace import Update
from gonio.rules.facts import Embedded
from gonio.rules.pool import LogSumExp


class Drawn(Columns):
    """Class weights of which some are negatives.

    Args:
        columns: all that this process holds.
        drawn: (n,) indices of those that take part, ascending.
        log_probability: (n,) that each is drawn; the pool then estimates that of all. None pools those
            that are drawn as they are.
    """

    def __init__(
        self, columns: ClassWeights, drawn: Tensor, log_probability: Tensor | None = None
    ) -> None:
        self.columns, self.num = columns, columns.num
        self.drawn, self._log_probability = drawn, log_probability

    @classmethod
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def by(cls, sampled: Sampled, columns: ClassWeights, labels: Tensor, step: int) -> "Drawn":
        """Those of a training step, for a batch with these (rows, k) labels."""
        drawn = sampled.draw(columns.num, labels, step)
        return cls(columns, drawn, sampled.probabilities(drawn, labels, columns.num))

    def own(self, embedded: Embedded, labels: Tensor) -> Own:
        """See `Columns`."""
        return self.columns.own(embedded, labels)

    def directions(self, labels: Tensor) -> Tensor:
        """See `Columns`."""
        return self.columns.directions(labels)

    def pool(self, query: Query) -> Tensor:
        """See `Columns`."""
        drawn, workspace = self.drawn, self.columns.workspace
        weight, offset, _ = self.columns.asked(query)
        some: Tensor = _Gathered.apply(weight, drawn, workspace.spread)  # type: ignore[no-untyped-call]
        offset = None if offset is None else offset[drawn]
        if self._log_probability is not None and isinstance(query.pool, LogSumExp):
            stands_for = (-query.pool.temperature * self._log_probability).to(query.x.dtype)
            offset = stands_for if offset is None else offset + stands_for
        update = workspace.update
        if update is not None:
            update = OfDrawn(update, drawn, weight)
        query = query._replace(labels=self._places(query.labels))
        return self.columns.answer(query, Held(some, offset), workspace.into(update))

    def _places(self, labels: Tensor) -> Tensor:
        """Labels -> where they stand among the drawn columns; -1 for those that do not."""
        if len(self.drawn) == 0:
            return torch.full_like(labels, -1)
        labels = self.columns.places(labels)
        place = torch.searchsorted(self.drawn, labels.contiguous()).clamp(max=len(self.drawn) - 1)
        return place.masked_fill(self.drawn[place] != labels, -1)


class OfDrawn:
    """Takes rows of the drawn classes' weight, and hands them on as rows of the whole weight."""

    def __init__(self, update: Update, drawn: Tensor, weight: Tensor) -> None:
        self._update = update
        self._rows = rows_of(drawn, math.prod(weight.shape[1:-1]))

    def take(self, rows: slice | Tensor, gradient: Tensor) -> None:
        """See `gonio.engines.workspace.Update`."""
        self._update.take(self._rows[rows], gradient)

    def add(self, classes: Tensor, gradient: Tensor) -> None:
        """See `gonio.engines.workspace.Update`."""
        self._update.add(classes, gradient)

    def finish(self, classes: Tensor, gradient: Tensor | None) -> None:
        """See `gonio.engines.workspace.Update`."""
        self._update.finish(classes, gradient)


class _Gathered(torch.autograd.Function):
    """(classes, ...), (drawn,) -> (drawn, ...): the rows; back, zeros and their gradient among them."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, drawn: Tensor, memory: Buffer) -> Tensor:
        ctx.save_for_backward(drawn)
        ctx.shape, ctx.memory = weight.shape, memory
        ctx.set_materialize_grads(False)
        size = math.prod(weight.shape[1:]) * len(drawn) * weight.element_size()
        with needing(f"the weight of {len(drawn)} drawn classes", size, "a lower rate needs less"):
            return weight[drawn]

    @staticmethod
    def backward(ctx: Any, rows: Tensor | None) -> tuple[Tensor | None, None, None]:
        if rows is None:  # an update has them
            return None, None, None
        (drawn,) = ctx.saved_tensors
        whole = ctx.memory.lend(ctx.shape, rows.dtype, rows.device)
        return whole.zero_().index_copy_(0, drawn, rows), None, None
