"""Classes that push little are drawn for the backward pass: fewer products, and right on average.

The push on class j is m_j = sum_i |d_ij|, d_ij the gradient in the cosine of sample i with it. A class
takes part with a chance of

    p_j = min(1, m_j / t),     t = sum_j m_j / (rate classes)

and then with its gradients divided by p_j. On average over the draws that is the gradient itself, and at most
rate x classes take part. The sum of all m_j is known before any of them, because the shares of a sample
add up to 1: one pass is enough.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from gonio.negatives.compaction import Compacted, is_plain


class Thinned(NamedTuple):
    """What is left of the gradients of a tile."""

    rows: Tensor
    """(kept,) of the tile, ascending."""
    products: Tensor
    """(batch, kept), in the products."""
    along: Tensor | None
    """(kept,); see `gonio.negatives.products`."""


def push_threshold(some: Compacted, rate: float) -> Tensor | None:
    """(): the push from which on a row of the weight surely takes part; None where all do."""
    request = some.request
    if rate == 1 or not is_plain(request):
        return None
    num_rows = len(request.classes.weight.flatten(0, -2))
    return (request.sample.scale * some.grad.abs()).sum() / (rate * num_rows)


def thinned(products: Tensor, along: Tensor | None, inverse: Tensor, threshold: Tensor) -> Thinned:
    """Draw rows of a tile, by torch's global generator.

    Args:
        products: (batch, tile) gradient in the products.
        along: (tile,).
        inverse: (tile,) inverse norms of the weight's rows.
        threshold: ().
    """
    # not a number for a weight of 0, which never takes part
    push = products.abs().sum(dim=0, dtype=threshold.dtype) / inverse
    above_zero = 1 - torch.rand_like(push)  # or the smallest push could take part, and overflow
    rows = (threshold * above_zero < push).nonzero()[:, 0]
    factor = (threshold / push[rows]).clamp(min=1)
    kept = (products.T[rows] * factor[:, None]).to(products.dtype)
    return Thinned(rows, kept.T, None if along is None else along[rows] * factor)
