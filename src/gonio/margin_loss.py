"""The equation, computed: from embeddings, class weights and labels to the loss of each sample."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from gonio.base.geometry import angle_between, angle_of, unit
from gonio.engines.seam import Classes, Negatives
from gonio.loss import Loss
from gonio.ranks import place_of_rows
from gonio.rules import Fixed, Quantity, WithSum
from gonio.rules.curve import Curve
from gonio.rules.facts import Change, Facts, Memory, Sample
from gonio.rules.number import replaced
from gonio.rules.pool import Pool
from gonio.rules.state import Statistic, parts
from gonio.targets import Targets

T = TypeVar("T")


class Result(NamedTuple):
    """What a batch comes to."""

    losses: Tensor
    """(batch,), in nats."""
    changes: Mapping[str, Change] = {}
    """What becomes of the running statistics."""


def margin_loss(
    embeddings: Tensor,
    classes: Classes,
    targets: Targets,
    loss: Loss,
    negatives: Negatives,
    memory: Memory = Memory(),  # noqa: B008
) -> Result:
    """The equation, sample by sample.

    A sample with several labels pays for each of them in proportion to its mass p, the others standing
    among its negatives; and the margin of a label is weighted by its mass too:

        loss_i = sum_k p_k penalty( pool of the negatives and of z_il for l != k,   z_ik )
        z_ik = s_i (c_ik + p_k (target(c_ik) - c_ik)) + offset_k

    What a negative rule reads of such a sample is the mean over its labels, weighted by mass.

    Args:
        embeddings: (batch, dim), in the dtype to compute in, float32 or float64.
        classes: weight and offset.
        targets: the labels.
        loss: without schedules (`Loss.at`) and bound to the number of classes (`Loss.bind`).
        negatives: the backend.
        memory: what the head keeps.

    Returns:
        (batch,) losses in nats, and what becomes of the statistics.
    """
    labels, mass = _merged(targets)
    per_sample = labels.shape[1]
    rows, weight = _Peel.apply(classes.weight, labels.clamp(min=0).flatten(), negatives)  # type: ignore[no-untyped-call]
    classes = classes._replace(weight=weight)
    batch, own_norm = _batch(embeddings, rows, classes, labels, loss, negatives, memory)
    now, later = updates(loss, _mean_facts(batch, mass, per_sample))
    memory = memory.after(now)
    batch = batch._replace(memory=memory)

    scale = loss.scale(batch.norm, memory)
    sample = Sample(scale, batch.norm, batch.cosine, batch.angle, batch.cosine)
    target = _with_numbers(loss.target, batch)(batch.cosine, sample)
    if mass is not None:
        target = batch.cosine + mass.flatten() * (target - batch.cosine)
    if loss.score.unit_embedding and not loss.score.unit_weight:
        target = target * own_norm
    sample = sample._replace(target=target)
    own = scale * target
    if classes.offset is not None:
        own = own + classes.offset[batch.labels]
    own = own.view(labels.shape).masked_fill(labels < 0, -torch.inf)

    loss = replace(loss, negative=_with_columns(loss.negative, batch, mass, per_sample))
    sample = Sample(*(_mean(fact, mass, per_sample) for fact in sample))
    x = batch.x[::per_sample] if loss.score.unit_embedding else embeddings
    if targets.smoothing:
        both = replace(loss, pool=WithSum(loss.pool))
        pool, rest = negatives(x, classes, sample, labels, both).unbind(dim=1)
        mine = own.masked_fill(labels < 0, 0)
        held = mine if mass is None else mass * mine
        spread = held.sum(dim=1) - (mine.sum(dim=1) + rest) / len(classes.weight)
        losses = mass_weighted(pool, own, mass, loss) + targets.smoothing * spread
    else:
        pool = negatives(x, classes, sample, labels, loss)
        losses = mass_weighted(pool, own, mass, loss)
    losses = losses * loss.mining(losses.detach())
    for term in loss.terms:
        losses = losses + _mean(term(batch), mass, per_sample)
    return Result(losses, {**now, **later})


def mass_weighted(pool: Tensor, own: Tensor, mass: Tensor | None, loss: Loss) -> Tensor:
    """(batch,) pools and (batch, k) scores of labels -> (batch,) losses; -inf is no label."""
    if mass is None:
        return loss.penalty(pool, own[:, 0])
    is_rival = loss.pairing.positives == "rivals"
    losses = torch.zeros_like(pool)
    for k in range(own.shape[1]):
        others = torch.cat([own[:, :k], own[:, k + 1 :]], dim=1)
        rivals = torch.cat([pool[:, None], others], dim=1)
        against = loss.pool.value(loss.pool.fold(rivals)) if is_rival else pool
        is_none = own[:, k] == -torch.inf
        cost = loss.penalty(against, own[:, k].masked_fill(is_none, 0))
        losses = losses + (mass[:, k] * cost).masked_fill(is_none, 0)
    return losses


@torch.no_grad()
def updates(loss: Loss, facts: Facts) -> tuple[dict[str, Change], dict[str, Change]]:
    """What a training batch makes of the statistics: what it already sees itself, and what it does not."""
    now: dict[str, Change] = {}
    later: dict[str, Change] = {}
    statistics = [part for part in parts(loss) if isinstance(part, Statistic)]
    if not statistics or not facts.memory.is_training or place_of_rows(facts.cosine)[1] == 0:
        return now, later
    for statistic in statistics:
        (now if statistic.is_current else later).update(statistic.update(facts))
    return now, later


def _merged(targets: Targets) -> tuple[Tensor, Tensor | None]:
    """Each label of a sample once, with all of its mass; -1 for a label without mass."""
    labels, mass = targets.labels, targets.mass
    if mass is None:
        return labels, None
    is_same = labels[:, :, None] == labels[:, None, :]
    total = (is_same * mass[:, None, :]).sum(dim=2)
    is_first = is_same.int().argmax(dim=2) == torch.arange(labels.shape[1], device=labels.device)
    is_label = is_first & (total > 0)
    return labels.masked_fill(~is_label, -1), total.masked_fill(~is_label, 0)


def _batch(
    embeddings: Tensor,
    rows: Tensor,
    classes: Classes,
    labels: Tensor,
    loss: Loss,
    negatives: Negatives,
    memory: Memory,
) -> tuple[Facts, Tensor]:
    """The facts of every (sample, label), and the norms of the own classes' weights."""
    x, norm = unit(embeddings)
    if labels.shape[1] > 1:
        embeddings, x, norm = (
            fact.repeat_interleave(labels.shape[1], dim=0) for fact in (embeddings, x, norm)
        )
    rows = rows.to(x.dtype)
    directions, norms = unit(rows.flatten(0, -2))
    centers = directions.view(len(x), loss.score.centers, x.shape[1])
    own, own_norm = centers[:, 0], norms
    if loss.score.centers > 1:
        to_centers = (x[:, None] * centers).sum(dim=2)
        own = centers[torch.arange(len(x), device=x.device), to_centers.detach().argmax(dim=1)]
    if loss.score.centers > 1 and loss.score.temperature > 0:
        cosine = loss.score.of_centers(to_centers)
        angle = angle_of(cosine)
    else:
        cosine = (x * own if loss.score.unit_embedding else embeddings * rows).sum(dim=1)
        angle = angle_between(x, own)

    def sweep(rule: Curve, pool: Pool, *, scale: float = 1.0, x: Tensor | None = None) -> Tensor:
        query = _query(_with_columns(rule, batch, None, 1), pool, scale, loss)
        sample = Sample(torch.full_like(norm, scale), norm, cosine, angle, cosine)
        directions = batch.x if x is None else x
        return negatives(directions, Classes(classes.weight), sample, batch.labels, query)

    flat = labels.clamp(min=0).flatten()
    batch = Facts(flat, embeddings, x, own, centers, norm, cosine, angle, memory, sweep)
    return batch, own_norm


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _query(rule: Curve, pool: Pool, scale: float, loss: Loss) -> Loss:
    """A loss that asks for one pool of the cosines with the classes of another."""
    score = replace(loss.score, unit_embedding=True, unit_weight=True)
    return Loss(Fixed(scale), negative=rule, pool=pool, score=score)


