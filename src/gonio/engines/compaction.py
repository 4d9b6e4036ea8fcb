"""Rows that hardly push any more leave the backward pass, and what that can have changed.

Of the mean loss of a batch, row i pushes the negatives with q_i s_i / batch in all, q_i what its own class
lacks of probability 1. Late in training few rows have a q_i to speak of. The gradient of a row in cosines
is spread over the negatives with shares p_ij that add up to 1, so leaving out rows R changes the gradient,
in all directions of embeddings together and in all directions of weights together, by at most

    | error | <= sum_{i in R} s_i |g_i|         g_i the gradient in the pool of row i

in the Euclidean norm: each direction has length 1, and so has at most each row of p.
"""

from dataclasses import dataclass

from torch import Tensor

from gonio.engines.seam import Query
from gonio.engines.streamed import Request, Totals, sample_of
from gonio.rules.curve import AsIs
from gonio.rules.pool import LogSumExp, ShiftedSumExp, State


@dataclass(frozen=True)
class Compacted:
    """A backward pass of some of the rows."""

    request: Request
    state: State
    grad: Tensor
    totals: Totals
    rows: Tensor | None
    """(kept,) which they are; None for all."""

    def spread(self, totals: Totals) -> None:
        """Put the totals of the rows in their places among those of all rows."""
        if self.rows is None:
            return
        pairs = zip((totals.x, *totals.facts), (self.totals.x, *self.totals.facts), strict=True)
        for whole, part in pairs:
            if whole is not None and part is not None:
                whole.index_copy_(0, self.rows, part)


def compacted(
    request: Request, state: State, grad: Tensor, totals: Totals, negligible: float
) -> Compacted:
    """Leave out the rows with the smallest push that together have at most this share of all push."""
    report = request.workspace.last_step
    report.begin(len(grad))
    everything = Compacted(request, state, grad, totals, None)
    if negligible == 0 or request.held.offset is not None or not has_plain_shares(request.query):
        return everything
    push = request.query.sample.scale * grad.abs()
    smallest, order = push.sort()
    reached = smallest.cumsum(dim=0)
    num_left_out = int((reached <= negligible * reached[-1:]).sum())
    if num_left_out == 0:
        return everything
    rows = order[num_left_out:].sort().values
    report.rows_in_backward = len(rows)
    report.error_bound = float(reached[num_left_out - 1])
    sample = sample_of([fact[rows] for fact in request.facts])
    query = request.query
    some = query._replace(x=query.x[rows], sample=sample, labels=query.labels[rows])
    is_own = None if request.is_own is None else request.is_own[rows]
    sums = tuple(None if total is None else total[rows] for total in totals.facts)
    inner = totals._replace(x=None if totals.x is None else totals.x[rows], facts=sums)
    part = request._replace(query=some, is_own=is_own)
    return Compacted(part, tuple(one[rows] for one in state), grad[rows], inner, rows)


def has_plain_shares(query: Query) -> bool:
    """Whether scores are cosines times the scale, and their shares add up to 1."""
    score = query.score
    is_cosine = score.unit_embedding and score.unit_weight and score.temperature == 0
    is_share = isinstance(query.pool, LogSumExp | ShiftedSumExp)
    return is_cosine and is_share and isinstance(query.negative, AsIs)
