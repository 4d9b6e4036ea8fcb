"""One tile of classes: the scores of a batch against them."""

import torch
from torch import Tensor

from gonio.equation import Classes, Loss, Sample
from gonio.geometry import unit
from gonio.rules import Score


def products(x: Tensor, weight: Tensor, score: Score) -> Tensor:
    """(batch, dim), (tile, dim) -> (batch, tile) cosines, or inner products where `score` says so."""
    weight = weight.to(x.dtype)
    if score.unit_weight:
        weight = unit(weight)[0]
    return x @ weight.T


def scores(
    x: Tensor, classes: Classes, sample: Sample, labels: Tensor, loss: Loss, first: int
) -> Tensor:
    """(batch, dim) against `classes` (tile, dim) -> (batch, tile), with -inf for the own class.

    `first` is the index of the tile's first class.
    """
    column = sample.column()
    score = column.scale * loss.negative(products(x, classes.weight, loss.score), column)
    if classes.bias is not None:
        score = score + classes.bias
    index = torch.arange(first, first + len(classes.weight), device=labels.device)
    return score.masked_fill(labels[:, None] == index, -torch.inf)
