"""One tile of classes: what a batch scores against them."""

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


def fill_own(
    matrix: Tensor, value: float, labels: Tensor, whose: Tensor | None, first: Tensor
) -> Tensor:
    """Set, in place, what a (batch, tile) matrix holds of each sample's own classes.

    Args:
        matrix: (batch, tile).
        value: for the own classes.
        labels: (batch,) or (batch, k); a negative one is none.
        whose: (tile,) labels of the columns; None where they are `first`, `first` + 1, ...
        first: () index of the first column.
    """
    size = matrix.shape[1]
    if whose is None and torch.compiler.is_compiling():  # a comparison costs nothing in a loop
        whose = first + torch.arange(size, device=labels.device)
    for own in labels.unbind(1) if labels.ndim == 2 else (labels,):
        if whose is not None:
            matrix = matrix.masked_fill_(own[:, None] == whose, value)
            continue
        is_here = (own >= first) & (own < first + size)
        column = (own - first).masked_fill(~is_here, 0)[:, None]
        held = matrix.gather(1, column).masked_fill(is_here[:, None], value)
        matrix.scatter_(1, column, held)
    return matrix
