"""The equation with rows and columns exchanged: each class weight asks the batch."""

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from gonio.columns import ClassWeights
from gonio.engines.seam import Held, Query
from gonio.loss import Loss
from gonio.rules.facts import Embedded, Memory, Sample

BLOCK = 2**20
"""Elements of (anchors, batch) or (anchors, dim) that are seen at once."""


@torch.compiler.disable  # type: ignore[untyped-decorator]
def anchor_loss(
    embeddings: Tensor, labels: Tensor, loss: Loss, columns: ClassWeights, memory: Memory
) -> Tensor:
    """Each class weight as an anchor against the embeddings of the batch.

        loss = mean over classes p of the batch of penalty(nothing, -pool_{x in p} -z_px)
             + mean over all classes p of penalty(pool_{x not in p} z_px, everything)

    Args:
        embeddings: (batch, dim), in the dtype to compute in.
        labels: (batch,) int64.
        loss: without schedules, with the pairing "anchors".
        columns: the class weights; their engine computes the pools.
        memory: what the head keeps.

    Returns:
        (batch,) numbers whose mean is the loss.
    """
    embedded = Embedded(embeddings)
    own = columns.own(embedded, labels[:, None])
    x, scale = embedded.x, loss.scale(embedded, memory)
    sample = Sample(scale, lambda: embedded.norm, own.cosine, lambda: own.angle, own.cosine)
    score = scale * loss.target(own.cosine, sample)
    is_same = labels[:, None] == labels
    positives = (-score).expand_as(is_same).masked_fill(~is_same, -torch.inf)
    hardest = -loss.pool.value(loss.pool.fold(positives)) if len(labels) else score
    share = len(labels) / (len(torch.unique(labels)) * is_same.sum(dim=1).to(x.dtype))
    attracted = share * loss.penalty(torch.full_like(hardest, -torch.inf), hardest)

    def repelled(anchors: Tensor, classes: Tensor, x: Tensor) -> Tensor:
        asking = Embedded(anchors.to(x.dtype))
        none = asking.full(0.0)
        row = Sample(loss.scale(asking, memory), lambda: asking.norm, none, none, none)
        query = Query(asking.x, row, classes[:, None], loss.negative, loss.pool, loss.score)
        pool = columns.engine(query, Held(x, None, labels), columns.workspace)
        return loss.penalty(pool, torch.full_like(pool, torch.inf)).sum()

    weight, total = columns.held.weight, x.new_zeros(())
    size = max(64, BLOCK // max(1, *x.shape))
    for first in range(0, len(weight), size):
        part = weight[first : first + size]
        classes = columns.first + first + torch.arange(len(part), device=labels.device)
        total = total + checkpoint(repelled, part, classes, x, use_reentrant=False)
    return attracted + columns.ranks.sum(total, x) / columns.num
