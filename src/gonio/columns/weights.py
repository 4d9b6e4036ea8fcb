"""Class weights as columns."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from gonio.base.geometry import angle_between, angle_of, unit
from gonio.columns.seam import Columns, Own
from gonio.engines import tile
from gonio.engines.blocks import summed
from gonio.engines.seam import Engine, Held, Query
from gonio.engines.workspace import Workspace
from gonio.ranks import ALONE, Ranks
from gonio.rules.facts import Embedded, Sample
from gonio.rules.score import Score

MANY = 16
"""Labels of a row from which one product with all classes is cheaper than their rows."""

BLOCK = 2**22
"""Scores that are seen at once."""

NEAR = 0.99
"""A cosine from which an angle is computed from the vectors: an arccosine would lose its digits."""

SUMMED = (
    "label_smoothing: with class_weight it asks for all class weights once more, and attach_optimizer has "
    "moved them by then; leave out one of the two, or call head.detach_optimizer()"
)


class ClassWeights(Columns):
    """All class weights, in this process.

    Args:
        weight: (classes, dim) or (classes, centers, dim).
        score: what is normalised before the product.
        engine: computes the pools.
        workspace: of the head.
        offset: (classes,), added to the scores.
    """

    ranks: Ranks = ALONE
    first: int = 0
    """Class of the first row that is held here."""

    def __init__(
        self,
        weight: Tensor,
        score: Score,
        engine: Engine,
        workspace: Workspace,
        offset: Tensor | None = None,
    ) -> None:
        self.num, self.score = len(weight), score
        self.engine, self.workspace = engine, workspace
        self.held = Held(weight, offset)

    def own(self, embedded: Embedded, labels: Tensor) -> Own:
        """See `Columns`."""
        weight, offset = self.held.weight, self.held.offset
        flat, per_row = labels.flatten(), labels.shape[1]
        of_label = None if offset is None else offset[flat]
        if per_row > MANY and len(flat) > self.num and self.workspace.update is None:
            return self._own_among_all(embedded, labels, of_label)
        if self.engine.capabilities.owns_gradient:
            rows, weight = _Peel.apply(weight, flat, self.workspace.update)  # type: ignore[no-untyped-call]
            self.held = Held(weight, offset)
        else:
            rows = weight[flat]
        if per_row > 1:
            embedded = embedded.map(lambda fact: fact.repeat_interleave(per_row, dim=0))
        return against(embedded, rows, self.score, of_label)

    def _own_among_all(self, embedded: Embedded, labels: Tensor, offset: Tensor | None) -> Own:
        """By one product with all classes."""
        side = embedded.x if self.score.unit_embedding else embedded.embeddings
        flat, weight = labels.flatten(), self.held.weight
        row = torch.arange(len(labels), device=labels.device).repeat_interleave(labels.shape[1])
        found = tile.products(side, weight, self.score).gather(1, labels).flatten()

        def angle() -> Tensor:
            score = replace(self.score, unit_embedding=True, unit_weight=True)
            cosine = tile.products(embedded.x, weight, score).gather(1, labels).flatten()
            (near,) = (cosine.abs() > NEAR).nonzero(as_tuple=True)
            near_x = Embedded(embedded.x[row[near]])
            exact = against(near_x, weight[flat[near]], score, None).angle
            return angle_of(cosine).index_put((near,), exact)

        def norm() -> Tensor:
            norms: Tensor = torch.linalg.vector_norm(weight.flatten(0, -2), dim=1)
            return norms[flat]

        return Own(found, angle, norm, offset)

    def directions(self, labels: Tensor) -> Tensor:
        """See `Columns`."""
        update = self.workspace.update
        if update is None:
            return centers_of(self.held.weight[labels])
        rows: Tensor = _Asked.apply(self.held.weight, labels, update)  # type: ignore[no-untyped-call]
        return centers_of(rows)

    def pool(self, query: Query) -> Tensor:
        """See `Columns`."""
        return self.answer(query, self.asked(query), self.workspace)

    def asked(self, query: Query) -> Held:
        """What is held, as a query asks for it."""
        return self.held if query.has_offset else self.held._replace(offset=None)

    def weighted_sum(self, query: Query, weight: Tensor) -> Tensor:
        """See `Columns`. A block of classes at a time, there and back.

        Raises:
            ValueError: the gradient of the weight is to be handed over, which this does not do.
        """
        if self.workspace.update is not None:
            raise ValueError(SUMMED)
        size, given = max(64, BLOCK // max(1, len(query.x))), self.held.offset
        none = query.x.new_zeros(0)

        def block(first: int, rows: Tensor, x: Tensor, offset: Tensor, *facts: Tensor) -> Tensor:
            part = slice(first, first + len(rows))
            cosine = tile.products(x, rows, query.score)
            shift = None if given is None else offset[part]
            scores = tile.modulated(cosine, shift, Sample(*facts), query.negative)
            is_own = tile.is_own(query.labels - first, None, len(rows))
            return scores.masked_fill(is_own, 0) @ weight[part]

        if len(self.held.weight) == 0:
            return query.x.sum(dim=1) * 0
        offset = none if given is None else given
        return summed(block, size, self.held.weight, query.x, offset, *query.sample.facts())

    def answer(self, query: Query, held: Held, workspace: Workspace) -> Tensor:
        """A query, over some of the columns."""
        found: Tensor = self.engine(query, held, workspace, self.ranks)
        return found

    def places(self, labels: Tensor) -> Tensor:
        """Labels -> where their columns stand in this process; -1 for those that do not."""
        return labels


def against(embedded: Embedded, rows: Tensor, score: Score, offset: Tensor | None) -> Own:
    """(n,) embeddings against (n, [centers,] dim) rows of class weights, each against its own."""
    rows = rows.to(embedded.embeddings.dtype)
    if not (score.unit_embedding or score.unit_weight):
        return Own(
            (embedded.embeddings * rows).sum(dim=1),
            lambda: angle_between(embedded.x, unit(rows)[0]),
            lambda: unit(rows)[1],
            offset,
        )
    directions, norms = unit(rows.flatten(0, -2))
    x, own = embedded.x, directions
    if score.centers > 1:
        centers = directions.view(rows.shape)
        to_centers = (x[:, None] * centers).sum(dim=2)
        best = torch.arange(len(x), device=x.device), to_centers.detach().argmax(dim=1)
        own, norms = centers[best], norms.view(rows.shape[:2])[best]
        if score.temperature > 0:
            cosine = score.of_centers(to_centers)
            return Own(cosine, lambda: angle_of(cosine), norms, offset)
    left = x if score.unit_embedding else embedded.embeddings
    right = own if score.unit_weight or score.unit_embedding else rows
    return Own((left * right).sum(dim=1), lambda: angle_between(x, own), norms, offset)


def centers_of(rows: Tensor) -> Tensor:
    """(n, [centers,] dim) rows of class weights -> (n, centers, dim) directions."""
    directions = unit(rows.flatten(0, -2))[0].view(rows.shape)
    return directions if rows.ndim == 3 else directions[:, None]


class _Peel(torch.autograd.Function):
    """(classes, ...), (rows,) -> the rows of the own classes, and the weight itself.

    The weight goes on to the negatives through this node, so that backward receives their dense
    gradient and adds the own classes' rows to it, in the engine's own buffer. Indexing alone would make
    autograd fill a second buffer of the weight's size. Where the engine has handed the gradient to an
    `Update` piece by piece, there is no dense one, and the rows follow the pieces.
    """

    @staticmethod
    def forward(ctx: Any, weight: Tensor, labels: Tensor, update: Any) -> tuple[Tensor, Tensor]:
        ctx.update = update
        ctx.save_for_backward(labels)
        ctx.set_materialize_grads(update is None)
        return weight[labels], weight.view_as(weight)

    @staticmethod
    def backward(
        ctx: Any, rows: Tensor | None, dense: Tensor | None
    ) -> tuple[Tensor | None, None, None]:
        (labels,) = ctx.saved_tensors
        if ctx.update is not None:
            assert dense is None, "the pool hands its gradient over"
            ctx.update.finish(labels, rows)
            return None, None, None
        assert rows is not None
        assert dense is not None
        add = dense.index_add if torch.is_grad_enabled() else dense.index_add_
        return add(0, labels, rows), None, None


class _Asked(torch.autograd.Function):
    """(classes, ...), (n,) own classes -> their rows, whose gradient an `Update` takes."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, labels: Tensor, update: Any) -> Tensor:
        ctx.save_for_backward(labels)
        ctx.update = update
        return weight[labels]

    @staticmethod
    def backward(ctx: Any, rows: Tensor) -> tuple[None, None, None]:
        ctx.update.add(*ctx.saved_tensors, rows)
        return None, None, None
