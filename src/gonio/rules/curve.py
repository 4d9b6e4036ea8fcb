"""Curves: elementwise changes of a cosine, for the own class as well as for the others.

A rule maps `(cosine, sample) -> cosine`. For the own class all is (batch,); for the others the cosine
is (batch, tile) and the fields of `sample` are (batch, 1), so the rule runs unchanged on the whole
matrix and on any tile of it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from torch import Tensor

from gonio.rules.number import Number, extremes, resolved
from gonio.rules.ranges import at_least_zero

if TYPE_CHECKING:
    from gonio.equation import Sample


class Rule(Protocol):
    """A frozen dataclass: elementwise, `(cosine, sample) -> cosine`.

    One that reads `sample.angle` says so by an attribute `is_angular`, so that it is never used on
    inner products.
    """

    def __call__(self, cosine: Tensor, sample: "Sample") -> Tensor: ...


@dataclass(frozen=True)
class AsIs:
    """Leave the cosine as it is: no margin, no modulation."""

    def __call__(self, cosine: Tensor, sample: "Sample") -> Tensor:
        return cosine


@dataclass(frozen=True)
class Subtract:
    """Subtract a margin: target = cosine - margin.

    Slope 1 everywhere. `Subtract(0)` changes nothing.

    Args:
        margin: in units of the cosine (of the inner product, for plain softmax); >= 0.

    Raises:
        ValueError: a negative margin.

    Source: Wang et al., "Additive Margin Softmax", 2018, eq. (5).
    """

    margin: Number

    def __post_init__(self) -> None:
        at_least_zero("margin", self.margin)

    def __call__(self, cosine: Tensor, sample: "Sample") -> Tensor:
        return cosine - resolved(self.margin)


@dataclass(frozen=True)
class Add:
    """Add a margin: score = cosine + margin, which makes a negative harder.

    Args:
        margin: in units of the cosine; >= 0.

    Raises:
        ValueError: a negative margin.
    """

    margin: Number

    def __post_init__(self) -> None:
        at_least_zero("margin", self.margin)

    def __call__(self, cosine: Tensor, sample: "Sample") -> Tensor:
        return cosine + resolved(self.margin)


@dataclass(frozen=True)
class Stretch:
    """Spread the cosines near 1, where those of negatives hardly ever are, over the range.

        g(c) = 2 ((c + 1) / 2)^power - 1,   from [-1, 1] onto [-1, 1]

    Args:
        power: t >= 1; 1 changes nothing.

    Raises:
        ValueError: a power below 1.

    Source: Wen et al., "SphereFace2", ICLR 2022, section 3.3.
    """

    power: float = 3.0

    def __post_init__(self) -> None:
        if extremes(self.power)[0] < 1:
            raise ValueError(f"power: {self.power} is below 1, where the slope at -1 is infinite")

    def __call__(self, cosine: Tensor, sample: "Sample") -> Tensor:
        return 2 * ((cosine + 1) / 2).clamp(min=0) ** self.power - 1


@dataclass(frozen=True)
class Chain:
    """Two rules, one after the other: score = second(first(cosine)).

    Args:
        first: applied to the cosine.
        second: applied to what the first gives.
    """

    first: Rule
    second: Rule

    @property
    def is_angular(self) -> bool:
        """Whether one of them is."""
        return any(getattr(rule, "is_angular", False) for rule in (self.first, self.second))

    def __call__(self, cosine: Tensor, sample: "Sample") -> Tensor:
        return self.second(self.first(cosine, sample), sample)


@dataclass(frozen=True)
class Detached:
    """The value of a rule with the gradient of no rule: the straight-through form.

        value = rule(cosine),  d value / d cosine = 1

    Source: the ArcFace authors' code since December 2022; "characteristic gradient detachment" in
    Liu et al., "SphereFace Revived", TPAMI 2022.
    """

    rule: Rule

    @property
    def is_angular(self) -> bool:
        """Whether the rule inside is."""
        return getattr(self.rule, "is_angular", False)

    def __call__(self, cosine: Tensor, sample: "Sample") -> Tensor:
        return cosine + (self.rule(cosine, sample) - cosine).detach()
