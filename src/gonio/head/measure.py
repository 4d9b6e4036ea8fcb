"""How a batch stands without any margin: is the own class the nearest, and at what angle."""

from dataclasses import replace

import torch
from torch import Tensor

from gonio.base.geometry import angle_between, unit
from gonio.columns import ClassWeights
from gonio.engines.seam import Engine, Query
from gonio.engines.workspace import Workspace
from gonio.rules import COSINE, AsIs, LogSumExp
from gonio.rules.facts import Embedded, Sample


def among_classes(
    embeddings: Tensor,
    labels: Tensor,
    weight: Tensor,
    centers: int,
    engine: Engine,
    workspace: Workspace,
) -> tuple[Tensor, Tensor]:
    """(batch, dim) against all class weights -> (batch,) whether the own wins, (batch,) its angle."""
    embedded, score = Embedded(embeddings), replace(COSINE, centers=centers)
    columns = ClassWeights(weight, score, engine, workspace)
    own = columns.own(embedded, labels[:, None])
    sample = Sample(embedded.full(1.0), embedded.norm, own.cosine, own.angle, own.cosine)
    query = Query(embedded.x, sample, labels[:, None], AsIs(), LogSumExp(temperature=0), score)
    return _exceeds(own.cosine, columns.pool(query)), own.angle


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
