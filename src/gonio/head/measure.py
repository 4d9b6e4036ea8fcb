"""How a batch stands without any margin: is the own class the nearest, and at what angle."""

from dataclasses import replace

import torch
from torch import Tensor

from gonio.base.geometry import angle_between, unit
from gonio.engines.seam import Classes, Negatives
from gonio.loss import Loss
from gonio.rules import Fixed, LogSumExp, Score
from gonio.rules.facts import Sample

NEAREST = Loss(scale=Fixed(1.0), pool=LogSumExp(temperature=0))
"""Its pool is the largest cosine among the negatives."""


def among_classes(
    embeddings: Tensor, weight: Tensor, labels: Tensor, score: Score, negatives: Negatives
) -> tuple[Tensor, Tensor]:
    """(batch, dim) against all class weights -> (batch,) whether the own wins, (batch,) its angle."""
    x, norm = unit(embeddings)
    own = weight[labels].to(x.dtype)
    directions = unit(own.flatten(0, -2))[0].view(len(x), score.centers, x.shape[1])
    best = (x[:, None] * directions).sum(dim=2).argmax(dim=1)
    w = directions[torch.arange(len(x), device=x.device), best]
    cosine, angle = (x * w).sum(dim=1), angle_between(x, w)
    sample = Sample(torch.ones_like(norm), norm, cosine, angle, cosine)
    query = replace(NEAREST, score=replace(NEAREST.score, centers=score.centers))
    return _exceeds(cosine, negatives(x, Classes(weight), sample, labels, query)), angle


def among_batch(embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The same against the other samples of the batch, for those whose label another one has."""
    x = unit(embeddings)[0]
    cosine = x @ x.T
    is_own = labels[:, None] == labels
    is_self = torch.eye(len(x), dtype=torch.bool, device=x.device)
    own = cosine.masked_fill(~is_own | is_self, -torch.inf)
    other = cosine.masked_fill(is_own, -torch.inf)
    rows = (own > -torch.inf).any(dim=1).nonzero()[:, 0]
    if len(rows) == 0:
        return labels.new_zeros(0, dtype=torch.bool), x.new_zeros(0)
    nearest = own[rows].argmax(dim=1)
    best = own[rows, nearest]
    return _exceeds(best, other[rows].amax(dim=1)), angle_between(x[rows], x[nearest])


def _exceeds(own: Tensor, other: Tensor) -> Tensor:
    """Larger by more than rounding."""
    return own > other + 8 * torch.finfo(own.dtype).eps
