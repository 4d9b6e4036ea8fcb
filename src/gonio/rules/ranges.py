"""Which numbers a setting may be, said by its type: `margin: AtLeastZero[Number]`."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, TypeVar

from gonio.base.numbers import LARGEST, SMALLEST

T = TypeVar("T")


class Varying(ABC):
    """A setting that is no single number: it follows the training step, or differs by sample."""

    example: ClassVar[str]
    """What an error offers."""

    @abstractmethod
    def extremes(self) -> tuple[float, float]:
        """The smallest and the largest number that it can give."""


def extremes(number: float | Varying) -> tuple[float, float]:
    """The smallest and the largest value that a setting can take."""
    return number.extremes() if isinstance(number, Varying) else (number, number)


@dataclass(frozen=True)
class Range:
    """An interval, in which a number and all values of a varying setting have to be.

    Args:
        low: its lower end.
        high: its upper end.
        ends: "[" and "]" belong to it, "(" and ")" do not.
        unit: for the message.
    """

    low: float
    high: float = LARGEST
    ends: Literal["[]", "()", "[)", "(]"] = "[]"
    unit: str = ""

    def check(self, name: str, number: float | Varying) -> None:
        """Refuse what is outside.

        Raises:
            ValueError: names the setting and the interval.
        """
        low, high = extremes(number)
        is_above = self.low < low if self.ends[0] == "(" else self.low <= low
        is_below = high < self.high if self.ends[1] == ")" else high <= self.high
        if is_above and low <= high and is_below:
            return
        hint = ""
        if self.unit == RADIANS and self.high < high < math.inf:
            hint = f"; if degrees were meant, write {math.radians(high):.4g}"
        raise ValueError(f"{name}: {number} is out of range {self}{hint}")

    def __str__(self) -> str:
        low, high = (IN_WORDS.get(end, f"{end:g}") for end in (self.low, self.high))
        return f"{self.ends[0]}{low}, {high}{self.ends[1]} {self.unit}".rstrip()


RADIANS = "radians"
IN_WORDS = {math.pi: "pi", -math.pi: "-pi", math.pi / 2: "pi / 2"}

Finite = Annotated[T, Range(-LARGEST)]
AtLeastZero = Annotated[T, Range(0)]
AtLeastOne = Annotated[T, Range(1)]
AtMostZero = Annotated[T, Range(-LARGEST, 0)]
Positive = Annotated[T, Range(SMALLEST)]
Share = Annotated[T, Range(0, 1)]
Radians = Annotated[T, Range(-math.pi, math.pi, "()", RADIANS)]
CosineMargin = Annotated[T, Range(0, 3, unit="of the cosine; the unit is not degrees")]
"""Cosines differ by at most 2."""
