"""Penalties: the pool of the negatives against the target -> the loss of a sample."""

from dataclasses import dataclass
from typing import Protocol

import torch.nn.functional as F
from torch import Tensor

from gonio.rules.ranges import at_least_zero


class Penalty(Protocol):
    """`(pool, target) -> loss`, all (batch,) and in units of the score."""

    def __call__(self, pool: Tensor, target: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Softplus:
    """The smooth hinge T log(1 + exp((pool - target) / T)); at temperature 0 the hinge itself.

    With `LogSumExp` at the same temperature 1 it is cross-entropy. It is computed by logsigmoid, which
    keeps its slope in float32 where softplus and log-sum-exp round it to 0.

    Args:
        temperature: T >= 0 in units of the score.

    Raises:
        ValueError: a negative temperature.
    """

    temperature: float = 1.0

    def __post_init__(self) -> None:
        at_least_zero("temperature", self.temperature)

    def __call__(self, pool: Tensor, target: Tensor) -> Tensor:
        if self.temperature == 0:
            return (pool - target).relu()
        return -self.temperature * F.logsigmoid((target - pool) / self.temperature)


@dataclass(frozen=True)
class PoolOnly:
    """The pool itself: for negatives that have already been compared with the target."""

    def __call__(self, pool: Tensor, target: Tensor) -> Tensor:
        return pool
