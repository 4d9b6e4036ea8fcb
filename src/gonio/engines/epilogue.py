"""What happens to a tile between its matrix products, there and back, as two pure functions.

They run as they are, or compiled into one loop each where there is a compiler.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from gonio.engines import tile
from gonio.engines.streamed import sample_of
from gonio.rules.curve import Curve
from gonio.rules.pool import Pool, State
from gonio.rules.score import Score


class Tile(NamedTuple):
    """A tile of columns, and the products of the batch with it."""

    products: Tensor
    """(tile centers, batch)."""
    inverse: Tensor | None
    """(tile centers,) inverse norms of the weight's rows, None where they are not normalised."""
    offset: Tensor | None
    """(tile,)."""
    facts: tuple[Tensor, ...]
    """(batch,) each: of the samples, what the rule reads of them; the first is the scale."""
    own: tile.Own


class Parts(NamedTuple):
    """Of a loss, what meets a tile."""

    negative: Curve
    pool: Pool
    score: Score


class Pushed(NamedTuple):
    """The gradients of a tile. Those that nobody asked for are None."""

    products: Tensor
    """(batch, tile centers), in the dtype of the products."""
    radial: Tensor | None
    """(tile centers,): sum over the batch of cosine x gradient; None where nothing is normalised."""
    facts: tuple[Tensor | None, ...]
    """In the offset, (tile,), and in each fact of the sample, (batch,)."""


def seen(part: Tile, parts: Parts) -> State:
    """The pool's state over the negatives of a tile."""
    cosine = tile.of_classes(_scores(part), parts.score)
    sample = sample_of(part.facts)
    scores = tile.modulated(cosine, part.offset, sample, parts.negative)
    return parts.pool.fold(tile.fill_own(scores, -torch.inf, part.own))


def pushed(
    part: Tile, parts: Parts, state: State, grad: Tensor, wanted: tuple[bool, ...]
) -> Pushed:
    """From the gradient in the pool's value, those of a tile.

    `wanted` says which of the offset and the facts of the sample need one.
    """
    score = _scores(part)
    facts = (part.offset, *part.facts)

    def rule(score: Tensor, *needed: Tensor) -> Tensor:
        given = iter(needed)
        chosen: list[Any] = [
            next(given) if is_wanted else fact
            for fact, is_wanted in zip(facts, wanted, strict=True)
        ]
        offset, *rest = chosen
        cosine = tile.of_classes(score, parts.score)
        return tile.modulated(cosine, offset, sample_of(rest), parts.negative)

    needed = [fact for fact, is_wanted in zip(facts, wanted, strict=True) if is_wanted]
    scores, pull = torch.func.vjp(rule, score, *needed)  # type: ignore[misc]
    push = parts.pool.push(scores, state, grad)
    d_score, *d_needed = pull(tile.fill_own(push, 0, part.own))
    found = iter(d_needed)
    gradients = tuple(next(found) if is_wanted else None for is_wanted in wanted)
    radial = None
    if part.inverse is not None:
        d_score = d_score * part.inverse
        radial = (d_score * score).sum(dim=0)
    return Pushed(d_score.to(part.products.dtype), radial, gradients)


def _scores(part: Tile) -> Tensor:
    """(batch, tile centers): cosines, or inner products where the weight is not normalised."""
    if part.inverse is None:
        return part.products.to(part.facts[0].dtype).T
    return (part.products * part.inverse[:, None]).T
