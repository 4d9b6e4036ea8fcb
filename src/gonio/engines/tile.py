"""One tile of classes: what a batch scores against them."""

from typing import NamedTuple

import torch
from torch import Tensor

from gonio.base.geometry import inverse_norms, unit
from gonio.rules import Score
from gonio.rules.curve import Curve, Rule
from gonio.rules.facts import Sample


def products(x: Tensor, weight: Tensor, score: Score) -> Tensor:
    """(batch, dim) against (tile, dim) or (tile, centers, dim) -> (batch, tile) scores."""
    centers = weight.flatten(0, -2).to(x.dtype)
    if score.unit_weight:
        centers = unit(centers)[0]
    return of_classes(x @ centers.T, score)


def lean_products(x: Tensor, weight: Tensor, score: Score) -> Tensor:
    """The same without a copy of the weight, for whoever asks for no gradient."""
    centers = weight.flatten(0, -2).to(x.dtype)
    found = x @ centers.T
    if score.unit_weight:
        found *= inverse_norms(centers, x.dtype)
    return of_classes(found, score)


def of_classes(products: Tensor, score: Score) -> Tensor:
    """(batch, tile centers) products -> (batch, tile) scores."""
    if score.centers == 1:
        return products
    batch, rows = products.shape
    return score.of_centers(products.view(batch, rows // score.centers, score.centers))


def modulated(cosine: Tensor, offset: Tensor | None, sample: Sample, rule: Curve) -> Tensor:
    """(batch, tile) scores before any rule, and (tile,) offsets -> z, (batch, tile).

    -inf where the negative rule leaves a class out.
    """
    column = sample.column()
    score = rule(cosine, column)
    is_out = score == -torch.inf if isinstance(rule, Rule) and rule.leaves_out else None
    if is_out is not None:
        score = score.masked_fill(is_out, 0)  # a scale of 0 times -inf is not a number
    score = column.scale * score
    if offset is not None:
        score = score + offset
    return score if is_out is None else score.masked_fill(is_out, -torch.inf)


def rows_of(classes: Tensor, centers: int) -> Tensor:
    """(n,) classes -> (n centers,) rows of the flattened weight that are theirs, in order."""
    center = torch.arange(centers, device=classes.device)
    return (classes[:, None] * centers + center).flatten()


class Own(NamedTuple):
    """Which columns of a tile are the own ones of each row."""

    labels: Tensor
    """(batch, k); a negative one is none."""
    whose: Tensor | None
    """(tile,) labels of the columns; None where they are `first`, `first` + 1, ..."""
    first: Tensor
    """() index of the first column."""
    mask: Tensor | None = None
    """(batch, tile) bool, where it is known already."""


def is_own(labels: Tensor, whose: Tensor | None, num: int) -> Tensor:
    """(batch, k) labels, and those of `num` columns (None: 0, 1, ...) -> (batch, num) bool."""
    if whose is None and labels.shape[1] == 1:
        whose = torch.arange(num, device=labels.device)
    if whose is not None:
        return (labels[:, :, None] == whose).any(dim=1) if labels.shape[1] > 1 else labels == whose
    is_here = (labels >= 0) & (labels < num)
    mask = torch.zeros(len(labels), num + 1, dtype=torch.bool, device=labels.device)
    return mask.scatter_(1, labels.masked_fill(~is_here, num), True)[:, :num]


def fill_own(matrix: Tensor, value: float, own: Own) -> Tensor:
    """Set, in place, what a (batch, tile) matrix holds of each sample's own columns."""
    labels, whose, first, mask = own
    if mask is not None:
        return matrix.masked_fill_(mask, value)
    size = matrix.shape[1]
    if whose is None and torch.compiler.is_compiling():  # a comparison costs nothing in a loop
        whose = first + torch.arange(size, device=labels.device)
    for label in labels.unbind(1):
        if whose is not None:
            matrix = matrix.masked_fill_(label[:, None] == whose, value)
            continue
        is_here = (label >= first) & (label < first + size)
        column = (label - first).masked_fill(~is_here, 0)[:, None]
        held = matrix.gather(1, column).masked_fill(is_here[:, None], value)
        matrix.scatter_(1, column, held)
    return matrix
