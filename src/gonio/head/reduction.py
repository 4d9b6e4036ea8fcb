"""From the losses of samples to the loss of a batch."""

from collections.abc import Sequence
from functools import reduce
from typing import Literal, get_args

import torch
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
    weights: Sequence[Tensor],
    reduction: Reduction,
    rows: Tensor | None,
    batch: int,
) -> Tensor:
    """The loss of a batch.

    Args:
        per_sample: (rows,) losses.
        weights: (rows,) each; a sample counts as much as their product.
        reduction: "mean" is the weighted mean, whatever the unit of a weight, "sum" the weighted sum,
            "none" gives (batch,).
        rows: (rows,) which samples of the batch these are, None for all; the others get 0.
        batch: number of samples.
    """
    if reduction == "mean" and (not weights or len(per_sample) == 0):
        return per_sample.sum() / max(1, len(per_sample))
    if reduction == "mean":
        weights = [_relative(weight, per_sample.dtype) for weight in weights]
    weighted = reduce(torch.mul, weights, per_sample).to(per_sample.dtype)
    if reduction == "none":
        if rows is None:
            return weighted
        return per_sample.new_zeros(batch).index_copy(0, rows, weighted)
    if reduction == "sum":
        return weighted.sum()
    total = reduce(torch.mul, weights).sum().to(per_sample.dtype)
    return weighted.sum() / total.where(total > 0, 1)


def _relative(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """A weight in units of its largest, so that no sum of weights or of products leaves the range."""
    weight = weight.to(torch.promote_types(weight.dtype, dtype))
    largest = weight.detach().amax()
    return weight / largest.where(largest > 0, 1)
