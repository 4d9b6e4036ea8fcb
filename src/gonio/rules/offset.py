"""Offsets: what is added to the score of each class after the scale.

    z_j = scale rule(score_j) + offset_j

for the own class as for all others.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor

from gonio.rules.facts import Memory
from gonio.rules.ranges import AtLeastZero, Finite, Positive
from gonio.rules.reading import Checked
from gonio.rules.state import Sizes, State, Stateful


class Offset(Protocol):
    """A frozen dataclass: what the head keeps -> offsets, or None for no offset.

    They are (classes,), or () where all share one; only the latter can stand beside a batch.
    """

    def __call__(self, memory: Memory) -> Tensor | None:
        """While training."""

    def after_training(self, memory: Memory) -> Tensor | None:
        """In plain logits."""


@dataclass(frozen=True)
class NoOffset:
    """Nothing is added."""

    def __call__(self, memory: Memory) -> None:
        return None

    after_training = __call__


@dataclass(frozen=True)
class Bias(Stateful):
    """A learned number for each class, which begins at 0."""

    def states(self, sizes: Sizes) -> Mapping[str, State]:
        """`bias`."""
        return {"bias": State((sizes.num_classes,), 0.0, is_learned=True)}

    def __call__(self, memory: Memory) -> Tensor:
        return memory.read("bias")

    after_training = __call__


@dataclass(frozen=True)
class LogPrior(Checked, Stateful):
    """How frequent each class is in training: tau log(n_j / sum n), beside a learned bias.

    Args:
        temperature: tau >= 0; 1 makes the logits without the offset those of a balanced world.
        has_bias: whether a learned number for each class is added too.

    Raises:
        ValueError: a negative temperature, or a class without a training sample.

    Source: Menon et al., "Long-tail learning via logit adjustment", ICLR 2021, eq. (10).
    """

    temperature: AtLeastZero[float] = 1.0
    has_bias: bool = False

    def states(self, sizes: Sizes) -> Mapping[str, State]:
        """`log_prior`, and `bias`."""
        counts = sizes.known_counts("a log-prior").double()
        if bool((counts <= 0).any()):
            empty = int((counts <= 0).nonzero()[0])
            raise ValueError(
                f"class_counts: class {empty} has no sample, and the logarithm of its frequency is "
                "-inf; leave it out, or give it a count of 1"
            )
        prior = self.temperature * (counts / counts.sum()).log()
        kept = {"log_prior": State((sizes.num_classes,), prior)}
        return kept | (dict(Bias().states(sizes)) if self.has_bias else {})

    def __call__(self, memory: Memory) -> Tensor:
        prior = memory.read("log_prior")
        return prior + memory.read("bias") if self.has_bias else prior

    def after_training(self, memory: Memory) -> Tensor | None:
        """Without the prior."""
        return memory.read("bias") if self.has_bias else None


class Start(Protocol):
    """A frozen dataclass: the number of classes -> the first value of a threshold."""

    def __call__(self, num_classes: int) -> float: ...


@dataclass(frozen=True)
class LogClasses(Checked):
    """log(factor C): where one sigmoid of a perfect sample balances those of C classes.

    Args:
        factor: > 0.
    """

    factor: Positive[float] = 1.0

    def __call__(self, num_classes: int) -> float:
        return math.log(self.factor * num_classes)


@dataclass(frozen=True)
class Threshold(Checked, Stateful):
    """One learned number b for all classes, the border between "this class" and "not this class".

        offset_j = sign b

    Args:
        start: the first value of b, a number or a formula of the number of classes.
        sign: 1 or -1.
    """

    start: Finite[float] | Start
    sign: Literal[-1, 1] = 1

    def states(self, sizes: Sizes) -> Mapping[str, State]:
        """`threshold`."""
        start = self.start if isinstance(self.start, int | float) else self.start(sizes.num_classes)
        return {"threshold": State((), start, is_learned=True)}

    def __call__(self, memory: Memory) -> Tensor:
        return self.sign * memory.read("threshold")

    def after_training(self, memory: Memory) -> None:
        """A number that all classes share changes no comparison."""
        return
