"""Classes that push little are drawn for the backward pass: fewer products, and right on average.

The push on class j is m_j = sum_i |d_ij|, d_ij the gradient in the cosine of sample i with it. A class
takes part with a chance of

    p_j = min(1, m_j / t),     t = sum_j m_j / (rate classes)

and then with its gradients divided by p_j. On average over the draws that is the gradient itself, and at most
rate x classes take part. The sum of all m_j is known before any of them, because the shares of a sample
add up to 1: one pass is enough.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from gonio.negatives.compaction import Compacted, is_plain
from gonio.negatives.epilogue import Pushed


class Thinned(NamedTuple):
    """What is left of the gradients of a tile."""

    rows: Tensor
    """(kept,) of the tile, ascending."""
    products: Tensor
    """(batch, kept), in the products."""
    along: Tensor | None
    """(kept,); see `gonio.negatives.products`."""


@dataclass(frozen=True)
class Thinning:
    """Draws the rows of the weight, tile by tile, that take part in a backward pass."""

    threshold: Tensor
    """(): the push t from which on a row surely takes part."""
    generator: torch.Generator

    def of(self, push: Pushed, inverse: Tensor) -> Thinned:
        """A tile's part; `inverse` are the (tile,) inverse norms of the weight's rows."""
        # not a number for a weight of 0, which never takes part
        sums = push.products.abs().sum(dim=0, dtype=self.threshold.dtype) / inverse
        draw = torch.rand(
            sums.shape, generator=self.generator, dtype=sums.dtype, device=sums.device
        )
        above_zero = 1 - draw  # at 0 the smallest push could take part, and overflow
        rows = (self.threshold * above_zero < sums).nonzero()[:, 0]
        factor = (self.threshold / sums[rows]).clamp(min=1)
        kept = (push.products.T[rows] * factor[:, None]).to(push.products.dtype)
        return Thinned(rows, kept.T, None if push.along is None else push.along[rows] * factor)


def push_threshold(some: Compacted, rate: float) -> Tensor | None:
    """(): from which push on a row of the weight surely takes part; None where all do."""
    request = some.request
    if not is_plain(request):
        return None
    num_rows = len(request.classes.weight.flatten(0, -2))
    return (request.sample.scale * some.grad.abs()).sum() / (rate * num_rows)
