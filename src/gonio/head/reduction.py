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
        weight: (rows,) float64 weights of the samples, None where all count the same.
        reduction: "mean" is the weighted mean, "sum" the weighted sum, "none" gives (batch,).
        rows: (rows,) which samples of the batch these are, None for all; the others get 0.
        batch: number of samples.
    """
    if weight is not None:
        if reduction == "mean":  # by shares, so that the unit of the weights is of no account
            total = weight.sum()
            weight = weight / total.where(total > 0, 1)
        per_sample = per_sample * weight.to(per_sample.dtype)
    elif reduction == "mean":
        return per_sample.sum() / max(len(per_sample), 1)
    if reduction != "none":
        return per_sample.sum()
    return (
        per_sample if rows is None else per_sample.new_zeros(batch).index_copy(0, rows, per_sample)
    )
