"""One tile of classes: the scores of a batch against them."""

import torch
from torch import Tensor

from gonio.equation import Classes, Loss, Sample
from gonio.geometry import unit
from gonio.rules import Score
from gonio.rules.negative import leaves_out


def products(x: Tensor, weight: Tensor, score: Score) -> Tensor:
    """(batch, dim) against (tile, dim) or (tile, centers, dim) -> (batch, tile) scores."""
    centers = weight.flatten(0, -2).to(x.dtype)
    if score.unit_weight:
        centers = unit(centers)[0]
    product = x @ centers.T
    return (
        product if weight.ndim == 2 else score.of_centers(product.view(len(x), *weight.shape[:2]))
    )


def scores(
    x: Tensor, classes: Classes, sample: Sample, labels: Tensor, loss: Loss, first: int
) -> Tensor:
    """(batch, dim) against a tile -> (batch, tile) scores, with -inf for what is no negative.

    `first` is the index of the tile's first class.
    """
    column = sample.column()
    score = loss.negative(products(x, classes.weight, loss.score), column)
    is_out = score == -torch.inf if leaves_out(loss.negative) else None
    if is_out is not None:
        score = score.masked_fill(is_out, 0)  # a scale of 0 times -inf is not a number
    score = column.scale * score
    if classes.offset is not None:
        score = score + classes.offset
    if is_out is not None:
        score = score.masked_fill(is_out, -torch.inf)
    whose = classes.labels
    if whose is None:
        whose = torch.arange(first, first + len(classes.weight), device=labels.device)
    for own in labels.unbind(1) if labels.ndim == 2 else (labels,):
        score = score.masked_fill(own[:, None] == whose, -torch.inf)
    return score
