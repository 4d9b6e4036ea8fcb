"""The equation where an embedding is compared with its batch, or a class with it; see `Pairing`.

Positives are then more than one: they are handled as labels that share the mass of a sample, and
everything else, pools, penalties and backends, is the same. How many pairs there are depends on the
labels, so torch.compile leaves them as they are.
"""

import warnings

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from gonio.base.geometry import angle_between, unit
from gonio.engines.seam import Classes, Negatives
from gonio.loss import Loss
from gonio.margin_loss import mass_weighted
from gonio.rules.facts import Memory, Sample

ROWS = 2**20
"""Elements of (anchors, batch) or (anchors, dim) that are seen at once."""


@torch.compiler.disable  # type: ignore[untyped-decorator]
def batchwise_loss(
    embeddings: Tensor,
    weight: Tensor | None,
    labels: Tensor,
    loss: Loss,
    negatives: Negatives,
    memory: Memory,
) -> Tensor:
    """Class weights as anchors where there are any, else the batch against itself.

    Returns:
        (batch,) numbers, of which a mean is the loss.
    """
    if weight is None:
        return batch_loss(embeddings, labels, loss, negatives, memory)
    return anchor_loss(embeddings, weight, labels, loss, negatives, memory)


@torch.compiler.disable  # type: ignore[untyped-decorator]
def has_partner(labels: Tensor, *, warn: bool) -> Tensor:
    """(batch,) labels -> (batch,) bool: whether another sample has the same label."""
    found = (labels[:, None] == labels).sum(dim=1) > 1
    if warn and len(labels) and not bool(found.any()):
        warnings.warn(
            f"labels: no two of the {len(labels)} samples share one, so this batch teaches nothing; "
            "draw several samples of each identity into a batch",
            stacklevel=2,
        )
    return found


def batch_loss(
    embeddings: Tensor, labels: Tensor, loss: Loss, negatives: Negatives, memory: Memory
) -> Tensor:
    """Each embedding against the others of its batch: the same label attracts, another repels.

    Args:
        embeddings: (batch, dim), in the dtype to compute in.
        labels: (batch,) int64.
        loss: without schedules, with the pairing "batch".
        negatives: the backend.
        memory: what the head keeps.

    Returns:
        (batch,) losses; 0 for a sample whose label no other sample has.
    """
    offset = loss.offset(memory)
    if len(labels) == 0:  # nothing to compare, but still a path to all that learns
        return embeddings.sum(dim=1) + (0 if offset is None else offset.sum())
    x, norm = unit(embeddings)
    is_pair = labels[:, None] == labels
    is_pair = is_pair & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    count = is_pair.sum(dim=1)
    row, column = is_pair.nonzero(as_tuple=True)
    place = row, is_pair.cumsum(dim=1)[row, column] - 1
    left, right = (x, x) if loss.score.unit_embedding else (embeddings, embeddings)
    cosine = (left[row] * right[column]).sum(dim=1)
    angle = angle_between(x[row], x[column])
    scale = loss.scale(norm, memory)
    pair = Sample(scale[row], norm[row], cosine, angle, cosine)
    pair = pair._replace(target=loss.target(cosine, pair))
    width = max(1, int(count.amax()))
    own = embeddings.new_full((len(labels), width), -torch.inf)
    score = pair.scale * pair.target + (0 if offset is None else offset)
    own = own.index_put(place, score)
    share = 1 / count.clamp(min=1).to(own.dtype)
    mass = share[:, None] * (own > -torch.inf)
    zeros = torch.zeros_like(norm)
    mean = Sample(scale, norm, *(zeros.index_add(0, row, share[row] * fact) for fact in pair[2:]))
    everyone = Classes(embeddings, _each(offset, len(labels)), labels)
    x = x if loss.score.unit_embedding else embeddings
    pool = negatives(x, everyone, mean, labels, loss)
    return mass_weighted(pool, own, mass, loss)


def anchor_loss(
    embeddings: Tensor,
    weight: Tensor,
    labels: Tensor,
    loss: Loss,
    negatives: Negatives,
    memory: Memory,
) -> Tensor:
    """Each class weight as an anchor against the embeddings of the batch.

        loss = mean over classes p of the batch of penalty(nothing, -pool_{x in p} -z_px)
             + mean over all classes p of penalty(pool_{x not in p} z_px, everything)

    Args:
        embeddings: (batch, dim), in the dtype to compute in.
        weight: (classes, dim).
        labels: (batch,) int64.
        loss: without schedules, with the pairing "anchors".
        negatives: the backend.
        memory: what the head keeps.

    Returns:
        (batch,) numbers whose mean is the loss.
    """
    if len(labels) == 0:
        return embeddings.sum(dim=1) + weight.sum()
    x, norm = unit(embeddings)
    own = unit(weight[labels].to(x.dtype))[0]
    cosine, angle = (x * own).sum(dim=1), angle_between(x, own)
    scale = loss.scale(norm, memory)
    sample = Sample(scale, norm, cosine, angle, cosine)
    score = scale * loss.target(cosine, sample)
    is_same = labels[:, None] == labels
    positives = (-score).expand_as(is_same).masked_fill(~is_same, -torch.inf)
    hardest = -loss.pool.value(loss.pool.fold(positives))
    share = len(labels) / (len(torch.unique(labels)) * is_same.sum(dim=1).to(x.dtype))
    attracted = share * loss.penalty(torch.full_like(hardest, -torch.inf), hardest)

    def repelled(anchors: Tensor, whose: Tensor, x: Tensor) -> Tensor:
        directions, length = unit(anchors.to(x.dtype))
        scale = loss.scale(length, memory)
        zeros = torch.zeros_like(length)
        anchor = Sample(scale, length, zeros, zeros, zeros)
        pool = negatives(directions, Classes(x, None, labels), anchor, whose, loss)
        return loss.penalty(pool, torch.full_like(pool, torch.inf)).sum()

    size = max(64, ROWS // max(x.shape))
    whose = torch.arange(len(weight), device=labels.device)
    total = x.new_zeros(())
    for part, index in zip(torch.split(weight, size), torch.split(whose, size), strict=True):
        total = total + checkpoint(repelled, part, index, x, use_reentrant=False)
    return attracted + total / len(weight)


def _each(offset: Tensor | None, size: int) -> Tensor | None:
    return None if offset is None else offset.expand(size)
