"""From the losses of samples to the loss of a batch."""

from typing import Literal, get_args

from torch import Tensor

Reduction = Literal["mean", "sum", "none"]


def check_reduction(reduction: str) -> None:
    """Refuse an unknown one.

    Raises:
        ValueError: it is none of mean, sum and none.
    """
    if reduction not in get_args(Reduction):
        raise ValueError(f"reduction: {reduction!r} is unknown; choose mean, sum or none")


def reduced(
    per_sample: Tensor,
    weight: Tensor | None,
    reduction: Reduction,
    rows: Tensor | None,
    batch: int,
) -> Tensor:
    """The loss of a batch.

    Args:
        per_sample: (rows,) losses.
        weight: (rows,) weights of the samples, None where all count the same.
        reduction: "mean" is the weighted mean, "sum" the weighted sum, "none" gives (batch,).
        rows: (rows,) which samples of the batch these are, None for all; the others get 0.
        batch: number of samples.
    """
    weighted = per_sample if weight is None else per_sample * weight
    if reduction == "none":
        if rows is None:
            return weighted
        return per_sample.new_zeros(batch).index_copy(0, rows, weighted)
    if reduction == "sum":
        return weighted.sum()
    total = per_sample.new_tensor(len(per_sample)) if weight is None else weight.sum()
    return weighted.sum() / total.where(total > 0, 1)
