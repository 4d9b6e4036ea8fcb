"""The one equation, computed. Read this file first.

    loss_i = penalty( pool over j != y of  z_ij,   z_iy ),      z_ij = s_i negative(c_ij) + offset_j
                                                                z_iy = s_i target(c_iy) + offset_y

c_ij is the score of column j before any rule (a cosine, or an inner product), s_i the scale. What the
columns are, and where, is theirs to know (`gonio.columns`): class weights of this process or of many,
some that were drawn, the batch itself. The own column is peeled off the product, so that the target rule,
the scale and the penalty see (rows,) vectors and are ordinary torch. Only the pool meets all columns.

A sample with several labels pays for each in proportion to its mass p, the others standing among its
negatives; and the margin of a label is weighted by its mass too:

    loss_i = sum_k p_k penalty( pool of the negatives and of z_il for l != k,   z_ik )
    z_ik = s_i (c_ik + p_k (target(c_ik) - c_ik)) + offset_k

What a negative rule reads of such a sample is the mean over its labels, weighted by mass.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from gonio.columns.seam import Columns
from gonio.engines.seam import Query
from gonio.loss import Loss
from gonio.pairs import pairs, with_numbers
from gonio.rules.facts import Change, Embedded, Facts, Memory, Sample
from gonio.rules.mining import Everything
from gonio.targets import Targets


class Result(NamedTuple):
    """What a batch comes to."""

    losses: Tensor
    """(rows,), in nats."""
    changes: Mapping[str, Change] = {}
    """What becomes of the running statistics."""


class Scored(NamedTuple):
    """A batch before it meets all columns."""

    targets: Targets
    """Each label once."""
    facts: Facts
    score: Tensor
    """(rows k,): z_iy of every label."""
    query: Query
    changes: Mapping[str, Change]


def margin_loss(
    embeddings: Tensor,
    targets: Targets,
    loss: Loss,
    columns: Columns,
    memory: Memory = Memory(),  # noqa: B008
) -> Result:
    """The equation, sample by sample.

    Args:
        embeddings: (rows, dim), in the dtype to compute in, float32 or float64.
        targets: the labels.
        loss: without schedules (`Loss.at`) and bound to the number of classes (`Loss.bind`).
        columns: what the embeddings are compared with.
        memory: what the head keeps.

    Returns:
        (rows,) losses in nats, and what becomes of the statistics.
    """
    asked = scored(embeddings, targets, loss, columns, memory)
    targets, score, query = asked.targets, asked.score, asked.query
    pool, rest = targets.parted(columns.pool(query))
    losses = targets.pay(pool, score, loss)
    if targets.smoothing:
        if targets.class_weight is not None:
            rest = columns.weighted_sum(query, targets.class_weight)
        losses = targets.smoothed(losses, pool, score, rest, columns.num)
    if not isinstance(loss.mining, Everything):
        losses = losses * loss.mining(targets.plain().pay(pool, score, loss).detach())
    for term in loss.terms:
        losses = losses + targets.weighed(term(asked.facts))
    return Result(losses, asked.changes)


def scored(
    embeddings: Tensor, targets: Targets, loss: Loss, columns: Columns, memory: Memory
) -> Scored:
    """What every label scores, and what is asked of all other columns."""
    targets, embedded = targets.merged(), Embedded(embeddings)
    own = columns.own(embedded, targets.places)
    facts = pairs(embedded, own, targets, loss, columns, memory)
    now, later = updates(loss, facts, targets)
    facts = facts.after(now)

    scale = loss.scale(embedded, facts.memory)
    scales = targets.each(scale)
    rule, negative = with_numbers(loss, facts, targets)
    target = targets.toward(facts.cosine, rule(facts.cosine, facts.sample(scales)))
    if loss.score.unit_embedding and not loss.score.unit_weight:
        target = target * own.norm
    score = scales * target
    if own.offset is not None:
        score = score + own.offset

    sample, names = facts.sample(scales, target), ("cosine", "angle", "target")
    means = (lambda name=name: targets.mean(getattr(sample, name)) for name in names)
    query = Query(
        embedded.x if loss.score.unit_embedding else embeddings,
        Sample(scale, lambda: embedded.norm, *means),
        targets.names,
        negative,
        targets.pool(loss.pool),
        loss.score,
        loss.bound,
    )
    return Scored(targets, facts, score, query, {**now, **later})


@torch.no_grad()
def updates(
    loss: Loss, facts: Facts, targets: Targets
) -> tuple[dict[str, Change], dict[str, Change]]:
    """What a training batch makes of the statistics: what it already sees itself, and what it does not."""
    now: dict[str, Change] = {}
    later: dict[str, Change] = {}
    if not facts.memory.is_training or len(facts.labels) == 0:
        return now, later
    samples = targets.by_sample(facts) if loss.statistics else facts
    for statistic in loss.statistics:
        (now if statistic.is_current else later).update(statistic.update(samples))
    return now, later
