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

from gonio.engines.streamed import Request, Totals
from gonio.loss import Loss
from gonio.rules import AsIs, LogSumExp, NoOffset
from gonio.rules.facts import Sample
from gonio.rules.pool import ShiftedSumExp, State


@dataclass
class LastStep:
    """What a backend has to tell of its last backward pass."""

    rows: int = 0
    """Samples of the batch."""
    rows_in_backward: int = 0
    """Samples whose push on the negatives was followed."""
    error_bound: float = 0.0
    """Largest possible Euclidean norm of the error in the gradient of all directions; 0 is exact."""

    def begin(self, rows: int) -> None:
        """A pass in which everything takes part."""
        self.rows = self.rows_in_backward = rows
        self.error_bound = 0.0


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
        pairs = zip((totals.x, *totals.sample), (self.totals.x, *self.totals.sample), strict=True)
        for whole, part in pairs:
            if whole is not None and part is not None:
                whole.index_copy_(0, self.rows, part)


def compacted(
    request: Request,
    state: State,
    grad: Tensor,
    totals: Totals,
    negligible: float,
    report: LastStep,
) -> Compacted:
    """Leave out the rows with the smallest push that together have at most this share of all push."""
    report.begin(len(grad))
    everything = Compacted(request, state, grad, totals, None)
    if negligible == 0 or not _is_plain(request):
        return everything
    push = request.sample.scale * grad.abs()
    smallest, order = push.sort()
    reached = smallest.cumsum(dim=0)
    num_left_out = int((reached <= negligible * reached[-1:]).sum())
    if num_left_out == 0:
        return everything
    rows = order[num_left_out:].sort().values
    report.rows_in_backward = len(rows)
    report.error_bound = float(reached[num_left_out - 1])
    sample = Sample(*(fact[rows] for fact in request.sample))
    part = request._replace(x=request.x[rows], sample=sample, labels=request.labels[rows])
    sums = tuple(None if total is None else total[rows] for total in totals.sample)
    inner = totals._replace(x=None if totals.x is None else totals.x[rows], sample=sums)
    return Compacted(part, tuple(one[rows] for one in state), grad[rows], inner, rows)


def _is_plain(request: Request) -> bool:
    """Whether scores are cosines times the scale, and their shares add up to 1."""
    is_share = isinstance(request.pool, LogSumExp | ShiftedSumExp)
    return is_share and request.classes.offset is None and _has_plain_scores(request.loss)


def leaves_out_some(loss: Loss, label_smoothing: float) -> bool:
    """Whether anything can be left out for a loss."""
    is_alone = isinstance(loss.offset, NoOffset) and label_smoothing == 0
    return is_alone and _has_plain_scores(loss) and isinstance(loss.pool, LogSumExp)


def _has_plain_scores(loss: Loss) -> bool:
    """Whether the score of a negative is its cosine times the scale."""
    score = loss.score
    is_cosine = score.unit_embedding and score.unit_weight and score.temperature == 0
    return is_cosine and isinstance(loss.negative, AsIs)
