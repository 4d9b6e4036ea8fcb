"""Every sample with each of its labels: what a quantity, a statistic or a term may know of it."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from gonio.columns.seam import Columns, Own
from gonio.engines.seam import Query
from gonio.loss import Loss
from gonio.rules.curve import Curve, reads_sample
from gonio.rules.facts import Embedded, Facts, Memory
from gonio.rules.number import replaced
from gonio.rules.pool import Pool
from gonio.rules.quantity import Quantity
from gonio.targets import Targets


def pairs(
    embedded: Embedded, own: Own, targets: Targets, loss: Loss, columns: Columns, memory: Memory
) -> Facts:
    """The facts of every sample with each of its labels.

    Args:
        embedded: (rows, dim).
        own: what they score against their own columns.
        targets: the labels.
        loss: has the score.
        columns: are asked for directions, and for pools beside the loss's own.
        memory: what the head keeps.
    """
    labels, is_one = targets.places.flatten(), targets.mass is None

    def centers() -> Tensor:
        return columns.directions(labels)

    def nearest() -> Tensor:
        found = facts.centers
        best = (facts.x.detach()[:, None] * found.detach()).sum(dim=2).argmax(dim=1)
        return found[torch.arange(len(found), device=found.device), best]

    def pool_over_columns(
        rule: Curve, pool: Pool, *, scale: float = 1.0, x: Tensor | None = None
    ) -> Tensor:
        query = Query(
            facts.x if x is None else x,
            facts.sample(torch.full_like(facts.cosine, scale)),
            labels[:, None],
            replaced(rule, Quantity, lambda quantity: column(quantity(facts))),
            pool,
            replace(loss.score, unit_embedding=True, unit_weight=True),
            None if reads_sample(rule) else scale,
            has_offset=False,
        )
        return columns.pool(query)

    facts = Facts(
        labels,
        memory,
        pool_over_columns,
        embeddings=embedded.embeddings if is_one else lambda: targets.each(embedded.embeddings),
        x=lambda: targets.each(embedded.x),
        norm=lambda: targets.each(embedded.norm),
        cosine=own.cosine,
        angle=lambda: own.angle,
        centers=centers,
        own=nearest,
    )
    return facts


def with_numbers(loss: Loss, facts: Facts, targets: Targets) -> tuple[Curve, Curve]:
    """The target rule and the negative rule, with every quantity replaced by what it is for this batch.

    Of a sample with several labels, the negatives see the mean.
    """
    if not loss.has_quantities:
        return loss.target, loss.negative
    target = replaced(loss.target, Quantity, lambda quantity: quantity(facts))
    mean = targets.mean
    return target, replaced(loss.negative, Quantity, lambda one: column(one(facts), mean))


def column(value: Tensor, mean: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """A quantity, (rows,) or (), as a constant that meets columns; the mean over labels, where it is given."""
    value = value.detach()
    if value.ndim == 0:
        return value
    return (value if mean is None else mean(value))[:, None]
