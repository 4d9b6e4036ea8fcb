"""What a setting may be: each check names the setting, what was got, and what is allowed."""

import math
from collections.abc import Iterable

from gonio.rules.number import Number, extremes


def at_least_zero(name: str, number: Number) -> None:
    """Refuse a number, or a setting that ever gives one, below 0 or not finite.

    Raises:
        ValueError: names the setting.
    """
    low, high = extremes(number)
    if not (low >= 0 and high < math.inf):
        raise ValueError(f"{name}: {number} is not a finite number >= 0")


def one_of(name: str, value: object, choices: Iterable[object]) -> None:
    """Refuse a word that is not among the choices.

    Raises:
        ValueError: names the setting and the choices.
    """
    if value not in (allowed := list(choices)):
        raise ValueError(f"{name}: {value!r} is unknown; choose one of {allowed}")
