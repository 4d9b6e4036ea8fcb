"""What happens to a tile between its matrix products, there and back, as two pure functions.

They run as they are, or compiled into one loop each where there is a compiler.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from gonio.engines import tile
from gonio.loss import Loss
from gonio.rules.facts import Sample
from gonio.rules.pool import Pool, State


class Tile(NamedTuple):
    """A tile of classes, and the products of the batch with it."""

    products: Tensor
    """(tile centers, batch)."""
    inverse: Tensor | None
    """(tile centers,) inverse norms of the weight's rows, None where they are not normalised."""
    offset: Tensor | None
    """(tile,)."""
    whose: Tensor | None
    """(tile,) labels of the columns; None where they are `first`, `first` + 1, ..."""
    first: Tensor
    """() int64, index of the first class."""


class Pushed(NamedTuple):
    """The gradients of a tile. Those that nobody asked for are None."""

    products: Tensor
    """(batch, tile centers), in the dtype of the products."""
    along: Tensor | None
    """(tile centers,): sum over the batch of cosine x gradient; None where nothing is normalised."""
    facts: tuple[Tensor | None, ...]
    """In the offset, (tile,), and in each field of the sample, (batch,)."""


def seen(part: Tile, sample: Sample, labels: Tensor, loss: Loss, pool: Pool) -> State:
    """The pool's state over the negatives of a tile."""
    cosine = tile.of_classes(_scores(part, sample), loss.score)
    scores = tile.modulated(cosine, part.offset, sample, loss.negative)
    return pool.fold(tile.fill_own(scores, -torch.inf, labels, part.whose, part.first))


def pushed(
    part: Tile,
    sample: Sample,
    labels: Tensor,
    loss: Loss,
    pool: Pool,
    state: State,
    grad: Tensor,
    wanted: tuple[bool, ...],
) -> Pushed:
    """From the gradient in the pool's value, those of a tile.

    `wanted` says which of the offset and the fields of the sample need one.
    """
    score = _scores(part, sample)
    facts = (part.offset, *sample)

    def rule(score: Tensor, *needed: Tensor) -> Tensor:
        given = iter(needed)
        chosen: list[Any] = [
            next(given) if is_wanted else fact
            for fact, is_wanted in zip(facts, wanted, strict=True)
        ]
        offset, *rest = chosen
        cosine = tile.of_classes(score, loss.score)
        return tile.modulated(cosine, offset, Sample(*rest), loss.negative)

    needed = [fact for fact, is_wanted in zip(facts, wanted, strict=True) if is_wanted]
    scores, pull = torch.func.vjp(rule, score, *needed)  # type: ignore[misc]
    push = pool.push(scores, state, grad)
    d_score, *d_needed = pull(tile.fill_own(push, 0, labels, part.whose, part.first))
    found = iter(d_needed)
    gradients = tuple(next(found) if is_wanted else None for is_wanted in wanted)
    along = None
    if part.inverse is not None:
        d_score = d_score * part.inverse
        along = (d_score * score).sum(dim=0)
    return Pushed(d_score.to(part.products.dtype), along, gradients)


def _scores(part: Tile, sample: Sample) -> Tensor:
    """(batch, tile centers): cosines, or inner products where the weight is not normalised."""
    if part.inverse is None:
        return part.products.to(sample.scale.dtype).T
    return (part.products * part.inverse[:, None]).T
