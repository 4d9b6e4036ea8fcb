"""Pools: all negatives of a sample -> one number.

A pool is a commutative monoid, so tiles of classes (and later shards) can be joined in any grouping:
`fold` makes a state of tensors with a row for each sample from the scores (batch, tile), `merge` joins two states,
`value` reads the number, and `slope` gives d value / d scores. A score of -inf takes no part.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from gonio.rules.ranges import at_least_zero

State = tuple[Tensor, ...]
"""What a pool remembers of the negatives it has seen; every tensor is (batch, ...)."""


class Pool(Protocol):
    """See the module's text."""

    def fold(self, scores: Tensor) -> State: ...
    def merge(self, a: State, b: State) -> State: ...
    def value(self, state: State) -> Tensor: ...
    def slope(self, scores: Tensor, state: State) -> Tensor: ...


@dataclass(frozen=True)
class LogSumExp:
    """The smooth maximum T log sum exp(score / T); at temperature 0 the maximum itself.

    max <= value <= max + T log(n) for n negatives. The slope is the softmax over the negatives; at
    temperature 0 it is shared among equal maxima. The state is the maximum and the sum of
    exp((score - maximum) / T), which at temperature 0 counts the maxima.

    Args:
        temperature: T >= 0 in units of the score.

    Raises:
        ValueError: a negative temperature.
    """

    temperature: float = 1.0

    def __post_init__(self) -> None:
        at_least_zero("temperature", self.temperature)

    def _weights(self, scores: Tensor, top: Tensor) -> Tensor:
        top = top.detach().clamp(min=torch.finfo(top.dtype).min)
        if self.temperature == 0:
            return (scores == top).to(scores.dtype)
        return ((scores - top) / self.temperature).exp()

    def fold(self, scores: Tensor) -> State:
        """(batch, tile) -> maximum and sum of weights."""
        top = scores.amax(dim=1)
        return top, self._weights(scores, top[:, None]).sum(dim=1)

    def merge(self, a: State, b: State) -> State:
        """Raise both sums to the common maximum and add."""
        top = torch.maximum(a[0], b[0])
        return top, a[1] * self._weights(a[0], top) + b[1] * self._weights(b[0], top)

    def value(self, state: State) -> Tensor:
        """(batch,); -inf where there was no negative."""
        top, total = state
        if self.temperature == 0:
            return top
        is_empty = total == 0
        log = total.masked_fill(is_empty, 1).log()
        value = top.detach() + self.temperature * log
        return value.masked_fill(is_empty, -torch.inf)

    def slope(self, scores: Tensor, state: State) -> Tensor:
        """The share of each negative, (batch, tile); the shares of a sample add up to 1."""
        top, total = state
        return self._weights(scores, top[:, None]) / total.masked_fill(total == 0, 1)[:, None]


@dataclass(frozen=True)
class Sum:
    """The plain sum over negatives: with a hinge for each, the multi-class hinge loss."""

    def fold(self, scores: Tensor) -> State:
        """(batch, tile) -> the sum."""
        return (scores.masked_fill(scores == -torch.inf, 0).sum(dim=1),)

    def merge(self, a: State, b: State) -> State:
        """Add."""
        return (a[0] + b[0],)

    def value(self, state: State) -> Tensor:
        """(batch,); 0 where there was no negative."""
        return state[0]

    def slope(self, scores: Tensor, state: State) -> Tensor:
        """1 for every negative, (batch, tile)."""
        return (scores > -torch.inf).to(scores.dtype)


@dataclass(frozen=True)
class SoftplusSum:
    """The sum of log(1 + exp(score)): every negative is a binary question of its own."""

    def fold(self, scores: Tensor) -> State:
        """(batch, tile) -> the sum."""
        return (-F.logsigmoid(-scores).sum(dim=1),)

    def merge(self, a: State, b: State) -> State:
        """Add."""
        return (a[0] + b[0],)

    def value(self, state: State) -> Tensor:
        """(batch,); 0 where there was no negative."""
        return state[0]

    def slope(self, scores: Tensor, state: State) -> Tensor:
        """The sigmoid of each score, (batch, tile)."""
        return scores.sigmoid()


@dataclass(frozen=True)
class Mean:
    """The mean of the negatives that take part; 0 where there is none."""

    def fold(self, scores: Tensor) -> State:
        """(batch, tile) -> the sum and how many there were."""
        is_out = scores == -torch.inf
        return scores.masked_fill(is_out, 0).sum(dim=1), (~is_out).sum(dim=1).to(scores.dtype)

    def merge(self, a: State, b: State) -> State:
        """Add."""
        return a[0] + b[0], a[1] + b[1]

    def value(self, state: State) -> Tensor:
        """(batch,)."""
        return state[0] / state[1].clamp(min=1)

    def slope(self, scores: Tensor, state: State) -> Tensor:
        """1 / n for each of n negatives, (batch, tile)."""
        return (scores > -torch.inf) / state[1].clamp(min=1)[:, None]


@dataclass(frozen=True)
class KthLargest:
    """The k-th largest negative, -inf where there are fewer; the state is the k largest.

    Args:
        k: >= 1.

    Raises:
        ValueError: k below 1.
    """

    k: int

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ValueError(f"k: {self.k} is below 1")

    def fold(self, scores: Tensor) -> State:
        """(batch, tile) -> (batch, k), the largest first."""
        best = scores.topk(min(self.k, scores.shape[1]), dim=1).values
        return (F.pad(best, (0, self.k - best.shape[1]), value=-torch.inf),)

    def merge(self, a: State, b: State) -> State:
        """The k largest of both."""
        return self.fold(torch.cat([a[0], b[0]], dim=1))

    def value(self, state: State) -> Tensor:
        """(batch,)."""
        return state[0][:, -1]

    def slope(self, scores: Tensor, state: State) -> Tensor:
        """1 where a score is the k-th largest and 0 elsewhere, (batch, tile)."""
        return (scores == self.value(state)[:, None]).to(scores.dtype)
