"""Curves: elementwise changes of a cosine, for the own class as well as for the others.

A rule maps `(cosine, sample) -> cosine`. For the own class all is (batch,); for the others the cosine
is (batch, tile) and the fields of `sample` are (batch, 1), so the rule runs unchanged on the whole
matrix and on any tile of it.
"""

import contextlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from gonio.rules.facts import Sample
from gonio.rules.number import Number, resolved, typical
from gonio.rules.ranges import AtLeastOne, AtLeastZero
from gonio.rules.reading import Checked


class Curve(Protocol):
    """What a loss accepts as a rule: any frozen dataclass that is called so. What it reads is watched."""

    def __call__(self, cosine: Tensor, sample: Sample) -> Tensor: ...


class Rule(ABC):
    """A frozen dataclass: elementwise, `(cosine, sample) -> cosine`."""

    @property
    def is_angular(self) -> bool:
        """Whether it is made for angles, so that it makes no sense of inner products."""
        return False

    @property
    def reads_sample(self) -> bool:
        """Whether it asks for anything but the cosine."""
        return True

    @property
    def leaves_out(self) -> bool:
        """Whether it takes classes out of the pool, by a score of -inf."""
        return False

    @abstractmethod
    def __call__(self, cosine: Tensor, sample: Sample) -> Tensor:
        """Shapes: (batch,) all, or (batch, tile) and samples of (batch, 1)."""


def is_angular(rule: Curve) -> bool:
    """Whether a rule makes sense of angles alone; one of the user's own is watched while it runs once."""
    if isinstance(rule, Rule):
        return rule.is_angular
    half, asked = torch.full((1,), 0.5), []

    def angle() -> Tensor:
        asked.append(rule)
        return half

    with contextlib.suppress(Exception):  # it fails later, where it is used
        typical(rule)(half, Sample(half, half, half, angle, half))
    return bool(asked)


def reads_sample(rule: Curve) -> bool:
    """Whether a rule may ask for anything but the cosine."""
    return rule.reads_sample if isinstance(rule, Rule) else True


@dataclass(frozen=True)
class AsIs(Rule):
    """Leave the cosine as it is: no margin, no modulation."""

    @property
    def reads_sample(self) -> bool:
        """No."""
        return False

    def __call__(self, cosine: Tensor, sample: Sample) -> Tensor:
        return cosine


@dataclass(frozen=True)
class Subtract(Checked, Rule):
    """Subtract a margin: target = cosine - margin.

    Slope 1 everywhere. `Subtract(0)` changes nothing.

    Args:
        margin: in units of the cosine (of the inner product, for plain softmax); >= 0.

    Raises:
        ValueError: a negative margin.

    Source: Wang et al., "Additive Margin Softmax", 2018, eq. (5).
    """

    margin: AtLeastZero[Number]

    def __call__(self, cosine: Tensor, sample: Sample) -> Tensor:
        return cosine - resolved(self.margin)


@dataclass(frozen=True)
class Add(Checked, Rule):
    """Add a margin: score = cosine + margin, which makes a negative harder.

    Args:
        margin: in units of the cosine; >= 0.

    Raises:
        ValueError: a negative margin.
    """

    margin: AtLeastZero[Number]

    def __call__(self, cosine: Tensor, sample: Sample) -> Tensor:
        return cosine + resolved(self.margin)


@dataclass(frozen=True)
class Stretch(Checked, Rule):
    """Spread the cosines near 1, where those of negatives hardly ever are, over the range.

        g(c) = 2 ((c + 1) / 2)^power - 1,   from [-1, 1] onto [-1, 1]

    Args:
        power: t >= 1; 1 changes nothing, and below 1 the slope at -1 is infinite.

    Raises:
        ValueError: a power below 1.

    Source: Wen et al., "SphereFace2", ICLR 2022, section 3.3.
    """

    power: AtLeastOne[float] = 3.0

    def __call__(self, cosine: Tensor, sample: Sample) -> Tensor:
        return 2 * ((cosine + 1) / 2).clamp(min=0) ** self.power - 1


@dataclass(frozen=True)
class Chain(Checked, Rule):
    """Two rules, one after the other: score = second(first(cosine)).

    Args:
        first: applied to the cosine.
        second: applied to what the first gives.
    """

    first: Curve
    second: Curve

    @property
    def is_angular(self) -> bool:
        """Whether one of them is."""
        return is_angular(self.first) or is_angular(self.second)

    def __call__(self, cosine: Tensor, sample: Sample) -> Tensor:
        return self.second(self.first(cosine, sample), sample)


@dataclass(frozen=True)
class Detached(Checked, Rule):
    """The value of a rule with the gradient of no rule: the straight-through form.

        value = rule(cosine),  d value / d cosine = 1

    Source: the ArcFace authors' code since December 2022; "characteristic gradient detachment" in
    Liu et al., "SphereFace Revived", TPAMI 2022.
    """

    rule: Curve

    @property
    def is_angular(self) -> bool:
        """Whether the rule inside is."""
        return is_angular(self.rule)

    def __call__(self, cosine: Tensor, sample: Sample) -> Tensor:
        return cosine + (self.rule(cosine, sample) - cosine).detach()