def _with_numbers(part: T, batch: Facts) -> T:
    """A part with every quantity in it replaced by (rows,) or () numbers."""
    return replaced(part, Quantity, lambda quantity: quantity(batch))


def _with_columns(rule: Curve, batch: Facts, mass: Tensor | None, per_sample: int) -> Curve:
    """A negative rule with every quantity replaced by (batch, 1) or () constants."""

    def column(quantity: Quantity) -> Tensor:
        value = quantity(batch).detach()
        return _mean(value, mass, per_sample)[:, None] if value.ndim else value

    return replaced(rule, Quantity, column)


def _mean(rows: Tensor, mass: Tensor | None, per_sample: int) -> Tensor:
    """(rows,) -> (batch,): the mean over the labels of a sample, weighted by mass."""
    if mass is None:
        return rows
    by_label = rows.view(-1, per_sample).masked_fill(mass == 0, 0)  # 0 inf is not 0
    return (by_label * mass).sum(dim=1)


def _mean_facts(batch: Facts, mass: Tensor | None, per_sample: int) -> Facts:
    """One row for each sample: that of its heaviest label, with the mean cosine and angle."""
    if mass is None:
        return batch
    heaviest = mass.argmax(dim=1) + per_sample * torch.arange(len(mass), device=mass.device)
    return batch._replace(
        labels=batch.labels[heaviest],
        embeddings=batch.embeddings[heaviest],
        x=batch.x[heaviest],
        own=batch.own[heaviest],
        centers=batch.centers[heaviest],
        norm=batch.norm[heaviest],
        cosine=_mean(batch.cosine, mass, per_sample),
        angle=_mean(batch.angle, mass, per_sample),
        pool_over_columns=lambda rule, pool, *, scale=1.0, x=None: _mean(
            batch.pool_over_columns(rule, pool, scale=scale, x=x), mass, per_sample
        ),
    )


class _Peel(torch.autograd.Function):
    """(classes, ...), (rows,) -> the rows of the own classes, and the weight itself.

    The weight goes on to the negatives through this node, so that backward receives their dense
    gradient and adds the own classes' rows to it: into the same buffer, if the backend says by
    `hands_over_gradient` that nobody else holds it. Indexing alone would make autograd fill a second
    buffer of the weight's size. Where the backend has handed the gradient to an `Update` piece by piece,
    there is no dense one, and the rows follow the pieces.
    """

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, labels: Tensor, negatives: Negatives
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(labels)
        ctx.is_ours = getattr(negatives, "hands_over_gradient", False)
        ctx.update = getattr(negatives, "update", None)
        ctx.set_materialize_grads(ctx.update is None)
        return weight[labels], weight.view_as(weight)

    @staticmethod
    def backward(
        ctx: Any, rows: Tensor | None, dense: Tensor | None
    ) -> tuple[Tensor | None, None, None]:
        (labels,) = ctx.saved_tensors
        if ctx.update is not None:
            ctx.update.finish(labels, rows)
            return None, None, None
        assert rows is not None
        assert dense is not None
        add = dense.index_add_ if ctx.is_ours and not torch.is_grad_enabled() else dense.index_add
        return add(0, labels, rows), None, None
