"""Penalties: the pool of the negatives against the target -> the loss of a sample."""

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from gonio.rules.ranges import AtLeastZero
from gonio.rules.reading import Checked


class Penalty(Protocol):
    """`(pool, target) -> loss`, all (batch,) and in units of the score."""

    def __call__(self, pool: Tensor, target: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Softplus(Checked):
    """The smooth hinge T log(1 + exp((pool - target) / T)); at temperature 0 the hinge itself.

    With `LogSumExp` at the same temperature 1 it is cross-entropy. It is computed by logsigmoid, which
    keeps its slope in float32 where softplus and log-sum-exp round it to 0.

    Args:
        temperature: T >= 0 in units of the score.

    Raises:
        ValueError: a negative temperature.
    """

    temperature: AtLeastZero[float] = 1.0

    def __call__(self, pool: Tensor, target: Tensor) -> Tensor:
        if self.temperature == 0:
            return (pool - target).relu()
        return -self.temperature * F.logsigmoid((target - pool) / self.temperature)


@dataclass(frozen=True)
class PoolOnly:
    """The pool itself: for negatives that have already been compared with the target."""

    def __call__(self, pool: Tensor, target: Tensor) -> Tensor:
        return pool


@dataclass(frozen=True)
class Difference:
    """pool - target: a penalty without a floor, which never stops pulling; 0 against nothing."""

    def __call__(self, pool: Tensor, target: Tensor) -> Tensor:
        return (pool - target).masked_fill(pool == -torch.inf, 0)


@dataclass(frozen=True)
class Focal(Checked):
    """Cross-entropy, the less of it the more probable the own class already is.

        (1 - p)^gamma log(1 / p),   p = 1 / (1 + exp(pool - target))

    Args:
        gamma: >= 0; at 0 it is `Softplus()`.

    Raises:
        ValueError: a negative gamma.

    Source: Lin et al., "Focal loss for dense object detection", ICCV 2017, eq. (4).
    """

    gamma: AtLeastZero[float] = 2.0

    def __call__(self, pool: Tensor, target: Tensor) -> Tensor:
        log_miss = F.logsigmoid(pool - target).clamp(min=torch.finfo(pool.dtype).min)
        return -F.logsigmoid(target - pool) * (self.gamma * log_miss).exp()


@dataclass(frozen=True)
class OneVersusRest(Checked):
    """The target and the pool each against 0, a border of their own, instead of each other.

        weight_target log(1 + e^-target) + weight_pool pool

    Args:
        weight_target: >= 0.
        weight_pool: >= 0.

    Raises:
        ValueError: a negative weight.
    """

    weight_target: AtLeastZero[float] = 1.0
    weight_pool: AtLeastZero[float] = 1.0

    def __call__(self, pool: Tensor, target: Tensor) -> Tensor:
        return -self.weight_target * F.logsigmoid(target) + self.weight_pool * pool


@dataclass(frozen=True)
class Apart:
    """log(1 + e^-target) + log(1 + e^pool): two questions, "is it near?" and "are others far?"."""

    def __call__(self, pool: Tensor, target: Tensor) -> Tensor:
        return -F.logsigmoid(target) - F.logsigmoid(-pool)
