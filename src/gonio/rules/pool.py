"""Pools: all negatives of a sample -> one number.

A pool is a commutative monoid, so tiles of classes (and later shards) can be joined in any grouping:
`fold` makes a state of tensors with a row for each sample from the scores (batch, tile), `merge` joins two states,
`value` reads the number, and `push` gives, from the gradient in the value, that in the scores. A score
of -inf takes no part.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from gonio.rules.ranges import AtLeastOne, AtLeastZero
from gonio.rules.reading import Checked

LOG2_E = 1 / math.log(2)
"""exp(x) is exp2(x LOG2_E), which is several times faster on many processors."""

RANGE = 175.0
"""log(largest / smallest) of the normal numbers of float32, rounded down."""

State = tuple[Tensor, ...]
"""What a pool remembers of the negatives it has seen; every tensor is (batch, ...)."""


class Pool(Protocol):
    """See the module's text."""

    def within(self, bound: float, num: int) -> "Pool":
        """The same pool in a cheaper form, for `num` scores in [-bound, bound] where there is one."""
        return self

    def joined(self, a: Tensor, b: Tensor) -> Tensor:
        """The value over two sets of scores, from that of each.

        Raises:
            TypeError: values do not tell it.
        """
        raise TypeError(
            f"pool: {self} of two sets is not known from its values of each; join its states"
        )

    def beside_each(self, value: Tensor, scores: Tensor) -> Tensor:
        """(n,) values and (n, k) scores -> (n, k): each with all of the row's scores but one.

        Raises:
            TypeError: it is defined for a (smooth) maximum.
        """
        raise TypeError(f"pool: {self} has no place for other labels; take a LogSumExp")

    def fold(self, scores: Tensor) -> State: ...
    def merge(self, a: State, b: State) -> State: ...
    def value(self, state: State) -> Tensor: ...
    def push(self, scores: Tensor, state: State, grad: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class LogSumExp(Checked, Pool):
    """The smooth maximum T log sum exp(score / T); at temperature 0 the maximum itself.

    max <= value <= max + T log(n) for n negatives. The slope is the softmax over the negatives; at
    temperature 0 it is shared among equal maxima. The state is the maximum and the sum of
    exp((score - maximum) / T), which at temperature 0 counts the maxima.

    Args:
        temperature: T >= 0 in units of the score.

    Raises:
        ValueError: a negative temperature.
    """

    temperature: AtLeastZero[float] = 1.0

    def within(self, bound: float, num: int) -> "Pool":
        """The same for `num` scores in [-bound, bound]: without a maximum, where float32 can do without."""
        if self.temperature == 0 or 2 * bound / self.temperature + math.log(num) >= RANGE:
            return self
        return ShiftedSumExp(self.temperature * math.log(num) / 2, self.temperature)

    def _weights(self, scores: Tensor, top: Tensor) -> Tensor:
        top = top.detach().clamp(min=torch.finfo(top.dtype).min)
        if self.temperature == 0:
            return (scores == top).to(scores.dtype)
        return ((scores - top) * (LOG2_E / self.temperature)).exp2_()

    def joined(self, a: Tensor, b: Tensor) -> Tensor:
        """As of two scores."""
        return self.value(self.fold(torch.stack([a, b], dim=1)))

    def beside_each(self, value: Tensor, scores: Tensor) -> Tensor:
        """From both sides, so that what is left out is never subtracted: linear in k."""
        is_there = scores > -torch.inf
        low = torch.finfo(scores.dtype).min / 8  # as good as -inf, with a slope that is a number
        given = scores.masked_fill(~is_there, low * min(1.0, self.temperature or 1.0))
        before = self._before(given, is_there)
        after = self._before(given.flip(1), is_there.flip(1)).flip(1)
        three = torch.stack([value[:, None].expand_as(scores), before, after], dim=2)
        return self.value(self.fold(three.flatten(0, 1))).view(scores.shape)

    def _before(self, scores: Tensor, is_there: Tensor) -> Tensor:
        """(n, k): the value over the scores before each; -inf where there are none."""
        if self.temperature == 0:
            running = scores.cummax(dim=1).values
        else:
            running = self.temperature * (scores / self.temperature).logcumsumexp(dim=1)
        has_any = is_there.cumsum(dim=1) > 0
        running = running.masked_fill(~has_any, -torch.inf)
        return F.pad(running[:, :-1], (1, 0), value=-torch.inf)

    def fold(self, scores: Tensor) -> State:
        """(batch, tile) -> maximum and sum of weights."""
        if scores.shape[1] == 0:
            return scores.new_full(scores.shape[:1], -torch.inf), scores.sum(dim=1)
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

    def push(self, scores: Tensor, state: State, grad: Tensor) -> Tensor:
        """`grad` in the shares of the negatives, (batch, tile); the shares of a sample add up to 1."""
        top, total = state
        share = grad / total.masked_fill(total == 0, 1)
        return self._weights(scores, top[:, None]).mul_(share[:, None])


@dataclass(frozen=True)
class ShiftedSumExp(Pool):
    """`LogSumExp` with a constant in the place of the maximum: c + T log sum exp((score - c) / T).

    Without a maximum, sums of tiles and of ranks are added in any order. The state is the sum.

    Args:
        shift: c, in units of the score.
        temperature: T > 0, likewise.
    """

    shift: float
    temperature: float

    def _weights(self, scores: Tensor) -> Tensor:
        return ((scores - self.shift) * (LOG2_E / self.temperature)).exp2_()

    def fold(self, scores: Tensor) -> State:
        """(batch, tile) -> the sum."""
        return (self._weights(scores).sum(dim=1),)

    def merge(self, a: State, b: State) -> State:
        """Add."""
        return (a[0] + b[0],)

    def value(self, state: State) -> Tensor:
        """(batch,); -inf where there was no negative."""
        return self.shift + self.temperature * state[0].log()

    def push(self, scores: Tensor, state: State, grad: Tensor) -> Tensor:
        """`grad` in the shares of the negatives, (batch, tile).

        The shares come first: the sum may be so small that `grad` divided by it would overflow.
        """
        total = state[0].masked_fill(state[0] == 0, 1)
        return self._weights(scores).div_(total[:, None]).mul_(grad[:, None])


@dataclass(frozen=True)
class Sum(Pool):
    """The plain sum over negatives: with a hinge for each, the multi-class hinge loss."""

    def joined(self, a: Tensor, b: Tensor) -> Tensor:
        """Add."""
        return a + b

    def fold(self, scores: Tensor) -> State:
        """(batch, tile) -> the sum."""
        return (scores.masked_fill(scores == -torch.inf, 0).sum(dim=1),)

    def merge(self, a: State, b: State) -> State:
        """Add."""
        return (a[0] + b[0],)

    def value(self, state: State) -> Tensor:
        """(batch,); 0 where there was no negative."""
        return state[0]

    def push(self, scores: Tensor, state: State, grad: Tensor) -> Tensor:
        """`grad` for every negative, (batch, tile)."""
        return (scores > -torch.inf) * grad[:, None]


@dataclass(frozen=True)
class SoftplusSum(Pool):
    """The sum of log(1 + exp(score)): every negative is a binary question of its own."""

    def joined(self, a: Tensor, b: Tensor) -> Tensor:
        """Add."""
        return a + b

    def fold(self, scores: Tensor) -> State:
        """(batch, tile) -> the sum."""
        return (-F.logsigmoid(-scores).sum(dim=1),)

    def merge(self, a: State, b: State) -> State:
        """Add."""
        return (a[0] + b[0],)

    def value(self, state: State) -> Tensor:
        """(batch,); 0 where there was no negative."""
        return state[0]

    def push(self, scores: Tensor, state: State, grad: Tensor) -> Tensor:
        """`grad` in the sigmoid of each score, (batch, tile)."""
        return scores.sigmoid().mul_(grad[:, None])


@dataclass(frozen=True)
class Mean(Pool):
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

    def push(self, scores: Tensor, state: State, grad: Tensor) -> Tensor:
        """`grad` / n for each of n negatives, (batch, tile)."""
        return (scores > -torch.inf) * (grad / state[1].clamp(min=1))[:, None]


@dataclass(frozen=True)
class KthLargest(Checked, Pool):
    """The k-th largest negative, -inf where there are fewer. Its slope is shared among equals.

    The state is the k largest, and how many negatives equal the last of them.

    Args:
        k: >= 1.

    Raises:
        ValueError: k below 1.
    """

    k: AtLeastOne[int]

    def fold(self, scores: Tensor) -> State:
        """(batch, tile) -> the k largest, the largest first, and how often the last of them."""
        best = self._largest(scores)
        return best, (scores == best[:, -1:]).sum(dim=1)

    def merge(self, a: State, b: State) -> State:
        """The k largest of both. What equals their last is the last of a state, or above it."""
        best = self._largest(torch.cat([a[0], b[0]], dim=1))
        last = best[:, -1:]
        times = [
            torch.where(top[:, -1] == best[:, -1], count, (top == last).sum(dim=1))
            for top, count in (a, b)
        ]
        return best, times[0] + times[1]

    def _largest(self, scores: Tensor) -> Tensor:
        best = scores.topk(min(self.k, scores.shape[1]), dim=1).values
        return F.pad(best, (0, self.k - best.shape[1]), value=-torch.inf)

    def value(self, state: State) -> Tensor:
        """(batch,)."""
        return state[0][:, -1]

    def push(self, scores: Tensor, state: State, grad: Tensor) -> Tensor:
        """`grad` shared among the negatives that equal the k-th largest, 0 elsewhere: (batch, tile)."""
        share = grad / state[1].clamp(min=1)
        last = self.value(state).clamp(min=torch.finfo(scores.dtype).min)
        return (scores == last[:, None]) * share[:, None]


@dataclass(frozen=True)
class WithSum(Pool):
    """A pool, and beside it the sum of the same negatives: (batch, 2) values in one pass.

    Label smoothing needs both.
    """

    pool: Pool

    def within(self, bound: float, num: int) -> "Pool":
        """As the pool itself."""
        return WithSum(self.pool.within(bound, num))

    def fold(self, scores: Tensor) -> State:
        """(batch, tile) -> the state of the pool, and the sum."""
        return *self.pool.fold(scores), *Sum().fold(scores)

    def merge(self, a: State, b: State) -> State:
        """Each with its like."""
        return *self.pool.merge(a[:-1], b[:-1]), a[-1] + b[-1]

    def value(self, state: State) -> Tensor:
        """(batch, 2)."""
        return torch.stack([self.pool.value(state[:-1]), state[-1]], dim=1)

    def push(self, scores: Tensor, state: State, grad: Tensor) -> Tensor:
        """(batch, 2) gradients -> (batch, tile)."""
        pushed = self.pool.push(scores, state[:-1], grad[:, 0])
        return pushed.add_(Sum().push(scores, state[-1:], grad[:, 1]))
