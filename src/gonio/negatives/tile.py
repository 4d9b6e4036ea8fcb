"""One tile of classes: the scores of a batch against them."""

import torch
from torch import Tensor

from gonio.equation import Classes, Loss, Sample
from gonio.geometry import unit
from gonio.rules import Score


def products(x: Tensor, classes: Classes, score: Score) -> Tensor:
    """(batch, dim) against (tile, dim) -> (batch, tile) cosines, or what else `score` says."""
    weight = classes.weight.to(x.dtype)
    if score.unit_weight:
        weight = unit(weight)[0]
    product = x @ weight.T
    return product if classes.bias is None else product + classes.bias


def scores(
    x: Tensor, classes: Classes, sample: Sample, labels: Tensor, loss: Loss, first: int
) -> Tensor:
    """(batch, dim) against (tile, dim) -> (batch, tile) scores, with -inf for the own class.

    `first` is the index of the tile's first class.
    """
    column = sample.column()
    score = column.scale * loss.negative(products(x, classes, loss.score), column)
    index = torch.arange(first, first + len(classes.weight), device=labels.device)
    return score.masked_fill(labels[:, None] == index, -torch.inf)
