"""From the losses of samples to the loss of a batch."""

from typing import Literal, get_args

from torch import Tensor

from gonio.head.batch import Batch
from gonio.ranks import Ranks

Reduction = Literal["mean", "sum", "none"]


def check_reduction(reduction: str) -> None:
    """Refuse an unknown one.

    Raises:
        ValueError: it is none of mean, sum and none.
    """
    if reduction not in get_args(Reduction):
        raise ValueError(f"reduction: {reduction!r} is unknown; choose mean, sum or none")


def relative(weight: Tensor) -> Tensor:
    """A weight in units of its largest, so that no sum of weights or of products leaves the range."""
    if len(weight) == 0:
        return weight
    largest = weight.detach().amax()
    return weight / largest.where(largest > 0, 1)


def reduced(losses: Tensor, batch: Batch, reduction: Reduction, ranks: Ranks) -> Tensor:
    """The loss of a batch, of which each process counts its own rows.

    Args:
        losses: (rows,) of the batch of all processes, each label times the weight of its class.
        batch: likewise.
        reduction: "mean" is the weighted mean, "sum" the weighted sum, "none" gives (size,), 0 for rows
            that do not count.
        ranks: the processes. The mean of their means is that of the whole batch.
    """
    weighted = losses if batch.weight is None else losses * batch.weight
    mine = ranks.mine(weighted, list(batch.counts))
    if reduction == "none":
        if batch.rows is None:
            return mine
        return mine.new_zeros(batch.size).index_copy(0, batch.rows, mine)
    if reduction == "sum":
        return mine.sum()
    if batch.weight is None and batch.targets.class_weight is None:
        return mine.sum() / max(len(losses) / ranks.size, 1 / ranks.size)
    of_classes = batch.targets.weights()
    counted = [one for one in (batch.weight, of_classes) if one is not None]
    total = (counted[0] if len(counted) == 1 else counted[0] * counted[1]).sum() / ranks.size
    return mine.sum() / total.where(total > 0, 1)
