"""The equation with rows and columns exchanged: each class weight asks the batch."""

import torch
from torch import Tensor

from gonio.columns import ClassWeights
from gonio.engines.blocks import summed
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

    learned = {name: one for name, one in memory.kept.items() if one.requires_grad}

    def repelled(first: int, anchors: Tensor, x: Tensor, *kept: Tensor) -> Tensor:
        asking, none = Embedded(anchors.to(x.dtype)), x.new_zeros(len(anchors))
        now = memory._replace(kept={**memory.kept, **dict(zip(learned, kept, strict=True))})
        row = Sample(loss.scale(asking, now), lambda: asking.norm, none, none, none)
        classes = columns.first + first + torch.arange(len(anchors), device=labels.device)
        query = Query(asking.x, row, classes[:, None], loss.negative, loss.pool, loss.score)
        pool = columns.engine(query, Held(x, None, labels), columns.workspace)
        return loss.penalty(pool, torch.full_like(pool, torch.inf)).sum()

    weight, total = columns.held.weight, x.sum() * 0
    if len(weight):
        size = max(64, BLOCK // max(1, *x.shape))
        total = summed(repelled, size, weight, x, *learned.values())
    return attracted + columns.ranks.sum(total, x) / columns.num
